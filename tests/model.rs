//! The rotation protocol without its code: every state it can get into, one by one.
//!
//! A small model of the record, the pointer, the issuer and the rotators is searched breadth
//! first. Two or three rotators and any number of others (sweepers, operators, leak reports) take
//! steps in any order; a step is one remote call or one swap of the record. They die between any
//! two, sleep for ever before any call, and read records that are one revision old; a create
//! arrives late or never; runs are aborted, rolled back and suspended; versions leak in every
//! phase; the issuer is full. There is no lease and no clock: safety must not need one.
//!
//! In every state: what native readers are shown is stored, proven and works (but for a leak);
//! nothing that was given up is published again; no version is created twice; what is recorded
//! dead is dead and stays so; and from every state a clean end can be reached without faults.
//!
//! - `record.rs`, `moves.rs`: the record and its moves. `replay.rs` holds them to
//!   [`keyward::core::KeyRecord::apply`], so that model and code cannot drift apart.
//! - `state.rs`: the rest of the world. `steps.rs`, `world.rs`, `acts.rs`: what can happen next.
//! - `rules.rs`: what must hold. `search.rs`, `pack.rs`: going everywhere, and back.
//! - `wrong.rs`: protocols that are wrong on purpose; each must be found out.
//!
//! `KEYWARD_MODEL=long` goes further: three rotators, two leaks, and everything else at once.

#[path = "model/acts.rs"]
mod acts;
#[path = "interleaving/dice.rs"]
mod dice;
#[path = "model/moves.rs"]
mod moves;
#[path = "model/pack.rs"]
mod pack;
#[path = "model/real.rs"]
mod real;
#[path = "model/record.rs"]
mod record;
#[path = "model/replay.rs"]
mod replay;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/search.rs"]
mod search;
#[path = "model/state.rs"]
mod state;
#[path = "model/steps.rs"]
mod steps;
mod support;
#[path = "model/world.rs"]
mod world;
#[path = "model/wrong.rs"]
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rules::{Flaw, Rules};
use search::{Ended, Search, Trace};
use state::State;

/// More states than a search in CI may have.
const MOST: usize = 3_000_000;

fn long() -> bool {
    std::env::var("KEYWARD_MODEL").is_ok_and(|mode| mode == "long")
}

/// Searches everything, says how much that was, and fails with the shortest way to a defect.
#[expect(clippy::print_stdout, reason = "how much was searched is part of the result")]
fn sound(name: &str, rules: Rules) -> Search {
    let began = Instant::now();
    let (search, ended) = Search::run(rules, State::default(), if long() { usize::MAX } else { MOST });
    println!("{name}: {search} in {:.1} s", began.elapsed().as_secs_f64());
    match ended {
        Ended::Sound => search,
        Ended::Broken(what, trace) => panic!("{name}: {what}\n{trace}"),
        Ended::Stuck(trace) => panic!("{name}: no fair way to a clean end from here\n{trace}"),
        Ended::TooMany => panic!("{name}: more than {MOST} states; set KEYWARD_MODEL=long"),
    }
}

#[test]
fn the_plain_protocol_is_sound() {
    sound("plain", Rules::PLAIN);
    sound("plain, three rotators", Rules { rotators: 3, ..Rules::PLAIN });
}

#[test]
fn with_suspend_full_issuers_and_a_leak_in_every_phase_it_is_sound() {
    let search = sound("everything, one leak", Rules::everything(1));
    let leaks_in = |record: &record::Record| match record.run {
        None => "no run".to_owned(),
        Some(run) => format!("{:?}", run.phase).split(' ').next().unwrap_or_default().to_owned(),
    };
    let may_leak = |record: &&record::Record| record.leaks() == 0 && record.planned() > 0;
    let phases: BTreeSet<String> = search.records().iter().filter(may_leak).map(leaks_in).collect();
    assert_eq!(phases.len(), 9, "eight phases and no run: {phases:?}");
}

#[test]
fn with_two_leaks_at_once_it_is_sound() {
    if long() {
        sound("everything, two leaks, three rotators", Rules { rotators: 3, ..Rules::everything(2) });
        sound("everything, two leaks, no cap", Rules { cap: None, ..Rules::everything(2) });
    } else {
        sound("everything, two leaks, two versions", Rules { versions: 2, ..Rules::everything(2) });
        sound("two leaks, full issuers", Rules { suspend: false, notes: false, ..Rules::everything(2) });
    }
}

/// The one thing no swap and no fence can prevent: a call to switch the old key off that slept
/// arrives after that key was brought back. It is why what serves is looked at again and again;
/// with that, every state still leads to a clean end.
#[test]
fn a_call_to_switch_off_that_slept_is_found_and_undone_by_reconciling_only() {
    let rules = Rules { suspend: true, ..Rules::PLAIN };
    violates(rules, "I5: native readers are shown a key that is switched off");
    sound("suspend, reconciled", Rules { strictly_on: false, ..rules });
}

/// The shortest way to a violation, printed.
#[expect(clippy::print_stdout, reason = "a control shows what it has found")]
fn violates(rules: Rules, expected: &str) -> Trace {
    let (search, ended) = Search::run(rules, State::default(), MOST);
    match ended {
        Ended::Broken(what, trace) => {
            println!("{what}, after {} steps ({search}):\n{trace}", trace.0.len());
            assert_eq!(what, expected);
            trace
        }
        other => panic!("a wrong protocol went unnoticed ({search}): {other:?}"),
    }
}

const GIVEN_UP: &str = "I4: a version that was given up is published";

#[test]
fn without_the_fence_at_abort_it_is_found_out() {
    violates(Rules::with(Flaw::AbortsWithoutFence), GIVEN_UP);
}

#[test]
fn looking_instead_of_fencing_is_found_out() {
    violates(Rules::with(Flaw::LooksInsteadOfFencing), GIVEN_UP);
}

#[test]
fn a_rollback_to_the_old_publication_id_is_found_out() {
    violates(Rules::with(Flaw::PublishesTheOldIdAgain), GIVEN_UP);
}

#[test]
fn publishing_before_it_is_journalled_is_found_out() {
    violates(Rules::with(Flaw::PublishesUnjournalled), GIVEN_UP);
}

#[test]
fn repeating_the_create_is_found_out() {
    violates(Rules::with(Flaw::RepeatsTheCreate), "I11: one version is created twice");
}

#[test]
fn revoking_the_old_key_while_a_rollback_is_allowed_is_found_out() {
    let dead = "I5: native readers are shown a dead key";
    violates(Rules::with(Flaw::RevokesWhileRollbackIsAllowed), dead);
}

#[test]
fn counting_absent_as_dead_is_found_out() {
    let rises = "a version that is recorded dead works, or may still come to work";
    let trace = violates(Rules { leaks: 1, ..Rules::with(Flaw::TakesAbsentForDead) }, rises);
    assert!(trace.0.len() <= 8, "the hole is known to be at most 8 steps away:\n{trace}");
}

#[test]
fn publishing_over_what_the_record_does_not_know_is_found_out() {
    violates(Rules { leaks: 1, ..Rules::with(Flaw::OverwritesWhatItDoesNotKnow) }, GIVEN_UP);
}

#[test]
fn ending_a_leaked_run_without_a_fence_is_found_out() {
    violates(Rules { leaks: 1, ..Rules::with(Flaw::EndsALeakedRunWithoutFence) }, GIVEN_UP);
}

#[test]
fn walks_through_the_model_are_walks_of_the_real_record() {
    let walks = if long() { 100_000 } else { 2_000 };
    let mut made = BTreeMap::new();
    (0..walks).for_each(|seed| replay::walk(seed, &mut made));
    println!("{walks} walks, swaps made for real: {made:?}");
    assert_eq!(made.len(), 16, "every move was made");
}

#[test]
fn model_and_real_record_take_and_refuse_the_same_moves() {
    let (records, asked) = replay::compare(3, 2);
    println!("{records} records were asked {asked} moves");
    assert!(records > 10_000, "only {records} records were met");
}
