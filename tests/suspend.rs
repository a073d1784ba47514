//! T11: the old key is switched off for a while before it is revoked, and comes back when somebody
//! still needs it.

mod support;
#[path = "suspend/world.rs"]
mod world;

use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{Clock, RotationPolicy, RunOutcome, SecretBackend, Shows, TransitionError, VersionState};
use keyward::leak::{LeakReport, LeakResponse, Leaked};
use keyward::rotation::{NeedsOperator, RotationError, Step};
use support::{CHARGES, FAILING, HEALTHY, SILENT, cx, finish, key, until};
use world::World;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_old_key_is_switched_off_watched_and_only_then_revoked() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let published = world.clock.now();
        until(&mut run, &world.clock, |step| matches!(step, Step::Suspending { .. })).await;
        assert!(world.clock.now() - published >= chrono::TimeDelta::hours(48), "soak and overlap come first");
        assert!(world.accepts(old).await, "a decision switches nothing off");

        until(&mut run, &world.clock, |step| matches!(step, Step::SwitchedOff { .. })).await;
        let off = world.clock.now();
        assert!(!world.accepts(old).await && world.state(old).await == VersionState::Suspended);
        until(&mut run, &world.clock, |step| matches!(step, Step::Retiring { .. })).await;
        assert!(world.clock.now() - off >= chrono::TimeDelta::hours(24), "the whole window was watched");

        let report = finish(&mut run, &world.clock).await.expect("rotate");
        assert_eq!((report.outcome, world.state(old).await), (RunOutcome::Completed, VersionState::Revoked));
        let said = report.evidence.join("\n");
        assert!(said.contains("old key switched off: the issuer says so"), "{said}");
    });
}

#[test]
fn it_counts_as_switched_off_only_once_the_issuer_was_seen_to_have_done_it() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Suspending { .. })).await;
        world.issuer.deaf_to_off(true);
        for _ in 0..30 {
            let step = run.step().await.expect("a step");
            let Step::Wait { at_most, .. } = step else { panic!("{step}") };
            world.clock.advance(at_most);
        }
        world.issuer.deaf_to_off(false);
        assert!(matches!(run.step().await.expect("a step"), Step::SwitchedOff { version } if version == old));
    });
}

#[test]
fn no_window_no_switching_off() {
    block_on(async {
        let world = World::with_a_key().await;
        world.edit_policy(RotationPolicy::default().with_suspend(Duration::ZERO)).await;
        let rotator = world.rotator();
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| {
            assert!(!matches!(step, Step::Suspending { .. }), "{step}");
            matches!(step, Step::Finished(_))
        })
        .await;
    });
}

#[test]
fn f36_a_gate_that_fails_while_the_old_key_is_off_brings_it_back_alive() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = world.suspended(&rotator).await;
        world.health.set(FAILING);
        until(&mut run, &world.clock, |step| matches!(step, Step::Reactivated { .. })).await;
        assert!(world.accepts(old).await && world.state(old).await == VersionState::Overlap);
        until(&mut run, &world.clock, |step| matches!(step, Step::RolledBack { .. })).await;
        assert!(world.accepts(old).await && world.shown().await == old);
        let report = finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!(report.outcome, RunOutcome::RolledBack);
        assert!(report.evidence.iter().any(|e| e.contains("switched on again")), "{:?}", report.evidence);
    });
}

#[test]
fn f36_where_it_does_not_come_back_the_new_key_stays_and_a_person_is_told() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = world.suspended(&rotator).await;
        let new = world.primary().await;
        world.issuer.deaf_to_on(true);
        world.health.set(FAILING);
        let stuck = finish(&mut run, &world.clock).await.expect_err("it cannot");
        let told = matches!(stuck, RotationError::NeedsOperator(NeedsOperator::CannotComeBack { version, .. }) if version == old);
        assert!(told, "{stuck}");
        for refused in [
            rotator.rollback(&key(CHARGES), "errors").await,
            rotator.abort(&key(CHARGES), "errors").await,
            rotator.reactivate(&key(CHARGES), "errors").await,
        ] {
            let refused = refused.expect_err("it is still off");
            assert!(matches!(refused, RotationError::CannotComeBack { version, .. } if version == old), "{refused}");
        }
        assert_eq!((world.shown().await, world.primary().await), (new, new), "a dead key is never published");
    });
}

#[test]
fn a_person_who_still_needs_the_old_key_gets_it_back_and_a_new_watch() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = world.suspended(&rotator).await;
        rotator.reactivate(&key(CHARGES), "the night batch still uses it").await.expect("on again");
        assert!(world.accepts(old).await);
        let evidence = world.record().await.run().expect("a run").evidence.clone();
        let why = evidence.last().expect("evidence").as_str();
        assert!(why.contains("by rotator") && why.contains("the night batch still uses it"), "{why}");
        let again = world.clock.now();
        until(&mut run, &world.clock, |step| matches!(step, Step::Suspending { .. })).await;
        assert!(world.clock.now() - again >= chrono::TimeDelta::hours(48), "it is watched anew");
        let refused = rotator.reactivate(&key("production/payments/none"), "no such key").await;
        assert!(refused.is_err());
        finish(&mut run, &world.clock).await.expect("finish");
        let refused = rotator.reactivate(&key(CHARGES), "too late").await.expect_err("no run");
        assert!(matches!(refused, RotationError::Refused(TransitionError::NoRun)), "{refused}");
    });
}

#[test]
fn a_run_is_given_up_while_the_old_key_is_off() {
    for abort in [false, true] {
        block_on(async {
            let world = World::with_a_key().await;
            let (rotator, old) = (world.rotator(), world.primary().await);
            let mut run = world.suspended(&rotator).await;
            match abort {
                true => rotator.abort(&key(CHARGES), "not today").await.expect("abort"),
                false => rotator.rollback(&key(CHARGES), "not today").await.expect("roll back"),
            }
            let report = finish(&mut run, &world.clock).await.expect("finish");
            assert_eq!((report.outcome, world.shown().await), (RunOutcome::RolledBack, old));
            assert!(world.accepts(old).await);
        });
    }
}

#[test]
fn who_switches_the_old_key_on_at_the_issuer_has_a_reason() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = world.suspended(&rotator).await;
        world.switch(old, true).await;
        let step = run.step().await.expect("a step");
        assert!(matches!(&step, Step::Reactivated { evidence, .. } if evidence.contains("at the issuer")), "{step}");
        assert!(world.accepts(old).await, "it is not switched off under their hands");
    });
}

#[test]
fn what_a_sleeper_switches_off_late_is_switched_on_again() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        drop(world.suspended(&rotator).await);
        rotator.reactivate(&key(CHARGES), "still needed").await.expect("on again");
        world.switch(old, false).await;
        let mut run = rotator.resume(&key(CHARGES), "go on").await.expect("resume");
        assert!(matches!(run.step().await.expect("a step"), Step::Wait { .. }));
        assert!(world.accepts(old).await);
        // And once it comes back for good it is seen on before it is published.
        rotator.rollback(&key(CHARGES), "errors").await.expect("roll back");
        world.switch(old, false).await;
        finish(&mut run, &world.clock).await.expect("finish");
        assert!(world.accepts(old).await && world.shown().await == old);
    });
}

#[test]
fn a_process_that_slept_over_its_decision_looks_again_before_it_switches_off() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut sleeper = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut sleeper, &world.clock, |step| matches!(step, Step::Suspending { .. })).await;
        world.rotator().reactivate(&key(CHARGES), "still needed").await.expect("on again");
        let step = sleeper.step().await.expect("a step");
        assert!(matches!(step, Step::Overtaken), "{step}");
        assert!(world.accepts(old).await);
    });
}

#[test]
fn f36_an_old_key_that_dies_on_the_way_back_is_not_published() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary().await;
        rotator.rollback(&key(CHARGES), "errors").await.expect("roll back");
        world.issuer.kill(old);
        let mut run = rotator.resume(&key(CHARGES), "go on").await.expect("resume");
        let step = run.step().await.expect("a step");
        assert!(matches!(&step, Step::TurnedRound { version, .. } if *version == old), "{step}");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        assert_eq!((world.shown().await, world.primary().await), (new, new));
        let report = finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!((report.outcome, world.state(old).await), (RunOutcome::Completed, VersionState::Revoked));
        let said = report.evidence.join("\n");
        assert!(said.contains("cannot come back"), "{said}");
    });
}

#[test]
fn a_failing_gate_with_a_dead_old_key_asks_a_person() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        world.issuer.kill(old);
        world.health.set(FAILING);
        let step = run.step().await.expect("a step");
        assert!(matches!(step, Step::NeedsOperator(NeedsOperator::CannotComeBack { .. })), "{step}");
        assert!(world.record().await.run().is_some_and(|run| run.phase.name() == "soaking"), "nothing was moved");
    });
}

#[test]
fn an_override_switches_off_first_and_has_to_be_repeated() {
    block_on(async {
        let world = World::with_a_key().await;
        let (rotator, old) = (world.rotator(), world.primary().await);
        world.health.set(SILENT);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        for phase in ["suspended", "retiring"] {
            let stuck = finish(&mut run, &world.clock).await.expect_err("no proof of health");
            let asked = matches!(stuck, RotationError::NeedsOperator(NeedsOperator::GateInsufficient { .. }));
            assert!(asked, "{stuck}");
            rotator.override_gate(&key(CHARGES), "checked every caller by hand").await.expect("override");
            assert_eq!(world.record().await.run().expect("a run").phase.name(), phase);
        }
        finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!(world.state(old).await, VersionState::Revoked);
    });
}

#[test]
fn f45_a_leak_of_the_old_key_while_it_is_off_ends_the_watch() {
    block_on(async {
        let world = World::with_a_key().await;
        world.health.set(HEALTHY);
        let (rotator, old) = (world.rotator(), world.primary().await);
        drop(world.suspended(&rotator).await);
        let new = world.primary().await;
        let report = LeakReport::of(key(CHARGES), Leaked::Version(old), "seen in a gist").expect("a report");
        let before = world.clock.now();
        let mut response = LeakResponse::open(&rotator, &report).await.expect("open");
        response.step().await.expect("a step");
        assert_eq!((world.state(old).await, world.shown().await), (VersionState::Revoked, new));
        assert_eq!(world.clock.now(), before, "no window");
    });
}

#[test]
fn a_key_the_issuer_cannot_speak_about_is_not_switched_off() {
    block_on(async {
        let world = World::with_a_key().await;
        world.issuer.speechless(true);
        let rotator = world.rotator();
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| {
            assert!(!matches!(step, Step::Suspending { .. }), "{step}");
            matches!(step, Step::Retiring { .. })
        })
        .await;
        let said = world.record().await.run().expect("a run").evidence.last().expect("evidence").to_string();
        assert!(said.contains("not switched off first"), "{said}");
    });
}

#[test]
fn the_suspend_window_is_counted_in_the_record_not_in_a_process() {
    block_on(async {
        let world = World::with_a_key().await;
        let rotator = world.rotator();
        drop(world.suspended(&rotator).await);
        world.clock.advance(23 * HOUR);
        let early = world.rotator();
        let mut run = early.resume(&key(CHARGES), "cron").await.expect("resume");
        assert!(matches!(run.step().await.expect("a step"), Step::Wait { .. }));
        world.clock.advance(HOUR);
        let late = world.rotator();
        let mut run = late.resume(&key(CHARGES), "cron").await.expect("resume");
        assert!(matches!(run.step().await.expect("a step"), Step::Retiring { .. }));
        let shows = world.store.pointer(&cx(), &world.record().await.target()).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { .. }));
    });
}
