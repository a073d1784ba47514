//! The playbook, written once.

use std::time::Duration;

use keyward::core::{
    Clock, IncidentState, RunOutcome, RunPhase, SecretBackend, SecretBackendExt, Select, Shows, VersionState,
};
use keyward::inventory::Inventory;
use keyward::leak::{LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::Rotator;
use keyward_conformance::strict::{Fault, FaultPlan, Host, run_until_crash};

use crate::pairs::Pairs;
use crate::stores::Store;
use crate::support::{self, CHARGES, FAILING, HEALTHY, charges, cx, key};
use crate::world::{World, pair};

pub(crate) async fn a_rotation_replaces_the_key_and_sees_the_old_one_dead(store: Store) {
    let world = World::provisioned(store).await;
    let old = world.record().await.primary().expect("a primary").id;
    let keys = world.keyring().await.expect("keys");
    let handle = keys.handle("payments/stripe-charges").expect("a handle");
    let before = handle.live().expect("live");
    let began = world.clock.now();

    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    let report = world.finish(&rotator, "quarterly").await.expect("rotate");
    let new = world.record().await.primary().expect("a primary").id;
    assert_eq!((report.outcome, report.from, report.to), (RunOutcome::Completed, Some(old), new));
    assert!(world.clock.now() - began >= chrono::TimeDelta::hours(48), "soak and overlap were kept");
    assert_eq!(world.record().await.version(old).expect("the old one").state, VersionState::Revoked);

    keys.refresh().await;
    let after = handle.live().expect("live");
    assert_eq!((before.version(), after.version()), (old, new));
    assert!(before.expose_secret() != after.expose_secret(), "another value");
    world.settle("rotated").await;

    // T14: after the retention the old material is given up.
    world.clock.advance(Duration::from_secs(8 * 86_400));
    rotator.sweep(&key(CHARGES), "weekly").await.expect("sweep");
    let record = world.record().await;
    assert!(record.version(old).is_none_or(|v| v.state == VersionState::Gone), "the old material was withdrawn");
    let survey = world.store.backend.survey(&cx(), &record.target()).await.expect("survey");
    assert_eq!(survey.versions, [new], "only the primary is held");
}

pub(crate) async fn a_failing_gate_publishes_the_old_key_again(store: Store) {
    let world = World::provisioned(store).await;
    let old = world.record().await.primary().expect("a primary").id;
    let report = world.finish(&world.rotator(&Host::steady("a"), FAILING), "quarterly").await.expect("rotate");
    assert_eq!(report.outcome, RunOutcome::RolledBack);
    let record = world.record().await;
    assert_eq!(record.primary().expect("a primary").id, old);
    let Shows::Ours { publication, version } = world.shows().await else { panic!("ours") };
    assert_eq!(version, old);
    assert_ne!(publication, keyward::core::PublicationId::first(old), "published again under a fresh id");
    world.settle("rolled back").await;
    // The way forward is open again.
    let report = world.finish(&world.rotator(&Host::steady("b"), HEALTHY), "again").await.expect("rotate");
    assert_eq!(report.outcome, RunOutcome::Completed);
    world.settle("forward again").await;
}

pub(crate) async fn an_abort_while_promoting_fences_the_pointer(store: Store) {
    let world = World::provisioned(store).await;
    let old = world.record().await.primary().expect("a primary").id;
    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    world.rotate_until(&rotator, |phase| matches!(phase, RunPhase::Promoting { .. })).await;
    let record = world.record().await;
    let Some(RunPhase::Promoting { version, publication, expect: Some(expect) }) = record.run().map(|r| &r.phase)
    else {
        panic!("promoting")
    };
    // A sleeper holds this token; the abort must make it worthless.
    let (version, publication, expect) = (*version, *publication, expect.clone());
    rotator.abort(&key(CHARGES), "changed our minds").await.expect("abort");
    world.finish(&rotator, "abort").await.expect("the abort");
    let slept = world.store.backend.publish(&cx(), &record.target(), version, publication, &expect).await;
    assert!(
        matches!(slept, Ok(keyward::core::Publish::Conflict(_))) || slept.is_err(),
        "a sleeper moved the pointer: {slept:?}"
    );
    assert!(matches!(world.shows().await, Shows::Ours { version, .. } if version == old));
    world.settle("aborted").await;
}

pub(crate) async fn a_leaked_key_is_refused_replaced_and_dead(store: Store) {
    let world = World::provisioned(store).await;
    let leaked = world.record().await.primary().expect("a primary").id;
    let keys = world.keyring().await.expect("keys");
    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    let report = LeakReport::of(key(CHARGES), Leaked::Version(leaked), "seen in a gist").expect("a report");
    let mut response = LeakResponse::open(&rotator, &report).await.expect("open");
    keys.refresh().await;
    assert!(keys.handle("payments/stripe-charges").expect("a handle").live().is_err(), "the leaked key is not served");
    for _ in 0..300 {
        match response.step().await.expect("step") {
            LeakStep::AwaitingReview(_) => break,
            LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
            _ => {}
        }
    }
    let record = world.record().await;
    assert!(record.incidents().iter().all(|i| i.state == IncidentState::AwaitingReview));
    assert!(!world.issuer.working(record.id()).contains(&leaked), "the leaked key is dead");
    keys.refresh().await;
    let serving = keys.handle("payments/stripe-charges").expect("a handle").live().expect("live").version();
    assert_ne!(serving, leaked);
    world.settle("leak").await;
}

pub(crate) async fn a_key_that_is_given_up_leaves_a_tombstone(store: Store) {
    let world = World::provisioned(store).await;
    let version = world.record().await.primary().expect("a primary").id;
    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    rotator.decommission(&key(CHARGES), "no longer needed").await.expect("decommission");
    assert!(rotator.sweep(&key(CHARGES), "at once").await.expect("sweep").pending.is_empty());
    let inventory = Inventory::new(world.store.backend.clone()).actor("ada").clock(world.clock.clone());
    let retired = inventory.retire(&key(CHARGES), "no longer needed").await.expect("retire");
    assert!(retired.record.retired_at().is_some());
    world.assert_not_served("retired").await;
    let read = world.store.backend.read_one(&cx(), &retired.record.target(), Select::Version(version)).await;
    assert!(read.is_err(), "the version cannot be read either");
    assert!(world.keyring().await.is_err(), "a service is told");
    let again = inventory.retire(&key(CHARGES), "again").await;
    assert!(again.is_ok() || again.is_err_and(|e| e.to_string().contains("pending deletion")), "repeating is safe");
    assert!(world.record().await.retired_at().is_some(), "the record stays");
}

pub(crate) async fn a_key_of_fields_rotates_as_one(store: Store) {
    let world = World::of(store, charges().shape(pair())).await;
    let issuer = Pairs::default();
    let rotator = Rotator::builder(world.store.backend.clone())
        .actor("pairs")
        .issuer_and_validator("acme", issuer.clone())
        .health(HEALTHY)
        .clock(world.clock.clone())
        .poll_every(Duration::from_secs(3_600))
        .build()
        .expect("a rotator");
    for reason in ["first key", "quarterly"] {
        let mut run = rotator.start_or_resume(&key(CHARGES), reason).await.expect("start");
        support::finish(&mut run, &world.clock).await.expect("finish");
        let record = world.record().await;
        let found = world.store.backend.read_one(&cx(), &record.target(), Select::Current).await.expect("read");
        let keyward::core::Read::Found { material, version, .. } = found else { panic!("found") };
        assert_eq!(Some(version), record.primary().map(|v| v.id));
        assert!(issuer.made(version, &material), "both fields of one version");
    }
}

/// The refresh thread of a keyring has no runtime of its own, and `block_on` brings none.
pub(crate) async fn keys_are_served_and_followed_without_a_runtime(store: Store) {
    let world = World::provisioned(store).await;
    let world = std::thread::spawn(move || {
        let keys = futures_lite::future::block_on(world.keyring()).expect("keys");
        let first = keys.handle("payments/stripe-charges").expect("a handle").live().expect("live").version();
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        futures_lite::future::block_on(world.finish(&rotator, "quarterly")).expect("rotate");
        let refresh = keys.spawn_refresh();
        futures_lite::future::block_on(keys.refresh());
        let second = keys.handle("payments/stripe-charges").expect("a handle").live().expect("live").version();
        assert_ne!(first, second);
        drop(refresh);
        world
    });
    let world = world.join().expect("no panic on a plain thread");
    world.settle("followed").await;
}

/// Killed before, after, or with a lost reply at each call of a rotation; another host goes on.
pub(crate) async fn a_death_at_every_call_ends_clean(store: Store) {
    let world = World::provisioned(store).await;
    let counting = Host::steady("counting");
    world.finish(&world.rotator(&counting, HEALTHY), "count").await.expect("no fault, no error");
    world.settle("without faults").await;
    let mut cases = 0;
    for call in 0..counting.calls() {
        for fault in Fault::CRASHES {
            let case = format!("call {call}, {fault:?}");
            let host = Host::new("a", FaultPlan::none().at(call, fault));
            let rotator = world.rotator(&host, HEALTHY);
            run_until_crash(&host, world.finish(&rotator, "rotate"));
            world.settle(&case).await;
            cases += 1;
        }
    }
    assert!(cases > 60, "only {cases} cases");
    println!("{cases} cases");
}
