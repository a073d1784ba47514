//! The fenced way back: T8 to T10.

use super::{Answer, Change, TransitionError};
use crate::record::{Body, RunOutcome, RunPhase};
use crate::{Evidence, PublicationId, VersionId, VersionState};

impl Body {
    pub(super) fn roll_back(&mut self, publication: PublicationId, evidence: &Evidence, change: &Change) -> Answer {
        let version = match self.phase() {
            Some(RunPhase::Promoting { version, .. } | RunPhase::Soaking { version }) => version,
            Some(RunPhase::Retiring { .. }) => return Err(TransitionError::RollbackWindowPassed),
            _ => return Err(self.wrong_phase("roll-back")),
        };
        let to = self.clean_previous()?;
        self.journal(publication, to)?;
        self.running()?.saw(evidence.clone());
        self.enter_phase(RunPhase::RollingBack { version, to, publication, over: None }, change)
    }

    pub(super) fn rolled_back(&mut self, change: &Change) -> Answer {
        let Some(RunPhase::RollingBack { version, to, .. }) = self.phase() else {
            return Err(self.wrong_phase("rolled-back"));
        };
        let was_serving = self.find(version)?.proof.is_some() && self.find(to)?.state != VersionState::Primary;
        self.condemn(version, change)?;
        self.enter_version(to, VersionState::Primary, change)?;
        self.finish(if was_serving { RunOutcome::RolledBack } else { RunOutcome::Aborted }, change)
    }

    pub(super) fn turn_round(&mut self, publication: PublicationId, evidence: &Evidence, change: &Change) -> Answer {
        let Some(RunPhase::RollingBack { version, to, .. }) = self.phase() else {
            return Err(self.wrong_phase("turn-round"));
        };
        self.running()?.saw(evidence.clone());
        if self.can_stay_on(version)? {
            return self.stay_on(version, publication, change);
        }
        // The new one leaked. What was switched over from is watched by no other run.
        if self.find(to)?.state != VersionState::Primary {
            self.condemn(to, change)?;
        }
        self.finish(RunOutcome::Overtaken, change)
    }

    /// True when a version that was being taken back may be published again.
    pub(super) fn can_stay_on(&self, version: VersionId) -> Answer<bool> {
        let found = self.find(version)?;
        Ok(found.compromised.is_none() && matches!(found.state, VersionState::Validated | VersionState::Primary))
    }

    /// Fences the way back by publishing the new version again, from wherever the pointer is.
    pub(super) fn stay_on(&mut self, version: VersionId, publication: PublicationId, change: &Change) -> Answer {
        self.journal(publication, version)?;
        self.enter_phase(RunPhase::Promoting { version, publication, expect: None }, change)
    }

    /// The version a rollback publishes: recorded, clean, working and not given up.
    pub(super) fn clean_previous(&mut self) -> Answer<VersionId> {
        let previous = self.running()?.previous.ok_or(TransitionError::NothingToRollBackTo)?;
        let old = self.find(previous)?;
        let comes_back = matches!(old.state, VersionState::Primary | VersionState::Overlap);
        if comes_back && old.compromised.is_none() { Ok(previous) } else { Err(TransitionError::NothingToRollBackTo) }
    }
}
