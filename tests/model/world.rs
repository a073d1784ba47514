//! Steps that need no memory: time, the network, the issuer, and whoever reads and swaps at once.

use keyward::core::VersionState;

use super::record::{Death, Id, Move, Phase};
use super::rules::Flaw;
use super::state::{Doing, Issued, Key};
use super::steps::{Steps, What, Who};

impl Steps<'_> {
    pub(super) fn of_the_world(&mut self) {
        let record = self.from.record;
        for id in record.ids() {
            self.late_create(id);
            self.horizon(id);
            self.calls_arrive(id);
        }
    }

    fn late_create(&mut self, id: Id) {
        if self.from.keys[id].issued == Issued::Coming {
            let room = self.has_room();
            self.change(Who::World, "a late create arrives", id, true, |key| {
                key.issued = if room { Issued::Live } else { Issued::Never };
            });
        }
    }

    /// Nobody is left who could ask for the version, and what was asked has arrived or is lost.
    fn horizon(&mut self, id: Id) {
        let asks = |doing: &Doing| match *doing {
            Doing::Create { version } => version == id,
            Doing::NoteNever { next, .. } => next == Some(id),
            _ => false,
        };
        let given_up = self.from.record.state(id) == Some(VersionState::RevokePending);
        let open = matches!(self.from.keys[id].issued, Issued::Coming | Issued::Nothing);
        if given_up && open && !self.from.rotators.iter().any(asks) {
            self.change(Who::World, "the horizon is over", id, true, |key| key.issued = Issued::Never);
        }
    }

    fn calls_arrive(&mut self, id: Id) {
        let Key { issued, doomed, switched, .. } = self.from.keys[id];
        let works = matches!(issued, Issued::Live | Issued::Off);
        if doomed && works {
            self.change(Who::World, "a revoke arrives", id, true, |key| key.issued = Issued::Dead);
        }
        if switched {
            let off = if works { Issued::Off } else { issued };
            self.change(Who::World, "the last call to switch off arrives", id, true, |key| {
                (key.issued, key.switched) = (off, false);
            });
            if off != issued {
                self.change(Who::World, "a call to switch off arrives", id, true, |key| key.issued = off);
            }
        }
    }

    pub(super) fn of_anybody(&mut self) {
        let (who, record) = (Who::Anybody, self.from.record);
        for id in record.ids() {
            self.sweep(id);
            if record.leaks() < self.rules.leaks {
                self.leak(id);
            }
        }
        if self.rules.notes {
            let mut to = self.from;
            to.store(record);
            self.push(who, What::Does("a note is written", 0), false, to);
        }
        if self.rules.suspend {
            self.suspend();
        }
        let Some(run) = record.run else { return };
        let new = self.from.keys[run.version];
        match run.phase {
            Phase::Plan => {
                let used_up = record.planned() == self.rules.versions;
                self.swap(who, Move::Abandon, used_up, Doing::Idle);
            }
            Phase::Staged if new.issued == Issued::Live && new.staged => {
                self.swap(who, Move::Validate, true, Doing::Idle);
                self.swap(who, Move::Abandon, false, Doing::Idle);
            }
            Phase::Staged | Phase::Validated => {
                self.swap(who, Move::Abandon, new.issued != Issued::Live, Doing::Idle);
            }
            Phase::Promoting { .. } | Phase::Soaking => self.way_back(),
            _ => {}
        }
        self.swap(who, Move::Retire, true, Doing::Idle);
    }

    /// T11 and its way back. A call to switch off may be on its way for ever.
    fn suspend(&mut self) {
        let (who, record) = (Who::Anybody, self.from.record);
        self.swap(who, Move::Suspend, true, Doing::Idle);
        let suspended = |record: super::record::Record| {
            record.run.filter(|run| run.phase == Phase::Suspended).and_then(|run| run.previous)
        };
        let late = self.from.before.filter(|_| self.rules.stale_reads).and_then(suspended);
        for old in [suspended(record), late].into_iter().flatten() {
            if !self.from.keys[old].switched {
                self.change(who, "decides to switch off", old, false, |key| key.switched = true);
            }
        }
        // What is to come back must work; reconcile: so must what serves.
        let off = |id: &Id| self.from.keys[*id].issued == Issued::Off;
        if let Some(back) = suspended(record).or(record.primary()).filter(off) {
            self.change(who, "switches on", back, true, |key| key.issued = Issued::Live);
        }
        if suspended(record).is_some_and(|old| self.from.keys[old].issued == Issued::Live) {
            self.swap(who, Move::Reactivate, false, Doing::Idle);
        }
    }

    fn leak(&mut self, id: Id) {
        let made = Move::Compromise { version: id };
        match self.from.record.after(made) {
            Some(next) if self.rules.flawed(Flaw::EndsALeakedRunWithoutFence) => {
                let unfenced = next.wrongly_ended(id);
                self.put(Who::Anybody, made, false, unfenced, Doing::Idle);
            }
            _ => drop(self.swap(Who::Anybody, made, false, Doing::Idle)),
        }
    }

    fn way_back(&mut self) {
        let (who, rules, record) = (Who::Anybody, self.rules, self.from.record);
        if rules.flawed(Flaw::PublishesTheOldIdAgain) {
            self.put_wrong(who, Move::RollBack, record.wrongly_back_to_the_old_id());
            return;
        }
        self.swap(who, Move::RollBack, false, Doing::Idle);
        if rules.flawed(Flaw::AbortsWithoutFence) {
            self.put_wrong(who, Move::Abandon, record.wrongly_abandoned());
        }
        let old = record.run.and_then(|run| run.previous).filter(|_| record.phase() == Some(Phase::Soaking));
        if let Some(old) = old.filter(|_| rules.flawed(Flaw::RevokesWhileRollbackIsAllowed)) {
            self.change(who, "decides to revoke", old, false, |key| key.doomed = true);
        }
    }

    /// T13, T14, T16 as far as the record and a look at the issuer go.
    fn sweep(&mut self, id: Id) {
        let Some(version) = self.from.record.version(id) else { return };
        let (who, key) = (Who::Anybody, self.from.keys[id]);
        let found = matches!(key.issued, Issued::Live | Issued::Off);
        let condemned = version.state == VersionState::RevokePending;
        let shown = self.from.shown() == Some(id);
        if found && (condemned && !version.known || version.state.is_dead()) {
            self.swap(who, Move::Adopt { version: id }, true, Doing::Idle);
        }
        if condemned && version.known && !key.doomed && (!shown || version.leaked) {
            self.change(who, "decides to revoke", id, true, |key| key.doomed = true);
        }
        if condemned && key.issued == Issued::Dead {
            self.swap(who, Move::Revoked { version: id, death: Death::Seen }, true, Doing::Idle);
        }
        let absent = self.rules.flawed(Flaw::TakesAbsentForDead) && !found;
        if condemned && (key.issued == Issued::Never || absent) {
            let made = Move::Revoked { version: id, death: Death::NeverAppeared };
            self.swap(who, made, true, Doing::Idle);
        }
        if version.state == VersionState::Revoked && !key.staged {
            self.swap(who, Move::Gone { version: id }, true, Doing::Idle);
        }
        if version.state == VersionState::Revoked && key.staged && !shown {
            self.change(who, "withdraws the material", id, true, |key| key.staged = false);
        }
    }

    fn change(&mut self, who: Who, what: &'static str, id: Id, fair: bool, effect: impl FnOnce(&mut Key)) {
        let mut to = self.from;
        effect(&mut to.keys[id]);
        self.push(who, What::Does(what, id), fair, to);
    }

    pub(super) fn has_room(&self) -> bool {
        self.rules.cap.is_none_or(|cap| self.from.working() < cap)
    }
}
