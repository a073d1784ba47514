//! The store or the issuer says no for a while: the run stays where it is.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{Clock, ErrorKind, ManualClock, Operation, Retry, RunOutcome, RunPhase, VersionState};
use keyward::rotation::{RotationError, Step};
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake};

use crate::support::{CHARGES, finish, key};
use crate::world::{Store, World, promoting, soaking, validated};

fn kind(error: &RotationError) -> ErrorKind {
    match error {
        RotationError::Backend(error) => error.kind(),
        other => panic!("{other}"),
    }
}

pub(crate) async fn f24_ten_minutes_of_throttling_change_nothing(_: StrictFake, clock: Arc<ManualClock>) {
    for at in [validated, promoting, soaking] {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let host = Host::steady("a");
        let rotator = world.rotator(&host);
        let mut run = world.until(&rotator, at).await;
        let (record, creates) = (world.record().await, world.issuer.all_creates());
        host.follow(FaultPlan::none().everywhere(Fault::Fail(ErrorKind::Throttled)));
        let until = world.clock.monotonic() + Duration::from_secs(600);
        while world.clock.monotonic() < until {
            match run.step().await {
                Err(refused) => assert_eq!(kind(&refused), ErrorKind::Throttled),
                // It has just read the record, and there is nothing to do yet.
                Ok(step) => assert!(matches!(step, Step::Wait { .. }), "{step}"),
            }
            world.clock.advance(Duration::from_secs(10));
        }
        assert_eq!((world.record().await, world.issuer.all_creates()), (record, creates));
        // Nobody's lease has run out: it goes on where it was.
        host.follow(FaultPlan::none());
        assert_eq!(finish(&mut run, &world.clock).await.expect("rotate").outcome, RunOutcome::Completed);
        world.comes_to_rest().await;
    }
}

pub(crate) async fn f25_a_quota_is_not_retried(_: StrictFake, clock: Arc<ManualClock>) {
    for operation in [Operation::Stage, Operation::Publish, Operation::Swap] {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let host = Host::steady("a");
        let rotator = world.rotator(&host);
        let mut run = world.start(&rotator).await;
        if operation == Operation::Publish {
            run = world.until(&rotator, promoting).await;
        }
        let calls = || host.trace().iter().filter(|call| call.operation == operation).count();
        let before = calls();
        host.follow(FaultPlan::none().always(operation, Fault::Fail(ErrorKind::Quota)));
        let refused = run.run_to_completion().await.expect_err("a quota");
        assert!(matches!(&refused, RotationError::Backend(e) if e.retry() == Retry::No), "{refused}");
        assert_eq!((kind(&refused), calls() - before), (ErrorKind::Quota, 1), "{operation:?} was tried again");
        host.follow(FaultPlan::none());
        assert_eq!(finish(&mut run, &world.clock).await.expect("rotate").outcome, RunOutcome::Completed);
        world.comes_to_rest().await;
    }
}

pub(crate) async fn f26_a_store_that_denies_writes_parks_the_run(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("a");
    let rotator = world.rotator(&host);
    let mut run = world.until(&rotator, validated).await;
    let writes = [Operation::Swap, Operation::Stage, Operation::Publish, Operation::Withdraw];
    let denied = |plan: FaultPlan, op: &Operation| plan.always(*op, Fault::Fail(ErrorKind::Denied));
    host.follow(writes.iter().fold(FaultPlan::none(), denied));
    for _ in 0..5 {
        assert_eq!(kind(&run.step().await.expect_err("denied")), ErrorKind::Denied);
        assert!(world.phase().await.is_some_and(|phase| validated(&phase)), "parked in its phase");
    }
    let keys = world.keyring().load().await.expect("readers notice nothing");
    let live = keys.live("payments/stripe-charges").expect("live").version();
    assert_eq!(live, world.primary().await);
    host.follow(FaultPlan::none());
    assert_eq!(finish(&mut run, &world.clock).await.expect("rotate").outcome, RunOutcome::Completed);
    world.comes_to_rest().await;
}

pub(crate) async fn f27_an_old_key_that_may_not_be_revoked_is_never_reported_as_rotated(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let host = Host::steady("a");
    let rotator = world.rotator(&host);
    let mut run = world.until(&rotator, |phase| matches!(phase, RunPhase::Retiring { .. })).await;
    host.follow(FaultPlan::none().always(Operation::Revoke, Fault::Fail(ErrorKind::Denied)));
    for _ in 0..20 {
        assert_eq!(kind(&run.step().await.expect_err("denied")), ErrorKind::Denied);
        world.clock.advance(Duration::from_secs(86_400));
    }
    let record = world.record().await;
    assert_eq!(record.version(old).expect("kept").state, VersionState::RevokePending);
    assert!(
        world.clock.now() - record.version(old).expect("kept").entered_at >= chrono::TimeDelta::days(20),
        "its age"
    );
    assert!(record.history().iter().all(|ended| ended.id != run.id()), "reported as rotated");
    host.follow(FaultPlan::none());
    assert_eq!(finish(&mut run, &world.clock).await.expect("rotate").outcome, RunOutcome::Completed);
    world.comes_to_rest().await;
}

pub(crate) async fn f39_a_secret_scheduled_for_deletion_parks_the_run(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("a");
    let rotator = world.rotator(&host);
    let mut run = world.until(&rotator, validated).await;
    let new = world.new_version().await;
    let (record, creates) = (world.record().await, world.issuer.all_creates());
    let calls = host.calls();
    host.follow(FaultPlan::none().everywhere(Fault::Fail(ErrorKind::PendingDeletion)));
    for _ in 0..5 {
        assert_eq!(kind(&run.step().await.expect_err("scheduled")), ErrorKind::PendingDeletion);
    }
    // It neither restores nor makes anew, and the operator can see what is live.
    let asked = host.trace().split_off(calls);
    assert!(asked.iter().all(|call| matches!(call.operation, Operation::Load | Operation::Pointer)), "{asked:?}");
    assert_eq!((world.record().await, world.issuer.all_creates()), (record, creates));
    assert_eq!(world.issuer.live(&key(CHARGES)), [world.primary().await, new]);
    host.follow(FaultPlan::none());
    let mut ended = None;
    while ended.is_none() {
        match run.step().await.expect("restored by a person") {
            Step::Finished(report) => ended = Some(report.outcome),
            Step::Wait { at_most, .. } => world.clock.advance(at_most),
            _ => {}
        }
    }
    assert_eq!(ended, Some(RunOutcome::Completed));
    world.comes_to_rest().await;
}
