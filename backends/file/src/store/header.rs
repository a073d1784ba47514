//! The header: everything that must be read before anything can be decrypted.

use std::collections::BTreeMap;

use keyward_seal::{KdfPolicy, RootKey, SealError, SealKey, Slot, Unlock};
use rusqlite::Connection;

use super::keys::{Keys, StoreId, header_key, unwrap, wrap};
use crate::error::Fault;
use crate::wire::FORMAT;

/// The rows of the header. Names are `format`, `store`, `primary`, `slot/1` to `slot/8` and `epoch/` with its number;
/// `mac` is the keyed hash of all others.
#[derive(Debug)]
pub(super) struct Header {
    rows: BTreeMap<String, Vec<u8>>,
}

impl Header {
    /// The most unlock slots a store has.
    const SLOTS: u32 = 8;
    const MAC: &str = "mac";

    /// A header for a new store, with one slot and one epoch.
    pub(super) fn new(store: &StoreId, root: &RootKey, unlock: &Unlock, policy: &KdfPolicy) -> Result<Self, SealError> {
        let slot = Slot::create(store, root, unlock, policy)?;
        let mut rows = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_be_bytes().to_vec()),
            ("store".to_owned(), store.to_vec()),
            ("slot/1".to_owned(), slot.encode()),
            ("epoch/1".to_owned(), wrap(root, store, 1, &SealKey::generate()?)?),
            ("primary".to_owned(), 1_u32.to_be_bytes().to_vec()),
        ]);
        let mac = header_key(root).mac(&parts(&rows));
        rows.insert(Self::MAC.to_owned(), mac.to_vec());
        Ok(Self { rows })
    }

    pub(super) fn write(&self, conn: &Connection) -> Result<(), Fault> {
        for (name, value) in &self.rows {
            conn.execute("INSERT INTO header (name, value) VALUES (?1, ?2)", (name, value))?;
        }
        Ok(())
    }

    pub(super) fn read(conn: &Connection) -> Result<Self, Fault> {
        let mut query = conn.prepare("SELECT name, value FROM header WHERE length(value) <= 1024 LIMIT 1100")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// The slots, in order.
    pub(super) fn slots(&self) -> Result<Vec<Slot>, Fault> {
        let found = (1..=Self::SLOTS).filter_map(|number| self.rows.get(&format!("slot/{number}")));
        found.map(|bytes| Ok(Slot::decode(bytes)?)).collect()
    }

    /// Opens the first slot that `unlock` fits, and checks that the header is the one that was written.
    pub(super) fn unlock(&self, unlock: &Unlock, policy: &KdfPolicy) -> Result<(RootKey, Keys), Fault> {
        let root = self.root(&self.store()?, unlock, policy)?;
        let keys = self.check(&root)?;
        Ok((root, keys))
    }

    /// Checks that the header is the one that was written under `root`, and takes the keys out of it.
    pub(super) fn check(&self, root: &RootKey) -> Result<Keys, Fault> {
        let store = self.store()?;
        let mut rows = self.rows.clone();
        let mac = rows.remove(Self::MAC).and_then(|mac| mac.try_into().ok()).ok_or(INCOMPLETE)?;
        header_key(root).verify(&parts(&rows), &mac).map_err(|_| CHANGED)?;
        if self.number("format")? != FORMAT {
            return Err(CHANGED);
        }
        let mut epochs = BTreeMap::new();
        for (name, sealed) in &self.rows {
            if let Some(number) = name.strip_prefix("epoch/") {
                let epoch = number.parse().map_err(|_| CHANGED)?;
                epochs.insert(epoch, unwrap(root, &store, epoch, sealed)?);
            }
        }
        Keys::new(root, store, epochs, self.number("primary")?).ok_or(INCOMPLETE)
    }

    pub(super) fn store(&self) -> Result<StoreId, Fault> {
        self.rows.get("store").and_then(|id| id.as_slice().try_into().ok()).ok_or(INCOMPLETE)
    }

    /// Tries every slot of the right kind. The error is that of the last one tried.
    fn root(&self, store: &StoreId, unlock: &Unlock, policy: &KdfPolicy) -> Result<RootKey, Fault> {
        let mut problem = None;
        for slot in self.slots()? {
            match slot.open(store, unlock, policy) {
                Ok(root) => return Ok(root),
                Err(SealError::WrongUnlock { .. }) if problem.is_some() => {}
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.map_or(INCOMPLETE, Fault::Seal))
    }

    fn number(&self, name: &str) -> Result<u32, Fault> {
        let bytes = self.rows.get(name).and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or(INCOMPLETE)?;
        Ok(u32::from_be_bytes(bytes))
    }
}

fn parts(rows: &BTreeMap<String, Vec<u8>>) -> Vec<&[u8]> {
    rows.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]).collect()
}

const INCOMPLETE: Fault = Fault::Tampered("its header is incomplete");
const CHANGED: Fault = Fault::Tampered("its header is not the one that was written");
