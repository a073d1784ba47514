//! Opening a store: closed at each step until the next one holds. Nothing is written before the last.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use keyward_core::{Actor, AuditAction, AuditEvent, Context, Reason};
use keyward_seal::{RootKey, Slot, Unlock};
use rusqlite::Connection;

use super::connect::{bound, connect, connect_to, keep_log_on_close};
use super::header::Header;
use super::index::Index;
use super::keys::StoreId;
use super::place::Place;
use super::{Store, audit, schema};
use crate::config::{Audit, FileBuilder};
use crate::error::{Fault, FileError};
use crate::info::{SlotInfo, StoreInfo};

impl Store {
    /// Opens the store at `path` with `unlock`.
    pub(super) fn open(path: &Path, settings: FileBuilder, unlock: &Unlock) -> Result<Self, FileError> {
        let (place, conn, header) = reach(path, &settings)?;
        let refuse = |fault| FileError::from_fault(&place.shown, fault);
        let (root, keys) = header.unlock(unlock, &settings.kdf).map_err(refuse)?;
        let root = Arc::new(root);

        let mut store = Self { conn, keys, root, seen: RefCell::default(), index: Index::default(), place, settings };
        store.admit().map_err(|fault| FileError::from_fault(&store.place.shown, fault))?;
        Ok(store)
    }

    /// Checks the state of the store and the end of its log, then logs that it was opened.
    fn admit(&mut self) -> Result<(), Fault> {
        let cx = context(&self.settings, "the store was opened").within(self.settings.busy_timeout);
        audit::check_end(&self.reading(&cx)?)?;
        keep_log_on_close(&self.conn, false)?;
        bound(&self.conn, self.settings.max_bytes)?;
        let opened = event(AuditAction::Open, &self.settings, "the store was opened");
        match self.append(&cx, &opened) {
            Err(fault) if self.settings.audit == Audit::Strict || fault.is_tampering() => Err(fault),
            _ => Ok(()),
        }
    }

    /// Connects anew when the disk failed during a commit. What is durable is then read from the disk again, and must
    /// not be older than what this process has seen.
    pub(super) fn mend(&mut self) -> Result<(), Fault> {
        if !self.seen.borrow().failed {
            return Ok(());
        }
        let conn = connect_to(&self.place.path, &self.settings, false)?;
        Header::read(&conn)?.check(&self.root)?;
        bound(&conn, self.settings.max_bytes)?;
        self.conn = conn;
        self.seen.borrow_mut().failed = false;
        Ok(())
    }

    /// The root key, for what is derived from it outside the store.
    pub(super) fn root(&self) -> Arc<RootKey> {
        Arc::clone(&self.root)
    }

    pub(crate) fn info(&mut self, cx: &Context) -> Result<StoreInfo, Fault> {
        let reading = self.reading(cx)?;
        let state = reading.state()?;
        let slots = Header::read(&reading.tx)?.slots()?;
        let [records, keys_with_material, material] = state.rows;
        Ok(StoreInfo {
            path: self.place.shown.clone(),
            format: StoreInfo::FORMAT,
            store_id: format!("{:032x}", u128::from_be_bytes(self.keys.store)),
            journal_mode: "write-ahead log, every commit synced",
            slots: slots.iter().map(SlotInfo::of).collect(),
            epoch: self.keys.primary,
            records,
            keys_with_material,
            material,
            audit_entries: state.entries,
            counter: state.counter,
            freshness: StoreInfo::FRESHNESS,
        })
    }
}

/// The id and the unlock slots of the store at `path`, not authenticated yet: for whoever has to ask a service before
/// the store can be opened.
pub(super) fn slots(path: &Path, settings: &FileBuilder) -> Result<(StoreId, Vec<Slot>), FileError> {
    let (place, _conn, header) = reach(path, settings)?;
    let refuse = |fault| FileError::from_fault(&place.shown, fault);
    Ok((header.store().map_err(refuse)?, header.slots().map_err(refuse)?))
}

/// Everything before the unlock.
fn reach(path: &Path, settings: &FileBuilder) -> Result<(Place, Connection, Header), FileError> {
    let place = Place::of(path)?;
    place.check()?;
    let conn = connect(&place, settings)?;
    schema::check(&conn, &place.shown)?;
    if place.ends_within_a_page() {
        return Err(FileError::Damaged { path: place.shown, what: "it was cut off" });
    }
    let header = Header::read(&conn).map_err(|fault| FileError::from_fault(&place.shown, fault))?;
    Ok((place, conn, header))
}

/// An event of this library's own, by whoever opens the store.
pub(super) fn event(action: AuditAction, settings: &FileBuilder, reason: &'static str) -> AuditEvent {
    AuditEvent::new(action, &context(settings, reason))
}

fn context(settings: &FileBuilder, reason: &'static str) -> Context {
    let actor = settings.actor.clone().unwrap_or_else(|| parsed::<Actor>("keyward"));
    Context::by(actor, parsed::<Reason>(reason))
}

fn parsed<T: std::str::FromStr>(text: &'static str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("the text is a constant of this file and short, plain and trimmed")
}
