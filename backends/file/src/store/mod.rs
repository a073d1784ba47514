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

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::Context;
use keyward_seal::RootKey;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use self::index::Position;
pub(crate) use self::material::Refused;
pub(crate) use self::thread::{Entrance, Handle};
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
