//! What somebody else put where native readers look: taken over or overwritten, by a person's word.

use keyward_core::{
    Context, Evidence, Instructions, KeyId, KeyRecord, Pointer, PublicationId, RunId, RunKind, RunPhase, SecretBackend,
    SecretBackendExt, Shows, Stamped, Transition, VersionId,
};

use super::super::engine::is_ours;
use super::super::error::{Answer, RotationError};
use super::super::run::RotationRun;
use super::super::sweep::is_newer;
use super::Reconciler;
use crate::commit::Commit;

impl<'a, B: SecretBackend> Reconciler<'a, B> {
    /// Replaces what somebody else put there by what serves, or by what the run under way publishes.
    /// Only what is seen there in this moment: if it changes again it is left alone again.
    ///
    /// Step the run that is answered until it has finished.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{Reconciler, RotationError, Rotator};
    /// async fn ours_again(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let why = "a pipeline wrote an old value back; it is switched off now";
    ///     let mut run = Reconciler::of(rotator).overwrite_foreign(key, why).await?;
    ///     println!("{}", run.run_to_completion().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::NotForeign`] when what is shown is ours,
    /// [`RotationError::CannotComeBack`] when what serves is dead or lost,
    /// [`keyward_core::TransitionError::NothingServes`] without a serving version,
    /// [`keyward_core::TransitionError::WrongPhase`] while a run is in a phase that publishes nothing:
    /// abort it first; a failing store.
    pub async fn overwrite_foreign(&self, key: &KeyId, reason: &str) -> Result<RotationRun<'a, B>, RotationError> {
        let cx = self.rotator.context(&reason.parse()?);
        for _ in 0..8 {
            let read = self.rotator.backend().load_existing(&cx, key).await?;
            let pointer = self.rotator.backend().pointer(&cx, &read.value.target()).await?;
            if is_ours(&read.value, &pointer) {
                return Err(RotationError::NotForeign { key: key.clone() });
            }
            let begun = match read.value.run() {
                None => self.begin(&cx, &read, Some(pointer.token), reason).await?,
                Some(run) => {
                    let id = run.id;
                    let evidence = format!("to be overwritten, by {}: {reason}", self.rotator.actor);
                    let overwrite = Transition::Overwrite {
                        publication: PublicationId::generate(),
                        expect: pointer.token,
                        evidence: Evidence::lossy(&evidence),
                    };
                    let stored = self.rotator.commit(&cx, &read, &overwrite).await?;
                    matches!(stored, Commit::Done(_)).then(|| self.rotator.handle(key, id, reason, None)).transpose()?
                }
            };
            if let Some(run) = begun {
                return Ok(run);
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    /// Makes what is published the key's own: a version of ours that an older copy of the record does
    /// not know, or a value that lies where the store can adopt it. It is proven like a new version,
    /// and what serves now is given up by the same rules as ever.
    ///
    /// Step the run that is answered until it has finished.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{Reconciler, RotationError, Rotator};
    /// async fn after_a_restore(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let why = "the records were restored from Monday's backup";
    ///     let mut run = Reconciler::of(rotator).adopt_foreign(key, why).await?;
    ///     println!("{}", run.run_to_completion().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::NotForeign`] when what is shown is ours,
    /// [`RotationError::NotAdoptable`] when it cannot be taken over, with the reason,
    /// [`keyward_core::TransitionError::RunActive`] while another run is under way; a failing store.
    pub async fn adopt_foreign(&self, key: &KeyId, reason: &str) -> Result<RotationRun<'a, B>, RotationError> {
        let cx = self.rotator.context(&reason.parse()?);
        for _ in 0..8 {
            let read = self.rotator.backend().load_existing(&cx, key).await?;
            let pointer = self.rotator.backend().pointer(&cx, &read.value.target()).await?;
            if is_ours(&read.value, &pointer) && asked_to_adopt(&read.value).is_none() {
                return Err(RotationError::NotForeign { key: key.clone() });
            }
            if let Some(run) = self.take_over(&cx, &read, &pointer, reason).await? {
                return Ok(run);
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    async fn take_over(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        pointer: &Pointer,
        reason: &str,
    ) -> Answer<Option<RotationRun<'a, B>>> {
        let refused = |why| RotationError::NotAdoptable { key: read.value.id().clone(), why };
        match pointer.shows {
            _ if asked_to_adopt(&read.value).is_some() => self.claim(cx, read, reason).await,
            Shows::Nothing => Err(refused("nothing is published")),
            Shows::Ours { version, .. } if !is_newer(&read.value, version) => {
                Err(refused("it is an older version of this key, published by somebody; overwrite it"))
            }
            Shows::Ours { version, .. } => self.recall(cx, read, version, reason).await,
            Shows::Foreign => self.claim(cx, read, reason).await,
        }
    }

    /// Takes a version of ours back that an older copy of the record does not know.
    async fn recall(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        reason: &str,
    ) -> Answer<Option<RotationRun<'a, B>>> {
        let (record, key) = (&read.value, read.value.id());
        let issuer = self.rotator.issuer_of(record)?;
        let issuer_ref = match issuer.capabilities().finds_by_label {
            true => match issuer.find(cx, record, Some(version)).await?.into_iter().find(|k| k.label == version) {
                Some(found) => Some(found.reference),
                None => {
                    let why = "the issuer has no key under its label, so it is dead; overwrite it";
                    return Err(RotationError::NotAdoptable { key: key.clone(), why });
                }
            },
            false => None,
        };
        let run = RunId::generate();
        let recall = Transition::Recall {
            run,
            version,
            issuer_ref,
            fingerprint: self.rotator.fingerprint_of(cx, record, version).await?,
            holder: self.rotator.holder,
            reason: cx.reason.clone(),
        };
        Ok(match self.rotator.commit(cx, read, &recall).await? {
            Commit::Done(_) => Some(self.rotator.handle(key, run, reason, None)?),
            Commit::Overtaken => None,
        })
    }

    /// Makes the value that lies there the material of a fresh version, where the store can.
    async fn claim(&self, cx: &Context, read: &Stamped<KeyRecord>, reason: &str) -> Answer<Option<RotationRun<'a, B>>> {
        let key = read.value.id();
        let Some(adopter) = self.rotator.backend().adopter() else {
            let why = "this store takes no value over; overwrite it, or supply theirs in a run of its own";
            return Err(RotationError::NotAdoptable { key: key.clone(), why });
        };
        let (run, version) = match asked_to_adopt(&read.value) {
            Some(asked) => asked,
            None => match self.ask(cx, read).await? {
                Some(asked) => asked,
                None => return Ok(None),
            },
        };
        let material = adopter.claim(cx, &read.value.target(), version).await?;
        match self.rotator.supply(key, material, None, reason).await {
            Ok(_) | Err(RotationError::NotWaiting { .. }) => Ok(Some(self.rotator.handle(key, run, reason, None)?)),
            Err(error) => Err(error),
        }
    }

    /// Begins a run whose key is not made at the issuer but lies there.
    async fn ask(&self, cx: &Context, read: &Stamped<KeyRecord>) -> Answer<Option<(RunId, VersionId)>> {
        let (run, version) = (RunId::generate(), VersionId::generate());
        let (holder, reason) = (self.rotator.holder, cx.reason.clone());
        let begin = Transition::Begin { run, kind: RunKind::Adopt, version, holder, reason };
        let Commit::Done(stored) = self.rotator.commit(cx, read, &begin).await? else { return Ok(None) };
        let instructions: Instructions = "adopt what is published once more, or abort the run".parse()?;
        let ask = Transition::Ask { version, instructions };
        let asked = self.rotator.commit(cx, &stored, &ask).await?;
        Ok(matches!(asked, Commit::Done(_)).then_some((run, version)))
    }
}

/// The run that waits for what is published to be adopted.
fn asked_to_adopt(record: &KeyRecord) -> Option<(RunId, VersionId)> {
    let run = record.run().filter(|run| run.kind == RunKind::Adopt)?;
    match run.phase {
        RunPhase::Plan { version, asked: Some(_) } => Some((run.id, version)),
        _ => None,
    }
}
