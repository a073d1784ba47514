//! Readers that keep a key for a while, and clocks that are wrong.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use keyward::core::{Clock, ErrorKind, ManualClock, Operation, RunOutcome};
use keyward::keyring::{Keyring, Outcome, Why};
use keyward::rotation::Step;
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake};

use crate::support::{CHARGES, HEALTHY, cx, key, until};
use crate::world::{Store, World, promoting, soaking};

const HOUR: Duration = Duration::from_secs(3_600);
const NAME: &str = "payments/stripe-charges";

/// Refreshed for the last time just before the cut-over, as late as its limit allows.
pub(crate) async fn f19_a_reader_with_the_longest_ttl_is_served_through_the_overlap(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let overlap = world.record().await.policy().overlap;
    let rotator = world.steady("a");
    let mut run = world.until(&rotator, promoting).await;
    let keys = world.keyring().soft_ttl(HOUR).hard_ttl(overlap - Duration::from_secs(1)).load().await.expect("keys");
    let handle = keys.handle(NAME).expect("a handle");
    let began = world.clock.monotonic();
    let mut served = 0;
    loop {
        let age = world.clock.monotonic() - began;
        match handle.live() {
            Ok(key) => {
                let value = keyward::core::SecretValue::from(key.expose_str().expect("text"));
                let material = keyward::core::Material::one(value).expect("material");
                assert!(world.issuer.accepts(&material), "refused at the issuer after {age:?}");
                served += 1;
            }
            Err(refused) => {
                assert!(matches!(refused.why(), Why::Stale { .. }), "{refused}");
                assert!(age >= overlap - Duration::from_secs(1), "stale after {age:?} already");
                break;
            }
        }
        if let Step::Wait { at_most, .. } = run.step().await.expect("step") {
            world.clock.advance(at_most.min(HOUR));
        }
    }
    assert!(served >= 47, "served {served} times in 48 hours");
}

pub(crate) async fn f20_a_reader_beyond_its_hard_ttl_answers_stale(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("reader");
    let keys = Keyring::builder(host.wrap(world.store.clone()))
        .environment(keyward::core::Environment::Production)
        .service("billing-api")
        .clock(world.clock.clone())
        .require(NAME)
        .load()
        .await
        .expect("keys");
    let handle = keys.handle(NAME).expect("a handle");
    host.follow(FaultPlan::none().everywhere(Fault::Fail(ErrorKind::Unavailable)));
    world.clock.advance(Keyring::HARD_TTL - Duration::from_secs(1));
    keys.refresh().await;
    assert!(handle.live().is_ok(), "the outage is lived through");
    world.clock.advance(Duration::from_secs(1));
    let refused = handle.live().map(drop).expect_err("not the old key for ever");
    assert!(matches!(refused.why(), Why::Stale { .. }), "{refused}");
    host.follow(FaultPlan::none());
    keys.refresh().await;
    assert!(handle.live().is_ok(), "confirmed again");
}

pub(crate) async fn f21_a_rejection_after_the_cut_over_is_one_refresh(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("reader");
    let keys = Keyring::builder(host.wrap(world.store.clone()))
        .environment(keyward::core::Environment::Production)
        .service("billing-api")
        .clock(world.clock.clone())
        .require(NAME)
        .load()
        .await
        .expect("keys");
    let handle = keys.handle(NAME).expect("a handle");
    let loads = || host.trace().iter().filter(|call| call.operation == Operation::Load).count();
    let rotator = world.steady("a");
    world.until(&rotator, soaking).await;

    let (before, old) = (loads(), handle.live().expect("live").version());
    for _ in 0..1_000 {
        handle.live().expect("live").report(Outcome::AuthRejected);
    }
    // The loop is polled by hand: as often as it likes to run before time goes by.
    let mut refresh = Box::pin(keys.refresh_loop());
    for _ in 0..1_000 {
        let _ = refresh.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    }
    assert_eq!(loads() - before, 1, "a thousand clients, one refresh");
    assert_ne!(handle.live().expect("live").version(), old, "which brought the new key");
}

pub(crate) async fn f22_a_clock_that_is_behind_or_steps_back_only_delays(_: StrictFake, clock: Arc<ManualClock>) {
    for behind in [TimeDelta::hours(1), TimeDelta::days(2)] {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let a = world.steady("a");
        world.until(&a, soaking).await;
        let published = world.clock.now();

        // Another host, whose clock is behind, or has stepped back.
        let slow = Arc::new(ManualClock::default());
        slow.set_wall(world.clock.now() - behind);
        let b = world.rotator_at(&Host::steady("b"), HEALTHY, &slow);
        let mut run = b.resume(&key(CHARGES), "go on").await.expect("resume");
        loop {
            match run.step().await.expect("step") {
                Step::Retiring { .. } => break,
                Step::Wait { at_most, .. } => {
                    world.clock.advance(at_most);
                    slow.advance(at_most);
                }
                _ => {}
            }
        }
        let overlap = TimeDelta::from_std(world.record().await.policy().overlap).expect("in range");
        assert!(world.clock.now() - published >= overlap, "retired early");
        until(
            &mut run,
            &slow,
            |step| matches!(step, Step::Finished(report) if report.outcome == RunOutcome::Completed),
        )
        .await;
        assert!(cx().remaining() > Duration::ZERO);
        world.comes_to_rest().await;
    }
}
