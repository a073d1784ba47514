//! The one create of a version, and what is left when it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{ErrorKind, ManualClock, Operation, VersionState};
use keyward::rotation::{RotationError, Step};
use keyward_conformance::strict::{FakeIssuer, Fault, FaultPlan, Host, Late, StrictFake};

use crate::pause::Paused;
use crate::support::{CHARGES, finish, key};
use crate::world::{Store, World};

const HORIZON: Duration = Duration::from_secs(3_600);

pub(crate) async fn f01_a_crash_before_the_create_loses_no_key(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    assert!(world.play(FaultPlan::none().nth(Operation::Create, 0, Fault::CrashBefore)).is_none(), "it died");
    let abandoned = world.new_version().await;
    world.comes_to_rest().await;
    assert_eq!(world.issuer.creates(abandoned), 0);
    assert_eq!(world.state(abandoned).await, VersionState::Revoked);
}

pub(crate) async fn f02_a_key_whose_maker_died_is_found_by_its_label(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    assert!(world.play(FaultPlan::none().nth(Operation::Stage, 0, Fault::CrashBefore)).is_none(), "it died");
    let orphan = world.new_version().await;
    assert_eq!(world.issuer.live(&key(CHARGES)), [old, orphan], "nobody knows the orphan's value");
    world.comes_to_rest().await;
    assert_eq!(world.issuer.creates(orphan), 1, "never again under its id");
    assert!(![old, orphan].contains(&world.primary().await));
}

pub(crate) async fn f03_a_create_that_timed_out_is_never_repeated(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::registered(store, clock).await;
    world.issuer.delay_creates([Some(Late::ByHand)]);
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    let Step::Replanned { abandoned, .. } = run.step().await.expect("step") else { panic!("not replanned") };
    finish(&mut run, &world.clock).await.expect("provision");

    // It is hunted for as long as it may still come.
    world.clock.advance(HORIZON / 2);
    let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!(swept.pending, [abandoned], "absent is not dead");
    world.issuer.land_late();
    let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!(swept.revoked, [abandoned]);
    assert_eq!(world.issuer.creates(abandoned), 1);
    world.comes_to_rest().await;
}

pub(crate) async fn f04_a_create_that_lands_after_the_horizon_is_still_revoked(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::registered(store, clock).await;
    world.issuer.delay_creates([Some(Late::ByHand)]);
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    let Step::Replanned { abandoned, .. } = run.step().await.expect("step") else { panic!("not replanned") };
    finish(&mut run, &world.clock).await.expect("provision");
    assert_eq!(world.state(abandoned).await, VersionState::RevokePending);

    world.clock.advance(HORIZON);
    rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!(world.state(abandoned).await, VersionState::Revoked, "the horizon is over");
    world.issuer.land_late();
    let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!((swept.adopted, swept.revoked), (vec![abandoned], vec![abandoned]));
    world.comes_to_rest().await;
}

/// The answer "not found" is as old as the call: what lands while it is on its way counts.
pub(crate) async fn f04_a_create_that_lands_while_the_sweeper_looks_is_not_buried_alive(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::registered(store, clock).await;
    world.issuer.delay_creates([Some(Late::ByHand)]);
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    let Step::Replanned { abandoned, .. } = run.step().await.expect("step") else { panic!("not replanned") };
    finish(&mut run, &world.clock).await.expect("provision");

    world.clock.advance(HORIZON - Duration::from_secs(30));
    let host = Host::steady("sweeper");
    let sweeper = world.rotator(&host);
    let id = key(CHARGES);
    let sweep = sweeper.sweep(&id, "daily");
    // The first look is for all labels, the second for this one.
    let mut sweep = Paused::before(Operation::Find, &host, sweep);
    while host.trace().iter().filter(|call| call.operation == Operation::Find).count() < 2 {
        assert!(sweep.poll().is_none(), "the sweep ended early");
    }
    assert!(sweep.poll().is_none(), "the issuer has looked, and its answer is on its way");
    world.issuer.land_late();
    world.clock.advance(Duration::from_secs(30));
    let swept = sweep.wake().expect("sweep");
    assert_eq!(swept.pending, [abandoned], "a live key was buried");
    world.comes_to_rest().await;
}

pub(crate) async fn f42_a_full_issuer_with_a_strangers_key_deletes_nothing(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::with_issuer(store, clock, FakeIssuer::capped(2)).await.provisioned().await;
    let primary = world.primary().await;
    world.issuer.add_strangers(&key(CHARGES), 1);
    let rotator = world.steady("a");
    let refused = world.finish(&rotator, "rotate").await.expect_err("no room");
    assert!(matches!(&refused, RotationError::Backend(error) if error.kind() == ErrorKind::Quota), "{refused}");
    rotator.abort(&key(CHARGES), "the issuer is full").await.expect("abort");
    rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!(world.issuer.live(&key(CHARGES)), [primary], "the oldest was not deleted");
    assert_eq!(world.primary().await, primary);
}

pub(crate) async fn f43_a_full_issuer_with_our_own_orphan_is_swept(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::with_issuer(store, clock, FakeIssuer::capped(2)).await.provisioned().await;
    assert!(world.play(FaultPlan::none().nth(Operation::Stage, 0, Fault::CrashBefore)).is_none(), "it died");
    let rotator = world.steady("b");
    rotator.abort(&key(CHARGES), "its process died").await.expect("abort");
    let refused = rotator.start(&key(CHARGES), "again").await.map(drop).expect_err("no room");
    assert!(matches!(refused, RotationError::IssuerFull { live: 2, cap: 2, .. }), "{refused}");
    let primary = world.primary().await;
    let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    assert_eq!((swept.revoked.len(), world.issuer.live(&key(CHARGES))), (1, vec![primary]));
    world.finish(&rotator, "again").await.expect("there is room");
    world.comes_to_rest().await;
}
