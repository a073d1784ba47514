//! T11: the old version is switched off for a while before it is revoked. Whoever still needs it
//! screams, and it is switched on again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{
    Context, ErrorKind, Evidence, Issue, IssuerStatus, KeyRecord, LastUse, Passed, Probe, Run, SecretBackend,
    SecretBackendExt, Stamped, Transition, TransitionError, Version, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::Answer;
use super::super::gate::Verdict;
use super::super::run::Session;
use super::super::step::Step;
use super::super::trusted::from_the_future;
use super::comeback::{Comeback, Look};
use super::soak::add;
use super::validate::patience;

impl<B: SecretBackend> Rotator<B> {
    /// True when old versions of this key are switched off before they are revoked.
    pub(in super::super) fn may_suspend(&self, record: &KeyRecord) -> Answer<bool> {
        let reversible = self.issuer_of(record)?.capabilities().reversible;
        Ok(reversible && !record.policy().suspend_window().is_zero())
    }

    /// The gates have passed and the windows are over: T11 where the old version can be switched
    /// on again, T12 elsewhere.
    pub(super) async fn give_up_old(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        mut evidence: Vec<Evidence>,
    ) -> Answer<Step> {
        let record = &read.value;
        let old = old_of(record, run)?;
        if self.may_suspend(record)? {
            let status = self.issuer_of(record)?.status(cx, Issue { record, version: old }).await?;
            if matches!(status, IssuerStatus::Live | IssuerStatus::Suspended) {
                let step = Step::Suspending { version: old.id, evidence: joined(&evidence) };
                let suspend = Transition::Suspend { passed: Passed::Gates(evidence) };
                return self.store(cx, session, read, &suspend, step).await;
            }
            evidence.push(Evidence::lossy("not switched off first: the issuer does not say that it is on"));
        }
        self.retire(cx, session, read, run, Passed::Gates(evidence)).await
    }

    pub(super) async fn suspended(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        version: VersionId,
        off_since: Option<DateTime<Utc>>,
    ) -> Answer<Step> {
        let record = &read.value;
        let old = old_of(record, run)?;
        let policy = record.policy();
        let served_at = record.version(version).map_or(run.started_at, |v| v.entered_at);
        // Without the old version beside it: that one is refused because it is switched off.
        let health = self.ask_health(cx, record, version, None, served_at, true).await;
        let cx = &self.renewed(cx);
        if let Verdict::Fail(why) = &health {
            return self.switch_on(cx, session, read, run, old, &format!("health gate failed: {why}")).await;
        }
        let window = policy.suspend_window();
        let until = match off_since {
            Some(off) => {
                let status = self.issuer_of(record)?.status(cx, Issue { record, version: old }).await?;
                if status == IssuerStatus::Live {
                    let why = "somebody switched the old key on again at the issuer";
                    return self.switch_on(cx, session, read, run, old, why).await;
                }
                if let Some(why) = self.asked_for_since(cx, record, old, off).await {
                    return self.switch_on(&self.renewed(cx), session, read, run, old, &why).await;
                }
                add(off, window)
            }
            None if window.is_zero() => run.entered_at,
            None => return self.switch_off(cx, session, read, old).await,
        };
        let now = session.anchor.now(&*self.clock);
        if let Some(why) = from_the_future(record, now) {
            return Ok(Step::Wait { at_most: self.settings.poll, why });
        }
        if now < until {
            let left = (until - now).to_std().unwrap_or_default();
            let why = format!("the old key is switched off until {until}; gate says {health}");
            return Ok(Step::Wait { at_most: left.min(self.settings.poll), why });
        }
        let cx = &self.renewed(cx);
        if !self.is_published(cx, record, version).await? {
            return self.foreign(cx, session, read).await;
        }
        match self.ask_the_others(cx, record, health, old, version, now).await.passed() {
            Ok(evidence) => self.retire(cx, session, read, run, Passed::Gates(evidence)).await,
            Err(why) => Ok(self.insufficient(session, why, now >= add(served_at, policy.max_soak))),
        }
    }

    /// Presence is strong: whoever asks for a key that is switched off cannot work.
    async fn asked_for_since(
        &self,
        cx: &Context,
        record: &KeyRecord,
        old: &Version,
        off: DateTime<Utc>,
    ) -> Option<String> {
        match self.last_use(cx, record, old.id).await? {
            Ok(LastUse::At(at)) if at > off => Some(format!("it was still used at {at}")),
            _ => None,
        }
    }

    /// Switches the old version off, and says so once the issuer was seen to have done it.
    async fn switch_off(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        old: &Version,
    ) -> Answer<Step> {
        // Nothing fences an issuer: a process that slept on what it read must look again first.
        let now = self.backend.load_existing(cx, &session.key).await?;
        if now.value.revision() != read.value.revision() {
            return Ok(Step::Overtaken);
        }
        let record = &read.value;
        match self.issuer_of(record)?.deactivate(cx, Issue { record, version: old }).await {
            // Not there: what is left to see is that it does not work.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            answer => answer?,
        }
        match self.seen_off(cx, record, old).await? {
            Some(evidence) => {
                let step = Step::SwitchedOff { version: old.id };
                self.store(cx, session, read, &Transition::SwitchedOff { evidence }, step).await
            }
            None => {
                let why = "the old key was switched off and is not seen off yet".to_owned();
                Ok(Step::Wait { at_most: Duration::from_secs(5).min(self.settings.poll), why })
            }
        }
    }

    async fn seen_off(&self, cx: &Context, record: &KeyRecord, old: &Version) -> Answer<Option<Evidence>> {
        let issue = Issue { record, version: old };
        let seen = |text: &str| Ok(Some(Evidence::lossy(text)));
        match self.issuer_of(record)?.status(cx, issue).await? {
            IssuerStatus::Suspended => seen("old key switched off: the issuer says so"),
            IssuerStatus::Revoked(evidence) => seen(&format!("the issuer has revoked the old key: {evidence}")),
            IssuerStatus::Absent => seen("the issuer no longer knows the old key"),
            IssuerStatus::Live => Ok(None),
            IssuerStatus::CannotSay => {
                let Some(validator) = self.validator_of(record) else { return Ok(None) };
                let Look::Here(material) = self.look_at(cx, record, old.id).await? else { return Ok(None) };
                match validator.probe(cx, issue, &material).await {
                    Ok(Probe::Rejected(evidence)) => seen(&format!("old key switched off: {evidence}")),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Switches the old version on, and goes back to the watch once it was seen to work. The gate
    /// then decides there whether the run goes back.
    async fn switch_on(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        old: &Version,
        why: &str,
    ) -> Answer<Step> {
        match self.await_comeback(cx, session, &read.value, run, old).await? {
            Comeback::Ready(seen) => {
                let evidence = Evidence::lossy(&format!("old key switched on again ({seen}): {why}"));
                let step = Step::Reactivated { version: old.id, evidence: evidence.to_string() };
                self.store(cx, session, read, &Transition::Reactivate { evidence }, step).await
            }
            Comeback::NotYet(seen) => {
                let why = format!("the old key is being switched on again ({seen}): {why}");
                Ok(Step::Wait { at_most: patience(session.probes.failures), why })
            }
            Comeback::Never(seen) => {
                self.cannot_come_back(cx, session, read, old.id, format!("{seen}; wanted because {why}")).await
            }
        }
    }
}

/// The version a run replaces.
pub(in super::super) fn old_of<'r>(record: &'r KeyRecord, run: &Run) -> Answer<&'r Version> {
    let old = run.previous.and_then(|old| record.version(old));
    Ok(old.ok_or(TransitionError::NothingToRollBackTo)?)
}

pub(super) fn joined(evidence: &[Evidence]) -> String {
    evidence.iter().map(Evidence::as_str).collect::<Vec<_>>().join("; ")
}
