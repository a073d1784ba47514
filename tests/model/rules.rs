//! What a search covers, what must hold in every state, and when nothing is left to do.

use keyward::core::VersionState;

use super::record::{Id, Phase, Record};
use super::state::{Doing, Issued, State};

/// How far a search goes, and which mistake the protocol makes in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How many processes rotate; any number of others sweep, report leaks and change their minds.
    pub(crate) rotators: usize,
    /// How many versions may be planned.
    pub(crate) versions: usize,
    /// How many versions may leak.
    pub(crate) leaks: usize,
    /// The old key may be switched off and on again.
    pub(crate) suspend: bool,
    /// How many keys may work at the issuer at once.
    pub(crate) cap: Option<usize>,
    /// Records may be read as they were one revision ago.
    pub(crate) stale_reads: bool,
    /// People write notes in between.
    pub(crate) notes: bool,
    /// A key that native readers are shown must not be switched off either, not even by a call
    /// that slept.
    pub(crate) strictly_on: bool,
    pub(crate) flaw: Option<Flaw>,
}

impl Rules {
    /// What the first model of the protocol covered.
    pub(crate) const PLAIN: Self = Self {
        rotators: 2,
        versions: 3,
        leaks: 0,
        suspend: false,
        cap: None,
        stale_reads: true,
        notes: false,
        strictly_on: true,
        flaw: None,
    };

    /// All there is, with so many leaks.
    pub(crate) fn everything(leaks: usize) -> Self {
        Self { leaks, suspend: true, cap: Some(2), notes: true, strictly_on: false, ..Self::PLAIN }
    }

    pub(crate) fn with(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::PLAIN }
    }

    pub(crate) fn flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

/// A mistake; each was in a design that somebody built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    /// An abort while the pointer is being moved just gives the new version up.
    AbortsWithoutFence,
    /// The same, but it looks first whether the pointer has moved.
    LooksInsteadOfFencing,
    /// A rollback moves the pointer back to the old publication.
    PublishesTheOldIdAgain,
    /// The pointer is moved before the record says so.
    PublishesUnjournalled,
    /// Whoever resumes a planned version asks the issuer again.
    RepeatsTheCreate,
    /// The old key is revoked while a rollback may still bring it back.
    RevokesWhileRollbackIsAllowed,
    /// What is not found at the issuer counts as dead.
    TakesAbsentForDead,
    /// Whoever finds the pointer moved moves it again, though the record does not know why it moved.
    OverwritesWhatItDoesNotKnow,
    /// A leak of the new version ends the run at once, though the pointer may be moving onto it.
    EndsALeakedRunWithoutFence,
}

/// What must hold in every state.
pub(crate) fn broken(rules: &Rules, state: &State) -> Option<&'static str> {
    let record = &state.record;
    let primaries = record.ids().filter(|id| record.state(*id) == Some(VersionState::Primary)).count();
    if primaries > 1 {
        return Some("I1: two primaries");
    }
    if record.ids().any(|id| is_dead(record, id) && state.keys[id].issued.may_work()) {
        return Some("a version that is recorded dead works, or may still come to work");
    }
    let serves = record.primary().filter(|_| !record.moves_the_pointer());
    if serves.is_some_and(|primary| state.shown() != Some(primary)) {
        return Some("I2: native readers are shown another version than the one that serves");
    }
    let shown = state.shown()?;
    let Some(version) = record.version(shown) else { return Some("an unknown version is shown") };
    if !version.proven {
        return Some("I3: an unproven version is shown");
    }
    if !state.keys[shown].staged {
        return Some("I2: nothing is stored for the version that is shown");
    }
    match state.keys[shown].issued {
        Issued::Live => None,
        _ if version.leaked => None,
        Issued::Off if !rules.strictly_on => None,
        Issued::Off => Some("I5: native readers are shown a key that is switched off"),
        _ => Some("I5: native readers are shown a dead key"),
    }
}

/// I4, at the moment the pointer is moved onto a version. The version leaked while its publish was
/// on its way, and the move that outruns it is on its way too: nobody can prevent that one.
pub(crate) fn published_given_up(record: &Record, version: Id) -> Option<&'static str> {
    let known = record.version(version)?;
    let given_up = known.leaked || known.state >= VersionState::RevokePending;
    let outrun = known.leaked && (record.primary().is_none() || record.moves_the_pointer());
    (given_up && !outrun).then_some("I4: a version that was given up is published")
}

/// A clean end: no run, nothing about to be done, one working key, and native readers are shown it.
/// When every version of the model is used up and none may serve, nothing works at all.
pub(crate) fn at_rest(rules: &Rules, state: &State) -> bool {
    let record = &state.record;
    let asleep = state.keys.iter().any(|key| key.switched || key.doomed && key.issued.may_work());
    if record.run.is_some() || asleep || state.rotators.iter().any(|doing| *doing != Doing::Idle) {
        return false;
    }
    let primary = record.primary();
    let others = record.ids().filter(|id| Some(*id) != primary);
    let mut clean = others.map(|id| is_dead(record, id) && !state.keys[id].issued.may_work());
    let served = match primary {
        Some(id) => state.keys[id].issued == Issued::Live && state.shown() == primary,
        None => record.planned() == rules.versions,
    };
    served && clean.all(|clean| clean)
}

fn is_dead(record: &Record, id: Id) -> bool {
    record.state(id).is_some_and(VersionState::is_dead)
}

/// The version of a run that is planned and not created yet.
pub(crate) fn planned(record: &Record) -> Option<Id> {
    record.run.filter(|run| run.phase == Phase::Plan).map(|run| run.version)
}
