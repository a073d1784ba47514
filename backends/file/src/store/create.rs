//! Creating a store: under a temporary name first, so that it appears whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use keyward_core::AuditAction;
use keyward_seal::{RootKey, SealError, Unlock};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connect::connect_to;
use super::header::Header;
use super::keys::StoreId;
use super::place::Place;
use super::rows::{Reading, Seen, Writing};
use super::{open, schema, state};
use crate::config::FileBuilder;
use crate::error::{Fault, FileError};
use crate::wire::State;

/// Creates a store with this id at `path`. Anything that is there already is left alone.
pub(super) fn create(path: &Path, settings: &FileBuilder, store: &StoreId, unlock: &Unlock) -> Result<(), FileError> {
    let place = vacant(path)?;
    let refuse = |fault| FileError::from_fault(&place.shown, fault);
    let failed = |error: io::Error| FileError::io(&place.shown, &error);

    // The unlock first: it is what fails most often, and nothing has been written yet.
    let prepared = Prepared::new(settings, store, unlock).map_err(|error| refuse(Fault::Seal(error)))?;
    // A temporary file has mode 0600 from the start, and is deleted on every way out but the last.
    let new = tempfile::Builder::new().prefix(".keyward-new-").tempfile_in(&place.directory).map_err(failed)?;
    let new = new.into_temp_path();
    prepared.fill(&new, settings, settings.clock.now()).map_err(refuse)?;
    // No connection is left, and this path is no store to anyone yet: it may be opened.
    File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
    new.persist_noclobber(&place.path).map_err(|refused| match refused.error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: place.shown.clone() },
        _ => failed(refused.error),
    })?;
    File::open(&place.directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// A place where a store can be created.
pub(super) fn vacant(path: &Path) -> Result<Place, FileError> {
    let place = Place::of(path)?;
    if place.is_taken() { Err(FileError::Exists { path: place.shown }) } else { Ok(place) }
}

/// Everything of a new store that does not need a file.
struct Prepared {
    header: Header,
    root: RootKey,
}

impl Prepared {
    fn new(settings: &FileBuilder, store: &StoreId, unlock: &Unlock) -> Result<Self, SealError> {
        let root = RootKey::generate()?;
        let header = Header::new(store, &root, unlock, &settings.kdf)?;
        Ok(Self { header, root })
    }

    /// Tables, header, state and the first audit entry in one transaction.
    fn fill(&self, path: &Path, settings: &FileBuilder, now: DateTime<Utc>) -> Result<(), Fault> {
        let keys = self.header.check(&self.root)?;
        let conn: Connection = connect_to(path, settings, false)?;
        let tx = Transaction::new_unchecked(&conn, TransactionBehavior::Immediate)?;
        schema::create(&tx)?;
        self.header.write(&tx)?;
        state::create(&tx, &keys, &State::empty())?;
        let seen = std::cell::RefCell::new(Seen::default());
        let mut writing = Writing::new(Reading::new(tx, &keys, &seen), now)?;
        writing.log(&open::event(AuditAction::Create, settings, "the store was created"))?;
        writing.commit()?;
        let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(Fault::Tampered("this file system cannot hold a store: it has no shared memory for the log"));
        }
        conn.close().map_err(|(_, error)| Fault::from(error))
    }
}
