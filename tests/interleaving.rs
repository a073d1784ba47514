//! Two or three hosts and a leak on one key, in random order, one call at a time.
//!
//! A scheduler decides after every call who goes on: hosts sleep between any two calls, die, lose
//! replies, are cancelled, read stale records, and wake up after an abort, a rollback or a leak.
//! After each call the invariants are checked; at the end everything must come to rest.
//!
//! `KEYWARD_SEED=n` plays one interleaving, `KEYWARD_INTERLEAVINGS=n` plays so many.

#[path = "interleaving/careless.rs"]
mod careless;
#[path = "interleaving/cast.rs"]
mod cast;
#[path = "interleaving/dice.rs"]
mod dice;
mod support;
#[path = "interleaving/world.rs"]
mod world;

use std::pin::Pin;
use std::task::{Context, Waker};

use cast::{Act, HostRotator};
use dice::Dice;
use keyward_conformance::strict::Host;
use world::World;

const USUAL: u64 = 1_500;
/// More calls than any script needs.
const TURNS: usize = 6_000;

#[test]
fn every_interleaving_keeps_the_invariants_and_comes_to_rest() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KEYWARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWARD_INTERLEAVINGS").unwrap_or(USUAL),
    };
    let (mut calls, mut failed) = (0, Vec::new());
    for seed in seeds.clone() {
        let (made, defects) = play(seed, false);
        calls += made;
        if let Some(first) = defects.first() {
            failed.push(format!("seed {seed}: {first}"));
        }
    }
    println!("{} interleavings, {calls} turns, {} with a defect", seeds.end - seeds.start, failed.len());
    assert!(failed.is_empty(), "{} interleavings fail:\n{}", failed.len(), failed.join("\n"));
}

/// A harness that cannot fail proves nothing: on a store whose publish ignores the pointer it was
/// given, a sleeper that wakes up does the harm the protocol is there to prevent.
#[test]
fn the_same_interleavings_catch_a_store_that_publishes_without_looking() {
    let caught = (0..4_000).find_map(|seed| play(seed, true).1.into_iter().next().map(|defect| (seed, defect)));
    let (seed, defect) = caught.expect("a careless store went unnoticed");
    println!("seed {seed} catches a careless store: {defect}");
}

/// One interleaving: how many turns were taken, and what went wrong.
fn play(seed: u64, careless: bool) -> (usize, Vec<String>) {
    let dice = &mut Dice::new(seed);
    let world = World::new(dice, careless);
    let mut leaks = dice.below(4);
    let hosts: Vec<Host> =
        ["a", "b", "c"][..2 + dice.below(2)].iter().map(|n| Host::new(n, cast::faults(dice))).collect();
    let rotators: Vec<HostRotator> = hosts.iter().map(|host| world.rotator(host)).collect();
    let scripts: Vec<Vec<Act>> =
        hosts.iter().map(|_| (0..2 + dice.below(3)).map(|_| Act::pick(dice, &mut leaks)).collect()).collect();
    let mut actors: Vec<Actor<'_>> = hosts
        .iter()
        .zip(&rotators)
        .zip(&scripts)
        .map(|((host, rotator), acts)| Actor {
            host,
            awake_at: 0,
            life: Box::pin(cast::perform(&world, host, rotator, acts)),
        })
        .collect();
    let mut turn = 0;
    while turn < TURNS && !actors.is_empty() {
        turn += 1;
        if dice.one_in(50) {
            world.weather(dice);
        }
        take_turn(dice, turn, &mut actors);
        world.check();
        if !world.defects().is_empty() {
            return (turn, described(&world, &scripts));
        }
    }
    drop(actors);
    world.settle();
    (turn, described(&world, &scripts))
}

fn described(world: &World, scripts: &[Vec<Act>]) -> Vec<String> {
    world.defects().into_iter().map(|defect| format!("{defect} ({scripts:?})")).collect()
}

/// A host at work, or asleep between two calls.
struct Actor<'a> {
    host: &'a Host,
    awake_at: usize,
    life: Pin<Box<dyn Future<Output = ()> + 'a>>,
}

/// Lets one host get as far as its next call, or sends it to sleep, or cancels what it does.
fn take_turn(dice: &mut Dice, turn: usize, actors: &mut Vec<Actor<'_>>) {
    let awake: Vec<usize> = (0..actors.len()).filter(|at| actors[*at].awake_at <= turn).collect();
    let at = if awake.is_empty() { dice.below(actors.len()) } else { awake[dice.below(awake.len())] };
    if dice.one_in(25) {
        actors[at].awake_at = turn + dice.below(150);
        return;
    }
    let polled = actors[at].life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if polled.is_ready() || actors[at].host.crashed() || dice.one_in(800) {
        drop(actors.swap_remove(at));
    }
}
