//! The ways back: give a run up, roll back, switch the old key on again.

use keyward_core::{
    Context, Evidence, KeyId, KeyRecord, PublicationId, Run, RunKind, RunPhase, SecretBackend, SecretBackendExt,
    Stamped, Transition, TransitionError,
};

use super::builder::Rotator;
use super::engine::{Comeback, is_clean, old_of};
use super::error::{Answer, RotationError};
use crate::commit::Commit;

impl<B: SecretBackend> Rotator<B> {
    /// Gives the run up. Before readers see the new key nothing changes for them; after that the
    /// old key is published again first. Step on until the run has finished.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn stop(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     rotator.abort(key, "the vendor is down").await?;
    ///     rotator.resume(key, "finish the abort").await?.run_to_completion().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`TransitionError::RollbackWindowPassed`] once the old key is being revoked,
    /// [`TransitionError::NothingToRollBackTo`] when there is no clean earlier version,
    /// [`RotationError::CannotComeBack`] when there is one and it does not work any more,
    /// [`TransitionError::NoRun`]; a failing store.
    pub async fn abort(&self, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        self.go_back(key, reason, true).await
    }

    /// Publishes the old key again and gives the new one up. Where the old one is switched off it is
    /// switched on first. Step on until the run has finished.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn back(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     rotator.rollback(key, "error rates rise").await?;
    ///     rotator.resume(key, "finish the rollback").await?.run_to_completion().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Rotator::abort`]; and [`TransitionError::WrongPhase`] before the new key was published.
    pub async fn rollback(&self, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        self.go_back(key, reason, false).await
    }

    /// Somebody still needs the old key that is switched off: switches it on and sees it work. The
    /// run goes on, and watches it anew before it is switched off again.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn screamed(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     rotator.reactivate(key, "the night batch still uses it").await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`TransitionError::WrongPhase`] when it is not switched off,
    /// [`RotationError::CannotComeBack`] when it is not seen to work; a failing store or issuer.
    pub async fn reactivate(&self, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        let cx = self.context(&reason.parse()?);
        for _ in 0..8 {
            let read = self.backend.load_existing(&cx, key).await?;
            let run = read.value.run().ok_or(TransitionError::NoRun)?;
            let RunPhase::Suspended { .. } = run.phase else {
                let phase = run.phase.name();
                return Err(TransitionError::WrongPhase { transition: "reactivate", phase }.into());
            };
            if self.back_on(&cx, &read, run, reason).await? {
                return Ok(());
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    async fn go_back(&self, key: &KeyId, reason: &str, abandons: bool) -> Answer<()> {
        let cx = self.context(&reason.parse()?);
        for _ in 0..8 {
            let read = self.backend.load_existing(&cx, key).await?;
            let run = read.value.run().ok_or(TransitionError::NoRun)?;
            let evidence = Evidence::lossy(&format!("called off by {}: {reason}", self.actor));
            let back = match run.phase {
                RunPhase::RollingBack { .. } => return Ok(()),
                RunPhase::Suspended { .. } => {
                    self.back_on(&cx, &read, run, reason).await?;
                    continue;
                }
                RunPhase::Promoting { .. } if run.kind == RunKind::Repair && abandons => {
                    Transition::Abandon { evidence }
                }
                RunPhase::Promoting { .. } | RunPhase::Soaking { .. } => {
                    self.check_comeback(&cx, &read.value, run).await?;
                    Transition::RollBack { publication: PublicationId::generate(), evidence }
                }
                _ if abandons => Transition::Abandon { evidence },
                _ => Transition::RollBack { publication: PublicationId::generate(), evidence },
            };
            if let Commit::Done(_) = self.commit(&cx, &read, &back).await? {
                return Ok(());
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    /// Switches the old version on and stores that it works. False when another writer came first.
    async fn back_on(&self, cx: &Context, read: &Stamped<KeyRecord>, run: &Run, reason: &str) -> Answer<bool> {
        let old = old_of(&read.value, run)?;
        let seen = match self.can_come_back(cx, &read.value, run, old).await? {
            Comeback::Ready(seen) => seen,
            Comeback::NotYet(why) | Comeback::Never(why) => {
                return Err(RotationError::CannotComeBack { key: read.value.id().clone(), version: old.id, why });
            }
        };
        let evidence = Evidence::lossy(&format!("old key switched on again by {} ({seen}): {reason}", self.actor));
        let stored = self.commit(cx, read, &Transition::Reactivate { evidence }).await?;
        Ok(matches!(stored, Commit::Done(_)))
    }

    /// What is lost or dead is not published again. Whether what looks off works in a moment, the
    /// run finds out before it publishes.
    async fn check_comeback(&self, cx: &Context, record: &KeyRecord, run: &Run) -> Answer<()> {
        let old = old_of(record, run)?;
        if !is_clean(old) {
            return Err(TransitionError::NothingToRollBackTo.into());
        }
        match self.can_come_back(cx, record, run, old).await? {
            Comeback::Ready(_) | Comeback::NotYet(_) => Ok(()),
            Comeback::Never(why) => {
                Err(RotationError::CannotComeBack { key: record.id().clone(), version: old.id, why })
            }
        }
    }
}
