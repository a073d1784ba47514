//! One call at a time: a scheduler decides after every call who goes on.

use std::pin::Pin;
use std::task::{Context, Waker};

use keyward::core::Operation;
use keyward_conformance::strict::Host;

use crate::cast::{self, HostRotator};
use crate::dice::Dice;
use crate::plan::Plan;
use crate::world::World;

/// More calls than any script needs.
const TURNS: usize = 6_000;

/// How an interleaving went: how many turns were taken, and what went wrong.
pub(crate) fn play(plan: &Plan, careless: bool) -> (usize, Vec<String>) {
    let dice = &mut Dice::new(plan.schedule);
    let world = World::new(plan, careless);
    let names = ["a", "b", "c"].iter().zip(&plan.hosts);
    let hosts: Vec<Host> = names.map(|(name, host)| Host::new(name, host.fault_plan())).collect();
    let rotators: Vec<HostRotator> = hosts.iter().map(|host| world.rotator(host)).collect();
    let cast = hosts.iter().zip(&rotators).zip(&plan.hosts);
    let mut actors: Vec<Actor<'_>> = cast
        .map(|((host, rotator), plan)| Actor {
            host,
            awake_at: 0,
            life: Box::pin(cast::perform(&world, host, rotator, &plan.acts)),
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
        if world.has_defects() {
            return (turn, world.defects());
        }
    }
    drop(actors);
    world.settle();
    (turn, world.defects())
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
    let actor = &mut actors[at];
    let calls = actor.host.calls();
    let polled = actor.life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let about_to = actor.host.last_call().filter(|_| actor.host.calls() > calls).map(|call| call.operation);
    // Those who sleep just before they change something do the most harm when they wake up.
    let tired = match about_to {
        Some(Operation::Publish) => dice.one_in(2),
        Some(Operation::Create | Operation::Revoke | Operation::Stage | Operation::Switch) => dice.one_in(6),
        _ => dice.one_in(30),
    };
    if tired {
        actor.awake_at = turn + dice.below(120);
    }
    if polled.is_ready() || actor.host.crashed() || dice.one_in(800) {
        drop(actors.swap_remove(at));
    }
}
