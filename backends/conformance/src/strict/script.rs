//! What the strict fake can be told, and what it can be asked, behind the contract's back.

use keyward_core::{KeyId, KeyRecord, VersionId};

use super::state::{Misuse, Move};
use super::store::StrictFake;

impl StrictFake {
    /// Makes the next `calls` loads and listings answer the revision before the last: a record
    /// that was written once only is not there at all.
    pub fn serve_stale(&self, calls: usize) {
        self.state().stale = calls;
    }

    /// Makes the record of a key unreadable (`Tampered`), or readable again.
    pub fn damage(&self, key: &KeyId, damaged: bool) {
        let mut state = self.state();
        if damaged {
            state.damaged.insert(key.clone());
        } else {
            state.damaged.remove(key);
        }
    }

    /// Somebody writes a value of their own to where native readers look.
    pub fn write_by_hand(&self, key: &KeyId) {
        let mut state = self.state();
        state.touched += 1;
        let shelf = state.shelves.entry(key.clone()).or_default();
        (shelf.moves, shelf.foreign) = (shelf.moves + 1, true);
    }

    /// Loses the material of a version, as a store does that keeps so many and no more.
    pub fn lose(&self, key: &KeyId, version: VersionId) {
        let mut state = self.state();
        state.touched += 1;
        if let Some(shelf) = state.shelves.get_mut(key) {
            shelf.jars.remove(&version);
        }
    }

    /// Puts a record back to an older revision, as a backup does. Material and pointer stay.
    pub fn restore(&self, key: &KeyId, revisions: usize) {
        let mut state = self.state();
        state.touched += 1;
        if let Some(record) = state.records.get_mut(key) {
            record.truncate(revisions);
        }
    }

    /// The newest revision of a record, whatever is scripted.
    pub fn record(&self, key: &KeyId) -> Option<KeyRecord> {
        self.state().records.get(key).and_then(|all| all.last()).cloned()
    }

    /// Every revision a record went through, oldest first.
    pub fn revisions(&self, key: &KeyId) -> Vec<KeyRecord> {
        self.state().records.get(key).cloned().unwrap_or_default()
    }

    /// The revisions a record went through after the first `seen`, oldest first.
    pub fn revisions_after(&self, key: &KeyId, seen: usize) -> Vec<KeyRecord> {
        self.state().records.get(key).map(|all| all[seen.min(all.len())..].to_vec()).unwrap_or_default()
    }

    /// Rises with every change of a record, of material or of a pointer: cheap to ask after every
    /// call.
    pub fn touched(&self) -> u64 {
        self.state().touched
    }

    /// Every move of a pointer, oldest first.
    pub fn moves(&self) -> Vec<Move> {
        self.state().moves.clone()
    }

    /// What callers did against the protocol. A correct engine leaves this empty, whatever fails.
    pub fn misuse(&self) -> Vec<Misuse> {
        self.state().misuse.clone()
    }
}
