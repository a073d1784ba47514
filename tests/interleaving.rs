//! Two or three hosts and a few leaks on one key, in random order, one call at a time.
//!
//! Hosts sleep between any two calls, die, lose replies, are cancelled, read stale records, and
//! wake up after an abort, a rollback or a leak; creates arrive late, revoked keys linger, the
//! issuer is full or switches keys off. After each call the invariants are checked; at the end
//! everything must come to rest.
//!
//! `KEYWARD_INTERLEAVINGS=n` plays so many (CI plays 100,000), `KEYWARD_SEED=n` one of them.

#[path = "interleaving/careless.rs"]
mod careless;
#[path = "interleaving/cast.rs"]
mod cast;
#[path = "interleaving/dice.rs"]
mod dice;
#[path = "interleaving/judge.rs"]
mod judge;
#[path = "interleaving/plan.rs"]
mod plan;
#[path = "interleaving/play.rs"]
mod play;
#[path = "interleaving/rest.rs"]
mod rest;
mod support;
#[path = "interleaving/world.rs"]
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use plan::plans;
use play::play;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

const USUAL: u64 = 3_000;

#[test]
fn every_interleaving_keeps_the_invariants_and_comes_to_rest() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KEYWARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWARD_INTERLEAVINGS").unwrap_or(USUAL),
    };
    let (played, turns, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let failures: Vec<String> = thread::scope(|scope| {
        let one_in = |first: u64| {
            let (seeds, turns, played, failed) = (seeds.clone(), &turns, &played, &failed);
            move || {
                seeds.skip(first as usize).step_by(threads as usize).find_map(|seed| {
                    if failed.load(Ordering::Relaxed) {
                        return None;
                    }
                    played.fetch_add(1, Ordering::Relaxed);
                    let failure = interleave(seed, false, turns)?;
                    failed.store(true, Ordering::Relaxed);
                    Some(failure)
                })
            }
        };
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(one_in(first))).collect();
        all.into_iter().filter_map(|thread| thread.join().expect("no panic outside a case")).collect()
    });
    println!("{} interleavings, {} turns", played.into_inner(), turns.into_inner());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A harness that cannot fail proves nothing: on a store whose publish ignores the pointer it was
/// given, a sleeper that wakes up does the harm the protocol is there to prevent.
#[test]
fn the_same_interleavings_catch_a_store_that_publishes_without_looking() {
    let turns = AtomicU64::new(0);
    let caught = (0..1_000).find_map(|seed| interleave(seed, true, &turns));
    println!("{}", caught.expect("a careless store went unnoticed"));
}

/// Plays the interleaving of a seed; what goes wrong, in the smallest plan that was found for it.
fn interleave(seed: u64, careless: bool, turns: &AtomicU64) -> Option<String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tree = plans().new_tree(&mut runner).expect("a plan");
    let outcome = runner.run_one(tree, |plan| {
        let (made, defects) = play(&plan, careless);
        turns.fetch_add(made as u64, Ordering::Relaxed);
        match defects.first() {
            None => Ok(()),
            Some(first) => Err(TestCaseError::fail(first.clone())),
        }
    });
    match outcome {
        Ok(_) => None,
        Err(TestError::Fail(why, plan)) => Some(format!("seed {seed}: {why}\n{plan:#?}")),
        Err(aborted) => Some(format!("seed {seed}: {aborted}")),
    }
}
