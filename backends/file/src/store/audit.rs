//! The audit log: sealed entries in a chain whose end is bound into the state of the store.

use keyward_core::{AuditEntry, AuditEvent, AuditQuery, Context, Page, PageToken};
use rusqlite::OptionalExtension;

use super::rows::{Reading, Writing};
use super::{Store, still_wanted};
use crate::error::Fault;
use crate::wire::State;

/// How many entries a page has.
const PAGE: usize = 100;

impl Writing<'_> {
    /// Puts an event on the log, in the transaction it belongs to.
    pub(super) fn log(&mut self, event: &AuditEvent) -> Result<u64, Fault> {
        let seq = self.state.entries + 1;
        let entry = AuditEntry { seq, at: self.now, event: event.clone() };
        // An entry holds only texts, numbers and ids: JSON cannot refuse it.
        let plain = serde_json::to_vec(&entry).unwrap_or_default();
        let (epoch, sealed) = self.keys.seal_entry(seq, &crate::wire::pad(&plain))?;
        let link = self.keys.link(seq, &self.state.head, epoch, &sealed);
        let insert = "INSERT INTO audit (seq, epoch, sealed, link) VALUES (?1, ?2, ?3, ?4)";
        let values = (seq.cast_signed(), epoch, &sealed, link);
        let written = self.tx.prepare_cached(insert).and_then(|mut insert| insert.execute(values));
        written.map_err(|error| Fault::from(error).of_audit())?;
        (self.state.entries, self.state.head) = (seq, link);
        Ok(seq)
    }
}

impl Store {
    /// Puts one event on the log.
    pub(crate) fn append(&mut self, cx: &Context, event: &AuditEvent) -> Result<u64, Fault> {
        let logged = self.writing(cx).and_then(|mut writing| {
            let seq = writing.log(event)?;
            writing.commit()?;
            Ok(seq)
        });
        logged.map_err(|fault| if fault.is_unknown() { fault } else { fault.of_audit() })
    }

    /// A page of the log. Every entry passed on the way is checked against the chain.
    pub(crate) fn entries(&mut self, cx: &Context, query: &AuditQuery, after: u64) -> Result<Page<AuditEntry>, Fault> {
        let reading = self.reading(cx)?;
        let (mut items, mut more) = (Vec::new(), false);
        walk(&reading, cx, after, |entry| {
            if query.matches(&entry) {
                more = items.len() == PAGE;
                if !more {
                    items.push(entry);
                }
            }
            !more
        })?;
        let next = items.last().filter(|_| more).map(|last: &AuditEntry| PageToken::new(last.seq.to_string()));
        Ok(Page { items, next })
    }

    /// Checks the whole log.
    pub(crate) fn verify_log(&mut self, cx: &Context) -> Result<u64, Fault> {
        let reading = self.reading(cx)?;
        walk(&reading, cx, 0, |_| true)?;
        Ok(reading.state()?.entries)
    }
}

/// Passes the entries after `after` to `each`, until it answers false. Reaching the end, it must be the one in the
/// state of the store.
pub(super) fn walk(
    reading: &Reading<'_>,
    cx: &Context,
    after: u64,
    mut each: impl FnMut(AuditEntry) -> bool,
) -> Result<(), Fault> {
    let State { entries, head, .. } = reading.state()?;
    if after >= entries {
        return if after == 0 { at_end(reading, 0) } else { Ok(()) };
    }
    let (mut seq, mut link) = (after, link_of(reading, after)?);
    let mut query =
        reading.tx.prepare_cached("SELECT seq, epoch, sealed, link FROM audit WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = query.query((after.cast_signed(),))?;
    while let Some(row) = rows.next()? {
        if seq % 256 == 0 {
            still_wanted(cx)?;
        }
        seq += 1;
        let (found, epoch): (i64, u32) = (row.get(0)?, row.get(1)?);
        let sealed = row.get_ref(2)?.as_blob().map_err(|_| BROKEN)?;
        let next = reading.keys.link(seq, &link, epoch, sealed);
        if found != seq.cast_signed() || row.get_ref(3)?.as_blob().map_err(|_| BROKEN)? != next {
            return Err(BROKEN);
        }
        link = next;
        let plain = reading.keys.open_entry(seq, epoch, sealed)?;
        let entry: Option<AuditEntry> = crate::wire::unpad(&plain).and_then(|json| serde_json::from_slice(json).ok());
        let entry = entry.filter(|entry| entry.seq == seq).ok_or(BROKEN)?;
        if !each(entry) {
            return Ok(());
        }
    }
    if seq == entries && link == head { Ok(()) } else { Err(CUT) }
}

/// The last entry must be the one in the state of the store: what opening checks of the log.
pub(super) fn check_end(reading: &Reading<'_>) -> Result<(), Fault> {
    let State { entries, head, .. } = reading.state()?;
    if entries > 0 && link_of(reading, entries)? != head {
        return Err(BROKEN);
    }
    at_end(reading, entries)
}

fn at_end(reading: &Reading<'_>, entries: u64) -> Result<(), Fault> {
    let more = reading.tx.prepare_cached("SELECT 1 FROM audit WHERE seq > ?1")?.exists((entries.cast_signed(),))?;
    if more { Err(BROKEN) } else { Ok(()) }
}

fn link_of(reading: &Reading<'_>, seq: u64) -> Result<[u8; 32], Fault> {
    if seq == 0 {
        return Ok([0; 32]);
    }
    let mut query = reading.tx.prepare_cached("SELECT link FROM audit WHERE seq = ?1")?;
    query.query_row((seq.cast_signed(),), |row| row.get(0)).optional()?.ok_or(CUT)
}

const BROKEN: Fault =
    Fault::Tampered("the chain of the audit log is broken: an entry was changed, moved, inserted or deleted");
const CUT: Fault = Fault::Tampered("the audit log was cut off");
