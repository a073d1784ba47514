//! What a store says about itself.

use std::fmt;
use std::path::PathBuf;

use keyward_seal::{KdfParams, Slot, SlotKind};

/// A store in plain words: what it is, how it opens, what it holds, and what it cannot notice. No value and no name
/// of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The path the store was opened under.
    pub path: PathBuf,
    /// The format, and whether it may still change.
    pub format: &'static str,
    /// The id of the store, 32 hex digits. In the clear in the file.
    pub store_id: String,
    /// How SQLite makes changes durable.
    pub journal_mode: &'static str,
    /// The ways into the store.
    pub slots: Vec<SlotInfo>,
    /// The number of the key that new rows are sealed under.
    pub epoch: u32,
    /// Records, history pages included.
    pub records: u64,
    /// Keys that have, or once had, material.
    pub keys_with_material: u64,
    /// Versions with material.
    pub material: u64,
    /// Entries on the audit log.
    pub audit_entries: u64,
    /// How many transactions the store has seen.
    pub counter: u64,
    /// Whether an older copy of the whole file would be noticed.
    pub freshness: &'static str,
}

impl StoreInfo {
    pub(crate) const FORMAT: &str = "1, unstable: stores of this version may not open with the next";
    pub(crate) const FRESHNESS: &str = "none: nothing outside the file remembers its newest state, so an older copy of the \
                                        whole file put in its place would open and not be noticed";
}

/// One way into a store.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SlotInfo {
    /// What has to be brought.
    pub kind: SlotKind,
    /// What a guess costs; none if no passphrase is involved.
    pub kdf: Option<KdfParams>,
    /// The service that wraps the key and the name of its key there; none if no service is involved.
    pub service: Option<(String, String)>,
}

impl SlotInfo {
    pub(crate) fn of(slot: &Slot) -> Self {
        let service = slot.wrapping().map(|(service, key)| (service.to_owned(), key.key_name().to_owned()));
        Self { kind: slot.kind(), kdf: slot.kdf(), service }
    }
}

impl fmt::Display for StoreInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "store {} at {}", self.store_id, self.path.display())?;
        writeln!(f, "format: {}", self.format)?;
        writeln!(f, "journal: {}", self.journal_mode)?;
        for (slot, number) in self.slots.iter().zip(1..) {
            match &slot.service {
                Some((service, key)) => writeln!(f, "slot {number}: opens with {}: {service}, key {key}", slot.kind)?,
                None => writeln!(f, "slot {number}: opens with {}", slot.kind)?,
            }
        }
        let Self { records, keys_with_material, material, audit_entries, .. } = self;
        writeln!(f, "holds: {records} records, {material} versions of {keys_with_material} keys")?;
        writeln!(f, "audit: {audit_entries} entries in {} transactions", self.counter)?;
        write!(f, "protection against an older copy: {}", self.freshness)
    }
}

/// What a check of the whole store looked at. All of it held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// Records, history pages included.
    pub records: u64,
    /// Keys that have, or once had, material.
    pub keys_with_material: u64,
    /// Versions with material.
    pub material: u64,
    /// Entries on the audit log.
    pub audit_entries: u64,
    /// How many transactions the store has seen.
    pub counter: u64,
}
