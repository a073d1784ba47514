//! T4 and T5: positive proof, several times in a row, and the recorded scope.

use std::time::Duration;

use keyward_core::{
    Context, ErrorKind, Evidence, Issue, IssuerStatus, KeyRecord, Probe, Proof, Read, RunKind, Scope, SecretBackend,
    SecretBackendExt, Select, Stamped, Transition, Version, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::run::{Probes, Session};
use super::super::step::Step;

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn validate(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
    ) -> Answer<Step> {
        let record = &read.value;
        let staged = record.version(version).ok_or(keyward_core::TransitionError::NoVersion { version })?;
        let now = self.clock.monotonic();
        if session.probes.version != Some(version) {
            session.probes = Probes { version: Some(version), since: now, ..Probes::default() };
        }
        if let Some(at_most) = session.probes.too_soon(now, self.settings.probe_gap) {
            return Ok(Step::Wait { at_most, why: "validations are a while apart".to_owned() });
        }
        let policy = record.policy();
        match self.try_out(cx, record, staged).await? {
            Probe::Accepted(evidence) => {
                session.probes.successes += 1;
                session.probes.succeeded_at = now;
                session.probes.failures = 0;
                if session.probes.successes < policy.validations {
                    let why = format!("{} of {} validations in a row", session.probes.successes, policy.validations);
                    return Ok(Step::Wait { at_most: self.settings.probe_gap, why });
                }
                self.conclude(cx, session, read, staged, &evidence).await
            }
            Probe::Unclear(evidence) if evidence.as_str() == NOBODY_CAN_SAY => {
                let key = session.key.clone();
                Ok(Step::NeedsOperator(NeedsOperator::NoProof { key, version }))
            }
            Probe::Rejected(evidence) | Probe::Unclear(evidence) => {
                self.not_proven(cx, session, read, version, &evidence).await
            }
        }
    }

    /// Again in a while, until the key has had its time to be known everywhere.
    async fn not_proven(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        evidence: &Evidence,
    ) -> Answer<Step> {
        session.probes.successes = 0;
        session.probes.failures += 1;
        let tried_for = self.clock.monotonic().saturating_sub(session.probes.since);
        if tried_for < read.value.policy().propagation {
            let why = format!("the new key is not known everywhere yet ({evidence})");
            return Ok(Step::Wait { at_most: patience(session.probes.failures), why });
        }
        let evidence = Evidence::lossy(&format!("validation failed: {evidence}"));
        self.give_up(cx, session, read, version, evidence).await
    }

    async fn conclude(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        staged: &Version,
        evidence: &Evidence,
    ) -> Answer<Step> {
        let record = &read.value;
        // What was adopted without a name cannot be known there; only the probe speaks for it.
        let unnamed = staged.issuer_ref.is_none() && record.run().is_some_and(|run| run.kind == RunKind::Adopt);
        let reported = match self.issuer_of(record)?.scope(cx, Issue { record, version: staged }).await {
            Err(error) if error.kind() == ErrorKind::NotFound && unnamed => None,
            // Not spread yet, or given up by another process in this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let evidence = Evidence::lossy("the issuer does not know it");
                return self.not_proven(cx, session, read, staged.id, &evidence).await;
            }
            answer => answer?,
        };
        let scope = match &reported {
            Some(found) => match mismatch(record.scope(), found) {
                None => "the scope is the recorded one",
                Some(difference) => {
                    let evidence = Evidence::lossy(&format!("the scope differs: {difference}"));
                    return self.give_up(cx, session, read, staged.id, evidence).await;
                }
            },
            None => "the issuer cannot tell the scope",
        };
        let (checks, at) = (session.probes.successes, self.clock.now());
        let evidence = Evidence::lossy(&format!("{checks} validations in a row: {evidence}; {scope}"));
        let validate = Transition::Validate { proof: Proof::new(at, checks, evidence) };
        self.store(cx, session, read, &validate, Step::Validated { version: staged.id }).await
    }

    /// Tries the stored material as the application would; without a validator the issuer's own
    /// word counts, if it is a clear one.
    async fn try_out(&self, cx: &Context, record: &KeyRecord, version: &Version) -> Answer<Probe> {
        let issue = Issue { record, version };
        let Some(validator) = self.validator_of(record) else {
            return Ok(match self.issuer_of(record)?.status(cx, issue).await? {
                IssuerStatus::Live => Probe::Accepted(Evidence::lossy("the issuer says it is live")),
                IssuerStatus::Suspended => Probe::Rejected(Evidence::lossy("the issuer says it is switched off")),
                IssuerStatus::Revoked(evidence) => Probe::Rejected(evidence),
                IssuerStatus::Absent => Probe::Rejected(Evidence::lossy("the issuer does not know it")),
                IssuerStatus::CannotSay => Probe::Unclear(Evidence::lossy(NOBODY_CAN_SAY)),
            });
        };
        let material = match self.backend.read_one(cx, &record.target(), Select::Version(version.id)).await {
            Ok(Read::Found { material, .. }) => material,
            Ok(Read::Unchanged) => {
                return Ok(Probe::Unclear(Evidence::lossy("the store did not give the material")));
            }
            // Given up and withdrawn by another process in this very moment, or lost.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Probe::Unclear(Evidence::lossy("the store no longer has its material")));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match validator.probe(cx, issue, &material).await {
            Ok(probe) => probe,
            Err(error) => Probe::Unclear(Evidence::lossy(&format!("the probe failed: {}", error.kind()))),
        })
    }
}

/// What the issuer's scope has beyond the recorded one, and what it lacks; services are ours alone.
fn mismatch(recorded: &Scope, found: &Scope) -> Option<String> {
    let mut wider = found.difference(recorded);
    let mut narrower = recorded.difference(found);
    wider.services.clear();
    narrower.services.clear();
    match (wider.is_empty(), narrower.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("wider by {wider}")),
        (true, false) => Some(format!("narrower by {narrower}")),
        (false, false) => Some(format!("wider by {wider}, narrower by {narrower}")),
    }
}

/// 1 s doubling to 10 s.
pub(super) fn patience(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(4)).min(Duration::from_secs(10))
}

const NOBODY_CAN_SAY: &str = "neither validator nor issuer can say";
