//! From plan to soak: T1 to T7.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Answer, Change, TransitionError};
use crate::record::{Body, Publication, Run, RunKind, RunOutcome, RunPhase};
use crate::{
    Evidence, Fingerprint, HolderId, Instructions, IssuerRef, IssuerState, KeyRecord, PointerToken, Proof,
    PublicationId, Reason, RunId, Version, VersionId, VersionState,
};

impl Body {
    pub(super) fn begin(
        &mut self,
        run: RunId,
        kind: RunKind,
        version: VersionId,
        holder: HolderId,
        reason: &Reason,
        change: &Change,
    ) -> Answer {
        self.may_begin(run)?;
        self.reserve(version, run, kind, change)?;
        let previous = self.replaced();
        let phase = RunPhase::Plan { version, asked: None };
        self.run = Some(Run::begun(run, kind, phase, previous, holder, reason, change));
        Ok(())
    }

    /// Refuses a run beside another, for a key that is given up, or under an id used before.
    pub(super) fn may_begin(&self, run: RunId) -> Answer {
        if let Some(active) = &self.run {
            return Err(TransitionError::RunActive { run: active.id });
        }
        if self.retiring {
            return Err(TransitionError::Retired);
        }
        if self.history.iter().any(|h| h.id == run) || self.versions.iter().any(|v| v.run == Some(run)) {
            return Err(TransitionError::RunReused { run });
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, asked_for: VersionId, instructions: &Instructions, change: &Change) -> Answer {
        match self.phase() {
            Some(RunPhase::Plan { version, .. }) if version == asked_for => {
                let asked = Some(instructions.clone());
                self.enter_phase(RunPhase::Plan { version, asked }, change)
            }
            _ => Err(self.wrong_phase("ask")),
        }
    }

    pub(super) fn store(
        &mut self,
        stored: VersionId,
        issuer_ref: &Option<IssuerRef>,
        issuer_state: &Option<IssuerState>,
        fingerprint: Option<Fingerprint>,
        expires_at: Option<DateTime<Utc>>,
        change: &Change,
    ) -> Answer {
        match self.phase() {
            Some(RunPhase::Plan { version, .. }) if version == stored => {}
            _ => return Err(self.wrong_phase("store")),
        }
        let end = self.end_of_life(expires_at, change);
        let version = self.find_mut(stored)?;
        // A sweeper may have seen it at the issuer first.
        version.issuer_ref = issuer_ref.clone().or(version.issuer_ref.take());
        version.issuer_state = issuer_state.clone();
        version.fingerprint = fingerprint;
        version.expires_at = end;
        version.enter(VersionState::Staged, change.at);
        self.enter_phase(RunPhase::Staged { version: stored }, change)
    }

    /// The earlier of the policy's end and the issuer's own.
    pub(super) fn end_of_life(&self, issuers: Option<DateTime<Utc>>, change: &Change) -> Option<DateTime<Utc>> {
        let lifetime = TimeDelta::from_std(self.policy.lifetime).unwrap_or(TimeDelta::MAX);
        change.at.checked_add_signed(lifetime).into_iter().chain(issuers).min()
    }

    pub(super) fn replan(
        &mut self,
        abandoned: VersionId,
        version: VersionId,
        holder: HolderId,
        evidence: &Evidence,
        change: &Change,
    ) -> Answer {
        match self.phase() {
            Some(RunPhase::Plan { version, .. }) if version == abandoned => {}
            _ => return Err(self.wrong_phase("replan")),
        }
        self.condemn(abandoned, change)?;
        let run = self.running()?;
        run.saw(evidence.clone());
        run.holder = holder;
        run.fence = run.fence.saturating_add(1);
        let (id, kind) = (run.id, run.kind);
        self.reserve(version, id, kind, change)?;
        self.enter_phase(RunPhase::Plan { version, asked: None }, change)
    }

    pub(super) fn abandon(&mut self, evidence: &Evidence, change: &Change) -> Answer {
        let version = match self.phase() {
            Some(RunPhase::Plan { version, .. } | RunPhase::Staged { version } | RunPhase::Validated { version }) => {
                version
            }
            // Nothing is given up: the version served before, and serves on.
            Some(RunPhase::Promoting { .. }) if self.running()?.kind == RunKind::Repair => {
                self.running()?.saw(evidence.clone());
                return self.finish(RunOutcome::Aborted, change);
            }
            Some(RunPhase::Retiring { .. }) => return Err(TransitionError::RollbackWindowPassed),
            _ => return Err(self.wrong_phase("abandon")),
        };
        // What was only adopted is not ours to revoke: it works on where it lies.
        if self.running()?.kind == RunKind::Adopt {
            self.versions.retain(|v| v.id != version);
        } else {
            self.condemn(version, change)?;
        }
        self.running()?.saw(evidence.clone());
        self.finish(RunOutcome::Aborted, change)
    }

    pub(super) fn validate(&mut self, proof: &Proof, change: &Change) -> Answer {
        let Some(RunPhase::Staged { version }) = self.phase() else {
            return Err(self.wrong_phase("validate"));
        };
        self.running()?.saw(proof.evidence.clone());
        let found = self.find_mut(version)?;
        found.proof = Some(proof.clone());
        found.enter(VersionState::Validated, change.at);
        self.enter_phase(RunPhase::Validated { version }, change)
    }

    pub(super) fn promote(&mut self, publication: PublicationId, expect: &PointerToken, change: &Change) -> Answer {
        let Some(RunPhase::Validated { version }) = self.phase() else {
            return Err(self.wrong_phase("promote"));
        };
        self.journal(publication, version)?;
        self.enter_phase(RunPhase::Promoting { version, publication, expect: Some(expect.clone()) }, change)
    }

    pub(super) fn confirm(&mut self, change: &Change) -> Answer {
        let Some(RunPhase::Promoting { version, .. }) = self.phase() else {
            return Err(self.wrong_phase("confirm"));
        };
        if self.find(version)?.state != VersionState::Primary {
            self.enter_version(version, VersionState::Primary, change)?;
        }
        let run = self.running()?;
        let (kind, previous) = (run.kind, run.previous);
        if let Some(old) = previous {
            if self.find(old)?.state == VersionState::Primary {
                self.enter_version(old, VersionState::Overlap, change)?;
            }
            // A leaked old version was condemned when it was reported; a leak run that finds it
            // untouched (a drill, a related key) condemns it now.
            if kind == RunKind::Leak {
                self.condemn(old, change)?;
            }
        }
        match previous.map(|old| self.find(old).map(|v| v.state)).transpose()? {
            None | Some(VersionState::Revoked | VersionState::Gone) => self.finish(RunOutcome::Completed, change),
            Some(VersionState::RevokePending) => self.enter_phase(RunPhase::Retiring { version }, change),
            Some(_) => self.enter_phase(RunPhase::Soaking { version }, change),
        }
    }

    /// Writes a publication down before it is attempted.
    pub(super) fn journal(&mut self, id: PublicationId, version: VersionId) -> Answer {
        let first = PublicationId::first(version) == id;
        let published = self.publications.iter().any(|p| p.version == version);
        if self.publications.iter().any(|p| p.id == id) || (first && published) {
            return Err(TransitionError::PublicationReused);
        }
        self.publications.push(Publication { id, version });
        Ok(())
    }

    pub(super) fn phase(&self) -> Option<RunPhase> {
        self.run.as_ref().map(|run| run.phase.clone())
    }

    fn reserve(&mut self, version: VersionId, run: RunId, kind: RunKind, change: &Change) -> Answer {
        if self.find(version).is_ok() {
            return Err(TransitionError::VersionReused { version });
        }
        let found = self.versions.iter().filter(|v| v.state.may_work()).count();
        // The answer to a leak is not refused for what ordinary runs have left behind.
        let most = if kind == RunKind::Leak { 2 * KeyRecord::MAX_WORKING } else { KeyRecord::MAX_WORKING };
        if found >= most {
            return Err(TransitionError::TooManyWorking { found });
        }
        self.versions.push(Version::planned(version, Some(run), change.at));
        Ok(())
    }

    /// The version a new run replaces: the primary, or a leaked one that is not dead yet.
    pub(super) fn replaced(&self) -> Option<VersionId> {
        let primary = self.versions.iter().find(|v| v.state == VersionState::Primary);
        let leaked =
            self.versions.iter().rev().find(|v| v.compromised.is_some() && v.state == VersionState::RevokePending);
        primary.or(leaked).map(|v| v.id)
    }
}
