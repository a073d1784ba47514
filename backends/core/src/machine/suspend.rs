//! The old version switched off for a while, and the windows before it is given up: T11.

use chrono::{DateTime, TimeDelta, Utc};

use super::retire::add;
use super::{Answer, Change, Passed, TransitionError};
use crate::record::{Body, RunPhase};
use crate::{Evidence, VersionState};

impl Body {
    pub(super) fn suspend(&mut self, passed: &Passed, change: &Change) -> Answer {
        let Some(RunPhase::Soaking { version }) = self.phase() else {
            return Err(self.wrong_phase("suspend"));
        };
        let old = self.clean_previous()?;
        if matches!(passed, Passed::NotNeeded) {
            return Err(self.wrong_phase("suspend without a gate"));
        }
        self.windows_elapsed(change)?;
        self.see_all(passed.evidence())?;
        self.enter_version(old, VersionState::Suspended, change)?;
        self.enter_phase(RunPhase::Suspended { version, off_since: None }, change)
    }

    pub(super) fn switched_off(&mut self, evidence: &Evidence, change: &Change) -> Answer {
        let Some(RunPhase::Suspended { version, off_since }) = self.phase() else {
            return Err(self.wrong_phase("switched-off"));
        };
        let run = self.running()?;
        run.saw(evidence.clone());
        // The first time counts. The phase is the same one, so its begin stays.
        run.phase = RunPhase::Suspended { version, off_since: off_since.or(Some(change.at)) };
        Ok(())
    }

    pub(super) fn reactivate(&mut self, evidence: &Evidence, change: &Change) -> Answer {
        let Some(RunPhase::Suspended { version, .. }) = self.phase() else {
            return Err(self.wrong_phase("reactivate"));
        };
        let old = self.running()?.previous.ok_or(TransitionError::NothingToRollBackTo)?;
        self.running()?.saw(evidence.clone());
        if self.find(old)?.state == VersionState::Suspended {
            self.enter_version(old, VersionState::Overlap, change)?;
        }
        self.enter_phase(RunPhase::Soaking { version }, change)
    }

    /// Refuses before soak and overlap are over, counted from the moment the new version served,
    /// or from the moment the old one was switched on again.
    pub(super) fn windows_elapsed(&mut self, change: &Change) -> Answer {
        let window = self.policy.soak.max(self.policy.overlap);
        let run = self.running()?;
        let (served, entered) = (run.phase.version(), run.entered_at);
        let soaking = matches!(run.phase, RunPhase::Soaking { .. });
        let served = self.find(served)?.entered_at;
        let since = if soaking { served.max(entered) } else { served };
        elapsed(since, window, change)
    }

    /// Refuses while the old version is to be watched switched off: from when it was seen so. A
    /// person may say that it is, and then the wait is from the decision on.
    pub(super) fn suspended_long_enough(&mut self, passed: &Passed, change: &Change) -> Answer {
        let window = self.policy.suspend_window();
        let run = self.running()?;
        let RunPhase::Suspended { off_since, .. } = run.phase else { return Ok(()) };
        if window.is_zero() {
            return Ok(());
        }
        let since = match (off_since, passed) {
            (Some(at), _) => at,
            (None, Passed::Operator { .. }) => run.entered_at,
            (None, _) => return Err(TransitionError::NotSwitchedOff),
        };
        elapsed(since, window, change)
    }
}

fn elapsed(since: DateTime<Utc>, window: std::time::Duration, change: &Change) -> Answer {
    let until = add(since, TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX));
    if change.at < until { Err(TransitionError::TooEarly { until }) } else { Ok(()) }
}
