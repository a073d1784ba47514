//! The end of the old key: seen dead, or not over.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{ErrorKind, ManualClock, Operation, RunOutcome, RunPhase, TransitionError, VersionState};
use keyward::rotation::{RotationError, Step};
use keyward_conformance::strict::{FakeIssuer, Fault, FaultPlan, Host};

use crate::support::{CHARGES, finish, key};
use crate::world::{Store, World};

fn retiring(phase: &RunPhase) -> bool {
    matches!(phase, RunPhase::Retiring { .. })
}

pub(crate) async fn f30_a_revoke_that_fails_for_ever_blocks_what_must_wait(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::with_issuer(store, clock, FakeIssuer::capped(2)).await.provisioned().await;
    let old = world.primary().await;
    let host = Host::steady("a");
    let rotator = world.rotator(&host);
    let mut run = world.until(&rotator, retiring).await;
    host.follow(FaultPlan::none().always(Operation::Revoke, Fault::Fail(ErrorKind::Unavailable)));
    for _ in 0..30 {
        run.step().await.expect_err("the revoke fails");
        world.clock.advance(Duration::from_secs(86_400));
    }
    // The run does not end, and no other begins past it.
    assert_eq!(world.state(old).await, VersionState::RevokePending);
    let refused = rotator.start(&key(CHARGES), "scheduled").await.map(drop).expect_err("under way");
    assert!(matches!(refused, RotationError::AlreadyRunning { .. }), "{refused}");
    assert!(rotator.sweep(&key(CHARGES), "daily").await.is_err(), "the failure is told");

    // Nor does one begin past the cap, when what is left over has no run any more.
    host.follow(FaultPlan::none());
    finish(&mut run, &world.clock).await.expect("rotate");
    world.until(&rotator, |phase| matches!(phase, RunPhase::Staged { .. })).await;
    host.follow(FaultPlan::none().always(Operation::Revoke, Fault::Fail(ErrorKind::Unavailable)));
    rotator.abort(&key(CHARGES), "not now").await.expect("abort");
    assert!(rotator.sweep(&key(CHARGES), "daily").await.is_err(), "the failure is told");
    let refused = rotator.start(&key(CHARGES), "scheduled").await.map(drop).expect_err("full");
    assert!(matches!(refused, RotationError::IssuerFull { live: 2, cap: 2, .. }), "{refused}");
    host.follow(FaultPlan::none());
    world.comes_to_rest().await;
}

pub(crate) async fn f31_a_revoked_key_that_still_works_is_not_revoked(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.steady("a");
    let mut run = world.until(&rotator, retiring).await;
    world.issuer.revokes_linger(3);
    for _ in 0..3 {
        let step = run.step().await.expect("step");
        let Step::Wait { at_most, why } = step else { panic!("{step}") };
        assert!(why.contains("not seen dead"), "{why}");
        assert_eq!(world.state(old).await, VersionState::RevokePending);
        world.clock.advance(at_most);
    }
    let step = run.step().await.expect("step");
    assert!(matches!(step, Step::Revoked { version } if version == old), "{step}");
    world.comes_to_rest().await;
}

pub(crate) async fn f35_after_the_point_of_no_return_a_rollback_is_refused(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let rotator = world.steady("a");
    let mut run = world.until(&rotator, retiring).await;
    let new = world.new_version().await;
    for refused in [rotator.rollback(&key(CHARGES), "no").await, rotator.abort(&key(CHARGES), "no").await] {
        let refused = refused.expect_err("too late");
        assert!(matches!(refused, RotationError::Refused(TransitionError::RollbackWindowPassed)), "{refused}");
        assert!(refused.to_string().contains("start a new rotation"), "{refused}");
    }
    finish(&mut run, &world.clock).await.expect("rotate");
    assert_eq!(world.primary().await, new);
    let report = world.finish(&rotator, "a new rotation").await.expect("as offered");
    assert_eq!((report.outcome, report.from), (RunOutcome::Completed, Some(new)));
    world.comes_to_rest().await;
}
