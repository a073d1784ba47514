//! Reports: counted per version, one refresh for all rejections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{HealthQuery, HealthSignal};
use keyward::keyring::{Keyring, Outcome, ReportedHealth};

use crate::flaky::Flaky;
use crate::setup::{complete, cx, id, provision, rotate};
use crate::{CHARGES, NAME, billing, load, text, world};

#[test]
fn reports_are_about_the_version_that_was_used() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let held = handle.live().expect("a live key");
    let second = rotate(&store, &*clock, CHARGES, "second");
    block_on(keys.refresh());

    handle.live().expect("a live key").report(Outcome::Ok);
    for outcome in [
        Outcome::Ok,
        Outcome::AuthRejected,
        Outcome::ScopeRejected,
        Outcome::Throttled,
        Outcome::ServerError,
        Outcome::NetworkError,
        Outcome::RequestError,
    ] {
        held.report(outcome);
    }

    let health = keys.health();
    let query = HealthQuery { key: id(CHARGES), new: second, old: Some(first), since: chrono::DateTime::UNIX_EPOCH };
    let report = block_on(health.health(&cx(), &query)).expect("a report");
    assert_eq!((report.new.clean, report.new.rejects(), report.new.clients), (1, 0, 1));
    let old = report.old.expect("the old version was asked for");
    assert_eq!((old.clean, old.auth_rejects, old.scope_rejects), (1, 1, 1));
    assert_eq!((old.throttled, old.other_failures, old.clients), (1, 3, 1));
}

#[test]
fn keyrings_that_share_a_signal_are_several_clients() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "first");
    let health = Arc::new(ReportedHealth::default());
    for instance in ["host-1", "host-2", "host-2"] {
        let builder = billing(store.clone(), &clock).reports_to(health.clone()).consumer_instance(instance);
        let keys = block_on(builder.require(NAME).load()).expect("the keyring loads");
        keys.live(NAME).expect("a live key").report(Outcome::Ok);
    }
    load(store, &clock).live(NAME).expect("a live key").report(Outcome::Ok);
    let counts = health.counts(&id(CHARGES), version);
    assert_eq!((counts.clean, counts.clients), (3, 2));
}

#[test]
fn the_signal_forgets_the_oldest_versions() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    keys.live(NAME).expect("a live key").report(Outcome::Ok);
    for n in 0..ReportedHealth::VERSIONS {
        rotate(&store, &*clock, CHARGES, &format!("v{n}"));
        block_on(keys.refresh());
        complete(&store, &clock, CHARGES);
    }
    assert_eq!(keys.health().counts(&id(CHARGES), first).clean, 0);
}

#[test]
fn a_thousand_rejections_are_one_refresh() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let counted = Flaky::over(&store);
    let keys = load(counted.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let _refresh = keys.spawn_refresh();
    assert_eq!(counted.loads(), 1);

    storm(&handle);
    wait_for(&counted, 2);
    assert_eq!(counted.loads(), 2, "no storm");

    // The rejections that came too late for that refresh are answered by one more, an interval on.
    clock.advance(Keyring::FORCED_INTERVAL);
    wait_for(&counted, 3);
    storm(&handle);
    std::thread::sleep(Duration::from_millis(50));
    assert!(counted.loads() <= 3, "at most one an interval");
}

fn storm(handle: &keyward::keyring::KeyHandle) {
    let rejected = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..1_000 {
            let builder = std::thread::Builder::new().stack_size(64 * 1024);
            let rejected = rejected.clone();
            let client = move || {
                handle.live().expect("a live key").report(Outcome::AuthRejected);
                rejected.fetch_add(1, Ordering::Relaxed);
            };
            builder.spawn_scoped(scope, client).expect("a thread");
        }
    });
    assert_eq!(rejected.load(Ordering::Relaxed), 1_000);
}

/// Waits until so many batches were loaded, or a second has passed.
fn wait_for(counted: &Flaky, loads: u64) {
    for _ in 0..100 {
        if counted.loads() >= loads {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(30));
}

#[test]
fn a_rejection_brings_the_new_version_without_waiting() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let mut watch = handle.watch();
    let _refresh = keys.spawn_refresh();

    let second = rotate(&store, &*clock, CHARGES, "second");
    handle.live().expect("a live key").report(Outcome::AuthRejected);
    assert_eq!(block_on(watch.changed()), second);
    assert_eq!(text(&handle), "second");
}

#[test]
fn a_rejection_of_a_version_out_of_service_asks_for_nothing() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let counted = Flaky::over(&store);
    let keys = load(counted.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let held = handle.live().expect("a live key");
    rotate(&store, &*clock, CHARGES, "second");
    block_on(keys.refresh());
    let _refresh = keys.spawn_refresh();
    held.report(Outcome::AuthRejected);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted.loads(), 2);
}

#[test]
fn statuses_say_what_they_say_about_the_key() {
    let table = [
        (200, Outcome::Ok),
        (304, Outcome::Ok),
        (400, Outcome::RequestError),
        (401, Outcome::AuthRejected),
        (403, Outcome::ScopeRejected),
        (404, Outcome::RequestError),
        (408, Outcome::NetworkError),
        (429, Outcome::Throttled),
        (500, Outcome::ServerError),
        (599, Outcome::ServerError),
        (0, Outcome::ServerError),
    ];
    assert!(table.iter().all(|(status, outcome)| Outcome::from_http_status(*status as u16) == *outcome));
}
