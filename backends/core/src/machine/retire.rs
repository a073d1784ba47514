//! Giving up versions and keys: T12 to T14, T16, and the tombstone.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Answer, Change, Death, Passed, TransitionError};
use crate::record::{Body, IssuerRef, RunKind, RunOutcome, RunPhase};
use crate::{Evidence, Location, Reason, Version, VersionId, VersionState};

impl Body {
    pub(super) fn begin_retiring(&mut self, passed: &Passed, change: &Change) -> Answer {
        let version = match self.phase() {
            Some(RunPhase::Soaking { version } | RunPhase::Suspended { version, .. }) => version,
            _ => return Err(self.wrong_phase("retire")),
        };
        let run = self.running()?;
        let (waits, old) = (!run.kind.skips_soak(), run.previous.ok_or(TransitionError::NothingToRollBackTo)?);
        if waits {
            if matches!(passed, Passed::NotNeeded) {
                return Err(self.wrong_phase("retire without a gate"));
            }
            self.windows_elapsed(change)?;
            self.suspended_long_enough(passed, change)?;
        }
        self.see_all(passed.evidence())?;
        self.condemn(old, change)?;
        self.enter_phase(RunPhase::Retiring { version }, change)
    }

    pub(super) fn revoked(&mut self, id: VersionId, death: &Death, change: &Change) -> Answer {
        let horizon = TimeDelta::from_std(self.policy.zombie_horizon).unwrap_or(TimeDelta::MAX);
        let version = self.find_mut(id)?;
        if version.state != VersionState::RevokePending {
            return Err(TransitionError::WrongState { transition: "revoked", version: id, state: version.state });
        }
        let until = add(version.entered_at, horizon);
        let evidence = match death {
            Death::NeverCreated(_) | Death::NeverAppeared(_) if version.was_created() => {
                return Err(TransitionError::WasCreated { version: id });
            }
            Death::Seen(evidence) if version.was_created() => evidence.clone(),
            Death::NeverAppeared(evidence) if change.at >= until => evidence.clone(),
            Death::Seen(_) | Death::NeverAppeared(_) => {
                return Err(TransitionError::MayStillAppear { version: id, until });
            }
            Death::NeverCreated(evidence) => evidence.clone(),
            Death::Attested { by, evidence } => Evidence::lossy(&format!("attested by {by}: {evidence}")),
        };
        version.death = Some(evidence);
        version.enter(VersionState::Revoked, change.at);
        let retired_by_run = matches!(&self.run, Some(run)
            if run.previous == Some(id) && matches!(run.phase, RunPhase::Retiring { .. }));
        if retired_by_run {
            self.finish(RunOutcome::Completed, change)?;
        }
        Ok(())
    }

    pub(super) fn gone(&mut self, id: VersionId, change: &Change) -> Answer {
        let version = self.find_mut(id)?;
        if version.state != VersionState::Revoked {
            return Err(TransitionError::WrongState { transition: "gone", version: id, state: version.state });
        }
        version.issuer_state = None;
        version.enter(VersionState::Gone, change.at);
        Ok(())
    }

    pub(super) fn adopt(&mut self, id: VersionId, issuer_ref: &IssuerRef, change: &Change) -> Answer {
        match self.find_mut(id) {
            // Dead by assumption or by mistake, alive by observation: it is hunted again.
            Ok(known) if known.state.is_dead() => {
                known.issuer_ref = Some(issuer_ref.clone());
                known.death = None;
                known.enter(VersionState::RevokePending, change.at);
            }
            Ok(known) if known.issuer_ref.is_none() => known.issuer_ref = Some(issuer_ref.clone()),
            Ok(known) => {
                return Err(TransitionError::WrongState { transition: "adopt", version: id, state: known.state });
            }
            Err(_) => {
                let mut found = Version::planned(id, None, change.at);
                found.issuer_ref = Some(issuer_ref.clone());
                found.enter(VersionState::RevokePending, change.at);
                self.versions.push(found);
            }
        }
        Ok(())
    }

    pub(super) fn decommission(&mut self, _reason: &Reason, change: &Change) -> Answer {
        if let Some(run) = &self.run {
            return Err(TransitionError::RunActive { run: run.id });
        }
        self.retiring = true;
        let all: Vec<_> = self.versions.iter().map(|v| v.id).collect();
        all.into_iter().try_for_each(|id| self.condemn(id, change))
    }

    pub(super) fn release(&mut self, reason: &Reason, change: &Change) -> Answer {
        let kinds = self.history.iter().map(|run| run.kind).chain(self.run.as_ref().map(|run| run.kind));
        if self.location == Location::Derived {
            return Err(TransitionError::NotAdopted);
        }
        if self.retiring
            || self.pages > 0
            || !self.incidents.is_empty()
            || kinds.into_iter().any(|k| k != RunKind::Adopt)
        {
            return Err(TransitionError::UsedSince);
        }
        if let Some(run) = &mut self.run {
            run.saw(Evidence::lossy(&format!("released: {reason}")));
            self.finish(RunOutcome::Aborted, change)?;
        }
        // The key is nobody's to revoke here any more: its versions leave, they do not die.
        self.versions.clear();
        self.publications.clear();
        Ok(())
    }

    pub(super) fn bury(&mut self, change: &Change) -> Answer {
        if let Some(run) = &self.run {
            return Err(TransitionError::RunActive { run: run.id });
        }
        if let Some(version) = self.versions.iter().find(|v| v.state.may_work()) {
            return Err(TransitionError::StillWorking { version: version.id });
        }
        self.retiring = true;
        self.retired_at = Some(change.at);
        Ok(())
    }
}

pub(super) fn add(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
