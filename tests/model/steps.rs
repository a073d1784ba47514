//! Every step that can be taken from a state: one remote call, or one swap of the record.
//!
//! A read of the record and a swap with nothing in between are one step: when the swap holds, the
//! record was the same at both. Everything else may wait for as long as it likes.

use std::fmt;

use super::record::{Id, Move, Record};
use super::rules::{Flaw, Rules, planned};
use super::state::{Doing, State};

/// One step, as a trace tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) who: Who,
    pub(crate) what: What,
    /// It needs no fault, no leak and no change of mind.
    pub(crate) fair: bool,
    /// What the step itself breaks.
    pub(crate) breaks: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Rotator(usize),
    /// Time, the network, the issuer.
    World,
    /// Anybody: a rotator, a sweeper, an operator, a leak report. Remembers nothing.
    Anybody,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Swap(Move),
    Does(&'static str, Id),
    Plans(Doing),
    PlansLate(Doing),
    Dies,
}

/// All steps from a state.
pub(crate) fn steps(rules: &Rules, from: State) -> Vec<(Step, State)> {
    let mut steps = Steps { rules, from, found: Vec::new() };
    steps.of_the_world();
    steps.of_anybody();
    let idle = |doing: &Doing| *doing == Doing::Idle;
    if let Some(idle) = from.rotators[..rules.rotators].iter().position(idle) {
        steps.of_one_who_reads(idle);
    }
    for at in 0..rules.rotators {
        steps.of_one_who_acts(at);
    }
    steps.found
}

/// Collects what can happen next.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    pub(super) rules: &'a Rules,
    pub(super) from: State,
    pub(super) found: Vec<(Step, State)>,
}

impl Steps<'_> {
    pub(super) fn push(&mut self, who: Who, what: What, fair: bool, to: State) {
        self.found.push((Step { who, what, fair, breaks: None }, to));
    }

    /// A swap that holds, if the move is legal; `then` is what a rotator does next.
    pub(super) fn swap(&mut self, who: Who, made: Move, fair: bool, then: Doing) -> bool {
        let next = self.from.record.after(made);
        next.map(|next| self.put(who, made, fair, next, then)).is_some()
    }

    pub(super) fn put(&mut self, who: Who, made: Move, fair: bool, next: Record, then: Doing) {
        let mut to = self.from;
        to.store(next);
        if let Who::Rotator(at) = who {
            to.rotators[at] = then;
        }
        self.push(who, What::Swap(made), fair, to);
    }

    /// A swap that no correct record would take.
    pub(super) fn put_wrong(&mut self, who: Who, made: Move, next: Option<Record>) {
        if let Some(next) = next {
            self.put(who, made, false, next, Doing::Idle);
        }
    }

    /// A rotator at rest reads the record, perhaps an old one, and decides what to do.
    fn of_one_who_reads(&mut self, at: usize) {
        let (who, record) = (Who::Rotator(at), self.from.record);
        self.begin(who);
        if let Some(version) = planned(&record) {
            let next = record.planned();
            if next < self.rules.versions {
                self.swap(who, Move::Replan, true, Doing::Create { version: next });
            }
            if self.rules.flawed(Flaw::RepeatsTheCreate) {
                self.plan(at, What::Plans(Doing::Create { version }));
            }
        }
        for doing in self.from.plans(&record).into_iter().chain(self.wrong_plans()) {
            self.plan(at, What::Plans(doing));
        }
        let old = self.from.before.filter(|_| self.rules.stale_reads);
        for doing in old.iter().flat_map(|old| self.from.plans(old)).collect::<Vec<_>>() {
            self.plan(at, What::PlansLate(doing.unsure()));
        }
    }

    fn begin(&mut self, who: Who) {
        let record = self.from.record;
        let full = self.rules.cap.is_some_and(|cap| record.working() >= cap);
        let wanted = record.primary().is_none() && record.leaks() > 0;
        let next = record.planned();
        if next == self.rules.versions {
            return;
        }
        for leak in [false, true] {
            // Another process may have replaced the leaked key since this one decided to.
            let may = if leak { record.leaks() > 0 } else { !full && !wanted };
            if may {
                self.swap(who, Move::Begin { leak }, true, Doing::Create { version: next });
            }
        }
    }

    fn plan(&mut self, at: usize, what: What) {
        let mut to = self.from;
        if let What::Plans(doing) | What::PlansLate(doing) = what {
            to.rotators[at] = doing;
        }
        self.push(Who::Rotator(at), what, matches!(what, What::Plans(_)), to);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.who {
            Who::Rotator(0) => "A: ",
            Who::Rotator(1) => "B: ",
            Who::Rotator(_) => "C: ",
            Who::World => "world: ",
            Who::Anybody => "anybody: ",
        })?;
        match self.what {
            What::Swap(made) => write!(f, "swaps {made:?}"),
            What::Does(what, id) => write!(f, "{what} (version {id})"),
            What::Plans(doing) => write!(f, "reads the record, is about to {doing}"),
            What::PlansLate(doing) => write!(f, "reads an old record, is about to {doing}"),
            What::Dies => f.write_str("dies"),
        }
    }
}
