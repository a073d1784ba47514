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
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{AuditAction, AuditEvent, Context};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use self::thread::{Entrance, Handle};

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

/// An event of the caller of `cx`.
fn event(action: AuditAction, cx: &Context) -> AuditEvent {
    AuditEvent::new(action, cx)
}
