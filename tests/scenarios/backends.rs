//! The store itself has changed behind the record's back.

use std::sync::Arc;

use keyward::core::ManualClock;
use keyward::rotation::{NeedsOperator, Step};
use keyward_conformance::strict::StrictFake;

use crate::support::{CHARGES, key};
use crate::world::World;

/// The record is older than what is published: it knows neither the version nor its publication.
pub(crate) async fn f40_a_record_restored_from_a_backup_revokes_nothing_that_serves(
    store: StrictFake,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let backup = world.store.revisions(&key(CHARGES)).len();
    let rotator = world.steady("a");
    world.finish(&rotator, "rotate").await.expect("rotate");
    let serving = world.primary().await;
    world.store.restore(&key(CHARGES), backup);
    assert!(world.record().await.version(serving).is_none(), "the record is from before");

    let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
    let asked = |what: &NeedsOperator| {
        matches!(what, NeedsOperator::ForeignPublication { .. } | NeedsOperator::RecordRegressed { .. })
    };
    assert!(swept.needs_operator.iter().any(asked) && swept.revoked.is_empty(), "{swept:?}");
    let moves = world.store.moves();
    let mut run = rotator.start(&key(CHARGES), "rotate").await.expect("start");
    let step = loop {
        match run.step().await.expect("step") {
            Step::Wait { at_most, .. } => world.clock.advance(at_most),
            step @ (Step::NeedsOperator(_) | Step::Finished(_)) => break step,
            _ => {}
        }
    };
    assert!(matches!(&step, Step::NeedsOperator(what) if asked(what)), "{step}");
    assert_eq!((world.shown().await, world.store.moves()), (Some(serving), moves));
    assert!(world.issuer.live(&key(CHARGES)).contains(&serving), "what serves was revoked");
}
