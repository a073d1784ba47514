//! What people do to a run: supply a key, override a gate, attest a death, give a key up.

use keyward_core::{
    Context, Death, Evidence, IssuerRef, KeyId, KeyRecord, Material, Passed, RunPhase, SecretBackend, SecretBackendExt,
    Stage, Target, Transition, VersionId,
};

use super::builder::Rotator;
use super::error::{Answer, NeedsOperator, RotationError};
use crate::commit::Commit;

impl<B: SecretBackend> Rotator<B> {
    /// Hands over the key a person was asked for, hours later and from any host.
    ///
    /// ```
    /// use keyward::core::{KeyId, Material, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn hand_over(rotator: &Rotator<MemoryBackend>, key: &KeyId, material: Material) -> Result<(), RotationError> {
    ///     let version = rotator.supply(key, material, None, "made in the dashboard").await?;
    ///     println!("stored as version {version}");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::NotWaiting`] when no run of the key waits for one,
    /// [`RotationError::NeedsOperator`] when other material was supplied before; a failing store.
    pub async fn supply(
        &self,
        key: &KeyId,
        material: Material,
        reference: Option<IssuerRef>,
        reason: &str,
    ) -> Result<VersionId, RotationError> {
        let cx = self.context(&reason.parse()?);
        self.supply_where(&cx, key, |_, _| true, material, reference).await
    }

    /// As [`Rotator::supply`], for exactly this version at exactly this place.
    pub(crate) async fn supply_version(
        &self,
        cx: &Context,
        target: &Target,
        wanted: VersionId,
        material: Material,
        reference: Option<IssuerRef>,
    ) -> Answer<VersionId> {
        let same = |record: &KeyRecord, version| version == wanted && record.target() == *target;
        self.supply_where(cx, &target.id, same, material, reference).await
    }

    async fn supply_where(
        &self,
        cx: &Context,
        key: &KeyId,
        wanted: impl Fn(&KeyRecord, VersionId) -> bool,
        material: Material,
        reference: Option<IssuerRef>,
    ) -> Answer<VersionId> {
        for _ in 0..8 {
            let read = self.backend.load_existing(cx, key).await?;
            let version = match read.value.run().map(|run| &run.phase) {
                Some(RunPhase::Plan { version, asked: Some(_) }) if wanted(&read.value, *version) => *version,
                _ => return Err(RotationError::NotWaiting { key: key.clone() }),
            };
            if self.backend.stage(cx, &read.value.target(), version, &material).await? == Stage::Conflict {
                return Err(NeedsOperator::StageConflict { key: key.clone(), version }.into());
            }
            let store = Transition::Store {
                version,
                issuer_ref: reference.clone(),
                issuer_state: None,
                fingerprint: self.fingerprint(&material),
                expires_at: None,
            };
            if let Commit::Done(_) = self.commit(cx, &read, &store).await? {
                return Ok(version);
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    /// Passes an insufficient gate by name and with a reason. The windows still hold.
    ///
    /// Where the issuer can switch keys on again, the old one is switched off first. The gates are
    /// asked again before it is revoked, and may have to be overridden again.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn by_name(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     rotator.override_gate(key, "low traffic; checked every caller by hand").await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`keyward_core::TransitionError::TooEarly`] before soak and overlap are over,
    /// [`keyward_core::TransitionError::WrongPhase`] outside the soak; a failing store.
    pub async fn override_gate(&self, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        let passed = Passed::Operator { by: self.actor.clone(), reason: reason.parse()? };
        let cx = self.context(&reason.parse()?);
        let suspends = self.may_suspend(&self.backend.load_existing(&cx, key).await?.value)?;
        self.move_run(key, reason, |record, _| {
            let passed = passed.clone();
            Some(match record.run().map(|run| &run.phase) {
                Some(RunPhase::Soaking { .. }) if suspends => Transition::Suspend { passed },
                _ => Transition::Retire { passed },
            })
        })
        .await
    }

    /// Says that a version was seen dead by a person, who signs for it.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend, VersionId};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn signed(rotator: &Rotator<MemoryBackend>, key: &KeyId, version: VersionId) -> Result<(), RotationError> {
    ///     rotator.attest_revoked(key, version, "deleted in the dashboard; a call with it got 401").await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`keyward_core::TransitionError::WrongState`] when the version is not condemned; a failing store.
    pub async fn attest_revoked(&self, key: &KeyId, version: VersionId, seen: &str) -> Result<(), RotationError> {
        let by = self.actor.clone();
        self.move_run(key, seen, |_, evidence| {
            Some(Transition::Revoked { version, death: Death::Attested { by: by.clone(), evidence } })
        })
        .await
    }

    /// Condemns every version of a key that is no longer needed. [`Rotator::sweep`] then revokes
    /// them, and the inventory retires the record.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn monthly(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     rotator.decommission(key, "unused for a month").await?;
    ///     assert!(rotator.sweep(key, "monthly").await?.pending.is_empty());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`keyward_core::TransitionError::RunActive`] while a run is under way; a failing store.
    pub async fn decommission(&self, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        let why: keyward_core::Reason = reason.parse()?;
        self.move_run(key, reason, |record, _| {
            (!record.is_retiring()).then(|| Transition::Decommission { reason: why.clone() })
        })
        .await
    }

    /// Stores the transition `choose` makes of the record, against other writers. `None` means
    /// there is nothing left to do.
    async fn move_run(
        &self,
        key: &KeyId,
        reason: &str,
        choose: impl Fn(&KeyRecord, Evidence) -> Option<Transition>,
    ) -> Answer<()> {
        let cx = self.context(&reason.parse()?);
        for _ in 0..8 {
            let read = self.backend.load_existing(&cx, key).await?;
            let Some(transition) = choose(&read.value, Evidence::lossy(reason)) else { return Ok(()) };
            if let Commit::Done(_) = self.commit(&cx, &read, &transition).await? {
                return Ok(());
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }
}
