//! Readers that know nothing of this library, and people who write behind its back.

use std::time::{Duration, Instant};

use keyward::core::{ErrorKind, Read, RunOutcome, RunPhase, SecretBackendExt, Select, Shows};
use keyward::rotation::{NeedsOperator, RotationError, Step};
use keyward_conformance::strict::Host;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::poller::{Poller, Seen};
use crate::raw::Raw;
use crate::stores::Store;
use crate::support::{CHARGES, FAILING, HEALTHY, cx, key};
use crate::world::World;

/// Polled as fast as the server answers through a rotation, a rollback and a fenced abort: what is
/// seen is exactly what was published, in that order; never nothing, never an error.
pub(crate) async fn native_readers_only_ever_see_validated_live_values(store: Store) {
    let world = World::provisioned(store).await;
    let mut published = vec![shown(&world).await];
    let pollers = Poller::start_all(&world.store, CHARGES).await;

    // Long enough for the slowest reader, a command started anew for each read.
    let began = Instant::now();
    for round in 0.. {
        if round >= 2 && began.elapsed() > Duration::from_secs(6) {
            break;
        }
        world.finish(&world.rotator(&Host::steady("a"), HEALTHY), "quarterly").await.expect("rotate");
        published.push(shown(&world).await);

        let rotator = world.rotator(&Host::steady("b"), FAILING);
        world.rotate_until(&rotator, |phase| matches!(phase, RunPhase::Soaking { .. })).await;
        published.push(shown(&world).await);
        let report = world.finish(&rotator, "gate").await.expect("rotate");
        assert_eq!(report.outcome, RunOutcome::RolledBack, "round {round}");
        published.push(shown(&world).await);

        let rotator = world.rotator(&Host::steady("c"), HEALTHY);
        world.rotate_until(&rotator, |phase| matches!(phase, RunPhase::Promoting { .. })).await;
        rotator.abort(&key(CHARGES), "changed our minds").await.expect("abort");
        world.finish(&rotator, "abort").await.expect("the abort");
        assert_eq!(shown(&world).await, *published.last().expect("some"), "a fence shows the old value");
    }
    for poller in pollers {
        let (name, seen, reads) = poller.stop().await;
        assert!(reads > 5, "{name}: only {reads} reads");
        let mut expected = published.iter();
        for value in &seen {
            let Seen::Value(hash) = value else { panic!("{name} saw {value:?} among {} reads", reads) };
            assert!(expected.any(|published| published == hash), "{name} saw a value out of turn: {seen:?}");
        }
        assert_eq!(seen.last(), published.last().cloned().map(Seen::Value).as_ref(), "{name}: the last value");
        println!("{name}: {reads} reads, {} changes seen of {}", seen.len(), published.len());
    }
    world.settle("polled").await;
}

/// F17: what another writer put there is noticed before and during a run, reported, and left alone.
pub(crate) async fn what_a_person_writes_is_noticed_and_never_overwritten(store: Store) {
    let world = World::provisioned(store).await;
    let raw = Raw(&world.store);
    let path = raw.derived(CHARGES);
    let serving = world.record().await.primary().expect("a primary").id;

    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    world.rotate_until(&rotator, |phase| matches!(phase, RunPhase::Promoting { .. })).await;
    let planned = world.record().await.run().expect("a run").phase.version();
    raw.put(&path, &json!("written at the console")).await;
    let written = raw.get(&path).await;

    assert_eq!(world.shows().await, Shows::Foreign);
    let target = world.record().await.target();
    let current = world.store.backend.read_one(&cx(), &target, Select::Current).await;
    assert_eq!(current.map(|_| ()).expect_err("not served").kind(), ErrorKind::Conflict);
    for _ in 0..3 {
        let mut run = rotator.resume(&key(CHARGES), "go on").await.expect("a run");
        let step = run.step().await.expect("a step");
        assert!(
            matches!(step, Step::NeedsOperator(NeedsOperator::ForeignPublication { .. })),
            "a person must decide, but: {step:?}"
        );
        assert_eq!(raw.get(&path).await, written, "left alone");
    }
    // Both keys of ours still work, and readers of the library keep the one they had.
    for version in [serving, planned] {
        assert!(world.issuer.working(&key(CHARGES)).contains(&version), "revoked under an unclear pointer");
    }
    let keys = world.keyring().await.expect("keys");
    let live = keys.handle("payments/stripe-charges").expect("a handle");
    assert_eq!(live.live().expect("live").version(), serving);

    // A rollback must not overwrite it either.
    let back = rotator.abort(&key(CHARGES), "go back").await;
    if back.is_ok() {
        match world.finish(&rotator, "go back").await {
            Err(RotationError::NeedsOperator(NeedsOperator::ForeignPublication { .. })) => {}
            other => panic!("a person must decide, but: {other:?}"),
        }
    }
    assert_eq!(raw.get(&path).await, written, "left alone by a rollback");
}

/// The hash of what native readers are shown now; it is alive and proven.
async fn shown(world: &World) -> String {
    world.check("published").await;
    let target = world.record().await.target();
    let read = world.store.backend.read_one(&cx(), &target, Select::Current).await.expect("read");
    let Read::Found { material, .. } = read else { panic!("found") };
    let value = material.value().expect("one value");
    data_encoding::HEXLOWER.encode(&Sha256::digest(value.expose_secret()))
}
