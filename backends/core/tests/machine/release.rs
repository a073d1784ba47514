//! Taking an adoption back: legal while nothing but the adoption has happened.

use keyward_core::{Edit, KeyRecord, Location, RecordError, RunKind, RunOutcome, Shape, Transition, TransitionError};

use crate::common::*;

fn adopted() -> Lab {
    Lab::of(&draft("production/analytics/warehouse-read").location(Location::aws_secret("legacy/dwh").expect("a name")))
}

fn release() -> Transition {
    Transition::Release { reason: "the wrong secret".parse().expect("a reason") }
}

#[test]
fn an_adoption_is_taken_back_and_made_again() {
    let mut lab = adopted();
    lab.confirmed(RunKind::Adopt);
    assert!(lab.record.primary().is_some() && lab.record.run().is_none());
    lab.go(&release());
    assert!(lab.record.versions().is_empty() && lab.record.publications().is_empty());
    assert_eq!((lab.record.is_retiring(), lab.record.retired_at()), (false, None));
    let stored = KeyRecord::decode(&lab.record.encode().expect("encodes")).expect("a sound record");
    assert_eq!(stored, lab.record);
    lab.go(&release()).confirmed(RunKind::Adopt);
    assert!(lab.record.primary().is_some());
}

#[test]
fn an_adoption_is_taken_back_from_every_phase() {
    for phase in ["plan", "staged", "validated", "promoting"] {
        let mut lab = adopted();
        let version = lab.begin(RunKind::Adopt);
        let moves = [store(version), validate(start()), promote(keyward_core::PublicationId::first(version))];
        for next in moves {
            if lab.phase() != Some(phase) {
                lab.go(&next);
            }
        }
        assert_eq!(lab.phase(), Some(phase));
        lab.go(&release());
        assert!(lab.record.run().is_none() && lab.record.versions().is_empty(), "{phase}");
        let ended = lab.record.history().last().expect("a summary");
        assert_eq!(ended.outcome, RunOutcome::Aborted);
        assert!(ended.evidence.iter().any(|e| e.as_str().contains("the wrong secret")), "{phase}");
    }
}

/// An abort condemns what a run has made. An adopted key was not made by the run.
#[test]
fn an_aborted_adoption_condemns_nothing() {
    for stored in [false, true] {
        let mut lab = adopted();
        let version = lab.begin(RunKind::Adopt);
        if stored {
            lab.go(&store(version));
        }
        lab.go(&abandon());
        assert!(lab.record.run().is_none() && lab.record.versions().is_empty());
        assert_eq!(lab.record.history().last().map(|run| run.outcome), Some(RunOutcome::Aborted));
        lab.confirmed(RunKind::Adopt);
        assert!(lab.record.primary().is_some());
    }
    let mut made = adopted();
    let version = made.begin(RunKind::Manual);
    made.go(&abandon());
    assert_eq!(made.state(version), keyward_core::VersionState::RevokePending);
}

#[test]
fn what_was_used_since_is_not_released() {
    let mut rotated = adopted();
    rotated.confirmed(RunKind::Adopt);
    rotated.rotate();
    let mut running = adopted();
    running.confirmed(RunKind::Adopt);
    running.begin(RunKind::Manual);
    let mut leaked = adopted();
    let version = leaked.confirmed(RunKind::Adopt);
    leaked.leak(version);
    let mut given_up = adopted();
    given_up.confirmed(RunKind::Adopt);
    given_up.go(&decommission());
    for mut lab in [rotated, running, leaked, given_up] {
        let before = lab.record.clone();
        assert_eq!(lab.refused(&release()), TransitionError::UsedSince);
        assert_eq!(lab.record, before);
    }
    let mut derived = Lab::new();
    derived.rotate();
    assert_eq!(derived.refused(&release()), TransitionError::NotAdopted);
}

/// What was said wrong of a key that has nothing yet is said anew; what it has had stays where it is.
#[test]
fn place_and_shape_follow_while_there_is_no_version() {
    let at = |location| draft("production/analytics/warehouse-read").location(location);
    let elsewhere = |name| Edit::Redraft(Box::new(at(Location::aws_secret(name).expect("a name"))));
    let mut lab = adopted();
    lab.go(&Transition::Edit(elsewhere("legacy/second")));
    lab.confirmed(RunKind::Adopt);
    let third = Transition::Edit(elsewhere("legacy/third"));
    assert_eq!(lab.refused(&third), TransitionError::HasVersions);
    lab.go(&release()).go(&third);
    assert_eq!(lab.record.location(), &Location::aws_secret("legacy/third").expect("a name"));
    let no_field = Edit::Redraft(Box::new(at(Location::Derived).shape(Shape::Fields(Vec::new()))));
    assert_eq!(lab.refused(&Transition::Edit(no_field)), TransitionError::Edit(RecordError::Shape));
    let mut other = at(Location::Derived);
    other.id = "production/analytics/another".parse().expect("an id");
    let other = Transition::Edit(Edit::Redraft(Box::new(other)));
    assert_eq!(lab.refused(&other), TransitionError::Edit(RecordError::OtherKey));
    lab.begin(RunKind::Adopt);
    assert!(matches!(lab.refused(&Transition::Edit(elsewhere("legacy/fourth"))), TransitionError::RunActive { .. }));
}
