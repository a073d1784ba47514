//! T9, T11 and T12: watch the new version, then give one of the two up.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Context, Evidence, KeyRecord, Passed, PublicationId, Run, SecretBackend, Stamped, Transition, TransitionError,
    VersionId,
};

use super::super::RotationError;
use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::gate::Verdict;
use super::super::run::Session;
use super::super::step::Step;
use super::super::trusted::from_the_future;
use super::comeback::{Comeback, is_clean, was_switched_off};
use super::suspend::{joined, old_of};
use super::validate::patience;

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn soak(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        version: VersionId,
    ) -> Answer<Step> {
        let record = &read.value;
        if run.kind.skips_soak() {
            return self.retire(cx, session, read, run, Passed::NotNeeded).await;
        }
        let served_at = record.version(version).map_or(run.entered_at, |v| v.entered_at);
        // What was switched on again is watched anew.
        let watched_from = served_at.max(run.entered_at);
        let policy = record.policy();
        let now = session.anchor.now(&*self.clock);
        let window_end = add(watched_from, policy.soak.max(policy.overlap));
        let soaked = now >= window_end;
        let health = self.ask_health(cx, record, version, run.previous, served_at, soaked).await;
        let cx = &self.renewed(cx);
        match health {
            Verdict::Fail(why) => self.take_back(cx, session, read, run, version, &why).await,
            verdict if !soaked => {
                self.keep_switched_on(cx, record, run).await?;
                let at_most = (window_end - now).to_std().unwrap_or_default().min(self.settings.poll);
                Ok(Step::Wait { at_most, why: format!("soak and overlap until {window_end}; gate says {verdict}") })
            }
            verdict => {
                if let Some(why) = from_the_future(record, now) {
                    return Ok(Step::Wait { at_most: self.settings.poll, why });
                }
                if !self.is_published(cx, record, version).await? {
                    return self.foreign(cx, session, read).await;
                }
                let old = old_of(record, run)?;
                let gates = self.ask_the_others(cx, record, verdict, old, version, now).await;
                let cx = &self.renewed(cx);
                match gates.passed() {
                    Ok(evidence) => self.give_up_old(cx, session, read, run, evidence).await,
                    Err(why) => {
                        self.keep_switched_on(cx, record, run).await?;
                        Ok(self.insufficient(session, why, now >= add(watched_from, policy.max_soak)))
                    }
                }
            }
        }
    }

    /// The gates want to see more: again in a while, or a person decides.
    pub(super) fn insufficient(&self, session: &Session, why: String, too_long: bool) -> Step {
        if too_long {
            let key = session.key.clone();
            return Step::NeedsOperator(NeedsOperator::GateInsufficient { key, why });
        }
        Step::Wait { at_most: self.settings.poll, why: format!("the windows are over; the gates want more: {why}") }
    }

    pub(in super::super) async fn retire(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        passed: Passed,
    ) -> Answer<Step> {
        let old = run.previous.ok_or(TransitionError::NothingToRollBackTo)?;
        let evidence = match &passed {
            Passed::Gates(evidence) => joined(evidence),
            _ => "the run does not wait".to_owned(),
        };
        self.store(cx, session, read, &Transition::Retire { passed }, Step::Retiring { version: old, evidence }).await
    }

    /// A process that fell asleep over its call may have switched the old version off after it was
    /// switched on again: nothing at an issuer stops it, so it is looked after.
    async fn keep_switched_on(&self, cx: &Context, record: &KeyRecord, run: &Run) -> Answer<()> {
        let old = old_of(record, run)?;
        if was_switched_off(record, run, old) && self.issuer_of(record)?.capabilities().reversible {
            self.switched_on(cx, record, old, true).await?;
        }
        Ok(())
    }

    /// T9: the new version fares badly. The old one must be able to serve, or the new one stays.
    async fn take_back(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        version: VersionId,
        why: &str,
    ) -> Answer<Step> {
        // Where there is nothing clean the state machine says so.
        let old = run.previous.and_then(|old| read.value.version(old)).filter(|old| is_clean(old));
        let comeback = match old {
            Some(old) => self.await_comeback(cx, session, &read.value, run, old).await?,
            None => Comeback::Ready(String::new()),
        };
        match comeback {
            Comeback::Ready(_) => {}
            Comeback::NotYet(seen) => {
                let why = format!("the new key fares badly ({why}) and the old one does not work yet ({seen})");
                return Ok(Step::Wait { at_most: patience(session.probes.failures), why });
            }
            Comeback::Never(seen) => {
                let version = old.map_or(version, |old| old.id);
                let why = format!("{seen}; wanted because the new version fares badly: {why}");
                return self.cannot_come_back(cx, session, read, version, why).await;
            }
        }
        let evidence = Evidence::lossy(&format!("health gate failed: {why}"));
        let back = Transition::RollBack { publication: PublicationId::generate(), evidence: evidence.clone() };
        let step = Step::RollingBack { version, evidence: evidence.to_string() };
        match self.store(cx, session, read, &back, step).await {
            Err(RotationError::Refused(TransitionError::NothingToRollBackTo)) => {
                let (key, why) = (session.key.clone(), why.to_owned());
                Ok(Step::NeedsOperator(NeedsOperator::NothingToRollBackTo { key, why }))
            }
            answer => answer,
        }
    }
}

pub(super) fn add(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
