//! From the issuer into the store, and the proof that the key works.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{ManualClock, Material, Operation, RunOutcome, SecretBackend, SecretValue, Stage, VersionState};
use keyward::rotation::{NeedsOperator, Step};
use keyward_conformance::strict::{Fault, FaultPlan, Flap, Host, StrictFake};

use crate::support::{self, cx, finish, until};
use crate::world::{Store, World};

pub(crate) async fn f05_a_stage_whose_reply_was_lost_goes_on(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::registered(store, clock).await;
    let host = Host::new("a", FaultPlan::none().nth(Operation::Stage, 0, Fault::LostReply));
    let rotator = world.rotator(&host);
    let mut run = world.start(&rotator).await;
    run.step().await.expect_err("the reply was lost");
    let step = run.step().await.expect("the same call again");
    assert!(matches!(step, Step::Created { .. }), "{step}");
    assert_eq!(finish(&mut run, &world.clock).await.expect("provision").outcome, RunOutcome::Completed);
    assert_eq!((world.issuer.most_creates(), world.store.misuse()), (1, vec![]));
    world.comes_to_rest().await;
}

pub(crate) async fn f06_other_material_under_the_same_version_is_never_published(
    store: StrictFake,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let primary = world.primary().await;
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    let version = world.new_version().await;
    let other = Material::one(SecretValue::from("put there by somebody")).expect("material");
    let target = world.record().await.target();
    assert_eq!(world.store.stage(&cx(), &target, version, &other).await.expect("stage"), Stage::Stored);

    let step = run.step().await.expect("step");
    assert!(matches!(step, Step::NeedsOperator(NeedsOperator::StageConflict { .. })), "{step}");
    // Whoever goes on all the same does so under a fresh id.
    world.finish(&rotator, "go on").await.expect("another version");
    assert_ne!(world.primary().await, primary);
    assert!(world.store.moves().iter().all(|moved| moved.version != version), "it was published");
    assert_eq!(world.state(version).await, VersionState::Revoked, "and its key is given up");
    world.comes_to_rest().await;
}

pub(crate) async fn f07_material_of_a_version_given_up_is_withdrawn(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    // The first swap begins the run, the second would say that the key is stored.
    assert!(world.play(FaultPlan::none().nth(Operation::Swap, 1, Fault::CrashBefore)).is_none(), "it died");
    let abandoned = world.new_version().await;
    let target = world.record().await.target();
    let held = async || world.store.survey(&cx(), &target).await.expect("survey").versions;
    assert!(held().await.contains(&abandoned), "staged");
    world.comes_to_rest().await;
    assert_eq!(world.state(abandoned).await, VersionState::Revoked);

    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.sweep(&world.steady("sweeper")).await;
    assert_eq!(held().await, [world.primary().await], "its material is given up");
}

pub(crate) async fn f08_a_flapping_probe_passes_after_successes_in_a_row_only(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    until(&mut run, &world.clock, |step| matches!(step, Step::Created { .. })).await;
    let before = world.validator.probes();
    world.validator.flap([
        Flap::Rejected,
        Flap::Accepted,
        Flap::Unclear,
        Flap::Accepted,
        Flap::Accepted,
        Flap::Rejected,
    ]);
    until(&mut run, &world.clock, |step| matches!(step, Step::Validated { .. })).await;
    assert_eq!(world.validator.probes() - before, 6 + 3, "three in a row after the last refusal");
    finish(&mut run, &world.clock).await.expect("rotate");

    // It never settles: T5, and the new key is revoked.
    let mut run = world.start(&rotator).await;
    world.validator.flap([Flap::Rejected, Flap::Accepted].into_iter().cycle().take(10_000));
    until(&mut run, &world.clock, |step| matches!(step, Step::Abandoned { .. })).await;
    world.validator.be_honest();
    let report = finish(&mut run, &world.clock).await.expect("an end");
    assert_eq!(report.outcome, RunOutcome::Aborted);
    assert_eq!(world.state(report.to).await, VersionState::Revoked);
    assert_ne!(world.primary().await, old);
    world.comes_to_rest().await;
}

pub(crate) async fn f09_another_scope_is_a_failed_validation(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let rotator = world.steady("a");
    let mut run = world.start(&rotator).await;
    until(&mut run, &world.clock, |step| matches!(step, Step::Created { .. })).await;
    let new = world.new_version().await;
    world.issuer.change_scope(new, &support::reports().scope);
    until(&mut run, &world.clock, |step| matches!(step, Step::Abandoned { .. })).await;
    let report = finish(&mut run, &world.clock).await.expect("an end");
    let told = report.evidence.join("; ");
    assert!(told.contains("the scope differs") && told.contains("reports:read-only"), "{told}");
    assert!(!told.contains("fake_"), "the difference is reported without values: {told}");
    assert_eq!((world.state(new).await, world.primary().await), (VersionState::Revoked, old));
    assert!(world.record().await.version(new).expect("kept").proof.is_none());
    world.comes_to_rest().await;
}
