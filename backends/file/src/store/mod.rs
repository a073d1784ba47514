//! The store: one SQLite connection that only ever sees ciphertext, on a thread of its own.

mod audit;
mod connect;
mod create;
mod header;
mod index;
mod keys;
mod material;
mod open;
mod place;
mod read;
mod records;
mod rows;
mod schema;
mod state;
mod thread;
mod verify;
mod wrapped;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::Context;
use keyward_seal::RootKey;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use self::index::Position;
pub(crate) use self::keys::new_id;
pub(crate) use self::material::Refused;
pub(crate) use self::thread::{Entrance, Handle};
pub(crate) use self::wrapped::{unwrapped_for, wrapped_for};
pub(crate) use crate::wire::Shown;

use self::index::Index;
use self::keys::Keys;
use self::place::Place;
use self::rows::{Reading, Seen, Writing};
use crate::config::FileBuilder;
use crate::error::Fault;

/// An open store. Lives on its owner thread.
#[derive(Debug)]
pub(crate) struct Store {
    conn: Connection,
    keys: Keys,
    root: Arc<RootKey>,
    seen: RefCell<Seen>,
    index: Index,
    place: Place,
    settings: FileBuilder,
}

impl Store {
    /// A snapshot to read from.
    fn reading(&self, cx: &Context) -> Result<Reading<'_>, Fault> {
        self.wait_at_most(cx.remaining())?;
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Deferred)?;
        Ok(Reading::new(tx, &self.keys, &self.seen))
    }

    /// The right to write, with the state of the store checked.
    fn writing(&self, cx: &Context) -> Result<Writing<'_>, Fault> {
        self.writing_within(cx.remaining())
    }

    fn writing_within(&self, limit: Duration) -> Result<Writing<'_>, Fault> {
        self.wait_at_most(limit)?;
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        Writing::new(Reading::new(tx, &self.keys, &self.seen), self.now())
    }

    fn wait_at_most(&self, limit: Duration) -> Result<(), Fault> {
        Ok(self.conn.busy_timeout(limit.min(self.settings.busy_timeout))?)
    }

    fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }
}

/// Ends a long walk over the store when the caller has stopped waiting.
fn still_wanted(cx: &Context) -> Result<(), Fault> {
    if cx.is_expired() { Err(Fault::Deadline) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keyward_core::{AuditAction, AuditEvent};
    use keyward_seal::{KeyFile, Unlock};

    use super::*;

    #[test]
    fn a_failed_disk_makes_the_store_connect_anew_and_look_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.keyward");
        let unlock = Unlock::from(KeyFile::create(directory.path().join("unlock.key")).unwrap());
        let settings = FileBuilder::default();
        create::create(&path, &settings, &[7; 16], &unlock).unwrap();
        let older = fs::read(&path).unwrap();

        let mut store = Store::open(&path, settings, &unlock).unwrap();
        let cx = Context::new("test", "a failing disk").unwrap();
        let note = AuditEvent::new(AuditAction::Note, &cx);
        assert_eq!(store.append(&cx, &note).unwrap(), 3);
        store.seen.borrow_mut().failed = true;
        store.mend().unwrap();
        assert_eq!(store.append(&cx, &note).unwrap(), 4);

        // Behind our back the disk went to an older state.
        store.seen.borrow_mut().failed = true;
        store.conn = Connection::open_in_memory().unwrap();
        fs::write(&path, older).unwrap();
        store.mend().unwrap();
        let refused = store.append(&cx, &note).unwrap_err();
        assert!(matches!(refused, Fault::Tampered(what) if what.contains("older")), "{refused:?}");
    }
}
