//! Many rotators on one key.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{Retry, RunId, RunOutcome, SecretBackendExt};
use keyward::rotation::{RotationError, Step};
use keyward_conformance::strict::Host;
use tokio::sync::Barrier;

use crate::stores::Store;
use crate::support::{CHARGES, HEALTHY, cx, key};
use crate::world::World;

/// Exactly one run wins; the others made no issuer call; the issuer ends with exactly the keys
/// the record names.
pub(crate) async fn sixteen_rotators_one_run(store: Store) {
    const MANY: usize = 16;
    let world = Arc::new(World::provisioned(store).await);
    let creates = world.issuer.all_creates().len();
    let start = Arc::new(Barrier::new(MANY));
    let racers = (0..MANY).map(|n| tokio::spawn(race(world.clone(), start.clone(), n)));
    let mut won = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        won.extend(racer.await.expect("no panic"));
    }
    assert_eq!(won.len(), 1, "exactly one run wins");
    assert_eq!(world.issuer.all_creates().len(), creates + 1, "the issuer was asked once");
    let record = world.store.backend.load_existing(&cx(), &key(CHARGES)).await.expect("load").value;
    let ended: Vec<_> = record.history().iter().filter(|run| won.contains(&run.id)).collect();
    assert_eq!(ended.len(), 1, "the run ended once");
    assert_eq!(ended[0].outcome, RunOutcome::Completed);
    world.settle("after the race").await;
}

/// Starts a run with all the others and drives it to its end; whoever lost steps along.
async fn race(world: Arc<World>, start: Arc<Barrier>, n: usize) -> Option<RunId> {
    let rotator = world.rotator(&Host::steady(&format!("rotator-{n}")), HEALTHY);
    start.wait().await;
    let begun = match rotator.start(&key(CHARGES), "all at once").await {
        Ok(run) => Ok(Some((run, true))),
        Err(RotationError::AlreadyRunning { .. } | RotationError::Contended { .. }) => {
            Ok(rotator.resume(&key(CHARGES), "along").await.ok().map(|run| (run, false)))
        }
        Err(error) => Err(error),
    };
    // On a fast store the run could be over before the last of them asks, who would then rightly start another.
    start.wait().await;
    let (mut run, won) = begun.unwrap_or_else(|error| panic!("rotator {n}: {error}"))?;
    for _ in 0..3_000 {
        match run.step().await {
            Ok(Step::Finished(_)) => return won.then(|| run.id()),
            // Time is the winner's to move: a loser that moved it would make the others impatient.
            Ok(Step::Wait { at_most, .. }) if won => world.clock.advance(at_most),
            Ok(Step::Wait { .. } | Step::Overtaken) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(Step::NeedsOperator(what)) => panic!("rotator {n}: {what}"),
            Ok(_) => {}
            Err(RotationError::Backend(error)) if error.retry() == Retry::No => panic!("rotator {n}: {error}"),
            // Another one was faster, or the run has left the record.
            Err(_) => {}
        }
    }
    panic!("rotator {n}: the run does not end");
}
