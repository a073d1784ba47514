//! Breadth first through every state, and back from the clean ones.

use std::collections::HashMap;
use std::fmt;

use super::pack::{Folded, Parts, Word};
use super::record::Record;
use super::rules::{Rules, at_rest, broken};
use super::state::State;
use super::steps::{Step, steps};

/// Everything that can be reached, or the shortest way to what must not be.
#[derive(Debug)]
pub(crate) struct Search {
    rules: Rules,
    parts: Parts,
    words: Vec<Word>,
    numbers: HashMap<Word, u32, Folded>,
    parents: Vec<u32>,
    /// Where the fair steps of each state begin in `fair`, which holds where they lead.
    from: Vec<usize>,
    fair: Vec<u32>,
    steps: usize,
}

/// How a search ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Everything holds everywhere, and every state leads to a clean end without faults.
    Sound,
    /// Something does not hold.
    Broken(&'static str, Trace),
    /// A state from which no fair step leads to a clean end.
    Stuck(Trace),
    /// There are more states than were asked for.
    TooMany,
}

/// The steps from the beginning, each with what it led to.
#[derive(Debug)]
pub(crate) struct Trace(pub(crate) Vec<(Step, State)>);

impl Search {
    pub(crate) fn run(rules: Rules, begin: State, most: usize) -> (Self, Ended) {
        let mut search = Self {
            rules,
            parts: Parts::default(),
            words: Vec::new(),
            numbers: HashMap::default(),
            parents: Vec::new(),
            from: Vec::new(),
            fair: Vec::new(),
            steps: 0,
        };
        search.visit(begin, 0);
        let ended = search.forward(most).unwrap_or_else(|| search.backward());
        (search, ended)
    }

    fn forward(&mut self, most: usize) -> Option<Ended> {
        let mut at = 0;
        while at < self.words.len() {
            let state = self.parts.unpack(self.words[at]);
            let number = u32::try_from(at).expect("few states");
            self.from.push(self.fair.len());
            for (step, next) in steps(&self.rules, state) {
                self.steps += 1;
                let (to, new) = self.visit(next, number);
                let what = step.breaks.or_else(|| new.then(|| broken(&self.rules, &next)).flatten());
                if let Some(what) = what {
                    return Some(Ended::Broken(what, self.trace(number, Some(to))));
                }
                if step.fair && to != number {
                    self.fair.push(to);
                }
            }
            if self.words.len() > most {
                return Some(Ended::TooMany);
            }
            at += 1;
        }
        None
    }

    /// Every state must lead to a clean end: sweeps until no state learns anything more.
    fn backward(&self) -> Ended {
        let mut ends: Vec<bool> = self.words.iter().map(|w| at_rest(&self.rules, &self.parts.unpack(*w))).collect();
        loop {
            let mut learnt = false;
            for at in (0..self.words.len()).rev() {
                let to = self.from[at]..self.from.get(at + 1).copied().unwrap_or(self.fair.len());
                if !ends[at] && self.fair[to].iter().any(|next| ends[*next as usize]) {
                    (ends[at], learnt) = (true, true);
                }
            }
            if !learnt {
                break;
            }
        }
        match ends.iter().position(|ends| !ends) {
            None => Ended::Sound,
            Some(at) => Ended::Stuck(self.trace(u32::try_from(at).expect("few states"), None)),
        }
    }

    fn visit(&mut self, state: State, parent: u32) -> (u32, bool) {
        let word = self.parts.pack(&state);
        let next = u32::try_from(self.words.len()).expect("few states");
        let number = *self.numbers.entry(word).or_insert(next);
        if number == next {
            self.words.push(word);
            self.parents.push(parent);
        }
        (number, number == next)
    }

    /// The way to a state, and a step further, told with every rotator under its own name.
    fn trace(&self, mut at: u32, last: Option<u32>) -> Trace {
        let mut way: Vec<u32> = last.into_iter().chain([at]).collect();
        while at != 0 {
            at = self.parents[at as usize];
            way.push(at);
        }
        let mut state = self.parts.unpack(self.words[0]);
        let mut trace = Vec::new();
        for number in way.iter().rev().skip(1) {
            let to = self.parts.unpack(self.words[*number as usize]);
            let found = steps(&self.rules, state).into_iter().filter(|(_, found)| found.is_like(&to));
            // Of two ways to the same state, the one that breaks something.
            let (step, next) = found.max_by_key(|(step, _)| step.breaks.is_some()).expect("a step leads there");
            trace.push((step, next));
            state = next;
        }
        Trace(trace)
    }

    /// The records that were met.
    pub(crate) fn records(&self) -> &[Record] {
        self.parts.records()
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} steps, {} records", self.words.len(), self.steps, self.parts.records().len())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (step, _)) in self.0.iter().enumerate() {
            writeln!(f, "  {:>2}. {step}", number + 1)?;
        }
        Ok(())
    }
}
