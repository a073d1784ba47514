//! The arrows T1 to T16, each taken once, and the edits of people.

use chrono::TimeDelta;
use keyward_core::{
    AccessLevel, Death, Edit, Instructions, KeyRecord, Mode, NoteText, Ownership, Passed, PublicationId, RecordError,
    RotationPolicy, RunKind, RunOutcome, RunPhase, Scope, Transition, TransitionError, VersionState,
};

use crate::common::*;

#[test]
fn t1_t2_t4_t6_t7_the_first_version_of_a_key_serves_at_once() {
    let mut lab = Lab::new();
    assert_eq!((lab.record.primary(), lab.record.due_at(), lab.record.expires_at()), (None, None, None));
    let v = lab.begin(RunKind::Provision);
    assert_eq!((lab.phase(), lab.state(v)), (Some("plan"), VersionState::Planned));
    lab.go(&store(v));
    assert_eq!((lab.phase(), lab.state(v)), (Some("staged"), VersionState::Staged));
    lab.prove();
    assert_eq!((lab.phase(), lab.state(v)), (Some("validated"), VersionState::Validated));
    lab.go(&promote(PublicationId::first(v)));
    assert_eq!(lab.phase(), Some("promoting"));
    assert_eq!(lab.record.publication(PublicationId::first(v)), Some(v), "journalled before it is attempted");
    assert_eq!(lab.state(v), VersionState::Validated, "not primary before the pointer was seen to show it");
    lab.go(&Transition::Confirm);
    assert_eq!((lab.phase(), lab.state(v)), (None, VersionState::Primary));
    let summary = lab.record.history().last().expect("a summary");
    assert_eq!((summary.outcome, summary.from, summary.to), (RunOutcome::Completed, None, v));
    assert_eq!(lab.record.due_at(), Some(lab.now + TimeDelta::days(90)));
    assert_eq!(lab.record.expires_at(), Some(lab.now + TimeDelta::days(180)));
}

#[test]
fn t3_a_resumer_plans_afresh_and_never_the_same_version() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Provision);
    let next = version(lab.number());
    assert_eq!(lab.refused(&replan(v, v)), TransitionError::VersionReused { version: v });
    assert_eq!(lab.refused(&replan(next, v)).to_string().split(' ').next(), Some("replan"));
    lab.go(&replan(v, next));
    assert_eq!((lab.state(v), lab.state(next)), (VersionState::RevokePending, VersionState::Planned));
    assert_eq!(lab.record.run().map(|r| r.phase.version()), Some(next));
    assert!(matches!(lab.refused(&store(v)), TransitionError::WrongPhase { .. }), "the late create is not stored");
}

#[test]
fn what_serves_is_published_again_in_a_run_of_its_own() {
    let mut lab = Lab::new();
    assert_eq!(lab.refused(&republish(id(2, 940), id(5, 940))), TransitionError::NothingServes);
    let serving = lab.rotate();
    let since = lab.record.version(serving).expect("known").entered_at;
    lab.days(5).go(&republish(id(2, 941), id(5, 941)));
    assert_eq!((lab.phase(), lab.record.publication(id(5, 941))), (Some("promoting"), Some(serving)));
    assert_eq!(lab.refused(&roll_back(942)), TransitionError::NothingToRollBackTo);
    lab.go(&Transition::Confirm);
    let version = lab.record.version(serving).expect("known");
    assert_eq!((lab.phase(), version.state, version.entered_at), (None, VersionState::Primary, since));
    let summary = lab.record.history().last().expect("a summary");
    assert_eq!((summary.kind, summary.outcome), (RunKind::Repair, RunOutcome::Completed));
    assert_eq!(summary.reason.as_str(), "readers are shown something else");
    // Given up half-way it gives nothing up.
    lab.go(&republish(id(2, 943), id(5, 943))).go(&abandon());
    assert_eq!((lab.phase(), lab.state(serving)), (None, VersionState::Primary));
}

#[test]
fn f17_what_another_writer_put_there_is_replaced_by_a_persons_word_in_every_phase_that_publishes() {
    let mut lab = Lab::new();
    lab.rotate();
    let new = lab.promoting(RunKind::Scheduled);
    lab.go(&overwrite(950));
    let phase = |lab: &Lab| lab.record.run().expect("a run").phase.clone();
    let seen = Some(keyward_core::PointerToken::new("9"));
    let first = PublicationId::first(new);
    assert_eq!(phase(&lab), RunPhase::Promoting { version: new, publication: first, expect: seen.clone() });
    assert_eq!(lab.record.publication(id(5, 950)), None, "the run's own publication is still to be made");
    assert!(lab.record.run().expect("a run").evidence.contains(&evidence("ada: it is an old copy")));

    lab.go(&Transition::Confirm).go(&overwrite(951));
    assert_eq!(phase(&lab), RunPhase::Promoting { version: new, publication: id(5, 951), expect: seen.clone() });
    lab.go(&Transition::Confirm);
    assert_eq!(lab.phase(), Some("soaking"));

    let mut back = lab.clone();
    back.go(&roll_back(952)).go(&overwrite(953));
    assert!(matches!(phase(&back), RunPhase::RollingBack { over, .. } if over == seen));
    back.go(&Transition::RolledBack);

    lab.days(2).go(&retire(gate())).go(&overwrite(954)).go(&Transition::Confirm);
    assert_eq!(lab.phase(), Some("retiring"), "past the point of no return it stays");
}

#[test]
fn f40_a_published_version_an_old_copy_of_the_record_does_not_know_is_proven_again() {
    let mut lab = Lab::new();
    let known = lab.rotate();
    let newer = version(990);
    assert_eq!(
        lab.refused(&recall(id(2, 944), known)),
        TransitionError::VersionReused { version: known },
        "only what the record does not know"
    );
    lab.go(&recall(id(2, 944), newer));
    assert_eq!((lab.phase(), lab.state(newer)), (Some("staged"), VersionState::Staged));
    assert!(lab.record.version(newer).expect("known").was_created(), "absent is not dead for it");
    // Not proven: it leaves the record again and is not revoked, for readers are shown it.
    let mut refused = lab.clone();
    refused.go(&abandon());
    assert!(refused.record.version(newer).is_none());
    lab.prove().go(&promote(PublicationId::first(newer))).go(&Transition::Confirm);
    assert_eq!(
        (lab.phase(), lab.state(newer), lab.state(known)),
        (Some("soaking"), VersionState::Primary, VersionState::Overlap)
    );
}

#[test]
fn i9_what_was_made_under_a_lease_that_was_taken_over_is_not_stored() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Provision);
    let first = lab.record.run().expect("a run").lease();
    let next = version(lab.number());
    lab.go(&replan(v, next));
    let run = lab.record.run().expect("a run");
    assert_eq!((run.fence, run.lease()), (1, first.taken_over()));
    // Made from the newest record, about the newest version: only the fence tells.
    let late = change(lab.number(), lab.now).under(first);
    let fenced = TransitionError::Fenced { held: 0, current: 1 };
    assert_eq!(lab.record.apply(&store(next), &late), Err(fenced));
    let current = change(lab.number(), lab.now).under(first.taken_over());
    assert!(lab.record.apply(&store(next), &current).is_ok());
}

#[test]
fn t3_t5_a_run_is_given_up_before_the_pointer_was_in_play() {
    for stop in 0..3 {
        let mut lab = Lab::new();
        let v = lab.begin(RunKind::Manual);
        if stop > 0 {
            lab.go(&store(v));
        }
        if stop > 1 {
            lab.prove();
        }
        lab.go(&abandon());
        assert_eq!((lab.phase(), lab.state(v)), (None, VersionState::RevokePending));
        assert_eq!(lab.record.history().last().map(|h| h.outcome), Some(RunOutcome::Aborted));
    }
}

#[test]
fn t8_an_abort_while_promoting_fences_the_pointer_first() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.promoting(RunKind::Scheduled);
    assert!(matches!(lab.refused(&abandon()), TransitionError::WrongPhase { .. }), "never a plain abort");
    let fence = lab.number();
    lab.go(&roll_back(fence));
    assert_eq!(lab.record.publication(id(5, fence)), Some(old), "the fence is journalled");
    assert_eq!(lab.state(new), VersionState::Validated, "nothing is revoked before the fence is seen");
    lab.go(&Transition::RolledBack);
    assert_eq!((lab.state(old), lab.state(new)), (VersionState::Primary, VersionState::RevokePending));
    assert_eq!(lab.record.history().last().map(|h| h.outcome), Some(RunOutcome::Aborted));
}

#[test]
fn t9_t10_the_old_version_comes_back_under_a_fresh_publication() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    assert_eq!(
        (lab.phase(), lab.state(old), lab.state(new)),
        (Some("soaking"), VersionState::Overlap, VersionState::Primary)
    );
    let reused = Transition::RollBack { publication: PublicationId::first(old), evidence: evidence("errors") };
    assert_eq!(lab.refused(&reused), TransitionError::PublicationReused, "moving the label back is an ABA");
    let fresh = lab.number();
    lab.go(&roll_back(fresh));
    assert_eq!(lab.state(new), VersionState::Primary, "readers keep it until the pointer has moved");
    lab.go(&Transition::RolledBack);
    assert_eq!((lab.state(old), lab.state(new)), (VersionState::Primary, VersionState::RevokePending));
    let summary = lab.record.history().last().expect("a summary");
    assert_eq!((summary.outcome, summary.from, summary.to), (RunOutcome::RolledBack, Some(old), new));
    assert!(summary.evidence.contains(&evidence("errors rose")));
}

/// On a store where a version's own id names its first write, that id never names a later one.
#[test]
fn the_own_id_of_a_version_is_for_its_first_publication_only() {
    let mut lab = Lab::new();
    let old = lab.prepare(RunKind::Provision);
    lab.go(&promote(id(5, 920))).go(&Transition::Confirm);
    lab.confirmed(RunKind::Scheduled);
    let own = Transition::RollBack { publication: PublicationId::first(old), evidence: evidence("errors") };
    assert_eq!(lab.refused(&own), TransitionError::PublicationReused);
}

#[test]
fn t11_the_scream_test_can_be_undone() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    assert!(matches!(lab.refused(&suspend(gate())), TransitionError::TooEarly { .. }));
    lab.days(2);
    assert!(matches!(lab.refused(&suspend(Passed::NotNeeded)), TransitionError::WrongPhase { .. }));
    lab.go(&suspend(gate()));
    assert_eq!((lab.phase(), lab.state(old)), (Some("suspended"), VersionState::Suspended));
    assert!(matches!(lab.refused(&roll_back(900)), TransitionError::WrongPhase { .. }), "switch it on first");
    lab.go(&reactivate());
    assert_eq!((lab.phase(), lab.state(old)), (Some("soaking"), VersionState::Overlap));
    assert!(matches!(lab.refused(&suspend(gate())), TransitionError::TooEarly { .. }), "it is watched anew");
    let why = evidence("somebody still needs it");
    assert!(lab.record.run().expect("a run").evidence.contains(&why), "the history says why");
    lab.go(&roll_back(903)).go(&Transition::RolledBack);
    assert_eq!(lab.state(old), VersionState::Primary);
}

#[test]
fn t11_t12_the_old_version_is_revoked_once_it_was_seen_off_for_the_whole_window() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&suspend(gate())).days(2);
    assert_eq!(lab.refused(&retire(gate())), TransitionError::NotSwitchedOff, "a decision is not an observation");
    lab.go(&switched_off());
    let until = lab.now + TimeDelta::days(1);
    lab.wait(TimeDelta::hours(5)).go(&switched_off());
    for passed in [gate(), by_hand()] {
        assert_eq!(lab.refused(&retire(passed)), TransitionError::TooEarly { until }, "the first time counts");
    }
    lab.wait(TimeDelta::hours(19)).go(&retire(gate()));
    assert_eq!((lab.phase(), lab.state(old)), (Some("retiring"), VersionState::RevokePending));
}

#[test]
fn t11_a_person_may_say_that_the_old_version_is_off() {
    let mut lab = Lab::new();
    lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&suspend(by_hand()));
    assert!(matches!(lab.refused(&retire(by_hand())), TransitionError::TooEarly { .. }));
    lab.days(1).go(&retire(by_hand()));
}

#[test]
fn t11_the_window_is_what_the_policy_says_and_the_interval_leaves() {
    use std::time::Duration;
    let hours = |n: u64| Duration::from_secs(n * 3_600);
    let policy = RotationPolicy::default();
    assert_eq!((policy.suspend, policy.suspend_window()), (hours(24), hours(24)));
    assert_eq!(policy.clone().with_suspend(Duration::ZERO).suspend_window(), Duration::ZERO);
    let short = policy.clone().with_interval(hours(4)).with_windows(hours(1), hours(3), hours(3));
    assert_eq!(short.suspend_window(), hours(1));
    assert!(policy.with_suspend(hours(24 * 4_000)).check().is_err());
    let mut lab = Lab::new();
    lab.go(&Transition::Edit(Edit::Policy(RotationPolicy::default().with_suspend(Duration::ZERO))));
    lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    lab.days(2).go(&suspend(gate())).go(&retire(gate()));
}

#[test]
fn f36_an_old_version_that_cannot_come_back_is_fenced_by_the_new_one() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    lab.go(&roll_back(904)).days(1).go(&turn_round(905));
    let Some(RunPhase::Promoting { version, publication, expect }) = lab.record.run().map(|r| r.phase.clone()) else {
        panic!("{:?}", lab.phase());
    };
    assert_eq!((version, publication, expect), (new, id(5, 905), None));
    assert_eq!(lab.record.publication(publication), Some(new), "the fence is journalled");
    lab.go(&Transition::Confirm);
    assert_eq!(
        (lab.phase(), lab.state(old), lab.state(new)),
        (Some("soaking"), VersionState::Overlap, VersionState::Primary)
    );
    assert!(matches!(lab.refused(&retire(gate())), TransitionError::TooEarly { .. }), "watched anew");
}

#[test]
fn f36_where_the_new_version_leaked_there_is_nothing_to_stay_on() {
    for confirmed in [false, true] {
        let mut lab = Lab::new();
        let old = lab.rotate();
        let new = if confirmed { lab.confirmed(RunKind::Scheduled) } else { lab.promoting(RunKind::Scheduled) };
        lab.leak(new).go(&turn_round(906));
        assert_eq!((lab.phase(), lab.state(new)), (None, VersionState::RevokePending));
        assert_eq!(lab.record.history().last().map(|h| h.outcome), Some(RunOutcome::Overtaken));
        // What served all the while goes on; what was switched over from no run would give up.
        let expected = if confirmed { VersionState::RevokePending } else { VersionState::Primary };
        assert_eq!(lab.state(old), expected);
    }
}

#[test]
fn t12_t13_t14_the_old_version_is_revoked_after_both_windows() {
    let mut lab = Lab::new();
    let old = lab.rotate();
    let new = lab.confirmed(RunKind::Scheduled);
    let until = lab.now + TimeDelta::days(2);
    assert_eq!(lab.refused(&retire(gate())), TransitionError::TooEarly { until });
    lab.wait(TimeDelta::days(2) - TimeDelta::nanoseconds(1));
    assert_eq!(lab.refused(&retire(gate())), TransitionError::TooEarly { until });
    lab.wait(TimeDelta::nanoseconds(1));
    assert!(matches!(lab.refused(&retire(Passed::NotNeeded)), TransitionError::WrongPhase { .. }));
    lab.go(&retire(gate()));
    assert_eq!(lab.phase(), Some("retiring"));
    assert_eq!(lab.refused(&roll_back(901)), TransitionError::RollbackWindowPassed);
    assert_eq!(lab.refused(&abandon()), TransitionError::RollbackWindowPassed);
    lab.go(&revoked(old, seen()));
    assert_eq!((lab.phase(), lab.state(old), lab.state(new)), (None, VersionState::Revoked, VersionState::Primary));
    assert_eq!(lab.record.history().last().map(|h| h.outcome), Some(RunOutcome::Completed));
    lab.go(&Transition::Gone { version: old });
    let tombstone = lab.record.version(old).expect("a tombstone");
    assert_eq!((tombstone.state, tombstone.issuer_state.as_ref()), (VersionState::Gone, None));
    assert!(tombstone.death.is_some() && tombstone.fingerprint.is_some());
}

#[test]
fn a_clock_that_runs_backwards_only_delays() {
    let mut lab = Lab::new();
    lab.rotate();
    lab.confirmed(RunKind::Scheduled);
    lab.days(-30);
    assert!(matches!(lab.refused(&retire(gate())), TransitionError::TooEarly { .. }));
    lab.days(32).go(&retire(gate()));
}

#[test]
fn an_operator_may_override_a_gate_but_not_a_window() {
    let by_hand = || Passed::Operator {
        by: "grace".parse().expect("an actor"),
        reason: "the traffic is too low for a gate".parse().expect("a reason"),
    };
    let mut lab = Lab::new();
    lab.rotate();
    lab.confirmed(RunKind::Manual);
    assert!(matches!(lab.refused(&retire(by_hand())), TransitionError::TooEarly { .. }));
    lab.days(2).go(&retire(by_hand()));
    let evidence = &lab.record.run().expect("a run").evidence;
    assert_eq!(evidence.last().map(|e| e.as_str()), Some("override by grace: the traffic is too low for a gate"));
}

/// A careless kind must not be a way round the windows.
#[test]
fn no_kind_but_leak_skips_the_soak_of_a_serving_version() {
    for kind in [RunKind::Provision, RunKind::Import, RunKind::Manual, RunKind::Scheduled] {
        let mut lab = Lab::new();
        lab.rotate();
        lab.confirmed(kind);
        assert_eq!(lab.phase(), Some("soaking"), "{kind}");
        assert!(lab.attempt(&retire(Passed::NotNeeded)).is_err(), "{kind}");
        assert!(matches!(lab.refused(&retire(gate())), TransitionError::TooEarly { .. }), "{kind}");
    }
    let mut lab = Lab::new();
    let old = lab.rotate();
    lab.confirmed(RunKind::Leak);
    assert_eq!((lab.phase(), lab.state(old)), (Some("retiring"), VersionState::RevokePending));
}

#[test]
fn t13_absent_at_the_issuer_is_not_dead() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    lab.go(&abandon());
    let until = lab.now + TimeDelta::hours(1);
    let wait = TransitionError::MayStillAppear { version: v, until };
    assert_eq!(lab.refused(&revoked(v, seen())), wait, "nobody has ever seen it");
    assert_eq!(lab.refused(&revoked(v, never_appeared())), wait, "its create may still land");
    lab.wait(TimeDelta::hours(1));
    assert_eq!(lab.refused(&revoked(v, seen())), wait);
    lab.go(&revoked(v, never_appeared()));
    assert!(matches!(lab.refused(&revoked(v, attested())), TransitionError::WrongState { .. }), "once");
}

#[test]
fn t13_a_version_that_was_made_is_not_dead_because_it_is_absent() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    lab.go(&store(v)).go(&abandon()).days(400);
    let made = TransitionError::WasCreated { version: v };
    assert_eq!(lab.refused(&revoked(v, never_created())), made);
    assert_eq!(lab.refused(&revoked(v, never_appeared())), made);
    lab.go(&revoked(v, seen()));

    // Seen by the sweeper is made as well.
    let v = lab.begin(RunKind::Manual);
    lab.go(&abandon()).go(&adopt(v)).days(400);
    assert_eq!(lab.refused(&revoked(v, never_appeared())), TransitionError::WasCreated { version: v });
    lab.go(&revoked(v, seen()));
}

#[test]
fn t13_a_stored_key_without_a_name_at_the_issuer_dies_by_a_refused_probe() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Import);
    let unnamed =
        Transition::Store { version: v, issuer_ref: None, issuer_state: None, fingerprint: None, expires_at: None };
    lab.go(&unnamed).go(&abandon()).go(&revoked(v, seen()));
    assert_eq!(lab.state(v), VersionState::Revoked);
}

#[test]
fn t13_a_person_or_the_issuer_may_know() {
    for (death, says) in [(never_created(), "the issuer refused"), (attested(), "attested by ada: seen at the console")]
    {
        let mut lab = Lab::new();
        let v = lab.begin(RunKind::Manual);
        lab.go(&abandon()).go(&revoked(v, death));
        let version = lab.record.version(v).expect("known");
        assert_eq!(version.death.as_ref().map(|e| e.as_str()), Some(says));
    }
}

#[test]
fn t16_an_orphan_is_adopted_only_to_be_revoked() {
    let mut lab = Lab::new();
    lab.rotate();
    let orphan = version(777);
    lab.go(&adopt(orphan));
    let found = lab.record.version(orphan).expect("known");
    assert_eq!((found.state, found.run), (VersionState::RevokePending, None));
    assert!(matches!(lab.refused(&adopt(orphan)), TransitionError::WrongState { .. }));
    assert_eq!(
        lab.refused(&begin(id(2, 950), RunKind::Manual, orphan)),
        TransitionError::VersionReused { version: orphan }
    );
    lab.go(&revoked(orphan, seen()));
}

#[test]
fn t16_a_version_thought_dead_that_works_is_hunted_again() {
    for death in [never_created(), attested()] {
        let mut lab = Lab::new();
        let v = lab.begin(RunKind::Manual);
        lab.go(&abandon()).go(&revoked(v, death)).go(&Transition::Gone { version: v }).go(&adopt(v));
        let version = lab.record.version(v).expect("known");
        assert_eq!((version.state, version.death.as_ref()), (VersionState::RevokePending, None));
    }
    // Also one with a reference, which somebody swore was dead.
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    lab.go(&store(v)).go(&abandon()).go(&revoked(v, attested())).go(&adopt(v));
    assert_eq!(lab.state(v), VersionState::RevokePending);
}

/// The sweeper saw the key while its create was still under way: the reference is not lost.
#[test]
fn a_reference_seen_early_survives_the_store() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    lab.go(&adopt(v));
    assert_eq!(lab.state(v), VersionState::Planned);
    lab.go(&Transition::Store {
        version: v,
        issuer_ref: None,
        issuer_state: None,
        fingerprint: None,
        expires_at: None,
    });
    let reference = lab.record.version(v).and_then(|v| v.issuer_ref.as_ref()).map(|r| r.as_str());
    assert_eq!(reference, Some("acme:found"));
}

#[test]
fn the_earlier_end_of_life_counts() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    let soon = lab.now + TimeDelta::days(5);
    let Transition::Store { issuer_ref, .. } = store(v) else { unreachable!() };
    lab.go(&Transition::Store {
        version: v,
        issuer_ref,
        issuer_state: None,
        fingerprint: None,
        expires_at: Some(soon),
    });
    let stored = lab.record.version(v).expect("known");
    assert_eq!(stored.expires_at, Some(soon));
    assert!(!stored.is_expired(soon - TimeDelta::seconds(1)) && stored.is_expired(soon));
}

#[test]
fn a_person_is_asked_and_the_run_waits_in_plan() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Provision);
    let instructions: Instructions = "make a restricted key at acme and hand it in".parse().expect("instructions");
    lab.go(&Transition::Ask { version: v, instructions: instructions.clone() });
    assert!(
        matches!(&lab.record.run().expect("a run").phase, RunPhase::Plan { asked: Some(text), .. } if *text == instructions)
    );
    lab.go(&store(v));
    assert_eq!(lab.phase(), Some("staged"));
}

#[test]
fn at_most_eight_versions_may_work() {
    let mut lab = Lab::new();
    for _ in 0..KeyRecord::MAX_WORKING {
        lab.begin(RunKind::Manual);
        lab.go(&abandon());
    }
    let full = TransitionError::TooManyWorking { found: KeyRecord::MAX_WORKING };
    assert_eq!(lab.refused(&begin(id(2, 960), RunKind::Manual, version(960))), full);
}

#[test]
fn evidence_is_bounded_and_not_repeated() {
    let mut lab = Lab::new();
    lab.begin(RunKind::Manual);
    for n in 0..20 {
        let seen = Transition::Observe { evidence: evidence(&format!("request {n}")) };
        lab.go(&seen).go(&seen);
    }
    let evidence = &lab.record.run().expect("a run").evidence;
    assert_eq!(evidence.len(), 8);
    assert_eq!(evidence.last().map(|e| e.as_str()), Some("request 19"));
}

#[test]
fn a_run_id_is_never_used_twice() {
    let mut lab = Lab::new();
    let run = id(2, 970);
    lab.go(&begin(run, RunKind::Manual, version(971))).go(&abandon());
    assert_eq!(lab.refused(&begin(run, RunKind::Manual, version(972))), TransitionError::RunReused { run });
}

#[test]
fn a_key_is_given_up_and_becomes_a_tombstone() {
    let mut lab = Lab::new();
    let serving = lab.rotate();
    assert_eq!(lab.refused(&Transition::Bury), TransitionError::StillWorking { version: serving });
    lab.begin(RunKind::Manual);
    assert!(matches!(lab.refused(&decommission()), TransitionError::RunActive { .. }));
    lab.go(&abandon()).go(&decommission());
    assert!(lab.record.is_retiring() && lab.record.primary().is_none());
    assert_eq!(lab.refused(&begin(id(2, 980), RunKind::Manual, version(980))), TransitionError::Retired);
    let pending: Vec<_> = lab.record.versions().iter().map(|v| (v.id, v.was_created())).collect();
    for (v, created) in pending {
        lab.go(&revoked(v, if created { seen() } else { never_created() }));
    }
    lab.go(&Transition::Bury);
    assert_eq!(lab.record.retired_at(), Some(lab.now));
    let note = Transition::Edit(Edit::Note("too late".parse().expect("a note")));
    assert_eq!(lab.refused(&note), TransitionError::Retired);
    lab.go(&Transition::Gone { version: serving });
    assert!(lab.record.retired_at().is_some());
}

/// F4 does not end with the key: what lands after the funeral is hunted as well.
#[test]
fn a_tombstone_wakes_when_a_version_works_after_all() {
    let mut lab = Lab::new();
    lab.go(&decommission()).go(&Transition::Bury);
    let late = version(990);
    lab.go(&adopt(late));
    assert_eq!((lab.record.retired_at(), lab.record.is_retiring()), (None, true));
    assert_eq!(lab.refused(&Transition::Bury), TransitionError::StillWorking { version: late });
    assert_eq!(lab.refused(&begin(id(2, 991), RunKind::Manual, version(991))), TransitionError::Retired);
    lab.go(&revoked(late, seen())).go(&Transition::Bury);
    assert!(lab.record.retired_at().is_some());
}

#[test]
fn people_edit_during_a_run_but_not_the_scope() {
    let mut lab = Lab::new();
    lab.begin(RunKind::Manual);
    let owners = Ownership::new("billing", "ada@example.com", "lin@example.com", "#billing").expect("owners");
    lab.go(&Transition::Edit(Edit::Ownership(owners.clone())));
    lab.go(&Transition::Edit(Edit::Policy(RotationPolicy::default())));
    lab.go(&Transition::Edit(Edit::Labels(
        [("project".parse().expect("a name"), "atlas".parse().expect("a value"))].into(),
    )));
    lab.go(&Transition::Edit(Edit::Links(Vec::new())));
    assert_eq!(lab.record.ownership(), &owners);
    let scope = Edit::Scope { scope: Scope::new(AccessLevel::ReadOnly), approval: None };
    assert!(matches!(lab.refused(&Transition::Edit(scope)), TransitionError::RunActive { .. }));
    assert_eq!(lab.phase(), Some("plan"));
}

#[test]
fn a_wider_scope_needs_an_approval_that_stays_on_record() {
    let mut lab = Lab::new();
    let mut wide = lab.record.scope().clone();
    for n in 0..30 {
        wide = wide.service(&format!("a-service-with-a-long-name-{n}")).expect("a service");
    }
    let edit = |approval: Option<&str>| {
        let approval = approval.map(|text| text.parse().expect("a reason"));
        Transition::Edit(Edit::Scope { scope: wide.clone(), approval })
    };
    assert_eq!(lab.refused(&edit(None)), TransitionError::ScopeWidening);
    lab.go(&edit(Some("the review board agreed on 3 May")));
    let note = lab.record.notes().last().expect("a note").text.as_str();
    assert!(note.contains("the review board agreed on 3 May"), "a long list must not push the approval out: {note}");
    // Narrowing needs none.
    let narrow = Edit::Scope { scope: Scope::new(AccessLevel::ReadOnly), approval: None };
    lab.go(&Transition::Edit(narrow));
    let live = Edit::Scope { scope: Scope::new(AccessLevel::ReadOnly).mode(Mode::Live), approval: None };
    assert_eq!(lab.refused(&Transition::Edit(live)), TransitionError::ScopeWidening);
}

#[test]
fn edits_keep_the_rules_of_records() {
    let mut lab = Lab::new();
    let policy = RotationPolicy::default().with_interval(std::time::Duration::from_secs(1));
    assert!(matches!(
        lab.refused(&Transition::Edit(Edit::Policy(policy))),
        TransitionError::Edit(RecordError::Policy(_))
    ));
    let labels = (0..17).map(|n| (format!("l{n}").parse().expect("a name"), "x".parse().expect("a value"))).collect();
    assert!(matches!(
        lab.refused(&Transition::Edit(Edit::Labels(labels))),
        TransitionError::Edit(RecordError::TooMany { what: "labels", found: 17, max: 16 })
    ));
    for n in 0..20 {
        let text: NoteText = format!("remark {n}").parse().expect("a note");
        lab.go(&Transition::Edit(Edit::Note(text)));
    }
    assert_eq!(lab.record.notes().len(), 16);
    assert_eq!(lab.record.notes()[0].text.as_str(), "remark 4", "the oldest give way");
}

#[test]
fn a_key_and_a_page_are_told_apart() {
    let page = draft("production/analytics/warehouse-read.h1");
    assert_eq!(page.check(), Err(RecordError::IsPage));
    assert!(KeyRecord::register(&page, &change(1, start())).is_err());
}

#[test]
fn the_ring_of_operations_remembers_the_last_eight() {
    let mut lab = Lab::new();
    let first = lab.record.operation().expect("an operation");
    for n in 0..7 {
        lab.go(&Transition::Edit(Edit::Note(format!("n{n}").parse().expect("a note"))));
        assert!(lab.record.remembers(first));
    }
    lab.go(&Transition::Edit(Edit::Note("last".parse().expect("a note"))));
    assert!(!lab.record.remembers(first));
    assert_eq!(lab.record.operations().len(), 8);
    assert_eq!(lab.record.operations().last().map(|o| o.verb.as_str()), Some("annotate"));
}

#[test]
fn death_words_are_kept_whole_enough() {
    let mut lab = Lab::new();
    let v = lab.begin(RunKind::Manual);
    let long = "x".repeat(256);
    let death = Death::Attested { by: "y".repeat(128).parse().expect("an actor"), evidence: evidence(&long) };
    lab.go(&abandon()).go(&revoked(v, death));
    let words = lab.record.version(v).and_then(|v| v.death.as_ref()).map(|e| e.as_str().len());
    assert_eq!(words, Some(256));
}
