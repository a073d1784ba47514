//! Many keys at once: who is first, how many at a time, what a broken issuer costs, and that a fleet
//! which is killed again and again ends where one that was left alone ends.

#![expect(clippy::print_stdout, reason = "a wave says how much it did")]

#[path = "fleet/behaviour.rs"]
mod behaviour;
#[path = "fleet/budgets.rs"]
mod budgets;
#[path = "fleet/many/mod.rs"]
mod many;
mod support;

use std::sync::Arc;

use futures_lite::future::block_on;
use keyward::core::MemoryBackend;
use keyward::file::{FileBackend, KeyFile};
use many::wave;
use many::world::Store;

pub(crate) fn memory() -> Store {
    Arc::new(MemoryBackend::default())
}

fn on_file(test: impl AsyncFnOnce(Store)) {
    let directory = tempfile::tempdir().expect("a directory");
    block_on(async {
        let unlock = KeyFile::create(directory.path().join("unlock.key")).expect("a key file");
        let store = FileBackend::create(directory.path().join("keys.keyward"), unlock).await.expect("a store");
        test(Arc::new(store)).await;
    });
}

#[test]
fn a_wave_over_500_keys_survives_every_kill_on_file() {
    on_file(async |store| wave::a_wave_survives_kills(store, 500, 1).await);
}

#[test]
#[ignore = "long mode: 20 minutes; cargo test --test fleet -- --ignored --nocapture"]
fn a_wave_over_10_000_keys_survives_every_kill_on_file() {
    on_file(async |store| wave::a_wave_survives_kills(store, 10_000, 2).await);
}

/// Small waves with many seeds: more moments of death for the same time.
#[test]
fn small_waves_survive_kills_at_many_moments() {
    let seeds = std::env::var("KEYWARD_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        block_on(wave::a_wave_survives_kills(memory(), 24, seed));
    }
}

#[test]
fn the_limits_are_reached_and_kept() {
    block_on(wave::the_limits_are_kept(memory(), 60));
}
