//! States as one word each: every part is kept once and named by a number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::record::{MOST, Publication, Record};
use super::state::{Doing, Key, State};

/// A state, packed. Good for the [`Parts`] that made it only.
pub(crate) type Word = u128;

/// The bits of one part.
const PART: u32 = 21;
const MASK: Word = (1 << PART) - 1;

/// The parts states are made of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    records: Numbered<Record>,
    before: Numbered<Option<Record>>,
    rest: Numbered<([Key; MOST], Publication)>,
    doings: Numbered<Doing>,
}

impl Parts {
    /// The rotators are alike, so their order does not matter.
    pub(crate) fn pack(&mut self, state: &State) -> Word {
        let mut doings = state.rotators.map(|doing| self.doings.number(doing));
        // Those at rest come last: they were numbered first.
        doings.sort_unstable_by(|a, b| b.cmp(a));
        let [a, b, c] = doings;
        let rest = self.rest.number((state.keys, state.shows));
        let (record, before) = (self.records.number(state.record), self.before.number(state.before));
        [record, before, rest, a, b, c].into_iter().fold(0, |word, part| word << PART | Word::from(part))
    }

    pub(crate) fn unpack(&self, word: Word) -> State {
        let part = |at: u32| usize::try_from(word >> (PART * at) & MASK).expect("one part");
        let (keys, shows) = self.rest.all[part(3)];
        State {
            record: self.records.all[part(5)],
            before: self.before.all[part(4)],
            keys,
            shows,
            rotators: [2, 1, 0].map(|at| self.doings.all[part(at)]),
        }
    }

    /// The different records that were met.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records.all
    }
}

#[derive(Debug)]
struct Numbered<T> {
    all: Vec<T>,
    numbers: HashMap<T, u32, Folded>,
    /// The number asked for last.
    last: u32,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::default(), last: 0 }
    }
}

impl<T: Copy + Eq + Hash> Numbered<T> {
    fn number(&mut self, item: T) -> u32 {
        // Most steps leave most parts as they are.
        if self.all.get(self.last as usize) == Some(&item) {
            return self.last;
        }
        let next = u32::try_from(self.all.len()).expect("few parts");
        assert!(Word::from(next) <= MASK, "too many parts for a word");
        let number = *self.numbers.entry(item).or_insert(next);
        if number == next {
            self.all.push(item);
        }
        self.last = number;
        number
    }
}

pub(crate) type Folded = BuildHasherDefault<Fold>;

/// Multiply and fold: fast, and good enough where nobody chooses the keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64((word >> 64) as u64);
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}
