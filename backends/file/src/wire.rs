//! What is inside the sealed rows.

use std::collections::BTreeMap;

use keyward_core::{KeyId, Pointer, PointerToken, PublicationId, Shows, VersionId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The format written and read by this version.
pub(crate) const FORMAT: u32 = 1;

/// The sealed state of the store: rewritten in the transaction of every change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct State {
    /// Rises with every transaction; the version of the rows it writes.
    pub(crate) counter: u64,
    /// Rows of the three tables, in the order of `Table::ALL`.
    pub(crate) rows: [u64; 3],
    /// XOR of the keyed hashes of all rows.
    pub(crate) set: [u8; 32],
    /// Entries on the audit log.
    pub(crate) entries: u64,
    /// The link of the last entry.
    pub(crate) head: [u8; 32],
    /// When it was written, in microseconds since 1970.
    pub(crate) at: i64,
}

impl State {
    const LEN: usize = 8 * 6 + 32 * 2;

    /// The state of a store without rows.
    pub(crate) fn empty() -> Self {
        Self { counter: 0, rows: [0; 3], set: [0; 32], entries: 0, head: [0; 32], at: 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let [records, pointers, material] = self.rows;
        let mut out = Vec::with_capacity(Self::LEN);
        for number in [self.counter, records, pointers, material, self.entries] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.at.to_be_bytes());
        out.extend_from_slice(&self.set);
        out.extend_from_slice(&self.head);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, hashes) = bytes.split_at_checked(48)?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let mut next = || numbers.next();
        let (counter, rows, entries) = (next()?, [next()?, next()?, next()?], next()?);
        let at = next()?.cast_signed();
        let (set, head) = hashes.split_first_chunk()?;
        Some(Self { counter, rows, set: *set, entries, head: head.try_into().ok()?, at })
    }

    /// Puts a row into the set of rows, or takes it out: the same operation.
    pub(crate) fn toggle(&mut self, tag: &[u8; 32]) {
        self.set.iter_mut().zip(tag).for_each(|(byte, other)| *byte ^= other);
    }
}

/// What the store holds of one key's material: where the pointer stands, and which versions there are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holding {
    pub(crate) key: KeyId,
    /// The counter of the last move of the pointer; 0 if it never moved.
    pub(crate) moved: u64,
    /// A random number of the last move, so that no token repeats even in a restored copy.
    pub(crate) mark: u64,
    pub(crate) shows: Option<Shown>,
    /// Each version with the row version of its material.
    pub(crate) versions: BTreeMap<VersionId, u64>,
}

/// What the pointer shows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    pub(crate) publication: PublicationId,
    pub(crate) version: VersionId,
}

impl Holding {
    /// The most versions a key may have at once.
    pub(crate) const MAX_VERSIONS: usize = 1024;

    pub(crate) fn of(key: &KeyId) -> Self {
        Self { key: key.clone(), moved: 0, mark: 0, shows: None, versions: BTreeMap::new() }
    }

    pub(crate) fn pointer(&self) -> Pointer {
        let token = match self.moved {
            0 => PointerToken::new("0"),
            moved => PointerToken::new(format!("{moved}-{:016x}", self.mark)),
        };
        let shows = match self.shows {
            None => Shows::Nothing,
            Some(Shown { publication, version }) => Shows::Ours { publication, version },
        };
        Pointer { token, shows }
    }
}

/// Frames `payload` with its length and fills it up, so that the envelope does not show the exact size: to a
/// multiple of 64 bytes below 1 KiB, of 256 bytes above.
pub(crate) fn pad(payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let framed = LENGTH + payload.len();
    let full = framed.next_multiple_of(if framed <= 1024 { 64 } else { 256 });
    let mut out = Zeroizing::new(Vec::with_capacity(full));
    out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    out.extend_from_slice(payload);
    out.resize(full, 0);
    out
}

/// The payload in what [`pad`] made.
pub(crate) fn unpad(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (payload, filling) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    filling.iter().all(|byte| *byte == 0).then_some(payload)
}

const LENGTH: usize = 8;
