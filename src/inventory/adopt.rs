//! Bringing an existing secret under management where it lies, and taking that back.

use keyward_core::{
    Adopter, Context, Edit, Error, ErrorKind, Existing, IssuerRef, KeyDraft, KeyId, KeyRecord, Location, Operation,
    RunKind, RunOutcome, RunPhase, SecretBackend, SecretBackendExt, Shape, Transition,
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
    /// a mistake is undone by [`Inventory::release`].
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
        let rotator = self.hand_over(&record, HandOver::asking()).map_err(adopt_failed)?;
        let mut run = rotator.start_or_resume_kind(&id, reason, RunKind::Adopt).await.map_err(adopt_failed)?;
        loop {
            match run.run_to_completion().await {
                Ok(report) if report.outcome == RunOutcome::Completed => return self.get(&id).await,
                Ok(_) => return Err(adopt_failed(RotationError::Contended { key: id })),
                Err(RotationError::NeedsOperator(NeedsOperator::SupplyKey { .. })) => {
                    self.claim(&cx, adopter, &rotator, &id, reference.clone()).await?;
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

    /// A record that is there already, at the place and in the shape of the draft. While it has no
    /// version it follows the draft: what was said wrong the first time can be said anew.
    async fn place(&self, cx: &Context, adopter: &dyn Adopter, draft: KeyDraft) -> Result<KeyRecord> {
        let record = self.get(&draft.id).await?;
        let same = *record.location() == draft.location && *record.shape() == draft.shape;
        let adopting = record.run().is_some_and(|run| run.kind == RunKind::Adopt);
        if same && (adopting || !record.versions().iter().any(|v| v.state.may_work())) {
            return Ok(record);
        }
        if same || record.run().is_some() || !record.versions().is_empty() {
            return Err(InventoryError::AlreadyRegistered { key: draft.id });
        }
        if *record.location() != Location::Derived {
            // A release that was stopped half-way left its claim there.
            adopter.release(cx, &record.target()).await?;
        }
        let place = Edit::Place { location: draft.location, shape: draft.shape };
        self.apply(cx, &draft.id, &Transition::Edit(place)).await
    }

    /// Claims the secret for the version the run has planned, and hands its value to the run.
    async fn claim(
        &self,
        cx: &Context,
        adopter: &dyn Adopter,
        rotator: &Rotator<&B>,
        key: &KeyId,
        reference: Option<IssuerRef>,
    ) -> Result<()> {
        let record = self.backend.load_existing(cx, key).await?.value;
        let Some(RunPhase::Plan { version, asked: Some(_) }) = record.run().map(|run| &run.phase) else {
            return Ok(()); // another process was faster
        };
        let material = match adopter.claim(cx, &record.target(), *version).await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                return Err(InventoryError::Shape { key: key.clone() });
            }
            claimed => claimed?,
        };
        match rotator.supply(key, material, reference, cx.reason.as_str()).await {
            Ok(_) | Err(RotationError::NotWaiting { .. }) => Ok(()),
            Err(error) => Err(adopt_failed(error)),
        }
    }
}

fn adopt_failed(error: RotationError) -> InventoryError {
    InventoryError::Adopt(Box::new(error))
}
