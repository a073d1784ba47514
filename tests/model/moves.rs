//! What each move does to the record: T1 to T16.

use keyward::core::VersionState;

use super::record::{Death, Id, MOST, Phase, Publication, Record, Run, Version, first};

impl Record {
    pub(super) fn begin(&mut self, leak: bool) -> Option<()> {
        if self.run.is_some() {
            return None;
        }
        let hunted = |id: &Id| self.version(*id).is_some_and(|v| v.leaked && v.state == VersionState::RevokePending);
        let previous = self.primary().or_else(|| self.ids().filter(hunted).last());
        let version = self.reserve()?;
        self.run = Some(Run { phase: Phase::Plan, version, previous, leak });
        Some(())
    }

    pub(super) fn store(&mut self) -> Option<()> {
        let version = self.new_in(Phase::Plan)?;
        self.versions[version].as_mut()?.known = true;
        self.enter(version, VersionState::Staged)?;
        self.enter_phase(Phase::Staged)
    }

    pub(super) fn replan(&mut self) -> Option<()> {
        let abandoned = self.new_in(Phase::Plan)?;
        self.condemn(abandoned)?;
        self.run.as_mut()?.version = self.reserve()?;
        Some(())
    }

    pub(super) fn abandon(&mut self) -> Option<()> {
        let run = self.run?;
        if !matches!(run.phase, Phase::Plan | Phase::Staged | Phase::Validated) {
            return None;
        }
        self.condemn(run.version)?;
        self.finish()
    }

    pub(super) fn validate(&mut self) -> Option<()> {
        let version = self.new_in(Phase::Staged)?;
        self.versions[version].as_mut()?.proven = true;
        self.enter(version, VersionState::Validated)?;
        self.enter_phase(Phase::Validated)
    }

    pub(super) fn promote(&mut self, expect: Publication) -> Option<()> {
        let version = self.new_in(Phase::Validated)?;
        self.enter_phase(Phase::Promoting { publication: first(version), expect: Some(expect) })
    }

    pub(super) fn confirm(&mut self) -> Option<()> {
        let run = self.run?;
        if !matches!(run.phase, Phase::Promoting { .. }) {
            return None;
        }
        self.enter(run.version, VersionState::Primary)?;
        if let Some(old) = run.previous {
            if self.state(old)? == VersionState::Primary {
                self.enter(old, VersionState::Overlap)?;
            }
            if run.leak {
                self.condemn(old)?;
            }
        }
        match run.previous.and_then(|old| self.state(old)) {
            None | Some(VersionState::Revoked | VersionState::Gone) => self.finish(),
            Some(VersionState::RevokePending) => self.enter_phase(Phase::Retiring),
            Some(_) => self.enter_phase(Phase::Soaking),
        }
    }

    pub(super) fn roll_back(&mut self) -> Option<()> {
        if !matches!(self.run?.phase, Phase::Promoting { .. } | Phase::Soaking) {
            return None;
        }
        let to = self.way_back()?;
        let publication = self.journal(to)?;
        self.enter_phase(Phase::RollingBack { publication })
    }

    pub(super) fn rolled_back(&mut self) -> Option<()> {
        let run = self.run?;
        if !matches!(run.phase, Phase::RollingBack { .. }) {
            return None;
        }
        self.condemn(run.version)?;
        self.enter(run.previous?, VersionState::Primary)?;
        self.finish()
    }

    pub(super) fn suspend(&mut self) -> Option<()> {
        self.new_in(Phase::Soaking)?;
        let old = self.way_back()?;
        self.enter(old, VersionState::Suspended)?;
        self.enter_phase(Phase::Suspended)
    }

    pub(super) fn reactivate(&mut self) -> Option<()> {
        self.new_in(Phase::Suspended)?;
        let old = self.run?.previous?;
        if self.state(old)? == VersionState::Suspended {
            self.enter(old, VersionState::Overlap)?;
        }
        self.enter_phase(Phase::Soaking)
    }

    pub(super) fn retire(&mut self) -> Option<()> {
        let run = self.run?;
        if !matches!(run.phase, Phase::Soaking | Phase::Suspended) {
            return None;
        }
        self.condemn(run.previous?)?;
        self.enter_phase(Phase::Retiring)
    }

    pub(super) fn revoked(&mut self, id: Id, death: Death) -> Option<()> {
        let version = self.version(id)?;
        // Absent at the issuer is not dead.
        let fair = version.known == (death == Death::Seen);
        if version.state != VersionState::RevokePending || !fair {
            return None;
        }
        self.enter(id, VersionState::Revoked)?;
        match self.run {
            Some(run) if run.previous == Some(id) && run.phase == Phase::Retiring => self.finish(),
            _ => Some(()),
        }
    }

    pub(super) fn gone(&mut self, id: Id) -> Option<()> {
        (self.state(id)? == VersionState::Revoked).then(|| self.enter(id, VersionState::Gone))?
    }

    pub(super) fn adopt(&mut self, id: Id) -> Option<()> {
        let version = self.versions[id].as_mut()?;
        match (version.state.is_dead(), version.known) {
            (true, _) => (version.known, version.state) = (true, VersionState::RevokePending),
            (false, false) => version.known = true,
            (false, true) => return None,
        }
        Some(())
    }

    pub(super) fn compromise(&mut self, id: Id) -> Option<()> {
        let version = self.versions[id].as_mut()?;
        if version.leaked {
            return None;
        }
        version.leaked = true;
        self.condemn(id)?;
        match self.run {
            Some(run) => self.run_meets_leak(id, run),
            None => Some(()),
        }
    }

    fn run_meets_leak(&mut self, leaked: Id, run: Run) -> Option<()> {
        let (is_new, is_old) = (run.version == leaked, run.previous == Some(leaked));
        match run.phase {
            Phase::Plan | Phase::Staged | Phase::Validated if is_new => self.finish(),
            Phase::Promoting { .. } | Phase::Soaking if is_new => match self.way_back() {
                Some(to) => {
                    let publication = self.journal(to)?;
                    self.enter_phase(Phase::RollingBack { publication })
                }
                None => self.finish(),
            },
            Phase::Suspended | Phase::Retiring if is_new => {
                if let Some(old) = run.previous {
                    self.condemn(old)?;
                }
                self.finish()
            }
            Phase::RollingBack { .. } if is_old => {
                let given_up = self.version(run.version)?;
                let usable = matches!(given_up.state, VersionState::Validated | VersionState::Primary);
                if given_up.leaked || !usable {
                    return self.finish();
                }
                let publication = self.journal(run.version)?;
                self.run.as_mut()?.leak = true;
                self.enter_phase(Phase::Promoting { publication, expect: None })
            }
            Phase::Soaking | Phase::Suspended if is_old => {
                self.run.as_mut()?.leak = true;
                self.enter_phase(Phase::Retiring)
            }
            _ => {
                self.run.as_mut()?.leak |= is_old;
                Some(())
            }
        }
    }

    fn reserve(&mut self) -> Option<Id> {
        let id = self.planned();
        let planned = Version { state: VersionState::Planned, leaked: false, known: false, proven: false };
        (id < MOST).then(|| self.versions[id] = Some(planned))?;
        Some(id)
    }

    fn finish(&mut self) -> Option<()> {
        self.run.take().map(drop)
    }

    /// The version of the run, when the run is in this very phase.
    fn new_in(&self, phase: Phase) -> Option<Id> {
        self.run.filter(|run| run.phase == phase).map(|run| run.version)
    }
}
