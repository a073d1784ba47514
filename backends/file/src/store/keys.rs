//! The keys of an open store, and what each row is bound to.

use std::collections::BTreeMap;

use keyward_seal::{ContextBuilder, MacKey, RootKey, SealError, SealKey, open, seal};
use zeroize::Zeroizing;

use super::rows::{Row, RowId, Table};
use crate::error::Fault;
use crate::wire::FORMAT;

/// The id of a store: random, in the clear, bound into everything.
pub(crate) type StoreId = [u8; 16];

/// The id of a new store.
pub(crate) fn new_id() -> Result<StoreId, SealError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| SealError::NoRandomness)?;
    Ok(id)
}

/// The keys of an open store, all derived from its root key or wrapped under one that is.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) store: StoreId,
    /// The epoch new rows are sealed in.
    pub(super) primary: u32,
    epochs: BTreeMap<u32, SealKey>,
    ids: MacKey,
    rows: MacKey,
    log: MacKey,
    state: SealKey,
}

impl Keys {
    /// Nothing when the primary epoch is not among the epochs.
    pub(super) fn new(root: &RootKey, store: StoreId, epochs: BTreeMap<u32, SealKey>, primary: u32) -> Option<Self> {
        epochs.contains_key(&primary).then(|| Self {
            store,
            primary,
            epochs,
            ids: root.derive_mac(b"keyward-file/v1/row-ids"),
            rows: root.derive_mac(b"keyward-file/v1/row-set"),
            log: root.derive_mac(b"keyward-file/v1/audit-chain"),
            state: root.derive(b"keyward-file/v1/state"),
        })
    }

    /// The blinded id of a row: the same for the same name, and of no use without the key.
    pub(super) fn row_id(&self, table: Table, name: &[&[u8]]) -> RowId {
        let mut parts = vec![table.name().as_bytes()];
        parts.extend_from_slice(name);
        let mac = self.ids.mac(&parts);
        *mac.first_chunk().unwrap_or(&[0; 16])
    }

    /// What a row counts for in the set of all rows.
    pub(super) fn row_tag(&self, table: Table, id: &RowId, row: &Row) -> [u8; 32] {
        let (version, epoch) = (row.version.to_be_bytes(), row.epoch.to_be_bytes());
        self.rows.mac(&[table.name().as_bytes(), id, &version, &epoch, &row.sealed])
    }

    /// Seals a new row in the primary epoch.
    pub(super) fn seal_row(&self, table: Table, id: &RowId, version: u64, plain: &[u8]) -> Result<Row, Fault> {
        let epoch = self.primary;
        let sealed = seal(self.epoch(epoch)?, plain, &self.row_context(table, id, version, epoch))?;
        Ok(Row { version, epoch, sealed })
    }

    pub(super) fn open_row(&self, table: Table, id: &RowId, row: &Row) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let context = self.row_context(table, id, row.version, row.epoch);
        Ok(open(self.epoch(row.epoch)?, &row.sealed, &context)?)
    }

    pub(super) fn seal_entry(&self, seq: u64, plain: &[u8]) -> Result<(u32, Vec<u8>), Fault> {
        let epoch = self.primary;
        Ok((epoch, seal(self.epoch(epoch)?, plain, &self.entry_context(seq, epoch))?))
    }

    pub(super) fn open_entry(&self, seq: u64, epoch: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        Ok(open(self.epoch(epoch)?, sealed, &self.entry_context(seq, epoch))?)
    }

    /// The link of an entry to the one before it. Over the whole envelope, so no separate hash of it is needed.
    pub(super) fn link(&self, seq: u64, before: &[u8; 32], epoch: u32, sealed: &[u8]) -> [u8; 32] {
        self.log.mac(&[&self.store, &seq.to_be_bytes(), before, &epoch.to_be_bytes(), sealed])
    }

    pub(super) fn seal_state(&self, plain: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(seal(&self.state, plain, &self.context("keyward-file/state/v1").finish())?)
    }

    pub(super) fn open_state(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        Ok(open(&self.state, sealed, &self.context("keyward-file/state/v1").finish())?)
    }

    fn row_context(&self, table: Table, id: &RowId, version: u64, epoch: u32) -> Vec<u8> {
        let context = self.context("keyward-file/row/v1").text(table.name()).bytes(id);
        context.number(version).number(epoch.into()).text(table.field()).finish()
    }

    fn entry_context(&self, seq: u64, epoch: u32) -> Vec<u8> {
        self.context("keyward-file/audit/v1").number(seq).number(epoch.into()).finish()
    }

    fn context(&self, domain: &str) -> ContextBuilder {
        ContextBuilder::new(domain).number(FORMAT.into()).bytes(&self.store)
    }

    fn epoch(&self, epoch: u32) -> Result<&SealKey, Fault> {
        self.epochs.get(&epoch).ok_or(Fault::Undecryptable("a row is sealed in an epoch that the header does not list"))
    }
}

/// The key of the header's keyed hash.
pub(super) fn header_key(root: &RootKey) -> MacKey {
    root.derive_mac(b"keyward-file/v1/header")
}

/// Seals the key of an epoch for the header.
pub(super) fn wrap(root: &RootKey, store: &StoreId, epoch: u32, key: &SealKey) -> Result<Vec<u8>, SealError> {
    root.derive(EPOCHS).seal_key(key, &epoch_context(store, epoch))
}

/// Opens the key of an epoch from the header.
pub(super) fn unwrap(root: &RootKey, store: &StoreId, epoch: u32, sealed: &[u8]) -> Result<SealKey, SealError> {
    root.derive(EPOCHS).open_key(sealed, &epoch_context(store, epoch))
}

fn epoch_context(store: &StoreId, epoch: u32) -> Vec<u8> {
    ContextBuilder::new("keyward-file/epoch/v1").number(FORMAT.into()).bytes(store).number(epoch.into()).finish()
}

const EPOCHS: &[u8] = b"keyward-file/v1/epochs";
