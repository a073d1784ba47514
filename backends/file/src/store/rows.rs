//! Sealed rows: reading them from a snapshot, and changing them together with the state of the store.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row as SqlRow, Transaction};
use zeroize::Zeroizing;

use super::keys::Keys;
use crate::error::Fault;
use crate::wire::{State, pad, unpad};

/// A blinded id.
pub(super) type RowId = [u8; 16];

/// The tables of sealed rows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Table {
    Records,
    Pointers,
    Material,
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Records, Self::Pointers, Self::Material];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Pointers => "pointers",
            Self::Material => "material",
        }
    }

    /// What is sealed: never the same kind of thing in two tables.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Records => "record",
            Self::Pointers => "holding",
            Self::Material => "secret value",
        }
    }
}

/// A sealed row as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The counter of the transaction that wrote it. No two states of a row share one.
    pub(super) version: u64,
    pub(super) epoch: u32,
    pub(super) sealed: Vec<u8>,
}

impl Row {
    /// Reads a row from three columns, the first of which is `at`.
    pub(super) fn from_columns(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<Self> {
        let version: i64 = row.get(at)?;
        Ok(Self { version: version.cast_unsigned(), epoch: row.get(at + 1)?, sealed: row.get(at + 2)? })
    }

    /// A name of this state of the row that no other state has, also not in a restored copy of the store: the
    /// envelope starts with a random salt.
    pub(super) fn stamp(&self) -> String {
        let salt = self.sealed.first_chunk().copied().unwrap_or_default();
        format!("{}-{:016x}", self.version, u64::from_be_bytes(salt))
    }
}

/// The newest state this process has seen, of the store and of each record and holding. What is older, or gone,
/// was put back behind our back.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) counter: u64,
    /// The disk failed during a commit: what the connection believes is no longer to be trusted.
    pub(super) failed: bool,
    rows: HashMap<(Table, RowId), u64>,
}

impl Seen {
    fn check(&mut self, table: Table, id: &RowId, found: Option<&Row>) -> Result<(), Fault> {
        if table == Table::Material {
            // Material comes and goes; the holding says which row is the right one.
            return Ok(());
        }
        let newest = self.rows.get(&(table, *id)).copied().unwrap_or(0);
        match found {
            None if newest > 0 => {
                Err(Fault::Tampered("a row that was there is gone, and rows of its kind are never deleted"))
            }
            Some(row) if row.version < newest => Err(Fault::Tampered("an older state of a row was put back")),
            Some(row) => {
                self.rows.insert((table, *id), row.version);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A snapshot of the store.
#[derive(Debug)]
pub(super) struct Reading<'s> {
    pub(super) tx: Transaction<'s>,
    pub(super) keys: &'s Keys,
    seen: &'s RefCell<Seen>,
}

impl<'s> Reading<'s> {
    pub(super) fn new(tx: Transaction<'s>, keys: &'s Keys, seen: &'s RefCell<Seen>) -> Self {
        Self { tx, keys, seen }
    }

    /// The row with this id, if there is one.
    pub(super) fn row(&self, table: Table, id: &RowId) -> Result<Option<Row>, Fault> {
        let sql = match table {
            Table::Records => "SELECT version, epoch, sealed FROM records WHERE id = ?1",
            Table::Pointers => "SELECT version, epoch, sealed FROM pointers WHERE id = ?1",
            Table::Material => "SELECT version, epoch, sealed FROM material WHERE id = ?1",
        };
        let row = self.tx.prepare_cached(sql)?.query_row((id,), |row| Row::from_columns(row, 0)).optional()?;
        self.seen.borrow_mut().check(table, id, row.as_ref())?;
        Ok(row)
    }

    /// What is sealed in a row, given to `decode`; the plaintext is wiped afterwards.
    pub(super) fn opened<T>(
        &self,
        table: Table,
        id: &RowId,
        row: &Row,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let plain: Zeroizing<Vec<u8>> = self.keys.open_row(table, id, row)?;
        decode(unpad(&plain).ok_or(Fault::Tampered("a sealed row has no frame"))?)
    }

    /// The state of the store, checked against the newest this process has seen.
    pub(super) fn state(&self) -> Result<State, Fault> {
        let state = super::state::read(&self.tx, self.keys)?;
        let newest = &mut self.seen.borrow_mut().counter;
        if state.counter < *newest {
            return Err(Fault::Tampered("an older state of the whole store was put back"));
        }
        *newest = state.counter;
        Ok(state)
    }
}

/// A change of the store: rows, audit entries and state, together or not at all. Dropped without a commit it is
/// undone.
#[derive(Debug)]
pub(super) struct Writing<'s> {
    reading: Reading<'s>,
    pub(super) state: State,
    pub(super) now: DateTime<Utc>,
}

impl<'s> Writing<'s> {
    pub(super) fn new(reading: Reading<'s>, now: DateTime<Utc>) -> Result<Self, Fault> {
        let mut state = reading.state()?;
        state.counter += 1;
        state.at = now.timestamp_micros();
        Ok(Self { reading, state, now })
    }

    /// Puts `payload` in the row with this id, in place of `old`.
    pub(super) fn put(&mut self, table: Table, id: &RowId, old: Option<&Row>, payload: &[u8]) -> Result<Row, Fault> {
        let row = self.keys.seal_row(table, id, self.state.counter, &pad(payload))?;
        let sql = match (table, old) {
            (Table::Records, None) => "INSERT INTO records (id, version, epoch, sealed) VALUES (?1, ?2, ?3, ?4)",
            (Table::Pointers, None) => "INSERT INTO pointers (id, version, epoch, sealed) VALUES (?1, ?2, ?3, ?4)",
            (Table::Material, None) => "INSERT INTO material (id, version, epoch, sealed) VALUES (?1, ?2, ?3, ?4)",
            (Table::Records, Some(_)) => "UPDATE records SET version = ?2, epoch = ?3, sealed = ?4 WHERE id = ?1",
            (Table::Pointers, Some(_)) => "UPDATE pointers SET version = ?2, epoch = ?3, sealed = ?4 WHERE id = ?1",
            (Table::Material, Some(_)) => "UPDATE material SET version = ?2, epoch = ?3, sealed = ?4 WHERE id = ?1",
        };
        let values = (id, row.version.cast_signed(), row.epoch, &row.sealed);
        let changed = self.tx.prepare_cached(sql)?.execute(values)?;
        expect_one(changed)?;
        match old {
            Some(old) => self.count_out(table, id, old),
            None => self.state.rows[table as usize] += 1,
        }
        self.state.toggle(&self.reading.keys.row_tag(table, id, &row));
        Ok(row)
    }

    /// Deletes a row of material.
    pub(super) fn remove_material(&mut self, id: &RowId, old: &Row) -> Result<(), Fault> {
        let changed = self.tx.prepare_cached("DELETE FROM material WHERE id = ?1")?.execute((id,))?;
        expect_one(changed)?;
        self.count_out(Table::Material, id, old);
        let rows = &mut self.state.rows[Table::Material as usize];
        *rows = rows.checked_sub(1).ok_or(Fault::Tampered("there are more rows than the state of the store counts"))?;
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn commit(self) -> Result<(), Fault> {
        super::state::write(&self.reading.tx, self.reading.keys, &self.state)?;
        let Reading { tx, seen, .. } = self.reading;
        tx.commit().map_err(|error| {
            let fault = Fault::of_commit(&error);
            seen.borrow_mut().failed = fault.is_unknown();
            fault
        })?;
        seen.borrow_mut().counter = self.state.counter;
        Ok(())
    }

    fn count_out(&mut self, table: Table, id: &RowId, old: &Row) {
        self.state.toggle(&self.reading.keys.row_tag(table, id, old));
    }
}

impl<'s> Deref for Writing<'s> {
    type Target = Reading<'s>;

    fn deref(&self) -> &Reading<'s> {
        &self.reading
    }
}

fn expect_one(changed: usize) -> Result<(), Fault> {
    if changed == 1 { Ok(()) } else { Err(Fault::Tampered("a row that was just read is gone")) }
}
