//! Bringing in a key that exists already: registered, stored, published; unchanged at its issuer.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::{KeyDraft, KeyRecord, NewKey, RunKind, RunOutcome, SecretBackend, Shape, Stage};

use super::{Inventory, InventoryError, Result};
use crate::rotation::{HandOver, RotationError, Rotator};

/// How long an import of another process is left alone. It makes a few calls of the store and asks
/// nobody else.
const PATIENCE: Duration = Duration::from_secs(5);

impl<B: SecretBackend> Inventory<B> {
    /// Registers a key whose value exists already, and makes that value current.
    ///
    /// The value takes the ordinary way of a first version (stored where no reader looks, then
    /// published), so a crash in between is resumed by importing the same value again. Its proof
    /// is the word of whoever imports it, with `reason`; the next rotation brings real proof.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::{AccessLevel, KeyDraft, Material, MemoryBackend, NewKey, Ownership, Scope, SecretValue};
    /// use keyward::inventory::Inventory;
    /// let inventory = Inventory::new(MemoryBackend::default()).actor("ada");
    /// let draft = KeyDraft::new(
    ///     "production/messaging/twilio-send".parse()?,
    ///     Ownership::new("growth", "ada@example.com", "grace@example.com", "#growth")?,
    ///     Scope::new(AccessLevel::Write).permission("messages:write")?.service("mailer")?,
    ///     "twilio".parse()?,
    /// );
    /// # let from_the_old_vault = "value";
    /// let value = Material::one(SecretValue::from(from_the_old_vault))?;
    /// let record = inventory.import(draft, NewKey::new(value), "moved out of the deploy script").await?;
    /// assert!(record.primary().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::AlreadyRegistered`] when the key has a version already, or an import of
    /// another value came first; [`InventoryError::Shape`] when the value does not fit the draft;
    /// [`InventoryError::Draft`]; [`InventoryError::Import`] when it could not be completed: import
    /// the same value again.
    pub async fn import(&self, draft: KeyDraft, key: NewKey, reason: &str) -> Result<KeyRecord> {
        let cx = self.context(reason)?;
        let id = draft.id.clone();
        let taken = || InventoryError::AlreadyRegistered { key: id.clone() };
        let fits = |shape: &Shape| *shape == key.material.shape();
        let misfit = || InventoryError::Shape { key: id.clone() };
        if !fits(&draft.shape) {
            return Err(misfit());
        }
        let record = match self.register(draft).await {
            Ok(record) => record,
            Err(InventoryError::AlreadyRegistered { .. }) => self.get(&id).await?,
            Err(error) => return Err(error),
        };
        let importing = record.run().is_some_and(|run| run.kind == RunKind::Import);
        if !importing && record.versions().iter().any(|v| v.state.may_work()) {
            return Err(taken());
        }
        if !fits(record.shape()) {
            return Err(misfit());
        }
        let value = key.material.duplicate();
        let rotator = self.hand_over(&record, HandOver::of(key)).map_err(import_failed)?;
        let mut run =
            rotator.start_or_resume_kind(&id, cx.reason.as_str(), RunKind::Import).await.map_err(import_failed)?;
        let report = run.run_to_completion().await.map_err(import_failed)?;
        let record = self.get(&id).await?;
        if report.outcome != RunOutcome::Completed {
            return Err(import_failed(RotationError::Contended { key: id }));
        }
        let serving = record.primary().ok_or_else(taken)?;
        // A crashed import of another value would have been completed instead of this one.
        match self.backend.stage(&cx, &record.target(), serving.id, &value).await? {
            Stage::AlreadySame => Ok(record),
            Stage::Stored | Stage::Conflict => Err(taken()),
        }
    }

    /// A rotator whose only issuer hands a key over that exists.
    pub(super) fn hand_over(
        &self,
        record: &KeyRecord,
        hand_over: HandOver,
    ) -> std::result::Result<Rotator<&B>, RotationError> {
        let actor = self.actor.as_ref().and_then(|actor| actor.as_ref().ok()).map_or("keyward", |actor| actor.as_str());
        let (name, hand_over) = (record.issuer().as_str(), Arc::new(hand_over));
        Rotator::builder(&self.backend)
            .actor(actor)
            .issuer(name, hand_over.clone())
            .validator(name, hand_over)
            .clock(self.clock.clone())
            .shared_inventory_key(self.inventory_key.clone())
            .probe_gap(Duration::ZERO)
            .takeover_after(PATIENCE)
            .build()
    }
}

fn import_failed(error: RotationError) -> InventoryError {
    InventoryError::Import(Box::new(error))
}
