//! The gate: trips, has seen too little, or cannot tell.

use std::sync::Arc;

use chrono::TimeDelta;
use keyward::core::{
    ArmCounts, Clock, Context, HealthQuery, HealthReport, HealthSignal, ManualClock, Result, RunOutcome, VersionState,
    async_trait,
};
use keyward::rotation::{NeedsOperator, RotationError};
use keyward_conformance::strict::Host;

use crate::support::{CHARGES, FAILING, SILENT, finish, key};
use crate::world::{Store, World};

pub(crate) async fn f32_a_gate_that_trips_brings_the_old_key_back(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.rotator_with(&Host::steady("a"), FAILING);
    let report = world.finish(&rotator, "rotate").await.expect("an end");
    assert_eq!(report.outcome, RunOutcome::RolledBack);
    assert!(report.evidence.iter().any(|seen| seen.contains("5 refused")), "{:?}", report.evidence);
    assert_eq!((world.primary().await, world.shown().await), (old, Some(old)));
    assert_eq!(world.state(report.to).await, VersionState::Revoked);
    world.comes_to_rest().await;
}

pub(crate) async fn f33_a_gate_that_has_seen_too_little_revokes_nothing(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.rotator_with(&Host::steady("a"), SILENT);
    let mut run = world.until(&rotator, crate::world::soaking).await;
    let published = world.clock.now();
    for _ in 0..3 {
        let asked = finish(&mut run, &world.clock).await.expect_err("no proof of health");
        assert!(matches!(asked, RotationError::NeedsOperator(NeedsOperator::GateInsufficient { .. })), "{asked}");
        world.clock.advance(std::time::Duration::from_secs(30 * 86_400));
    }
    assert!(world.clock.now() - published > TimeDelta::days(7), "the longest soak is over");
    assert_eq!(world.state(old).await, VersionState::Overlap, "the overlap goes on");
    assert_eq!(world.issuer.live(&key(CHARGES)).len(), 2);
    rotator.override_gate(&key(CHARGES), "low traffic; every caller was checked").await.expect("override");
    let report = finish(&mut run, &world.clock).await.expect("rotate");
    assert!(report.evidence.iter().any(|seen| seen.contains("every caller was checked")), "{:?}", report.evidence);
    world.comes_to_rest().await;
}

/// The provider is away: both keys are refused.
#[derive(Debug)]
struct Outage;

#[async_trait]
impl HealthSignal for Outage {
    async fn health(&self, _: &Context, _: &HealthQuery) -> Result<HealthReport> {
        let mut arm = ArmCounts::default();
        (arm.clean, arm.auth_rejects, arm.clients) = (0, 50, 5);
        Ok(HealthReport::of(arm).against(arm))
    }
}

pub(crate) async fn f34_when_both_keys_are_refused_the_run_holds(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.rotator_with(&Host::steady("a"), Outage);
    let mut run = world.until(&rotator, crate::world::soaking).await;
    let new = world.new_version().await;
    let asked = finish(&mut run, &world.clock).await.expect_err("it cannot tell");
    assert!(matches!(asked, RotationError::NeedsOperator(NeedsOperator::GateInsufficient { .. })), "{asked}");
    assert_eq!((world.primary().await, world.state(old).await), (new, VersionState::Overlap));
    assert_eq!(world.issuer.live(&key(CHARGES)), [old, new], "neither is given up");
    // The outage is over.
    world.finish(&world.steady("b"), "go on").await.expect("rotate");
    world.comes_to_rest().await;
}
