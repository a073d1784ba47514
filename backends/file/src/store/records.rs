//! Records: load, swap, list.

use keyward_core::{
    AuditAction, AuditEvent, Context, Expect, KeyId, KeyRecord, ListQuery, Operation, Page, PageToken, RecordError,
    Result, Stamp, Stamped, Swap,
};

use super::Store;
use super::index::Position;
use super::rows::{Reading, Row, RowId, Table};
use crate::error::Fault;

/// How many records a page has unless the query says otherwise.
const PAGE: usize = 100;

impl Store {
    pub(crate) fn load(
        &mut self,
        cx: &Context,
        keys: &[KeyId],
    ) -> Result<Vec<Result<Option<Stamped<KeyRecord>>>>, Fault> {
        let reading = self.reading(cx)?;
        let one = |key: &KeyId| match reading.record(key) {
            Ok(found) => Ok(found.map(|(row, record)| stamped(&row, record))),
            Err(fault) => Err(fault.into_error(Operation::Load).with_key(key)),
        };
        Ok(keys.iter().map(one).collect())
    }

    /// `encoded` is the encoding of `next`.
    pub(crate) fn swap(
        &mut self,
        cx: &Context,
        expect: &Expect,
        next: &KeyRecord,
        encoded: &[u8],
    ) -> Result<Swap, Fault> {
        let key = next.id();
        let mut writing = self.writing(cx)?;
        let old = match (writing.record(key)?, expect) {
            (None, Expect::Absent) => None,
            (Some((row, _)), Expect::At(stamp)) if stamp.as_str() == row.stamp() => Some(row),
            (Some((row, record)), _) if record.operation().is_some() && record.operation() == next.operation() => {
                return Ok(Swap::Applied(Stamp::new(row.stamp())));
            }
            (current, _) => return Ok(Swap::Conflict(current.map(|(row, record)| stamped(&row, record)))),
        };
        let id = writing.record_id(key);
        let row = writing.put(Table::Records, &id, old.as_ref(), encoded)?;
        let verb = next.operations().last().map_or("unknown", |operation| operation.verb.as_str());
        writing.log(&AuditEvent::new(AuditAction::Change, cx).key(key).detail(verb))?;
        writing.commit()?;
        Ok(Swap::Applied(Stamp::new(row.stamp())))
    }

    pub(crate) fn list(
        &mut self,
        cx: &Context,
        query: &ListQuery,
        after: Option<&Position>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>, Fault> {
        // The index is taken out while the snapshot borrows the store.
        let mut index = std::mem::take(&mut self.index);
        let page = self.reading(cx).and_then(|reading| {
            index.refresh(&reading, cx)?;
            let mut hits = index.after(after).filter(|(position, _)| position.matches(query));
            let (mut items, mut last) = (Vec::new(), None);
            for (position, id) in hits.by_ref().take(query.limit.unwrap_or(PAGE).max(1)) {
                items.push(reading.listed(position, id));
                last = Some(PageToken::new(position.token()));
            }
            Ok(Page { items, next: hits.next().and(last) })
        });
        self.index = index;
        page
    }
}

impl Reading<'_> {
    pub(super) fn record_id(&self, key: &KeyId) -> RowId {
        self.keys.row_id(Table::Records, &[key.as_str().as_bytes()])
    }

    pub(super) fn record(&self, key: &KeyId) -> Result<Option<(Row, KeyRecord)>, Fault> {
        let id = self.record_id(key);
        let Some(row) = self.row(Table::Records, &id)? else { return Ok(None) };
        let record = self.decode_record(&id, &row)?;
        Ok(Some((row, record)))
    }

    /// The record in a row, which must be the record of the key the row is named for.
    pub(super) fn decode_record(&self, id: &RowId, row: &Row) -> Result<KeyRecord, Fault> {
        let record = self.opened(Table::Records, id, row, |bytes| {
            KeyRecord::decode(bytes).map_err(|error| match error {
                RecordError::NewerFormat { .. } => Fault::NewerRecord,
                _ => Fault::Tampered("a sealed record is not one"),
            })
        })?;
        if self.record_id(record.id()) == *id {
            Ok(record)
        } else {
            Err(Fault::Tampered("a record lies under the name of another key"))
        }
    }

    fn listed(&self, position: &Position, id: &RowId) -> Result<Stamped<KeyRecord>> {
        let found = self.row(Table::Records, id).and_then(|row| {
            let row = row.ok_or(Fault::Tampered("a record that was there is gone"))?;
            let record = self.decode_record(id, &row)?;
            Ok(stamped(&row, record))
        });
        found.map_err(|fault| {
            let error = fault.into_error(Operation::List);
            match position {
                Position::Key(key) => error.with_key(key),
                Position::Unreadable(_) => error,
            }
        })
    }
}

fn stamped(row: &Row, record: KeyRecord) -> Stamped<KeyRecord> {
    Stamped { value: record, stamp: Stamp::new(row.stamp()) }
}
