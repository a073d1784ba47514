//! T1 to T3: the one create of a version, and what follows when it is unclear.

use std::time::Duration;

use keyward_core::{
    Context, CreateError, Created, Evidence, Instructions, Issue, IssuerRef, KeyRecord, NewKey, Run, SecretBackend,
    SecretBackendExt, Stage, Stamped, Transition, TransitionError, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator, RotationError};
use super::super::lease;
use super::super::run::{Session, names_another};
use super::super::step::Step;
use crate::commit::Commit;

/// After so many versions of one run came to nothing, the run is given up.
const ATTEMPTS: usize = 4;

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn create(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        version: VersionId,
        asked: Option<Instructions>,
    ) -> Answer<Step> {
        if let Some(instructions) = asked {
            let key = session.key.clone();
            return Ok(Step::NeedsOperator(NeedsOperator::SupplyKey { key, run: run.id, instructions }));
        }
        if let Some(minted) = session.take_minted(version) {
            return self.keep(cx, session, read, version, minted).await;
        }
        if let Some(planned_at) = session.take_turn(version).filter(|_| run.holder == self.holder) {
            // Others wait a while and no longer: a planner that slept past its turn must not ask.
            let turn = lease::turn(self.settings.takeover, self.settings.call_limit);
            if self.clock.monotonic().saturating_sub(planned_at) <= turn {
                return self.ask_issuer(cx, session, read, version).await;
            }
            return self.replan(cx, session, read, version, "its planner slept past its turn").await;
        }
        match self.takeover_in(run) {
            Some(at_most) => {
                let why = "another process planned this version and may be creating it".to_owned();
                Ok(Step::Wait { at_most, why })
            }
            None => self.replan(cx, session, read, version, "its planner went silent").await,
        }
    }

    /// Asks the issuer, once ever for this version.
    async fn ask_issuer(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
    ) -> Answer<Step> {
        let record = &read.value;
        let planned = record.version(version).ok_or(TransitionError::NoVersion { version })?;
        let created = self.issuer_of(record)?.create(cx, Issue { record, version: planned }).await;
        match created {
            Ok(Created::Key(minted)) => self.keep(cx, session, read, version, minted).await,
            Ok(Created::AskHuman(instructions)) => {
                let asked = NeedsOperator::SupplyKey {
                    key: session.key.clone(),
                    run: session.run,
                    instructions: instructions.clone(),
                };
                let ask = Transition::Ask { version, instructions };
                match self.commit_under(cx, read, &ask, session.lease).await? {
                    Commit::Done(_) => Ok(Step::NeedsOperator(asked)),
                    Commit::Overtaken => Ok(Step::Overtaken),
                }
            }
            Err(CreateError::Unknown(_)) => {
                self.replan(cx, session, read, version, "the outcome of its create is unknown").await
            }
            Err(CreateError::NotCreated(error)) => {
                let step = self.replan(cx, session, read, version, "the issuer created nothing").await?;
                if matches!(step, Step::Overtaken) {
                    return Ok(step);
                }
                self.note_never_created(cx, session, version).await;
                if matches!(step, Step::Replanned { .. }) { Err(error.into()) } else { Ok(step) }
            }
        }
    }

    /// Certainly nothing was made, so the version need not be hunted. Losing this note only means
    /// that it is hunted after all.
    async fn note_never_created(&self, cx: &Context, session: &mut Session, version: VersionId) {
        let Some(stored) = session.fresh.take() else { return };
        let evidence = Evidence::lossy("the issuer answered that nothing was created");
        let revoked = Transition::Revoked { version, death: keyward_core::Death::NeverCreated(evidence) };
        if let Ok(Commit::Done(noted)) = self.commit(cx, &stored, &revoked).await {
            session.fresh = Some(noted);
        }
    }

    /// Stores a fresh key where no reader looks, then says so in the record.
    async fn keep(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        minted: NewKey,
    ) -> Answer<Step> {
        let target = read.value.target();
        if minted.reference.as_ref().is_some_and(|found| names_another(&read.value, version, found)) {
            // Its reference is not kept: revoking by it would end the other version.
            let evidence = Evidence::lossy("the issuer gave the key of another version again");
            return self.give_up(cx, session, read, version, evidence).await;
        }
        if minted.material.shape() != target.shape {
            let evidence = Evidence::lossy("the issuer gave material of another shape than the key's");
            let step = self.give_up(cx, session, read, version, evidence).await?;
            self.note_orphan(cx, session.fresh.take(), version, minted.reference).await;
            return Ok(step);
        }
        let staged = match self.backend.stage(cx, &target, version, &minted.material).await {
            Ok(staged) => staged,
            Err(error) => {
                session.minted = Some((version, minted));
                return Err(error.into());
            }
        };
        if staged == Stage::Conflict {
            return Ok(Step::NeedsOperator(NeedsOperator::StageConflict { key: session.key.clone(), version }));
        }
        let store = Transition::Store {
            version,
            issuer_ref: minted.reference.clone(),
            issuer_state: minted.state.clone(),
            fingerprint: self.fingerprint(&minted.material),
            expires_at: minted.expires_at,
        };
        match self.commit_under(cx, read, &store, session.lease).await {
            Ok(Commit::Done(stored)) => {
                session.fresh = Some(stored);
                Ok(Step::Created { version })
            }
            Ok(Commit::Overtaken) => self.orphaned(cx, session, version, minted).await,
            Err(error) => {
                session.minted = Some((version, minted));
                Err(error)
            }
        }
    }

    /// Another process moved the record while the key was being made. Either the record still
    /// plans this version (somebody wrote a note), or the key is an orphan: its reference is
    /// written down so that the sweeper need not search, and its material is taken back.
    async fn orphaned(&self, cx: &Context, session: &mut Session, version: VersionId, minted: NewKey) -> Answer<Step> {
        let now = self.backend.load_existing(cx, &session.key).await?;
        let planned = now.value.run().is_some_and(|run| {
            run.id == session.run
                && matches!(run.phase, keyward_core::RunPhase::Plan { version: v, .. } if v == version)
        });
        if planned {
            session.minted = Some((version, minted));
            return Ok(Step::Overtaken);
        }
        // Our own store may have been applied and overtaken: then nothing is orphaned.
        let known = now.value.version(version);
        if known.is_some_and(|v| v.state >= keyward_core::VersionState::RevokePending) {
            self.note_orphan(cx, Some(now), version, minted.reference).await;
        }
        Ok(Step::Overtaken)
    }

    /// Writes down how the issuer names a key that was given up. Best effort: without it the
    /// sweeper finds the key by its label, if the issuer has labels.
    async fn note_orphan(
        &self,
        cx: &Context,
        read: Option<Stamped<KeyRecord>>,
        version: VersionId,
        reference: Option<IssuerRef>,
    ) {
        if let (Some(read), Some(issuer_ref)) = (read, reference) {
            let _ = self.commit(cx, &read, &Transition::Adopt { version, issuer_ref }).await;
        }
    }

    async fn replan(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        abandoned: VersionId,
        why: &str,
    ) -> Answer<Step> {
        let tried = read.value.versions().iter().filter(|v| v.run == Some(session.run)).count();
        if tried >= ATTEMPTS {
            let evidence = Evidence::lossy(&format!("{tried} creates came to nothing; the last: {why}"));
            return self.give_up(cx, session, read, abandoned, evidence).await;
        }
        let version = VersionId::generate();
        let evidence = Evidence::lossy(&format!("version {abandoned} given up: {why}"));
        let replan = Transition::Replan { abandoned, version, holder: self.holder, evidence };
        let step = match self.store(cx, session, read, &replan, Step::Replanned { abandoned, version }).await {
            // The record is full of creates given up: they must be swept before another is tried.
            Err(RotationError::Refused(TransitionError::TooManyWorking { .. })) => {
                let evidence = Evidence::lossy("too many creates were given up; sweep them first");
                return self.give_up(cx, session, read, abandoned, evidence).await;
            }
            answer => answer?,
        };
        if matches!(step, Step::Replanned { .. }) {
            session.may_create = Some((version, self.clock.monotonic()));
            session.lease = read.value.run().map(|run| run.lease().taken_over());
            self.watches.forget(session.run);
        }
        Ok(step)
    }

    pub(super) async fn give_up(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        evidence: Evidence,
    ) -> Answer<Step> {
        let step = Step::Abandoned { version, evidence: evidence.to_string() };
        self.store(cx, session, read, &Transition::Abandon { evidence }, step).await
    }

    /// How long the planner of a version is still left alone; `None` when it is time to take over.
    /// Taking over early costs a create, never safety.
    fn takeover_in(&self, run: &Run) -> Option<Duration> {
        let patience = self.settings.takeover;
        let watched = self.watches.watched_for(run, self.clock.monotonic());
        (watched < patience).then(|| patience - watched)
    }
}
