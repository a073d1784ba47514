//! The playbook on a clock moved by hand: forward, back, resumed, and refused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    ErrorKind, ManualClock, Material, MemoryBackend, Operation, Probe, Read, RunOutcome, RunPhase, SecretBackend,
    SecretBackendExt, SecretValue, Select, Shows, TransitionError, Validator, VersionState,
};
use keyward::issuer::ManualIssuer;
use keyward::rotation::{NeedsOperator, RotationError, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Fault, FaultPlan, Host, StrictFake};
use support::{CHARGES, FAILING, HEALTHY, SILENT, builder, charges, cx, finish, key, load, register, rotator, until};

fn store() -> (MemoryBackend, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    block_on(register(&store, &clock, charges()));
    (store, clock)
}

async fn provision(rotator: &Rotator<MemoryBackend>, clock: &ManualClock) {
    let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
    let report = finish(&mut run, clock).await.expect("provision");
    assert_eq!(report.outcome, RunOutcome::Completed);
}

#[test]
fn a_rotation_replaces_the_key_and_sees_the_old_one_dead() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let old = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;

        let began = keyward::core::Clock::now(&*clock);
        let mut run = rotator.start_or_resume(&key(CHARGES), "quarterly").await.expect("start");
        let report = finish(&mut run, &clock).await.expect("rotate");

        let record = load(&store, &key(CHARGES)).await;
        let new = record.primary().expect("a primary");
        assert_eq!((report.from, report.to), (Some(old), new.id));
        assert_eq!(record.version(old).expect("the old one").state, VersionState::Revoked);
        assert!(report.ended_at - began >= chrono::TimeDelta::hours(48), "soak and overlap were kept");
        assert!(report.pending.is_empty() && record.run().is_none());
        let shows = store.pointer(&cx(), &record.target()).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == new.id));
    });
}

#[test]
fn the_old_and_the_new_token_both_work_during_the_overlap_and_only_the_new_one_after() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let token = |record: keyward::core::KeyRecord, version| {
            let store = store.clone();
            async move {
                match store.read_one(&cx(), &record.target(), Select::Version(version)).await.expect("read") {
                    Read::Found { material, .. } => material.value().expect("one value").duplicate(),
                    Read::Unchanged => panic!("unchanged"),
                }
            }
        };
        let record = load(&store, &key(CHARGES)).await;
        let old = record.primary().expect("a primary").id;
        let old_token = token(record, old).await;
        let mut run = rotator.start_or_resume(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Published { .. })).await;
        let record = load(&store, &key(CHARGES)).await;
        let new = record.primary().expect("a primary").id;
        let new_token = token(record.clone(), new).await;
        assert_eq!(support::issuer().verify(&record, &old_token), Some(old));
        assert_eq!(support::issuer().verify(&record, &new_token), Some(new));
        finish(&mut run, &clock).await.expect("rotate");
        let record = load(&store, &key(CHARGES)).await;
        assert_eq!(support::issuer().verify(&record, &old_token), None);
        assert_eq!(support::issuer().verify(&record, &new_token), Some(new));
    });
}

#[test]
fn a_failing_gate_brings_the_old_key_back_and_revokes_the_new_one() {
    let (store, clock) = store();
    block_on(async {
        provision(&rotator(&store, &clock, HEALTHY), &clock).await;
        let old = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;
        let rotator = rotator(&store, &clock, FAILING);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        let report = finish(&mut run, &clock).await.expect("rotate");
        assert_eq!(report.outcome, RunOutcome::RolledBack);
        let record = load(&store, &key(CHARGES)).await;
        assert_eq!(record.primary().expect("a primary").id, old);
        assert_eq!(record.version(report.to).expect("the new one").state, VersionState::Revoked);
        assert!(report.evidence.iter().any(|e| e.contains("5 refused")), "{:?}", report.evidence);
    });
}

#[test]
fn silence_never_passes_the_gate_and_a_person_decides() {
    let (store, clock) = store();
    block_on(async {
        provision(&rotator(&store, &clock, HEALTHY), &clock).await;
        let rotator = rotator(&store, &clock, SILENT);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        let stuck = finish(&mut run, &clock).await.expect_err("no proof of health");
        assert!(matches!(stuck, RotationError::NeedsOperator(NeedsOperator::GateInsufficient { .. })), "{stuck}");
        rotator.override_gate(&key(CHARGES), "low traffic, checked by hand").await.expect("override");
        let report = finish(&mut run, &clock).await.expect("rotate");
        assert_eq!(report.outcome, RunOutcome::Completed);
        assert!(report.evidence.iter().any(|e| e.contains("override by rotator")), "{:?}", report.evidence);
    });
}

#[test]
fn a_gate_cannot_be_overridden_before_the_windows_are_over() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Published { .. })).await;
        let early = rotator.override_gate(&key(CHARGES), "hurry").await.expect_err("too early");
        assert!(matches!(early, RotationError::Refused(TransitionError::TooEarly { .. })), "{early}");
    });
}

#[test]
fn a_second_start_answers_that_a_run_is_under_way() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        let run = rotator.start(&key(CHARGES), "one").await.expect("start");
        let again = rotator.start(&key(CHARGES), "two").await.expect_err("running");
        assert!(matches!(again, RotationError::AlreadyRunning { run: active, .. } if active == run.id()));
    });
}

#[test]
fn another_host_takes_a_silent_plan_over_without_repeating_its_create() {
    let (store, clock) = store();
    block_on(async {
        let (a, b) = (rotator(&store, &clock, HEALTHY), rotator(&store, &clock, HEALTHY));
        let dead = a.start(&key(CHARGES), "first key").await.expect("start");
        let planned = load(&store, &key(CHARGES)).await.run().expect("a run").phase.version();
        let mut run = b.start_or_resume(&key(CHARGES), "first key").await.expect("resume");
        assert_eq!(run.id(), dead.id());
        drop(dead);
        assert!(matches!(run.step().await.expect("step"), Step::Wait { .. }), "left alone at first");
        clock.advance(Duration::from_secs(11));
        let step = run.step().await.expect("step");
        assert!(matches!(step, Step::Replanned { abandoned, .. } if abandoned == planned), "{step:?}");
        let report = finish(&mut run, &clock).await.expect("provision");
        assert_eq!(report.outcome, RunOutcome::Completed);
        assert!(report.pending.is_empty(), "the abandoned version is dead: its hash was never recorded");
    });
}

#[test]
fn every_phase_can_be_aborted_and_the_old_key_keeps_serving() {
    type Stop = fn(&Step) -> bool;
    let stops: [Stop; 4] = [
        |s| matches!(s, Step::Created { .. }),
        |s| matches!(s, Step::Validated { .. }),
        |s| matches!(s, Step::Promoting { .. }),
        |s| matches!(s, Step::Published { .. }),
    ];
    for stop in stops {
        let (store, clock) = store();
        block_on(async {
            let rotator = rotator(&store, &clock, HEALTHY);
            provision(&rotator, &clock).await;
            let old = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;
            let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
            until(&mut run, &clock, stop).await;
            rotator.abort(&key(CHARGES), "changed our minds").await.expect("abort");
            let report = finish(&mut run, &clock).await.expect("finish");
            assert_ne!(report.outcome, RunOutcome::Completed);
            let record = load(&store, &key(CHARGES)).await;
            assert_eq!(record.primary().expect("a primary").id, old);
            assert_eq!(record.version(report.to).expect("the new one").state, VersionState::Revoked);
            let shows = store.pointer(&cx(), &record.target()).await.expect("pointer").shows;
            assert!(matches!(shows, Shows::Ours { version, .. } if version == old));
        });
    }
}

#[test]
fn after_the_point_of_no_return_a_rollback_is_refused() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Retiring { .. })).await;
        for refused in [rotator.rollback(&key(CHARGES), "no").await, rotator.abort(&key(CHARGES), "no").await] {
            let refused = refused.expect_err("too late");
            assert!(matches!(refused, RotationError::Refused(TransitionError::RollbackWindowPassed)), "{refused}");
        }
    });
}

#[test]
fn a_sleeper_that_wakes_after_an_abort_cannot_publish() {
    let (store, clock) = store();
    block_on(async {
        let (a, b) = (rotator(&store, &clock, HEALTHY), rotator(&store, &clock, HEALTHY));
        provision(&a, &clock).await;
        let mut sleeper = a.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut sleeper, &clock, |step| matches!(step, Step::Promoting { .. })).await;
        let record = load(&store, &key(CHARGES)).await;
        let Some(RunPhase::Promoting { version, publication, expect }) = record.run().map(|r| r.phase.clone()) else {
            panic!("not promoting");
        };
        b.abort(&key(CHARGES), "took too long").await.expect("abort");
        let mut resumed = b.resume(&key(CHARGES), "abort").await.expect("resume");
        finish(&mut resumed, &clock).await.expect("finish");
        // The call the sleeper was about to make:
        let expect = expect.expect("a token");
        let late = store.publish(&cx(), &record.target(), version, publication, &expect).await.expect("publish");
        assert!(matches!(late, keyward::core::Publish::Conflict(_)), "{late:?}");
    });
}

#[test]
fn something_else_at_the_pointer_stops_the_run() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Validated { .. })).await;
        // Somebody publishes behind our back, under a publication the record does not know.
        let record = load(&store, &key(CHARGES)).await;
        let old = record.primary().expect("a primary").id;
        let token = store.pointer(&cx(), &record.target()).await.expect("pointer").token;
        let foreign = keyward::core::PublicationId::generate();
        store.publish(&cx(), &record.target(), old, foreign, &token).await.expect("publish");
        let step = run.step().await.expect("step");
        assert!(matches!(step, Step::NeedsOperator(NeedsOperator::ForeignPublication { .. })), "{step:?}");
    });
}

#[test]
fn a_plan_has_no_side_effects() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        let before = load(&store, &key(CHARGES)).await;
        let plan = rotator.plan(&key(CHARGES)).await.expect("plan");
        assert_eq!(plan.steps.len(), 6);
        assert!(plan.to_string().contains("billing-api"), "{plan}");
        assert!(plan.obstacles.is_empty(), "{plan}");
        assert_eq!(load(&store, &key(CHARGES)).await, before);
    });
}

/// Accepts whatever was supplied last; what is revoked by hand is refused.
#[derive(Clone, Debug, Default)]
struct Vendor(Arc<std::sync::Mutex<Vec<SecretValue>>>);

#[keyward::core::async_trait]
impl Validator for Vendor {
    async fn probe(
        &self,
        _cx: &keyward::core::Context,
        _issue: keyward::core::Issue<'_>,
        material: &Material,
    ) -> keyward::core::Result<Probe> {
        let value = material.value().expect("one value");
        let known = self.0.lock().expect("lock").iter().any(|v| v.ct_eq(value));
        let seen = keyward::core::Evidence::lossy("HTTP status");
        Ok(if known { Probe::Accepted(seen) } else { Probe::Rejected(seen) })
    }
}

#[test]
fn a_person_supplies_the_key_hours_later_and_revokes_the_old_one_by_hand() {
    let (store, clock) = store();
    block_on(async {
        let vendor = Vendor::default();
        let manual = ManualIssuer::new("make a key in the dashboard", "delete it in the dashboard").expect("texts");
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", manual)
            .validator("acme", vendor.clone())
            .health(HEALTHY)
            .clock(clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        for value in ["vendor-key-one", "vendor-key-two"] {
            let mut run = rotator.start(&key(CHARGES), "by hand").await.expect("start");
            let asked = finish(&mut run, &clock).await.expect_err("asks");
            assert!(matches!(asked, RotationError::NeedsOperator(NeedsOperator::SupplyKey { .. })), "{asked}");
            clock.advance(Duration::from_secs(5 * 3_600));
            vendor.0.lock().expect("lock").push(SecretValue::from(value));
            let material = Material::one(SecretValue::from(value)).expect("material");
            let other_host = builder(store.clone(), &clock).build().expect("a rotator");
            other_host.supply(&key(CHARGES), material, None, "made in the dashboard").await.expect("supply");
            match finish(&mut run, &clock).await {
                Ok(report) => assert_eq!((report.outcome, value), (RunOutcome::Completed, "vendor-key-one")),
                Err(asked) => {
                    let by_hand = matches!(asked, RotationError::NeedsOperator(NeedsOperator::RevokeByHand { .. }));
                    assert!(by_hand, "{asked}");
                    vendor.0.lock().expect("lock").remove(0);
                    let report = finish(&mut run, &clock).await.expect("the probe sees it dead");
                    assert_eq!(report.outcome, RunOutcome::Completed);
                }
            }
        }
    });
}

#[test]
fn a_planner_that_slept_past_its_turn_creates_nothing() {
    let (store, clock) = store();
    block_on(async {
        let issuer = FakeIssuer::default();
        let rotator = || {
            builder(store.clone(), &clock)
                .issuer("acme", issuer.clone())
                .validator("acme", FakeValidator::new(&issuer))
                .build()
                .expect("a rotator")
        };
        let (a, b) = (rotator(), rotator());
        let mut sleeper = a.start(&key(CHARGES), "first key").await.expect("start");
        let planned = load(&store, &key(CHARGES)).await.run().expect("a run").phase.version();
        let mut run = b.start_or_resume(&key(CHARGES), "first key").await.expect("resume");
        finish(&mut run, &clock).await.expect("provision");
        let step = sleeper.step().await.expect("step");
        assert!(matches!(step, Step::Overtaken), "{step:?}");
        assert_eq!(issuer.creates(planned), 0, "a version given up was created");
    });
}

#[test]
fn validations_in_a_row_are_a_while_apart_also_for_a_hasty_caller() {
    let (store, clock) = store();
    block_on(async {
        let issuer = FakeIssuer::default();
        let validator = FakeValidator::new(&issuer);
        let hasty = builder(store.clone(), &clock).issuer("acme", issuer).validator("acme", validator.clone());
        let hasty = hasty.build().expect("a rotator");
        let mut run = hasty.start(&key(CHARGES), "first key").await.expect("start");
        let began = keyward::core::Clock::now(&*clock);
        for _ in 0..100 {
            match run.step().await.expect("step") {
                Step::Validated { .. } => break,
                Step::Wait { .. } => clock.advance(Duration::from_millis(100)),
                _ => {}
            }
        }
        assert!(load(&store, &key(CHARGES)).await.run().is_some_and(|r| matches!(r.phase, RunPhase::Validated { .. })));
        assert_eq!(validator.probes(), 3);
        assert!(keyward::core::Clock::now(&*clock) - began >= chrono::TimeDelta::seconds(4), "three probes at once");
    });
}

#[test]
fn what_another_run_left_behind_is_listed_and_does_not_keep_a_run_from_its_end() {
    let (store, clock) = store();
    block_on(async {
        provision(&rotator(&store, &clock, HEALTHY), &clock).await;
        // Asked for by hand and then not wanted: only a person knows that none was made.
        let manual = ManualIssuer::new("make a key", "delete it").expect("texts");
        let by_hand =
            Rotator::builder(store.clone()).issuer("acme", manual).clock(clock.clone()).build().expect("built");
        let mut run = by_hand.start(&key(CHARGES), "by hand").await.expect("start");
        run.step().await.expect("asks");
        by_hand.abort(&key(CHARGES), "not wanted").await.expect("abort");
        let left = load(&store, &key(CHARGES)).await.versions().last().expect("a version").id;
        let unable = FakeIssuer::new({
            let mut able = keyward::core::IssuerCapabilities::default();
            able.finds_by_label = false;
            able
        });
        let other = Rotator::builder(store.clone())
            .issuer("acme", unable.clone())
            .validator("acme", support::issuer())
            .validator("acme", FakeValidator::new(&unable))
            .health(HEALTHY)
            .clock(clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        let mut run = other.start(&key(CHARGES), "quarterly").await.expect("start");
        let report = finish(&mut run, &clock).await.expect("not held up by another run's version");
        assert_eq!((report.outcome, report.pending), (RunOutcome::Completed, vec![left]));
    });
}

#[test]
fn a_version_the_issuer_refused_to_create_is_not_hunted() {
    let (store, clock) = store();
    block_on(async {
        let mut able = keyward::core::IssuerCapabilities::default();
        able.finds_by_label = false;
        let host = Host::new("a", FaultPlan::none().always(Operation::Create, Fault::Fail(ErrorKind::Denied)));
        let refused = builder(store.clone(), &clock).issuer("acme", host.wrap(FakeIssuer::new(able))).build();
        let refused = refused.expect("a rotator");
        let mut run = refused.start(&key(CHARGES), "first key").await.expect("start");
        for _ in 0..20 {
            match run.step().await {
                Ok(Step::Finished(report)) => {
                    assert_eq!((report.outcome, report.pending), (RunOutcome::Aborted, vec![]));
                    return;
                }
                Ok(Step::NeedsOperator(what)) => panic!("a person was asked: {what}"),
                _ => {}
            }
        }
        panic!("the run does not end");
    });
}

#[test]
fn old_reads_are_not_taken_for_a_foreign_publication() {
    let clock = Arc::new(ManualClock::default());
    let store = StrictFake::with_clock(clock.clone());
    block_on(async {
        register(&store, &clock, charges()).await;
        let rotator = || builder(store.clone(), &clock).health(HEALTHY).build().expect("a rotator");
        let (a, b) = (rotator(), rotator());
        let mut run = a.start(&key(CHARGES), "first key").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Promoting { .. })).await;
        finish(&mut run, &clock).await.expect("provision");
        let mut run = a.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Validated { .. })).await;
        let mut late = b.resume(&key(CHARGES), "help").await.expect("resume");
        until(&mut run, &clock, |step| matches!(step, Step::Promoting { .. })).await;
        let record = store.record(&key(CHARGES)).expect("a record");
        let Some(RunPhase::Promoting { version, publication, expect }) = record.run().map(|r| r.phase.clone()) else {
            panic!("not promoting");
        };
        let expect = expect.expect("a token");
        store.publish(&cx(), &record.target(), version, publication, &expect).await.expect("publish");
        store.serve_stale(2);
        let step = late.step().await.expect("step");
        assert!(matches!(step, Step::Overtaken), "{step}");
    });
}

#[test]
fn a_key_whose_value_cannot_be_read_is_dead_by_the_word_of_its_issuer() {
    let clock = Arc::new(ManualClock::default());
    let store = StrictFake::with_clock(clock.clone());
    block_on(async {
        register(&store, &clock, charges()).await;
        let issuer = FakeIssuer::default();
        let rotator = |host: &Host| {
            Rotator::builder(host.wrap(store.clone()))
                .issuer("acme", issuer.clone())
                .validator("acme", FakeValidator::new(&issuer))
                .health(HEALTHY)
                .clock(clock.clone())
                .poll_every(Duration::from_secs(3_600))
                .build()
                .expect("a rotator")
        };
        let steady = rotator(&Host::steady("a"));
        for reason in ["first key", "quarterly"] {
            let mut run = steady.start(&key(CHARGES), reason).await.expect("start");
            let stop = |step: &Step| matches!(step, Step::Retiring { .. } | Step::Finished(_));
            until(&mut run, &clock, stop).await;
        }
        let blind = rotator(&Host::new("b", FaultPlan::none().always(Operation::Read, Fault::Fail(ErrorKind::Denied))));
        let mut run = blind.resume(&key(CHARGES), "go on").await.expect("resume");
        assert_eq!(finish(&mut run, &clock).await.expect("finish").outcome, RunOutcome::Completed);
    });
}

#[test]
fn a_plan_at_the_end_of_time_is_a_plan() {
    let (store, clock) = store();
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        provision(&rotator, &clock).await;
        clock.set_wall(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        assert_eq!(rotator.plan(&key(CHARGES)).await.expect("plan").revoke_not_before, None);
    });
}

#[test]
fn f37_a_lost_old_value_is_noted_before_readers_get_the_new_one_and_never_published() {
    let clock = Arc::new(ManualClock::default());
    let store = StrictFake::with_clock(clock.clone());
    block_on(async {
        register(&store, &clock, charges()).await;
        let rotator = builder(store.clone(), &clock).health(HEALTHY).build().expect("a rotator");
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &clock).await.expect("provision");
        let old = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Created { .. })).await;
        store.lose(&key(CHARGES), old);

        let noted = std::cell::Cell::new(false);
        until(&mut run, &clock, |step| {
            noted.set(noted.get() || matches!(step, Step::Noted { evidence } if evidence.contains("no way back")));
            matches!(step, Step::Promoting { .. })
        })
        .await;
        assert!(noted.get(), "nobody was told before readers got the new key");

        for phase in ["promoting", "soaking"] {
            for refused in [rotator.abort(&key(CHARGES), "no").await, rotator.rollback(&key(CHARGES), "no").await] {
                let refused = refused.expect_err("it is lost");
                let typed = matches!(&refused, RotationError::CannotComeBack { version, .. } if *version == old);
                assert!(typed && refused.to_string().contains("lost"), "{refused}");
            }
            let record = load(&store, &key(CHARGES)).await;
            assert_eq!(record.run().map(|run| run.phase.name()), Some(phase), "the run stays where it is");
            run.step().await.expect("a step");
        }
        let report = finish(&mut run, &clock).await.expect("rotate");
        assert_eq!(report.outcome, RunOutcome::Completed);
        assert!(report.evidence.iter().any(|e| e.contains("no way back")), "{:?}", report.evidence);
    });
}

#[test]
fn f37_an_old_value_lost_on_the_way_back_leaves_the_new_one_published() {
    let clock = Arc::new(ManualClock::default());
    let store = StrictFake::with_clock(clock.clone());
    block_on(async {
        register(&store, &clock, charges()).await;
        let rotator = builder(store.clone(), &clock).health(HEALTHY).build().expect("a rotator");
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &clock).await.expect("provision");
        let old = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Published { .. })).await;
        let new = load(&store, &key(CHARGES)).await.primary().expect("a primary").id;
        rotator.rollback(&key(CHARGES), "errors").await.expect("roll back");
        store.lose(&key(CHARGES), old);
        until(&mut run, &clock, |step| matches!(step, Step::TurnedRound { .. })).await;
        until(&mut run, &clock, |step| matches!(step, Step::Published { .. })).await;
        let record = load(&store, &key(CHARGES)).await;
        let shows = store.pointer(&cx(), &record.target()).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == new), "{shows:?}");
        assert_eq!(store.misuse(), vec![]);
    });
}

#[test]
fn a_plan_is_taken_over_by_what_was_watched_never_by_what_two_clocks_say() {
    let (store, clock) = store();
    block_on(async {
        let planner = rotator(&store, &clock, HEALTHY);
        drop(planner.start(&key(CHARGES), "first key").await.expect("start"));
        // The clock of the other host is an hour ahead; the plan is a moment old.
        let ahead = Arc::new(ManualClock::at(keyward::core::Clock::now(&*clock) + chrono::TimeDelta::hours(1)));
        let other = builder(store.clone(), &ahead).health(HEALTHY).build().expect("a rotator");
        let mut waited = Duration::ZERO;
        // A new session each time, as a scheduler has it: the process watches, not the session.
        loop {
            let mut run = other.resume(&key(CHARGES), "cron").await.expect("resume");
            match run.step().await.expect("a step") {
                Step::Wait { at_most, .. } => {
                    let pause = at_most.min(Duration::from_secs(4));
                    waited += pause;
                    ahead.advance(pause);
                }
                Step::Replanned { .. } => break,
                step => panic!("{step}"),
            }
        }
        assert_eq!(waited, Duration::from_secs(10), "exactly the time of takeover_after");
        let run = load(&store, &key(CHARGES)).await.run().expect("a run").clone();
        assert_eq!(run.fence, 1);
    });
}
