//! The model makes the moves of the real record, and no others.

use std::collections::{BTreeMap, HashMap};

use super::dice::Dice;
use super::pack::Folded;
use super::real::Real;
use super::record::{Death, MOST, Move, Record};
use super::rules::Rules;
use super::state::State;
use super::steps::{Step, What, steps};

/// Walks at random through the model and makes every swap of the record for real as well. Notes
/// which moves were made.
pub(crate) fn walk(seed: u64, made: &mut BTreeMap<String, usize>) {
    let mut dice = Dice::new(seed);
    let rules = Rules { rotators: 2 + dice.below(2), notes: dice.one_in(2), ..Rules::everything(dice.below(3)) };
    let (mut state, mut real) = (State::default(), Real::new());
    for _ in 0..120 {
        let mut all = steps(&rules, state);
        // Mostly forward: aborts, deaths and leaks would end most walks at their beginning.
        let forward = |step: &Step| step.fair && step.what != What::Swap(Move::Replan);
        if !dice.one_in(12) && all.iter().any(|(step, _)| forward(step)) {
            all.retain(|(step, _)| forward(step));
        }
        if all.is_empty() {
            break;
        }
        let (step, next) = all.swap_remove(dice.below(all.len()));
        if let What::Swap(swap) = step.what {
            real = real.after(swap).unwrap_or_else(|refusal| panic!("seed {seed}: {step}: {refusal}"));
            let name = format!("{swap:?}").split(' ').next().unwrap_or_default().to_owned();
            *made.entry(name).or_default() += 1;
        }
        assert_eq!(real.as_model(), next.record, "seed {seed}: {step}");
        state = next;
    }
}

/// Asks every move of every record that moves can lead to, here and there: both take it, to the
/// same end, or both refuse it. Answers how many records and how many questions that was.
pub(crate) fn compare(versions: usize, leaks: usize) -> (usize, usize) {
    let mut known: HashMap<Record, (), Folded> = HashMap::default();
    let mut open = vec![Real::new()];
    known.insert(open[0].as_model(), ());
    let mut asked = 0;
    while let Some(real) = open.pop() {
        let record = real.as_model();
        for made in questions(&record, versions, leaks) {
            asked += 1;
            match (record.after(made), real.after(made)) {
                (None, Err(_)) => {}
                (Some(next), Ok(real)) => {
                    assert_eq!(real.as_model(), next, "{made:?} on {record:?}");
                    if known.insert(next, ()).is_none() {
                        open.push(real);
                    }
                }
                (here, there) => panic!("{made:?} on {record:?}: the model says {here:?}, the record {there:?}"),
            }
        }
    }
    (known.len(), asked)
}

/// Every move, as far as the model has room for what it needs.
fn questions(record: &Record, versions: usize, leaks: usize) -> Vec<Move> {
    let mut moves = vec![
        Move::Store,
        Move::Abandon,
        Move::Validate,
        Move::Promote { expect: 0 },
        Move::Confirm,
        Move::RolledBack,
        Move::Suspend,
        Move::Reactivate,
        Move::Retire,
    ];
    if record.planned() < versions.min(MOST) {
        moves.extend([Move::Begin { leak: false }, Move::Begin { leak: true }, Move::Replan]);
    }
    if record.fresh_publications() < record.fresh.len() {
        moves.push(Move::RollBack);
    }
    for version in record.ids() {
        let deaths = [Death::Seen, Death::NeverCreated, Death::NeverAppeared];
        moves.extend(deaths.map(|death| Move::Revoked { version, death }));
        moves.extend([Move::Gone { version }, Move::Adopt { version }]);
        let leaked = record.version(version).is_some_and(|v| v.leaked);
        if !leaked && record.leaks() < leaks && record.fresh_publications() < record.fresh.len() {
            moves.push(Move::Compromise { version });
        }
    }
    moves
}
