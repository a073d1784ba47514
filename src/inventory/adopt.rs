//! Bringing an existing secret under management where it lies, and taking that back.

use keyward_core::{
    Adopter, Context, Edit, Error, ErrorKind, Existing, IssuerRef, KeyDraft, KeyId, KeyRecord, Location, Operation,
    RunKind, RunOutcome, RunPhase, SecretBackend, SecretBackendExt, Shape, Target, Transition,
};

use super::{Inventory, InventoryError, Result};
use crate::rotation::{HandOver, NeedsOperator, RotationError, Rotator};

impl<B: SecretBackend> Inventory<B> {
    /// Looks at an existing secret: what it is, who manages it, what stands in the way. Changes
    /// nothing and answers no value.
    ///
    /// ```
    /// use keyward::core::{Location, SecretBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn look<B: SecretBackend>(inventory: &Inventory<B>, at: &Location) -> Result<bool, InventoryError> {
    ///     let found = inventory.inspect(at).await?;
    ///     Ok(found.managed_by.is_none() && found.obstacles.is_empty())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::Store`]: `NotFound`, `Unsupported` on a store that adopts nothing, `Denied`.
    pub async fn inspect(&self, location: &Location) -> Result<Existing> {
        let cx = self.context("look at an existing secret")?;
        Ok(self.adopter()?.inspect(&cx, location).await?)
    }

    /// Brings an existing secret under management where it lies. Its value, and what its readers
    /// see, stay as they are; the first rotation then goes through the whole playbook.
    ///
    /// The draft says where it lies (`KeyDraft::location`) and what shape it has. `reference` is
    /// how the issuer names the key, where that is known: later it is revoked by it. That the key
    /// works is the word of whoever adopts it. A crash on the way is finished by adopting again;
    /// a mistake is undone by [`Inventory::release`]. A key that is registered and has no version yet
    /// follows the draft in everything.
    ///
    /// ```
    /// use keyward::core::{AccessLevel, KeyDraft, KeyRecord, Location, Ownership, Scope, SecretBackend};
    /// use keyward::inventory::Inventory;
    /// async fn adopt<B: SecretBackend>(inventory: &Inventory<B>) -> Result<KeyRecord, Box<dyn std::error::Error>> {
    ///     let draft = KeyDraft::new(
    ///         "production/messaging/twilio-send".parse()?,
    ///         Ownership::new("growth", "ada@example.com", "grace@example.com", "#growth")?,
    ///         Scope::new(AccessLevel::Write).permission("messages:write")?.service("mailer")?,
    ///         "twilio".parse()?,
    ///     )
    ///     .location(Location::aws_secret("legacy/twilio")?);
    ///     Ok(inventory.adopt(draft, None, "brownfield wave 1").await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::NotAdoptable`] with what stands in the way;
    /// [`InventoryError::AlreadyRegistered`] when the key has a version, or lies elsewhere;
    /// [`InventoryError::Shape`]; [`InventoryError::Draft`]; [`InventoryError::Adopt`] when it could
    /// not be completed: adopt it again; [`InventoryError::Store`].
    pub async fn adopt(&self, draft: KeyDraft, reference: Option<IssuerRef>, reason: &str) -> Result<KeyRecord> {
        let cx = self.context(reason)?;
        let adopter = self.adopter()?;
        let id = draft.id.clone();
        self.can_adopt(&cx, &draft).await?;
        let record = match self.register(draft.clone()).await {
            Err(InventoryError::AlreadyRegistered { .. }) => self.place(&cx, adopter, draft).await?,
            registered => registered?,
        };
        let target = record.target();
        let rotator = self.hand_over(&record, HandOver::asking()).map_err(adopt_failed)?;
        let mut run = rotator.start_or_resume_kind(&id, reason, RunKind::Adopt).await.map_err(adopt_failed)?;
        loop {
            match run.run_to_completion().await {
                Ok(report) if report.outcome == RunOutcome::Completed => {
                    let record = self.get(&id).await?;
                    // Another adopter may have said another place meanwhile, and won.
                    let ours = record.target() == target && record.primary().is_some();
                    return if ours { Ok(record) } else { Err(InventoryError::AlreadyRegistered { key: id }) };
                }
                Ok(_) => return Err(adopt_failed(RotationError::Contended { key: id })),
                Err(RotationError::NeedsOperator(NeedsOperator::SupplyKey { .. })) => {
                    self.claim(&cx, adopter, &rotator, &target, reference.clone()).await?;
                }
                Err(error) => return Err(adopt_failed(error)),
            }
        }
    }

    /// Takes an adoption back: the secret lies there unmanaged again, its value and its readers
    /// undisturbed. The record stays, without a version; it can be adopted anew, or retired.
    ///
    /// Only while nothing but the adoption has happened to the key. Repeating it is safe.
    ///
    /// ```
    /// use keyward::core::{KeyId, SecretBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn undo<B: SecretBackend>(inventory: &Inventory<B>, key: &KeyId) -> Result<(), InventoryError> {
    ///     let record = inventory.release(key, "the wrong secret").await?;
    ///     assert!(record.primary().is_none());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::Refused`] when the key was not adopted, or was rotated, leaked or given up
    /// since; [`InventoryError::NotRegistered`]; [`InventoryError::Store`].
    pub async fn release(&self, key: &KeyId, reason: &str) -> Result<KeyRecord> {
        let cx = self.context(reason)?;
        let release = Transition::Release { reason: cx.reason.clone() };
        let record = self.apply(&cx, key, &release).await?;
        self.adopter()?.release(&cx, &record.target()).await?;
        Ok(record)
    }

    pub(super) fn adopter(&self) -> Result<&dyn Adopter> {
        let adopts_nothing = || {
            let error = Error::new(ErrorKind::Unsupported, Operation::Open, "keyward");
            error.with_detail("this store adopts no existing secrets; import the value instead")
        };
        Ok(self.backend.adopter().ok_or_else(adopts_nothing)?)
    }

    /// Everything that can be known before anything is written.
    pub(super) async fn can_adopt(&self, cx: &Context, draft: &KeyDraft) -> Result<()> {
        draft.check().map_err(InventoryError::Draft)?;
        let found = self.adopter()?.inspect(cx, &draft.location).await?;
        let key = &draft.id;
        if found.managed_by.as_ref().is_some_and(|other| other != key) || !found.obstacles.is_empty() {
            let (managed_by, obstacles) = (found.managed_by, found.obstacles);
            return Err(InventoryError::NotAdoptable { key: key.clone(), managed_by, obstacles });
        }
        match (&draft.shape, &found.shape) {
            (Shape::Fields(wanted), Some(Shape::Fields(there))) if wanted != there => {
                Err(InventoryError::Shape { key: key.clone() })
            }
            (Shape::Fields(_), Some(Shape::One)) => Err(InventoryError::Shape { key: key.clone() }),
            // A whole path holds fields; the one to manage must be named.
            (Shape::One, Some(Shape::Fields(_)))
                if matches!(draft.location, Location::VaultPath { field: None, .. }) =>
            {
                Err(InventoryError::Shape { key: key.clone() })
            }
            _ => Ok(()),
        }
    }

    /// A record that is there already. While it has no version it follows the draft: what was said
    /// wrong the first time can be said anew.
    async fn place(&self, cx: &Context, adopter: &dyn Adopter, draft: KeyDraft) -> Result<KeyRecord> {
        let Some(record) = self.can_take(&draft).await? else {
            return Err(InventoryError::NotRegistered { key: draft.id });
        };
        if record.run().is_some() || !record.versions().is_empty() || says(&record, &draft) {
            return Ok(record);
        }
        if *record.location() != Location::Derived && *record.location() != draft.location {
            // A release that was stopped half-way left its claim there.
            adopter.release(cx, &record.target()).await?;
        }
        self.apply(cx, &draft.id.clone(), &Transition::Edit(Edit::Redraft(Box::new(draft)))).await
    }

    /// The record a draft would take over, if there is one. Refuses a draft of a key that has a
    /// version, or that is under way elsewhere.
    pub(super) async fn can_take(&self, draft: &KeyDraft) -> Result<Option<KeyRecord>> {
        let record = match self.get(&draft.id).await {
            Err(InventoryError::NotRegistered { .. }) => return Ok(None),
            record => record?,
        };
        let same = *record.location() == draft.location && *record.shape() == draft.shape;
        let free = match record.run() {
            Some(run) => same && run.kind == RunKind::Adopt,
            None if same => !record.versions().iter().any(|v| v.state.may_work()),
            None => record.versions().is_empty(),
        };
        if free { Ok(Some(record)) } else { Err(InventoryError::AlreadyRegistered { key: draft.id.clone() }) }
    }

    /// Claims the secret for the version the run has planned, and hands its value to the run.
    async fn claim(
        &self,
        cx: &Context,
        adopter: &dyn Adopter,
        rotator: &Rotator<&B>,
        target: &Target,
        reference: Option<IssuerRef>,
    ) -> Result<()> {
        let key = &target.id;
        let record = self.backend.load_existing(cx, key).await?.value;
        if record.target() != *target {
            return Err(InventoryError::AlreadyRegistered { key: key.clone() });
        }
        let Some(RunPhase::Plan { version, asked: Some(_) }) = record.run().map(|run| &run.phase) else {
            return Ok(()); // another process was faster
        };
        let version = *version;
        let material = match adopter.claim(cx, target, version).await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                return Err(InventoryError::Shape { key: key.clone() });
            }
            claimed => claimed?,
        };
        match rotator.supply_version(cx, target, version, material, reference).await {
            Ok(_) | Err(RotationError::NotWaiting { .. }) => Ok(()),
            Err(error) => Err(adopt_failed(error)),
        }
    }
}

/// True when a record says what a draft says.
fn says(record: &KeyRecord, draft: &KeyDraft) -> bool {
    record.target() == Target::new(draft.id.clone(), draft.location.clone(), draft.shape.clone())
        && (record.ownership(), record.scope(), record.issuer()) == (&draft.ownership, &draft.scope, &draft.issuer)
        && (record.policy(), record.labels(), record.links()) == (&draft.policy, &draft.labels, &draft.links[..])
}

fn adopt_failed(error: RotationError) -> InventoryError {
    InventoryError::Adopt(Box::new(error))
}
