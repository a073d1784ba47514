//! The pointer: journalled, moved, confirmed, or fenced.

use std::sync::Arc;

use keyward::core::{ManualClock, Operation, PublicationId, RunOutcome, SecretBackend, VersionState};
use keyward::rotation::{NeedsOperator, Step};
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake};

use crate::support::{CHARGES, cx, finish, key};
use crate::world::{World, promoting, validated};

pub(crate) async fn f10_a_crash_before_the_publish_is_published_or_fenced(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let old = world.primary().await;
    let dies = || FaultPlan::none().nth(Operation::Publish, 0, Fault::CrashBefore);
    assert!(world.play(dies()).is_none(), "it died");
    let new = world.new_version().await;
    assert!(world.phase().await.is_some_and(|phase| promoting(&phase)));
    let report = world.finish(&world.steady("b"), "resume").await.expect("published");
    assert_eq!((report.outcome, world.shown().await), (RunOutcome::Completed, Some(new)));
    assert_eq!(world.state(old).await, VersionState::Revoked);

    // Aborted instead: never without the fence, although nothing had moved.
    assert!(world.play(dies()).is_none(), "it died");
    let given_up = world.new_version().await;
    let rotator = world.steady("b");
    rotator.abort(&key(CHARGES), "changed our minds").await.expect("abort");
    let before = world.store.moves().len();
    let report = world.finish(&rotator, "abort").await.expect("fenced");
    assert_eq!(report.outcome, RunOutcome::Aborted);
    let fence = world.store.moves().split_off(before);
    assert_eq!(fence.iter().map(|moved| moved.version).collect::<Vec<_>>(), [new], "published again");
    assert_ne!(fence[0].publication, PublicationId::first(new), "under a fresh id");
    assert_eq!(world.state(given_up).await, VersionState::Revoked);
    world.comes_to_rest().await;
}

pub(crate) async fn f11_a_publish_whose_reply_was_lost_is_seen(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let before = world.store.moves().len();
    let host = Host::new("a", FaultPlan::none().nth(Operation::Publish, 0, Fault::LostReply));
    let rotator = world.rotator(&host);
    let mut run = world.until(&rotator, promoting).await;
    run.step().await.expect_err("the reply was lost");
    assert!(world.phase().await.is_some_and(|phase| promoting(&phase)), "nothing is decided on a lost reply");
    let step = run.step().await.expect("the same call again");
    assert!(matches!(step, Step::Published { .. }), "{step}");
    assert_eq!(world.store.moves().len() - before, 1, "moved once");
    finish(&mut run, &world.clock).await.expect("rotate");
    world.comes_to_rest().await;
}

pub(crate) async fn f12_a_crash_after_the_publish_is_confirmed(store: StrictFake, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let before = world.store.moves().len();
    assert!(world.play(FaultPlan::none().nth(Operation::Publish, 0, Fault::CrashAfter)).is_none(), "it died");
    let new = world.new_version().await;
    assert_eq!(world.shown().await, Some(new), "the record does not know it yet");
    let rotator = world.steady("b");
    let mut run = rotator.resume(&key(CHARGES), "resume").await.expect("resume");
    let step = run.step().await.expect("step");
    assert!(matches!(step, Step::Published { version } if version == new), "{step}");
    assert_eq!(world.store.moves().len() - before, 1, "moved once");
    finish(&mut run, &world.clock).await.expect("rotate");
    world.comes_to_rest().await;
}

pub(crate) async fn f17_what_somebody_else_published_stops_the_run(_: StrictFake, clock: Arc<ManualClock>) {
    for at in [validated, promoting] {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let old = world.primary().await;
        let rotator = world.steady("a");
        let mut run = world.until(&rotator, at).await;
        let new = world.new_version().await;
        world.store.write_by_hand(&key(CHARGES));
        let asks = |step: &Step| matches!(step, Step::NeedsOperator(NeedsOperator::ForeignPublication { .. }));

        let step = run.step().await.expect("step");
        assert!(asks(&step), "{step}");
        if promoting(&world.phase().await.expect("a run")) {
            // A way back is a way past the stranger: it stops there, and nothing is revoked meanwhile.
            rotator.abort(&key(CHARGES), "somebody wrote there").await.expect("abort");
            let step = run.step().await.expect("step");
            assert!(asks(&step), "{step}");
            rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        }
        assert_eq!(world.issuer.live(&key(CHARGES)), [old, new], "nobody knows which one is used");

        put_back(&world, old).await;
        rotator.abort(&key(CHARGES), "somebody wrote there").await.expect("abort");
        assert_ne!(finish(&mut run, &world.clock).await.expect("an end").outcome, RunOutcome::Completed);
        assert_eq!(world.state(new).await, VersionState::Revoked);
        world.comes_to_rest().await;
    }
}

/// Publishes the old version over what was written by hand, under the publication it had.
async fn put_back(world: &World<StrictFake>, old: keyward::core::VersionId) {
    let record = world.record().await;
    let token = world.store.pointer(&cx(), &record.target()).await.expect("pointer").token;
    let publication = PublicationId::first(old);
    world.store.publish(&cx(), &record.target(), old, publication, &token).await.expect("publish");
}
