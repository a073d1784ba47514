//! T9 and T12: watch the new version, then give one of the two up.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Context, Evidence, HealthQuery, KeyRecord, Passed, PublicationId, Run, SecretBackend, Stamped, Transition,
    TransitionError, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::gate::Verdict;
use super::super::run::Session;
use super::super::step::Step;

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
        let policy = record.policy();
        let now = self.clock.now();
        let ends = |window: Duration| add(served_at, window);
        let soaked = now >= ends(policy.soak.max(policy.overlap));
        match self.ask_gate(cx, record, run, version, served_at, soaked).await {
            Verdict::Fail(why) => self.take_back(cx, session, read, version, &why).await,
            Verdict::Pass(evidence) if soaked => {
                let passed = Passed::Gate(Evidence::lossy(&format!("health gate passed: {evidence}")));
                self.retire(cx, session, read, run, passed).await
            }
            Verdict::Insufficient(why) if now >= ends(policy.max_soak) => {
                let key = session.key.clone();
                Ok(Step::NeedsOperator(NeedsOperator::GateInsufficient { key, why }))
            }
            verdict => {
                let window_end = ends(policy.soak.max(policy.overlap));
                let left = (window_end - now).to_std().unwrap_or_default();
                let at_most = if left.is_zero() { self.settings.poll } else { left.min(self.settings.poll) };
                Ok(Step::Wait { at_most, why: format!("soak and overlap until {window_end}; gate says {verdict}") })
            }
        }
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
            Passed::Gate(evidence) => evidence.to_string(),
            Passed::Operator { by, reason } => format!("override by {by}: {reason}"),
            _ => "the run does not wait".to_owned(),
        };
        self.store(cx, session, read, &Transition::Retire { passed }, Step::Retiring { version: old, evidence }).await
    }

    async fn take_back(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        why: &str,
    ) -> Answer<Step> {
        let evidence = Evidence::lossy(&format!("health gate failed: {why}"));
        let back = Transition::RollBack { publication: PublicationId::generate(), evidence: evidence.clone() };
        let step = Step::RollingBack { version, evidence: evidence.to_string() };
        match self.store(cx, session, read, &back, step).await {
            Err(super::super::RotationError::Refused(TransitionError::NothingToRollBackTo)) => {
                let (key, why) = (session.key.clone(), why.to_owned());
                Ok(Step::NeedsOperator(NeedsOperator::NothingToRollBackTo { key, why }))
            }
            answer => answer,
        }
    }

    async fn ask_gate(
        &self,
        cx: &Context,
        record: &KeyRecord,
        run: &Run,
        version: VersionId,
        since: DateTime<Utc>,
        soaked: bool,
    ) -> Verdict {
        let Some(signal) = &self.health else {
            return Verdict::Insufficient("no health signal is registered".to_owned());
        };
        let query = HealthQuery { key: record.id().clone(), new: version, old: run.previous, since };
        match signal.health(cx, &query).await {
            Ok(report) => self.gate.judge(&report, soaked),
            Err(error) => Verdict::Insufficient(format!("the health signal failed: {}", error.kind())),
        }
    }
}

fn add(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
