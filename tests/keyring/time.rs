//! Deadlines: the hard limit, expiry, and the refreshes in between.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{Clock, ErrorKind, RotationPolicy};
use keyward::keyring::{Keyring, Why};

use crate::flaky::Flaky;
use crate::setup::{draft, provision, register, rotate};
use crate::{CHARGES, NAME, billing, load, text, why, world};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn beyond_the_hard_limit_the_answer_is_stale_and_never_the_old_key() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let away = Flaky::over(&store);
    let keys = load(away.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");

    away.fail_load(CHARGES, Some(ErrorKind::Unavailable));
    for _ in 0..14 {
        clock.advance(MINUTE);
        block_on(keys.refresh());
        assert_eq!(text(&handle), "first");
    }
    clock.advance(MINUTE);
    block_on(keys.refresh());
    let Why::Stale { age } = why(&handle) else { panic!("it is stale") };
    assert_eq!(age, Keyring::HARD_TTL);

    away.fail_load(CHARGES, None);
    block_on(keys.refresh());
    assert_eq!(text(&handle), "first", "confirmed again");
}

#[test]
fn a_confirmation_moves_the_hard_limit() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    for _ in 0..60 {
        clock.advance(MINUTE);
        block_on(keys.refresh());
    }
    assert_eq!(text(&handle), "first");
}

#[test]
fn a_version_is_refused_from_its_expiry_on_without_asking_the_store() {
    let (clock, store) = world();
    let policy = RotationPolicy::default()
        .with_windows(Duration::ZERO, Duration::ZERO, Duration::ZERO)
        .with_interval(60 * MINUTE)
        .with_lifetime(61 * MINUTE);
    register(&store, &*clock, &draft(CHARGES).policy(policy));
    let version = rotate(&store, &*clock, CHARGES, "first");
    clock.advance(55 * MINUTE);
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");

    clock.advance(6 * MINUTE - Duration::from_nanos(1));
    assert_eq!(text(&handle), "first");
    clock.advance(Duration::from_nanos(1));
    assert!(matches!(why(&handle), Why::Expired { version: v } if v == version));
    block_on(keys.refresh());
    assert!(matches!(why(&handle), Why::Expired { .. }), "also after the store was asked");

    rotate(&store, &*clock, CHARGES, "second");
    block_on(keys.refresh());
    assert_eq!(text(&handle), "second");
}

#[test]
fn a_wall_clock_set_back_does_not_prolong_a_value() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    clock.advance(Keyring::HARD_TTL);
    clock.set_wall(clock.now() - chrono::TimeDelta::days(30));
    assert!(matches!(why(&handle), Why::Stale { .. }));
}

#[test]
fn the_thread_refreshes_at_the_soft_limit_and_stops_with_its_guard() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let counted = Flaky::over(&store);
    let keys = load(counted.clone(), &clock);
    let mut watch = keys.handle(NAME).expect("a handle").watch();
    let guard = keys.spawn_refresh();

    let second = rotate(&store, &*clock, CHARGES, "second");
    clock.advance(Keyring::SOFT_TTL.mul_f64(1.2));
    assert_eq!(block_on(watch.changed()), second);

    guard.stop();
    let loads = counted.loads();
    clock.advance(10 * Keyring::SOFT_TTL);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(counted.loads(), loads);
}

#[test]
fn the_loop_ends_with_the_last_handle() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let passes = keys.refresh_loop();
    let runner = std::thread::spawn(move || block_on(passes));
    drop(keys);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!runner.is_finished(), "the handle is still followed");
    drop(handle);
    runner.join().expect("no panic");
}

#[test]
fn refreshes_at_the_same_time_share_a_pass() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let counted = Flaky::over(&store);
    let keys = Arc::new(load(counted.clone(), &clock));
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let keys = keys.clone();
            std::thread::spawn(move || block_on(keys.refresh()).problems.len())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic") == 0));
    assert!((2..=51).contains(&counted.loads()));
}

#[test]
fn the_machines_clock_is_used_by_default() {
    let store = keyward::core::MemoryBackend::default();
    provision(&store, &keyward::core::SystemClock, CHARGES, "first");
    let builder = Keyring::builder(store).environment(keyward::core::Environment::Production).service("billing-api");
    let builder = builder.soft_ttl(Duration::from_millis(50)).hard_ttl(Duration::from_secs(1));
    let keys = block_on(builder.require(NAME).load()).expect("the keyring loads");
    let handle = keys.handle(NAME).expect("a handle");
    assert_eq!(text(&handle), "first");
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(matches!(why(&handle), Why::Stale { .. }));
    let _guard = keys.spawn_refresh();
    let mut looks = (0..500).inspect(|_| std::thread::sleep(Duration::from_millis(10)));
    assert!(looks.any(|_| handle.live().is_ok()), "the thread confirms it again");
}

#[test]
fn a_keyring_without_keys_is_no_error() {
    let (clock, store) = world();
    let keys = block_on(billing(store, &clock).load()).expect("the keyring loads");
    assert_eq!(keys.keys().count(), 0);
    assert!(block_on(keys.refresh()).problems.is_empty());
}
