//! Several processes, some of them asleep.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use keyward::core::{ManualClock, Operation, RunOutcome, VersionState};
use keyward::rotation::{RotationError, Step};
use keyward_conformance::strict::{Host, StrictFake};

use crate::pause::Paused;
use crate::support::{CHARGES, key};
use crate::world::{Store, World, promoting, soaking};

pub(crate) async fn f13_a_sleeper_that_wakes_after_an_abort_publishes_nothing(
    store: StrictFake,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let host = Host::steady("a");
    let a = world.rotator(&host);
    let mut run = world.until(&a, promoting).await;
    let new = world.new_version().await;
    let sleeper = Paused::before(Operation::Publish, &host, run.step());

    let b = world.steady("b");
    b.abort(&key(CHARGES), "a is silent").await.expect("abort");
    world.finish(&b, "abort").await.expect("an end");
    assert_eq!(world.state(new).await, VersionState::Revoked);

    let woken = sleeper.wake();
    assert!(matches!(woken, Ok(Step::Overtaken)), "{woken:?}");
    assert!(world.store.moves().iter().all(|moved| moved.version != new), "readers saw it");
    assert_eq!((world.shown().await, world.store.misuse()), (Some(old), vec![]));
    world.comes_to_rest().await;
}

pub(crate) async fn f14_a_sleeper_that_wakes_after_a_rollback_publishes_nothing(
    store: StrictFake,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let host = Host::steady("a");
    let a = world.rotator(&host);
    let mut run = world.until(&a, promoting).await;
    let sleeper = Paused::before(Operation::Publish, &host, run.step());

    let b = world.steady("b");
    world.until(&b, soaking).await;
    b.rollback(&key(CHARGES), "errors rise").await.expect("rollback");
    assert_eq!(world.finish(&b, "rollback").await.expect("an end").outcome, RunOutcome::RolledBack);
    let moves = world.store.moves();

    let woken = sleeper.wake();
    assert!(matches!(woken, Ok(Step::Overtaken)), "{woken:?}");
    assert_eq!((world.store.moves(), world.shown().await), (moves, Some(old)));
    world.comes_to_rest().await;
}

pub(crate) async fn f15_two_rotators_that_start_together_make_one_run(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let (host_a, host_b) = (Host::steady("a"), Host::steady("b"));
    let (a, b) = (world.rotator(&host_a), world.rotator(&host_b));
    let id = key(CHARGES);
    // Both have read the record and are about to swap.
    let first = Paused::before(Operation::Swap, &host_a, a.start(&id, "a"));
    let second = Paused::before(Operation::Swap, &host_b, b.start(&id, "b"));
    let won = first.wake().expect("the first wins");
    let lost = second.wake().map(drop).expect_err("the second loses");
    assert!(matches!(lost, RotationError::AlreadyRunning { run, .. } if run == won.id()), "{lost}");
    let stores_only = [Operation::Load, Operation::Swap];
    assert!(host_b.trace().iter().all(|call| stores_only.contains(&call.operation)), "{:?}", host_b.trace());
    world.comes_to_rest().await;
}

pub(crate) async fn f16_a_loser_with_an_old_record_changes_nothing(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let a = world.steady("a");
    let run = world.start(&a).await;
    let record = world.record().await;
    // B reads the record as it was before that run.
    let host = Host::steady("b");
    let b = world.rotator(&host);
    world.store.serve_stale(1);
    let lost = b.start(&key(CHARGES), "b").await.map(drop).expect_err("its swap conflicts");
    assert!(matches!(lost, RotationError::AlreadyRunning { run: active, .. } if active == run.id()), "{lost}");
    let swaps = host.trace().iter().filter(|call| call.operation == Operation::Swap).count();
    assert_eq!((swaps, world.record().await), (1, record), "it tried, and nothing changed");
    world.comes_to_rest().await;
}

pub(crate) async fn f23_a_process_suspended_over_its_create_does_no_harm(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("a");
    let a = world.rotator(&host);
    let mut run = world.start(&a).await;
    let planned = world.new_version().await;
    let sleeper = Paused::before(Operation::Create, &host, run.step());

    // Longer than anybody waits for it, and the other process is done long since.
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.finish(&world.steady("b"), "go on").await.expect("rotate").outcome, RunOutcome::Completed);
    let (primary, moves) = (world.primary().await, world.store.moves());

    let woken = sleeper.wake();
    assert!(matches!(woken, Ok(Step::Overtaken)), "{woken:?}");
    assert_eq!(world.issuer.creates(planned), 1, "what it was about to do nobody can stop");
    assert_eq!((world.primary().await, world.store.moves()), (primary, moves));
    world.comes_to_rest().await;
    assert_eq!((world.store.misuse(), world.state(planned).await), (vec![], VersionState::Revoked));
}

pub(crate) async fn f56_a_run_dropped_at_any_moment_is_resumed(_: StrictFake, clock: Arc<ManualClock>) {
    let mut moments = 0;
    loop {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let rotator = world.steady("a");
        let ended = {
            let mut life = Box::pin(world.finish(&rotator, "rotate"));
            (0..moments).any(|_| life.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready())
        };
        world.comes_to_rest().await;
        assert_eq!(world.store.misuse(), [], "dropped after {moments} moments");
        if ended {
            break;
        }
        moments += 1;
    }
    assert!(moments > 100, "only {moments} moments");
}
