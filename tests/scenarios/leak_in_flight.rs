//! A leaked version while the pointer is on its way to it, or from it.

use std::sync::Arc;

use keyward::core::{ManualClock, Operation};
use keyward::leak::{LeakStep, Leaked};
use keyward::rotation::Step;
use keyward_conformance::strict::{Host, StrictFake};

use crate::pause::Paused;
use crate::support::{CHARGES, key};
use crate::world::{World, promoting, soaking};

pub(crate) async fn f45_a_leak_of_the_key_a_rollback_goes_back_to_is_fenced_first(
    store: StrictFake,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let leaked = world.primary().await;
    let host = Host::steady("a");
    let a = world.rotator(&host);
    world.until(&a, soaking).await;
    let new = world.primary().await;
    a.rollback(&key(CHARGES), "we think it is bad").await.expect("rollback");
    let mut run = a.resume(&key(CHARGES), "rollback").await.expect("resume");
    // A process is about to publish the old key when it is reported.
    let sleeper = Paused::before(Operation::Publish, &host, run.step());
    let (_, steps) = world.respond(&world.steady("b"), Leaked::Version(leaked)).await;
    assert!(matches!(steps[0], LeakStep::Fenced { .. }), "the fence is first: {steps:?}");
    let woken = sleeper.wake();
    assert!(matches!(woken, Ok(Step::Overtaken)), "{woken:?}");
    assert_eq!((world.shown().await, world.store.misuse()), (Some(new), vec![]));
    world.assert_leak_is_over(leaked).await;
}

pub(crate) async fn f46_a_leak_of_the_new_key_is_fenced_then_revoked(_: StrictFake, clock: Arc<ManualClock>) {
    for at in [promoting, soaking] {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let old = world.primary().await;
        let host = Host::steady("a");
        let a = world.rotator(&host);
        let mut run = world.until(&a, promoting).await;
        let leaked = world.new_version().await;
        let sleeper = Paused::before(Operation::Publish, &host, run.step());
        let b = world.steady("b");
        world.until(&b, at).await;
        let (report, steps) = world.respond(&b, Leaked::Version(leaked)).await;
        assert!(matches!(steps[0], LeakStep::Fenced { .. }), "the fence is first: {steps:?}");
        let woken = sleeper.wake();
        assert!(matches!(woken, Ok(Step::Overtaken)), "{woken:?}");
        assert_eq!((world.shown().await, report.replaced_by), (Some(old), Some(old)), "the clean one serves");
        assert_eq!(world.store.misuse(), []);
        world.assert_leak_is_over(leaked).await;
    }
}
