//! Every phase against every move: the documented next phase, or the documented refusal.
//!
//! The records are not listed by hand: all that can be reached with a few versions are visited,
//! and each is asked every move, right away and much later. What must happen is said once more
//! below, in the words of the specification.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Death, Edit, KeyRecord, Lease, Passed, RunKind, RunPhase, Transition, TransitionError, Version, VersionId,
    VersionState,
};

use crate::common::*;
use crate::laws;
use crate::moves::moves;

#[test]
fn every_phase_against_every_move() {
    ask_all(2);
}

#[test]
#[ignore = "two million questions; takes a minute"]
fn every_phase_against_every_move_with_three_versions() {
    ask_all(3);
}

fn ask_all(most_versions: usize) {
    let lab = Lab::new();
    let mut seen_shapes = BTreeSet::from([shape(&lab.record)]);
    let mut queue = VecDeque::from([(lab.record, 100)]);
    let mut cells: BTreeMap<(String, &str), BTreeSet<String>> = BTreeMap::new();
    let mut asked = 0_u32;
    while let Some((record, fresh)) = queue.pop_front() {
        let untouched = record.clone();
        let last = record.operations().last().expect("an operation").at;
        let here = phase_of(&record).unwrap_or("no run").to_owned();
        for transition in moves(&record, fresh) {
            let waits = matches!(transition.verb(), "suspend" | "retire" | "revoked");
            for at in [last, last + TimeDelta::days(40)].into_iter().skip(usize::from(!waits)) {
                let change = change(fresh, at);
                let expected = expectation(&record, &transition, at);
                let answer = record.apply(&transition, &change);
                asked += 1;
                let found = match &answer {
                    Ok(next) => Ok(phase_of(next)),
                    Err(error) => Err(kind(error)),
                };
                assert_eq!(found, expected, "{} in {here}: {transition:?} on {record:#?}", transition.verb());
                cells.entry((here.clone(), transition.verb())).or_default().insert(format!("{found:?}"));
                let Ok(next) = answer else { continue };
                laws::hold(&record, &transition, &change, &next);
                if next.versions().len() <= most_versions && seen_shapes.insert(shape(&next)) {
                    laws::stored(&next);
                    queue.push_back((next, fresh + 2));
                }
            }
        }
        fenced(&record, fresh);
        assert_eq!(record, untouched, "a move never changes the record it is asked about");
    }
    let phases: BTreeSet<_> = cells.keys().map(|(phase, _)| phase.as_str()).collect();
    let verbs: BTreeSet<_> = cells.keys().map(|(_, verb)| *verb).collect();
    assert_eq!(phases.len(), 10, "eight phases, no run, tombstone: {phases:?}");
    assert_eq!(cells.len(), phases.len() * verbs.len(), "a cell of the table was never asked");
    assert!(seen_shapes.len() > 1_000 && asked > 20_000, "{} shapes, {asked} questions", seen_shapes.len());
}

/// I9: under a lease that was taken over nothing is stored, from whatever revision it was made.
fn fenced(record: &KeyRecord, fresh: u64) {
    let Some(run) = record.run() else { return };
    let last = record.operations().last().expect("an operation").at;
    let observe = Transition::Observe { evidence: evidence("late") };
    let apply = |lease| record.apply(&observe, &change(fresh, last).under(lease)).map(|_| ());
    assert_eq!(apply(run.lease()), Ok(()));
    let other = Lease::first(id(2, fresh));
    assert_eq!(apply(other).map_err(|e| kind(&e)), Err("Fenced"), "the lease of another run");
    if run.fence > 0 {
        let (held, current) = (0, run.fence);
        assert_eq!(apply(Lease::first(run.id)), Err(TransitionError::Fenced { held, current }));
    }
}

/// What makes two records the same for the state machine.
fn shape(record: &KeyRecord) -> String {
    let number = |id: VersionId| record.versions().iter().position(|v| v.id == id);
    let version = |v: &Version| format!("{:?}{}{}", v.state, v.compromised.is_some(), v.was_created());
    let run = record.run().map(|run| {
        let asked = matches!(&run.phase, RunPhase::Plan { asked: Some(_), .. });
        let kind = (run.kind.skips_soak(), matches!(run.kind, RunKind::Adopt | RunKind::Repair).then_some(run.kind));
        let parts = (run.phase.name(), number(run.phase.version()), run.previous.and_then(number), kind);
        let off = matches!(&run.phase, RunPhase::Suspended { off_since: Some(_), .. });
        format!("{parts:?}{asked}{off}")
    });
    let versions: Vec<_> = record.versions().iter().map(version).collect();
    let incidents: Vec<_> = record.incidents().iter().map(|i| (i.state, i.replaced_by.is_some())).collect();
    format!(
        "{versions:?}{run:?}{incidents:?}{}{}{}",
        record.history().is_empty(),
        record.is_retiring(),
        record.retired_at().is_some()
    )
}

fn phase_of(record: &KeyRecord) -> Option<&'static str> {
    match record.run() {
        Some(run) => Some(run.phase.name()),
        None => record.retired_at().map(|_| "tombstone"),
    }
}

type Expected = Result<Option<&'static str>, &'static str>;

/// The specification, told a second time.
fn expectation(record: &KeyRecord, transition: &Transition, at: DateTime<Utc>) -> Expected {
    let here = phase_of(record);
    let wakes =
        matches!(transition, Transition::Adopt { .. } | Transition::Compromise { .. } | Transition::Gone { .. });
    if here == Some("tombstone") && !wakes {
        return Err("Retired");
    }
    let known = |v: VersionId| record.version(v);
    let dead = |v: VersionId| known(v).is_some_and(|v| v.state.is_dead());
    let about_new = |v: VersionId| record.run().is_some_and(|r| r.phase.version() == v);
    let previous = record.run().and_then(|r| r.previous).and_then(known);
    let back = previous
        .is_some_and(|v| matches!(v.state, VersionState::Primary | VersionState::Overlap) && v.compromised.is_none());
    let refused = || Err(if here.is_none() { "NoRun" } else { "WrongPhase" });
    let kind_is = |kind| record.run().is_some_and(|r| r.kind == kind);
    let leak_run = record.run().is_some_and(|r| r.kind == RunKind::Leak);
    let early = || {
        let run = record.run().expect("a run");
        let served = known(run.phase.version()).expect("a served version").entered_at;
        // What was switched on again is watched anew.
        let since = if here == Some("soaking") { served.max(run.entered_at) } else { served };
        at < since + TimeDelta::days(2)
    };
    let suspended = |passed: &Passed| {
        let run = record.run().expect("a run");
        let RunPhase::Suspended { off_since, .. } = run.phase else { return Ok(()) };
        let since = match (off_since, passed) {
            (Some(since), _) => since,
            (None, Passed::Operator { .. }) => run.entered_at,
            (None, _) => return Err("NotSwitchedOff"),
        };
        if at < since + TimeDelta::days(1) { Err("TooEarly") } else { Ok(()) }
    };

    match (transition, here) {
        (Transition::Release { .. }, _) => Err("NotAdopted"),
        (Transition::Begin { .. } | Transition::Decommission { .. } | Transition::Bury, Some(_)) => Err("RunActive"),
        (Transition::Begin { .. }, None) if record.is_retiring() => Err("Retired"),
        (Transition::Begin { run, .. }, None) if record.history().iter().any(|h| h.id == *run) => Err("RunReused"),
        (Transition::Begin { version, .. }, None) if known(*version).is_some() => Err("VersionReused"),
        (Transition::Begin { .. }, None) => Ok(Some("plan")),

        (Transition::Overwrite { .. }, Some("promoting" | "soaking" | "retiring")) => Ok(Some("promoting")),
        (Transition::Overwrite { .. }, Some("rolling-back")) => Ok(Some("rolling-back")),
        (Transition::Republish { .. } | Transition::Recall { .. }, Some(_)) => Err("RunActive"),
        (Transition::Republish { .. } | Transition::Recall { .. }, None) if record.is_retiring() => Err("Retired"),
        (Transition::Republish { run, .. }, None) if record.history().iter().any(|h| h.id == *run) => Err("RunReused"),
        (Transition::Republish { .. }, None) if record.primary().is_none() => Err("NothingServes"),
        (Transition::Republish { publication, .. }, None) if record.publication(*publication).is_some() => {
            Err("PublicationReused")
        }
        (Transition::Republish { .. }, None) => Ok(Some("promoting")),
        (Transition::Recall { version, .. }, None) if known(*version).is_some() => Err("VersionReused"),
        (Transition::Recall { .. }, None) => Ok(Some("staged")),

        (Transition::Ask { version, .. }, Some("plan")) if about_new(*version) => Ok(Some("plan")),
        (Transition::Store { version, .. }, Some("plan")) if about_new(*version) => Ok(Some("staged")),
        (Transition::Replan { abandoned, .. }, Some("plan")) if about_new(*abandoned) => Ok(Some("plan")),
        (Transition::Abandon { .. }, Some("plan" | "staged" | "validated")) => Ok(None),
        (Transition::Abandon { .. }, Some("promoting")) if kind_is(RunKind::Repair) => Ok(None),
        (Transition::Abandon { .. } | Transition::RollBack { .. }, Some("retiring")) => Err("RollbackWindowPassed"),
        (Transition::Validate { .. }, Some("staged")) => Ok(Some("validated")),
        (Transition::Promote { publication, .. }, Some("validated")) => {
            if record.publication(*publication).is_some() {
                Err("PublicationReused")
            } else {
                Ok(Some("promoting"))
            }
        }
        (Transition::Confirm, Some("promoting")) => Ok(match previous {
            None => None,
            Some(old) if old.state.is_dead() => None,
            Some(old) if old.state == VersionState::RevokePending || leak_run => Some("retiring"),
            Some(_) => Some("soaking"),
        }),
        (Transition::Observe { .. }, Some(phase)) => Ok(Some(phase)),

        (Transition::RollBack { .. }, Some("promoting" | "soaking")) => {
            if back {
                Ok(Some("rolling-back"))
            } else {
                Err("NothingToRollBackTo")
            }
        }
        (Transition::RolledBack, Some("rolling-back")) => Ok(None),
        (Transition::TurnRound { .. }, Some("rolling-back")) => {
            let new = record.run().and_then(|r| known(r.phase.version())).expect("a new version");
            Ok(Some("promoting").filter(|_| new.compromised.is_none()))
        }

        (Transition::Suspend { passed: Passed::NotNeeded }, Some("soaking")) => Err("WrongPhase"),
        (Transition::Suspend { .. }, Some("soaking")) => {
            if early() {
                Err("TooEarly")
            } else {
                Ok(Some("suspended"))
            }
        }
        (Transition::SwitchedOff { .. }, Some("suspended")) => Ok(Some("suspended")),
        (Transition::Reactivate { .. }, Some("suspended")) => Ok(Some("soaking")),
        (Transition::Retire { passed: Passed::NotNeeded }, Some("soaking" | "suspended")) => Err("WrongPhase"),
        (Transition::Retire { .. }, Some("soaking" | "suspended")) if early() => Err("TooEarly"),
        (Transition::Retire { passed }, Some("soaking" | "suspended")) => suspended(passed).map(|()| Some("retiring")),

        (Transition::Revoked { version, death }, _) => match known(*version) {
            None => Err("NoVersion"),
            Some(v) if v.state != VersionState::RevokePending => Err("WrongState"),
            Some(v) => {
                let swept = at >= v.entered_at + TimeDelta::hours(1);
                match (death, v.was_created()) {
                    (Death::NeverCreated(_) | Death::NeverAppeared(_), true) => return Err("WasCreated"),
                    (Death::Seen(_), false) => return Err("MayStillAppear"),
                    (Death::NeverAppeared(_), false) if !swept => return Err("MayStillAppear"),
                    _ => {}
                }
                let done = here == Some("retiring") && previous.is_some_and(|old| old.id == *version);
                Ok(here.filter(|_| !done))
            }
        },
        (Transition::Gone { version }, _) => match known(*version) {
            None => Err("NoVersion"),
            Some(v) if v.state == VersionState::Revoked => Ok(here),
            Some(_) => Err("WrongState"),
        },

        (Transition::Compromise { version, .. }, _) => match known(*version) {
            None => Err("NoVersion"),
            Some(v) if v.compromised.is_some() => Ok(here),
            Some(v) => {
                let new = about_new(*version);
                let old = previous.is_some_and(|old| old.id == *version);
                let other_is_clean =
                    record.run().and_then(|r| known(r.phase.version())).is_some_and(|v| v.compromised.is_none());
                Ok(match here {
                    Some("plan" | "staged" | "validated" | "suspended" | "retiring") if new => None,
                    Some("promoting" | "soaking") if new => back.then_some("rolling-back"),
                    Some("soaking" | "suspended") if old => Some("retiring"),
                    Some("rolling-back") if old => other_is_clean.then_some("promoting"),
                    Some("tombstone") => Some("tombstone").filter(|_| v.state.is_dead()),
                    same => same,
                })
            }
        },
        (Transition::Adopt { version, .. }, _) => match known(*version) {
            Some(v) if !v.state.is_dead() && v.issuer_ref.is_some() => Err("WrongState"),
            Some(_) if !dead(*version) => Ok(here),
            _ => Ok(here.filter(|phase| *phase != "tombstone")),
        },

        (Transition::Decommission { .. }, None) => Ok(None),
        (Transition::Bury, None) => {
            let working = record.versions().iter().any(|v| v.state.may_work());
            if working { Err("StillWorking") } else { Ok(Some("tombstone")) }
        }
        (Transition::Edit(Edit::Scope { .. } | Edit::Redraft(_)), Some(_)) => Err("RunActive"),
        (Transition::Edit(Edit::Redraft(_)), _) if record.is_retiring() || !record.versions().is_empty() => {
            Err("HasVersions")
        }
        (Transition::Edit(_), same) => Ok(same),
        _ => refused(),
    }
}

fn kind(error: &TransitionError) -> &'static str {
    match error {
        TransitionError::Fenced { .. } => "Fenced",
        TransitionError::HasVersions => "HasVersions",
        TransitionError::MayStillAppear { .. } => "MayStillAppear",
        TransitionError::NotAdopted => "NotAdopted",
        TransitionError::NothingServes => "NothingServes",
        TransitionError::NothingToRollBackTo => "NothingToRollBackTo",
        TransitionError::NoRun => "NoRun",
        TransitionError::NoVersion { .. } => "NoVersion",
        TransitionError::NotSwitchedOff => "NotSwitchedOff",
        TransitionError::PublicationReused => "PublicationReused",
        TransitionError::Retired => "Retired",
        TransitionError::RollbackWindowPassed => "RollbackWindowPassed",
        TransitionError::RunActive { .. } => "RunActive",
        TransitionError::RunReused { .. } => "RunReused",
        TransitionError::TooEarly { .. } => "TooEarly",
        TransitionError::StillWorking { .. } => "StillWorking",
        TransitionError::VersionReused { .. } => "VersionReused",
        TransitionError::WasCreated { .. } => "WasCreated",
        TransitionError::WrongPhase { .. } => "WrongPhase",
        TransitionError::WrongState { .. } => "WrongState",
        _ => "another kind",
    }
}
