//! One step of a run: look at the record, do one side effect, store one transition.

mod comeback;
mod create;
mod gates;
mod promote;
mod revoke;
mod rollback;
mod soak;
mod suspend;
mod validate;

use std::time::Duration;

use keyward_core::{Context, KeyRecord, NewKey, Run, RunPhase, SecretBackend, Stamped, Transition, VersionId};

use super::builder::Rotator;
use super::error::{Answer, RotationError};
use super::run::{Probes, Session, condemned};
use super::step::{RunReport, Step};
use crate::commit::Commit;
pub(super) use comeback::{Comeback, is_clean};
pub(super) use promote::is_ours;
pub(crate) use revoke::Death;
pub(super) use suspend::old_of;

impl<B: SecretBackend> Rotator<B> {
    /// Makes one transition of the session's run.
    pub(super) async fn advance(&self, cx: &Context, session: &mut Session, read: Stamped<KeyRecord>) -> Answer<Step> {
        let run = match read.value.run() {
            Some(run) if run.id == session.run => run.clone(),
            _ => return self.after_the_run(cx, session, &read).await,
        };
        match run.phase.clone() {
            RunPhase::Plan { version, asked } => self.create(cx, session, &read, &run, version, asked).await,
            RunPhase::Staged { version } => self.validate(cx, session, &read, version).await,
            RunPhase::Validated { version } => self.promote(cx, session, &read, version).await,
            RunPhase::Promoting { version, publication, expect } => {
                self.publish(cx, session, &read, version, publication, expect).await
            }
            RunPhase::Soaking { version } => self.soak(cx, session, &read, &run, version).await,
            RunPhase::Suspended { version, off_since } => {
                self.suspended(cx, session, &read, &run, version, off_since).await
            }
            RunPhase::Retiring { .. } => self.retire_previous(cx, session, &read, &run).await,
            RunPhase::RollingBack { to, publication, ref over, .. } => {
                self.republish(cx, session, &read, &run, to, publication, over.as_ref()).await
            }
        }
    }

    /// Stores a transition and answers `step`, or `Overtaken` when another writer came first.
    async fn store(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        transition: &Transition,
        step: Step,
    ) -> Answer<Step> {
        match self.commit(cx, read, transition).await? {
            Commit::Done(stored) => {
                session.fresh = Some(stored);
                Ok(step)
            }
            Commit::Overtaken => Ok(Step::Overtaken),
        }
    }

    /// The run has ended: see its condemned versions dead, then report. What other runs left behind
    /// is listed and does not keep this one waiting.
    async fn after_the_run(&self, cx: &Context, session: &mut Session, read: &Stamped<KeyRecord>) -> Answer<Step> {
        let record = &read.value;
        let Some(summary) = record.history().iter().find(|summary| summary.id == session.run) else {
            return Err(RotationError::RunVanished { key: session.key.clone(), run: session.run });
        };
        let ours =
            |v: &VersionId| summary.from == Some(*v) || record.version(*v).is_some_and(|v| v.run == Some(session.run));
        let next = condemned(record).find(|v| ours(v) && !session.deferred.contains(v));
        if let Some(version) = next {
            return match self.kill(cx, read, version).await? {
                Death::Stored(stored, step) => {
                    session.fresh = Some(stored);
                    Ok(step)
                }
                Death::Overtaken => Ok(Step::Overtaken),
                Death::Later { .. } => {
                    session.deferred.insert(version);
                    session.fresh = Some(read.clone());
                    Box::pin(self.after_the_run(cx, session, read)).await
                }
                Death::NotYet { at_most, why } => Ok(Step::Wait { at_most, why }),
                Death::NeedsOperator(what) => Ok(Step::NeedsOperator(what)),
            };
        }
        Ok(Step::Finished(RunReport::of(&session.key, summary, condemned(record).collect())))
    }

    /// The old version of a run past the point of no return is revoked.
    async fn retire_previous(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
    ) -> Answer<Step> {
        let Some(old) = run.previous else {
            return Err(RotationError::RunVanished { key: session.key.clone(), run: run.id });
        };
        Ok(match self.kill(cx, read, old).await? {
            Death::Stored(stored, step) => {
                session.fresh = Some(stored);
                step
            }
            Death::Overtaken => Step::Overtaken,
            Death::Later { at_most, why } | Death::NotYet { at_most, why } => Step::Wait { at_most, why },
            Death::NeedsOperator(what) => Step::NeedsOperator(what),
        })
    }
}

impl Session {
    /// Since when this very session may create the version; asked once.
    fn take_turn(&mut self, version: VersionId) -> Option<Duration> {
        self.may_create.take().filter(|(planned, _)| *planned == version).map(|(_, since)| since)
    }

    fn take_minted(&mut self, version: VersionId) -> Option<NewKey> {
        match self.minted.take() {
            Some((minted, key)) if minted == version => Some(key),
            _ => None,
        }
    }
}

impl Probes {
    /// How long the next validation is too early to count as another one.
    fn too_soon(&self, now: Duration, gap: Duration) -> Option<Duration> {
        let left = (self.succeeded_at.saturating_add(gap)).saturating_sub(now);
        (self.successes > 0 && !left.is_zero()).then_some(left)
    }
}
