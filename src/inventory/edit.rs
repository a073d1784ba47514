//! What people change.

use keyward_core::{
    Change, Context, Edit, ErrorKind, Expect, KeyDraft, KeyId, KeyRecord, NoteText, Retire, SecretBackend,
    SecretBackendExt, Stamped, Swap, Transition, TransitionError,
};

use crate::commit::{Commit, CommitError, commit};

use super::{Inventory, InventoryError, Result};

/// What became of a retired key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retired {
    /// The tombstone.
    pub record: KeyRecord,
    /// What became of its material.
    pub material: Retire,
}

impl<B: SecretBackend> Inventory<B> {
    /// How often a change is tried against other writers.
    pub const ATTEMPTS: u32 = 5;

    /// Registers a key: its record, without a version. The first rotation brings the first value.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::{AccessLevel, KeyDraft, MemoryBackend, Ownership, Scope};
    /// use keyward::inventory::Inventory;
    /// let inventory = Inventory::new(MemoryBackend::default()).actor("ada");
    /// let record = inventory
    ///     .register(KeyDraft::new(
    ///         "production/analytics/warehouse-read".parse()?,
    ///         Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?,
    ///         Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("reporting")?,
    ///         "acme".parse()?,
    ///     ))
    ///     .await?;
    /// assert_eq!(record.revision(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::AlreadyRegistered`], [`InventoryError::Draft`], [`InventoryError::Store`].
    pub async fn register(&self, draft: KeyDraft) -> Result<KeyRecord> {
        let cx = self.context("register a key")?;
        let record = KeyRecord::register(&draft, &self.change(&cx)).map_err(InventoryError::Draft)?;
        let taken = || InventoryError::AlreadyRegistered { key: draft.id.clone() };
        for _ in 0..Self::ATTEMPTS {
            match self.backend.swap(&cx, &draft.id, Expect::Absent, &record).await {
                Ok(Swap::Applied(_)) => return Ok(record),
                Ok(Swap::Conflict(found)) => return ours(&record, found).ok_or_else(taken),
                Err(error) if error.kind() == ErrorKind::Unknown => {
                    let found = self.backend.load_one(&cx, &draft.id).await?;
                    if found.is_some() {
                        return ours(&record, found).ok_or_else(taken);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(InventoryError::Busy { key: draft.id, attempts: Self::ATTEMPTS })
    }

    /// Changes what people say about a key: owners, scope, policy, labels, links.
    ///
    /// Applied to the record as it is then, again when somebody else was faster.
    ///
    /// ```
    /// use keyward::core::{Edit, KeyId, MemoryBackend, Ownership};
    /// use keyward::inventory::Inventory;
    /// async fn hand_over(inventory: &Inventory<MemoryBackend>, key: &KeyId) -> Result<(), Box<dyn std::error::Error>> {
    ///     let owners = Ownership::new("data", "grace@example.com", "alan@example.com", "#data")?;
    ///     inventory.update(key, Edit::Ownership(owners), "ada moves to another team").await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::NotRegistered`]; [`InventoryError::Refused`], for instance for a wider
    /// scope without an approval; [`InventoryError::Busy`], [`InventoryError::BadText`],
    /// [`InventoryError::Store`].
    pub async fn update(&self, key: &KeyId, edit: Edit, reason: &str) -> Result<KeyRecord> {
        self.apply(&self.context(reason)?, key, &Transition::Edit(edit)).await
    }

    /// Adds a remark to the rotation notes of a key. Never put a value there.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn remark(inventory: &Inventory<MemoryBackend>, key: &KeyId) -> Result<(), InventoryError> {
    ///     inventory.annotate(key, "the issuer limits new keys to two a day").await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::BadText`] for a text that is empty, too long or unprintable; otherwise as
    /// [`Inventory::update`].
    pub async fn annotate(&self, key: &KeyId, text: &str) -> Result<KeyRecord> {
        let note: NoteText = text.parse()?;
        self.update(key, Edit::Note(note), "add a note").await
    }

    /// Makes a key whose versions are all dead a tombstone and gives up its material.
    ///
    /// Repeating it on a retired key finishes what a crash left undone. The material goes at once,
    /// or after the retention of the key's policy where the store can keep it that long.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn close(inventory: &Inventory<MemoryBackend>, key: &KeyId) -> Result<(), InventoryError> {
    ///     match inventory.retire(key, "the integration was switched off").await {
    ///         Err(InventoryError::StillWorking { .. }) => Ok(()), // decommission it with the rotator first
    ///         other => other.map(|_| ()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::StillWorking`] while a version may work at the issuer; otherwise as
    /// [`Inventory::update`].
    pub async fn retire(&self, key: &KeyId, reason: &str) -> Result<Retired> {
        let cx = self.context(reason)?;
        let found = self.existing(&cx, key).await?.value;
        if let Some(version) = found.versions().iter().find(|version| version.state.may_work()) {
            return Err(InventoryError::StillWorking { key: key.clone(), version: version.id });
        }
        let record = match found.retired_at() {
            Some(_) => found,
            None => self.apply(&cx, key, &Transition::Bury).await?,
        };
        let material = self.backend.retire(&cx, &record.target(), record.policy().retention).await?;
        Ok(Retired { record, material })
    }

    /// Makes one move on the record as it is, again while others are faster.
    pub(super) async fn apply(&self, cx: &Context, key: &KeyId, transition: &Transition) -> Result<KeyRecord> {
        let change = self.change(cx);
        for _ in 0..Self::ATTEMPTS {
            let current = self.existing(cx, key).await?;
            if current.value.remembers(change.operation) {
                return Ok(current.value);
            }
            match commit(&self.backend, cx, &current, transition, &change).await {
                Ok(Commit::Done(stored)) => return Ok(stored.value),
                Ok(Commit::Overtaken) => {}
                // It may have happened: the next look tells.
                Err(CommitError::Store(error)) if error.kind() == ErrorKind::Unknown => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
                Err(CommitError::Record(broken)) => return Err(refused(key, broken.into())),
                Err(CommitError::Refused(refusal)) => return Err(refused(key, refusal)),
            }
        }
        Err(InventoryError::Busy { key: key.clone(), attempts: Self::ATTEMPTS })
    }

    pub(super) async fn existing(&self, cx: &Context, key: &KeyId) -> Result<Stamped<KeyRecord>> {
        self.backend.load_one(cx, key).await?.ok_or_else(|| InventoryError::NotRegistered { key: key.clone() })
    }

    fn change(&self, cx: &Context) -> Change {
        Change::new(cx.actor.clone(), self.clock.now())
    }
}

fn refused(key: &KeyId, refusal: TransitionError) -> InventoryError {
    InventoryError::Refused { key: key.clone(), refusal: refusal.into() }
}

/// The record that is there, when it is the one we wrote or comes from it.
fn ours(written: &KeyRecord, found: Option<Stamped<KeyRecord>>) -> Option<KeyRecord> {
    found.map(|found| found.value).filter(|found| found.uid() == written.uid())
}
