//! Reports: counted per version, one refresh for all rejections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    AdoptionSignal, ClientMinutes, Clock, HealthQuery, HealthSignal, LastUse, ManualClock, UsageSignal, VersionId,
};
use keyward::keyring::{Keyring, Outcome, ReportedHealth};
use keyward::signal::Combined;

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
fn a_client_minute_counts_once_by_the_share_that_was_refused() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "first");
    let keys = load(store, &clock);
    let report = |outcome, times| (0..times).for_each(|_| keys.live(NAME).expect("a live key").report(outcome));
    let minutes = || keys.health().counts(&id(CHARGES), version).minutes.expect("minutes are counted");
    assert_eq!(minutes(), ClientMinutes::default());

    report(Outcome::AuthRejected, 50);
    assert_eq!((minutes().seen(), minutes().refused()), (1, 1.0), "the open minute counts");
    clock.advance(Duration::from_secs(59));
    report(Outcome::Ok, 50);
    assert_eq!((minutes().seen(), minutes().refused()), (1, 0.5), "still the same minute");
    clock.advance(Duration::from_secs(1));
    report(Outcome::Ok, 3);
    report(Outcome::ScopeRejected, 1);
    assert_eq!((minutes().seen(), minutes().refused()), (2, 0.75));
    clock.advance(Duration::from_secs(600));
    assert_eq!(minutes().seen(), 2, "minutes without requests are none");
    report(Outcome::Throttled, 5);
    report(Outcome::ServerError, 5);
    assert_eq!(minutes().seen(), 2, "nor are those that say nothing about the key");
    report(Outcome::Ok, 1);
    assert_eq!((minutes().seen(), minutes().refused()), (3, 0.75));
}

#[test]
fn many_threads_lose_no_report_and_no_minute() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "first");
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    const MINUTES: u64 = 10;
    for _ in 0..MINUTES {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| handle.live().expect("a live key").report(Outcome::Ok)));
            }
        });
        clock.advance(Duration::from_secs(60));
    }
    let counts = keys.health().counts(&id(CHARGES), version);
    let minutes = counts.minutes.expect("minutes are counted");
    assert_eq!((counts.clean, minutes.seen(), minutes.refused()), (MINUTES * 8_000, MINUTES, 0.0));
}

fn last_use(signal: &impl UsageSignal, version: VersionId) -> LastUse {
    block_on(signal.last_use(&cx(), &id(CHARGES), version)).expect("an answer")
}

fn at(clock: &ManualClock) -> LastUse {
    LastUse::At(clock.now())
}

#[test]
fn a_version_was_last_used_when_a_handle_last_reported() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let signal = keys.health();
    assert_eq!(last_use(&*signal, first), LastUse::Unknown, "nobody has reported yet");
    let began = at(&clock);

    clock.advance(Duration::from_secs(600));
    let held = keys.live(NAME).expect("a live key");
    held.report(Outcome::ServerError);
    let used = at(&clock);
    clock.advance(Duration::from_secs(30));
    assert_eq!(last_use(&*signal, first), used);
    assert_eq!(last_use(&*signal, VersionId::generate()), began, "not used since the keyring began");

    let second = rotate(&store, &*clock, CHARGES, "second");
    block_on(keys.refresh());
    keys.live(NAME).expect("a live key").report(Outcome::Ok);
    let used_second = at(&clock);
    assert_eq!((last_use(&*signal, first), last_use(&*signal, second)), (used, used_second));
    clock.advance(Duration::from_secs(1));
    held.report(Outcome::AuthRejected);
    assert_eq!(last_use(&*signal, first), at(&clock), "a request with the old version came late");
}

#[test]
fn a_keyring_that_is_younger_than_the_last_use_knows_nothing_of_before() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let health = Arc::new(ReportedHealth::default());
    let start = |instance: &str| {
        let builder = billing(store.clone(), &clock).reports_to(health.clone()).consumer_instance(instance);
        block_on(builder.require(NAME).load()).expect("the keyring loads")
    };
    let old = start("host-1");
    old.live(NAME).expect("a live key").report(Outcome::Ok);
    clock.advance(Duration::from_secs(3_600));
    assert_ne!(last_use(&*health, first), at(&clock));
    let _young = start("host-2");
    assert_eq!(last_use(&*health, first), at(&clock));
}

#[test]
fn the_consumers_are_the_keyrings_that_serve_the_key() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let health = Arc::new(ReportedHealth::default());
    let start = |instance: &str| {
        let builder = billing(store.clone(), &clock).reports_to(health.clone()).consumer_instance(instance);
        block_on(builder.require(NAME).load()).expect("the keyring loads")
    };
    let (one, two) = (start("host-1"), start("host-2"));
    let consumers = || {
        let found = block_on(health.consumers(&cx(), &id(CHARGES))).expect("an answer");
        assert!(
            found.iter().all(|consumer| consumer.service.as_str() == "billing-api" && consumer.seen_at == clock.now())
        );
        found.into_iter().map(|consumer| (consumer.instance, consumer.version)).collect::<Vec<_>>()
    };
    let on = |instance: &str, version| (instance.to_owned(), version);
    assert_eq!(consumers(), [on("host-1", first), on("host-2", first)]);

    let second = rotate(&store, &*clock, CHARGES, "second");
    block_on(one.refresh());
    assert_eq!(consumers(), [on("host-2", first), on("host-1", second)]);

    let held = two.live(NAME).expect("a live key");
    block_on(two.refresh());
    assert_eq!(
        consumers(),
        [on("host-2", first), on("host-1", second), on("host-2", second)],
        "a request is under way"
    );
    drop(held);
    assert_eq!(consumers(), [on("host-1", second), on("host-2", second)]);
    drop(one);
    assert_eq!(consumers(), [on("host-2", second)]);
    assert!(block_on(health.consumers(&cx(), &id("production/payments/other"))).expect("an answer").is_empty());
}

#[test]
fn signals_of_several_processes_are_one() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let processes = [load(store.clone(), &clock), load(store.clone(), &clock)];
    let both = Combined::new(processes.each_ref().map(Keyring::health));
    processes[0].live(NAME).expect("a live key").report(Outcome::AuthRejected);
    assert_eq!(last_use(&both, first), LastUse::Unknown, "one of them does not report");
    clock.advance(Duration::from_secs(60));
    processes[1].live(NAME).expect("a live key").report(Outcome::Ok);

    let query = HealthQuery { key: id(CHARGES), new: first, old: None, since: chrono::DateTime::UNIX_EPOCH };
    let counts = block_on(both.health(&cx(), &query)).expect("a report").new;
    assert_eq!((counts.clean, counts.auth_rejects, counts.clients, counts.rejected_clients), (1, 1, 2, 1));
    let minutes = counts.minutes.expect("both count minutes");
    assert_eq!((minutes.seen(), minutes.refused()), (2, 1.0));
    assert_eq!(last_use(&both, first), at(&clock));
    assert_eq!(block_on(both.consumers(&cx(), &id(CHARGES))).expect("an answer").len(), 2);
    assert_eq!(last_use(&Combined::<Arc<ReportedHealth>>::new([]), first), LastUse::Unknown);
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
