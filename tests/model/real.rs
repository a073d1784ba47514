//! The real record beside the model's: the same moves, and the same words for what came of them.

use chrono::{DateTime, TimeDelta, Utc};
use keyward::core::{
    Change, Death as RealDeath, Evidence, HolderId, IncidentId, KeyRecord, Passed, PointerToken, Proof, PublicationId,
    RunId, RunKind, RunPhase, Transition, TransitionError, VersionId,
};

use super::record::{Death, Id, MOST, Move, Phase, Publication, Record, Run, Version, first};
use crate::support::charges;

/// A key record that makes the moves of the model, each three days after the one before: no
/// window and no horizon is ever still open.
#[derive(Clone, Debug)]
pub(crate) struct Real {
    record: KeyRecord,
    at: DateTime<Utc>,
}

impl Real {
    pub(crate) fn new() -> Self {
        let at = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let record = KeyRecord::register(&charges(), &change(at)).expect("a record");
        Self { record, at }
    }

    /// The record after a move, or the refusal.
    pub(crate) fn after(&self, made: Move) -> Result<Self, TransitionError> {
        let at = self.at + TimeDelta::days(3);
        let mut record = self.record.apply(&self.transition(made, at), &change(at))?;
        if made == Move::Suspend {
            // To the model a key that is to be switched off is off; the record notes when it was seen so.
            let seen = Transition::SwitchedOff { evidence: Evidence::lossy("seen off") };
            record = record.apply(&seen, &change(at))?;
        }
        Ok(Self { record, at })
    }

    /// What the model calls this record.
    pub(crate) fn as_model(&self) -> Record {
        let mut versions = [None; MOST];
        for (slot, version) in versions.iter_mut().zip(self.record.versions()) {
            *slot = Some(Version {
                state: version.state,
                leaked: version.compromised.is_some(),
                known: version.was_created(),
                proven: version.proof.is_some(),
            });
        }
        let mut fresh = [None; 4];
        for (slot, publication) in fresh.iter_mut().zip(self.fresh_publications()) {
            *slot = Some(self.id(self.record.publication(publication).expect("a journalled one")));
        }
        let run = self.record.run().map(|run| Run {
            phase: self.phase(&run.phase),
            version: self.id(run.phase.version()),
            previous: run.previous.map(|old| self.id(old)),
            leak: run.kind == RunKind::Leak,
        });
        Record { versions, run, fresh }
    }

    fn phase(&self, phase: &RunPhase) -> Phase {
        match phase {
            RunPhase::Plan { .. } => Phase::Plan,
            RunPhase::Staged { .. } => Phase::Staged,
            RunPhase::Validated { .. } => Phase::Validated,
            RunPhase::Promoting { publication, expect, .. } => {
                let expect = expect.as_ref().map(|token| token.as_str().parse().expect("a number"));
                Phase::Promoting { publication: self.number(*publication), expect }
            }
            RunPhase::Soaking { .. } => Phase::Soaking,
            RunPhase::Suspended { .. } => Phase::Suspended,
            RunPhase::Retiring { .. } => Phase::Retiring,
            RunPhase::RollingBack { publication, to, .. } => {
                let previous = self.record.run().and_then(|run| run.previous);
                assert_eq!(previous, Some(*to), "a rollback goes to the version that was replaced");
                Phase::RollingBack { publication: self.number(*publication) }
            }
        }
    }

    fn transition(&self, made: Move, at: DateTime<Utc>) -> Transition {
        let seen = || Evidence::lossy("seen");
        let passed = || Passed::Gate(seen());
        let reason = || "model".parse().expect("a reason");
        let holder = HolderId::generate();
        let current = || self.record.run().map_or_else(VersionId::generate, |run| run.phase.version());
        match made {
            Move::Begin { leak } => {
                let kind = if leak { RunKind::Leak } else { RunKind::Manual };
                let (run, version) = (RunId::generate(), VersionId::generate());
                Transition::Begin { run, kind, version, holder, reason: reason() }
            }
            Move::Store => {
                let (version, issuer_ref) = (current(), "stored".parse().ok());
                Transition::Store { version, issuer_ref, issuer_state: None, fingerprint: None, expires_at: None }
            }
            Move::Replan => {
                let (abandoned, version) = (current(), VersionId::generate());
                Transition::Replan { abandoned, version, holder, evidence: seen() }
            }
            Move::Abandon => Transition::Abandon { evidence: seen() },
            Move::Validate => Transition::Validate { proof: Proof::new(at, 3, seen()) },
            Move::Promote { expect } => Transition::Promote {
                publication: PublicationId::first(current()),
                expect: PointerToken::new(expect.to_string()),
            },
            Move::Confirm => Transition::Confirm,
            Move::RollBack => Transition::RollBack { publication: PublicationId::generate(), evidence: seen() },
            Move::RolledBack => Transition::RolledBack,
            Move::Suspend => Transition::Suspend { passed: passed() },
            Move::Reactivate => Transition::Reactivate { evidence: seen() },
            Move::Retire => Transition::Retire { passed: passed() },
            Move::Revoked { version, death } => {
                let death = match death {
                    Death::Seen => RealDeath::Seen(seen()),
                    Death::NeverCreated => RealDeath::NeverCreated(seen()),
                    Death::NeverAppeared => RealDeath::NeverAppeared(seen()),
                };
                Transition::Revoked { version: self.version(version), death }
            }
            Move::Gone { version } => Transition::Gone { version: self.version(version) },
            Move::Compromise { version } => Transition::Compromise {
                version: self.version(version),
                incident: IncidentId::generate(),
                exposed_from: None,
                source: seen(),
                publication: PublicationId::generate(),
            },
            Move::Adopt { version } => {
                let issuer_ref = "found".parse().expect("a reference");
                Transition::Adopt { version: self.version(version), issuer_ref }
            }
        }
    }

    fn version(&self, id: Id) -> VersionId {
        self.record.versions()[id].id
    }

    fn id(&self, version: VersionId) -> Id {
        self.record.versions().iter().position(|v| v.id == version).expect("a version of the record")
    }

    fn number(&self, publication: PublicationId) -> Publication {
        match self.fresh_publications().position(|fresh| fresh == publication) {
            Some(at) => 1 + MOST + at,
            None => first(self.id(self.record.publication(publication).expect("a journalled one"))),
        }
    }

    fn fresh_publications(&self) -> impl Iterator<Item = PublicationId> {
        let fresh = self.record.publications().iter().filter(|p| p.id != PublicationId::first(p.version));
        fresh.map(|p| p.id)
    }
}

fn change(at: DateTime<Utc>) -> Change {
    Change::new("model".parse().expect("an actor"), at)
}
