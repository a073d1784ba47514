//! Leaks, in every phase, of every version, and of two at once.

use chrono::TimeDelta;
use keyward_core::{
    IncidentState, PublicationId, RunKind, RunOutcome, RunPhase, Transition, TransitionError, VersionId, VersionState,
};

use crate::common::*;

fn incident(lab: &Lab, version: VersionId) -> keyward_core::Incident {
    lab.record.incidents().iter().find(|i| i.version == version).expect("an incident").clone()
}

fn outcome(lab: &Lab) -> Option<RunOutcome> {
    lab.record.history().last().map(|h| h.outcome)
}

#[test]
fn f44_the_primary_of_an_idle_key() {
    let mut lab = Lab::new();
    let leaked = lab.rotate();
    lab.leak(leaked);
    assert_eq!((lab.record.primary(), lab.state(leaked)), (None, VersionState::RevokePending));
    assert_eq!(incident(&lab, leaked).state, IncidentState::Containing);
    let new = lab.promoting(RunKind::Leak);
    assert_eq!(lab.record.run().and_then(|r| r.previous), Some(leaked));
    assert_eq!(lab.refused(&roll_back(900)), TransitionError::NothingToRollBackTo, "never back to a leaked key");
    lab.go(&Transition::Confirm);
    assert_eq!(lab.phase(), Some("retiring"), "no soak");
    assert_eq!(incident(&lab, leaked).replaced_by, Some(new));
    assert_eq!(incident(&lab, leaked).state, IncidentState::Containing, "replaced is not dead");
    lab.wait(TimeDelta::minutes(1)).go(&revoked(leaked, seen()));
    let closed = incident(&lab, leaked);
    assert_eq!((closed.state, closed.revoked_at), (IncidentState::AwaitingReview, Some(lab.now)));
    assert_eq!(outcome(&lab), Some(RunOutcome::Completed));
}

#[test]
fn dead_before_it_is_replaced() {
    let mut lab = Lab::new();
    let leaked = lab.rotate();
    lab.leak(leaked).go(&revoked(leaked, seen()));
    assert_eq!(incident(&lab, leaked).state, IncidentState::Replacing);
    let new = lab.promoting(RunKind::Leak);
    assert_eq!(incident(&lab, leaked).state, IncidentState::Replacing);
    lab.go(&Transition::Confirm);
    assert_eq!(incident(&lab, leaked).state, IncidentState::AwaitingReview);
    assert_eq!((incident(&lab, leaked).replaced_by, lab.phase()), (Some(new), None), "nothing left to retire");
}

/// The old version died between promote and confirm.
#[test]
fn confirm_when_the_previous_version_was_revoked_meanwhile() {
    let mut lab = Lab::new();
    let leaked = lab.rotate();
    lab.leak(leaked);
    let new = lab.promoting(RunKind::Leak);
    lab.go(&revoked(leaked, seen())).go(&Transition::Gone { version: leaked }).go(&Transition::Confirm);
    assert_eq!((lab.phase(), lab.state(new)), (None, VersionState::Primary));
    assert_eq!(outcome(&lab), Some(RunOutcome::Completed));
}

#[test]
fn f45_the_old_version_during_soak_or_scream_test() {
    for suspended in [false, true] {
        let mut lab = Lab::new();
        let old = lab.rotate();
        let new = lab.confirmed(RunKind::Scheduled);
        if suspended {
            lab.days(2).go(&suspend(gate()));
        }
        lab.leak(old);
        assert_eq!(
            (lab.phase(), lab.state(old)),
            (Some("retiring"), VersionState::RevokePending),
            "windows are skipped"
        );
        assert_eq!(lab.state(new), VersionState::Primary, "the new one stays");
        assert_eq!(lab.refused(&roll_back(901)), TransitionError::RollbackWindowPassed);
        lab.go(&revoked(old, seen()));
        assert_eq!(incident(&lab, old).state, IncidentState::AwaitingReview);
    }
}

#[test]
fn f45_rolling_back_onto_the_leaked_version_turns_round() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    lab.go(&roll_back(902));
    lab.leak(old);
    let run = lab.record.run().expect("a run");
    let RunPhase::Promoting { version, publication, expect } = run.phase.clone() else { panic!("{:?}", run.phase) };
    assert_eq!((version, expect, run.kind), (new, None, RunKind::Leak));
    assert_ne!(publication, PublicationId::first(new), "the fence is a fresh publication");
    assert_eq!(lab.record.publication(publication), Some(new));
    assert_eq!(lab.refused(&Transition::RolledBack).to_string().split(' ').next(), Some("rolled-back"));
    lab.go(&Transition::Confirm);
    assert_eq!((lab.phase(), lab.state(new)), (Some("retiring"), VersionState::Primary));
}

#[test]
fn f45_an_abort_that_meets_a_leak_of_the_old_version_turns_round() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.promoting(RunKind::Scheduled);
    lab.go(&roll_back(903));
    lab.leak(old);
    assert_eq!((lab.phase(), lab.state(new)), (Some("promoting"), VersionState::Validated));
    assert_eq!(lab.refused(&roll_back(904)), TransitionError::NothingToRollBackTo);
    lab.go(&Transition::Confirm);
    assert_eq!(lab.state(new), VersionState::Primary);
}

#[test]
fn f46_the_new_version_before_the_pointer_was_in_play() {
    for stop in 0..3 {
        let mut lab = Lab::new();
        let old = lab.rotate();
        let new = lab.begin(RunKind::Scheduled);
        if stop > 0 {
            lab.go(&store(new));
        }
        if stop > 1 {
            lab.prove();
        }
        lab.leak(new);
        assert_eq!(
            (lab.phase(), lab.state(new), lab.state(old)),
            (None, VersionState::RevokePending, VersionState::Primary)
        );
        assert_eq!(outcome(&lab), Some(RunOutcome::Overtaken));
        assert_eq!(incident(&lab, new).replaced_by, Some(old), "a clean version serves all the while");
    }
}

/// The protocol's own counterexample: reported by label while its create is in flight.
#[test]
fn a_version_leaked_before_it_appeared_is_hunted_until_the_horizon() {
    let mut lab = Lab::new();
    lab.rotate();
    let v = lab.begin(RunKind::Scheduled);
    lab.leak(v);
    assert!(matches!(lab.refused(&revoked(v, seen())), TransitionError::MayStillAppear { .. }));
    assert!(matches!(lab.refused(&revoked(v, never_appeared())), TransitionError::MayStillAppear { .. }));
    assert_eq!(incident(&lab, v).state, IncidentState::Containing, "it cannot close");
    lab.wait(TimeDelta::hours(1)).go(&revoked(v, never_appeared()));
    assert_eq!(incident(&lab, v).state, IncidentState::AwaitingReview);
    // It lands after all: the window is open again.
    lab.go(&adopt(v));
    assert_eq!((incident(&lab, v).state, incident(&lab, v).revoked_at), (IncidentState::Containing, None));
    lab.days(1).go(&revoked(v, seen()));
    assert_eq!(incident(&lab, v).revoked_at, Some(lab.now), "the window ends when it was really dead");
}

#[test]
fn f46_the_new_version_while_promoting_or_soaking() {
    for confirmed in [false, true] {
        let mut lab = Lab::new();
        let old = lab.rotate();
        let new = if confirmed { lab.confirmed(RunKind::Scheduled) } else { lab.promoting(RunKind::Scheduled) };
        lab.leak(new);
        assert_eq!(lab.phase(), Some("rolling-back"), "the pointer is fenced with the clean one");
        assert_eq!(lab.state(new), VersionState::RevokePending, "no reader gets it any more");
        // Its revoke need not wait for the fence.
        lab.go(&revoked(new, seen())).go(&Transition::RolledBack);
        assert_eq!((lab.phase(), lab.state(old), lab.state(new)), (None, VersionState::Primary, VersionState::Revoked));
        assert_eq!(outcome(&lab), Some(if confirmed { RunOutcome::RolledBack } else { RunOutcome::Aborted }));
        assert_eq!(incident(&lab, new).state, IncidentState::AwaitingReview);
    }
}

#[test]
fn the_new_version_while_rolling_back_already() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    lab.go(&roll_back(905));
    lab.leak(new);
    assert_eq!((lab.phase(), lab.state(new)), (Some("rolling-back"), VersionState::RevokePending));
    lab.go(&Transition::RolledBack);
    assert_eq!(lab.state(old), VersionState::Primary);
}

/// The old version is switched off: it cannot serve at once, and no later run would give it up.
#[test]
fn the_new_version_during_the_scream_test_leaves_no_orphan() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&suspend(gate()));
    lab.leak(new);
    assert_eq!((lab.phase(), outcome(&lab)), (None, Some(RunOutcome::Overtaken)));
    assert_eq!((lab.state(new), lab.state(old)), (VersionState::RevokePending, VersionState::RevokePending));
    lab.confirmed(RunKind::Leak);
    assert_eq!(lab.record.run().and_then(|r| r.previous), Some(new));
}

#[test]
fn the_new_version_past_the_point_of_no_return() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&retire(gate()));
    lab.leak(new);
    assert_eq!((lab.phase(), outcome(&lab)), (None, Some(RunOutcome::Overtaken)));
    assert_eq!((lab.state(new), lab.state(old)), (VersionState::RevokePending, VersionState::RevokePending));
    lab.go(&revoked(old, seen())).go(&revoked(new, seen()));
    assert_eq!(incident(&lab, new).state, IncidentState::Replacing);
}

#[test]
fn f47_both_versions_in_either_order() {
    for old_first in [false, true] {
        for rolling_back in [false, true] {
            let mut lab = Lab::new();
            let old = lab.rotate();
            let new = lab.confirmed(RunKind::Scheduled);
            if rolling_back {
                lab.go(&roll_back(906));
            }
            let (first, second) = if old_first { (old, new) } else { (new, old) };
            lab.leak(first).leak(second);
            assert_eq!((lab.phase(), lab.record.primary()), (None, None), "no usable key");
            assert_eq!((lab.state(old), lab.state(new)), (VersionState::RevokePending, VersionState::RevokePending));
            assert_eq!(outcome(&lab), Some(RunOutcome::Overtaken));
            let fresh = lab.confirmed(RunKind::Leak);
            lab.go(&revoked(old, seen())).go(&revoked(new, seen()));
            for leaked in [old, new] {
                let incident = incident(&lab, leaked);
                assert_eq!((incident.state, incident.replaced_by), (IncidentState::AwaitingReview, Some(fresh)));
            }
        }
    }
}

#[test]
fn a_replacement_that_leaked_as_well_replaces_nothing() {
    let mut lab = Lab::new();
    let first = lab.rotate();
    lab.leak(first);
    let second = lab.confirmed(RunKind::Leak);
    assert_eq!(incident(&lab, first).replaced_by, Some(second));
    lab.leak(second).go(&revoked(first, seen()));
    assert_eq!((incident(&lab, first).state, incident(&lab, first).replaced_by), (IncidentState::Replacing, None));
    let third = lab.confirmed(RunKind::Leak);
    assert_eq!(
        (incident(&lab, first).state, incident(&lab, first).replaced_by),
        (IncidentState::AwaitingReview, Some(third))
    );
}

#[test]
fn f48_a_repeated_report_only_widens_the_window() {
    let mut lab = Lab::new();
    let leaked = lab.rotate();
    let at = |hours| Some(lab.now - TimeDelta::hours(hours));
    let (early, late) = (at(10), at(2));
    lab.go(&compromise_from(leaked, 907, late));
    let from = |lab: &Lab| lab.record.version(leaked).and_then(|v| v.compromised.clone()).expect("marked").exposed_from;
    assert_eq!(from(&lab), late);
    lab.go(&compromise_from(leaked, 908, early));
    assert_eq!(from(&lab), early);
    lab.go(&compromise_from(leaked, 909, late));
    assert_eq!(from(&lab), early, "it never narrows");
    lab.go(&compromise_from(leaked, 910, None));
    lab.go(&compromise_from(leaked, 911, early));
    assert_eq!(from(&lab), None, "unknown is the widest");
    assert_eq!(lab.record.incidents().len(), 1, "one answer to one leak");
    assert_eq!(lab.record.incidents()[0].id, id(6, 907));
}

#[test]
fn f48_a_report_about_a_dead_version_opens_an_incident_and_nothing_else() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.rotate();
    lab.go(&Transition::Gone { version: old });
    lab.leak(old);
    assert_eq!((lab.state(old), lab.state(new)), (VersionState::Gone, VersionState::Primary));
    let known = incident(&lab, old);
    assert_eq!((known.state, known.replaced_by), (IncidentState::AwaitingReview, Some(new)));
    assert!(known.revoked_at.is_some());
}

#[test]
fn f49_a_report_about_an_unknown_version_is_refused() {
    let mut lab = Lab::new();
    assert_eq!(lab.refused(&compromise(version(912), 912)), TransitionError::NoVersion { version: version(912) });
}

#[test]
fn the_old_version_leaks_before_the_new_one_is_published() {
    for stop in 0..4 {
        let mut lab = Lab::new();
        let old = lab.rotate();
        let new = lab.begin(RunKind::Scheduled);
        if stop > 0 {
            lab.go(&store(new));
        }
        if stop > 1 {
            lab.prove();
        }
        if stop > 2 {
            lab.go(&promote(PublicationId::first(new)));
        }
        let phase = lab.phase();
        lab.leak(old);
        assert_eq!(lab.phase(), phase, "the run goes on");
        assert_eq!(lab.record.run().map(|r| r.kind), Some(RunKind::Leak), "in a hurry");
        assert_eq!(lab.record.primary(), None);
        if stop == 3 {
            assert_eq!(lab.refused(&roll_back(913)), TransitionError::NothingToRollBackTo);
            lab.go(&Transition::Confirm);
            assert_eq!(lab.phase(), Some("retiring"));
        }
    }
}

#[test]
fn a_leak_of_the_old_version_while_it_is_being_retired() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&retire(gate()));
    lab.leak(old);
    assert_eq!(lab.phase(), Some("retiring"));
    lab.go(&revoked(old, seen()));
    assert_eq!((lab.phase(), incident(&lab, old).state), (None, IncidentState::AwaitingReview));
}

/// No replacement is wanted, so none is waited for; the review still is.
#[test]
fn the_incident_of_a_key_that_is_given_up() {
    let mut lab = Lab::new();
    let leaked = lab.rotate();
    lab.leak(leaked).go(&decommission()).go(&revoked(leaked, seen()));
    assert_eq!(
        (incident(&lab, leaked).state, incident(&lab, leaked).replaced_by),
        (IncidentState::AwaitingReview, None)
    );
    lab.go(&Transition::Bury);
    // A second report may still come, and a second version may turn up.
    lab.go(&compromise_from(leaked, 914, Some(lab.now)));
    assert!(lab.record.retired_at().is_some());
    lab.go(&adopt(leaked));
    assert_eq!((lab.record.retired_at(), incident(&lab, leaked).state), (None, IncidentState::Containing));
}

#[test]
fn a_new_run_begins_while_an_unrelated_version_is_still_to_be_revoked() {
    let mut lab = Lab::new();
    let serving = lab.rotate();
    let stray = lab.begin(RunKind::Manual);
    lab.go(&store(stray)).go(&abandon());
    let new = lab.confirmed(RunKind::Scheduled);
    assert_eq!(lab.record.run().and_then(|r| r.previous), Some(serving), "never the stray");
    lab.go(&revoked(stray, seen()));
    assert_eq!(lab.phase(), Some("soaking"), "the stray's death ends no run");
    assert_eq!(lab.state(new), VersionState::Primary);
}
