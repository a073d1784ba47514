//! Which keys there are, in order. Ids are only inside the sealed records, so each is decrypted once per process to
//! learn its place.

use std::collections::BTreeMap;
use std::ops::Bound;

use keyward_core::{Context, KeyId, ListQuery};

use super::rows::{Reading, Row, RowId};
use super::still_wanted;
use crate::error::Fault;

/// The records of the store in the order of their ids. Records are never deleted, and a row keeps its number, so
/// only rows with higher numbers than any before are new.
#[derive(Debug, Default)]
pub(super) struct Index {
    last: i64,
    rows: BTreeMap<Position, RowId>,
}

/// Where a record stands in a listing. Those whose id cannot be read come first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Position {
    Unreadable(RowId),
    Key(KeyId),
}

impl Position {
    pub(super) fn matches(&self, query: &ListQuery) -> bool {
        match self {
            Self::Unreadable(_) => true,
            Self::Key(key) => query.matches(key),
        }
    }

    /// The page token of a page that ends here.
    pub(super) fn token(&self) -> String {
        match self {
            Self::Unreadable(id) => format!("{UNREADABLE}{:032x}", u128::from_be_bytes(*id)),
            Self::Key(key) => key.to_string(),
        }
    }

    /// The position a page token stands for, if it is one of ours.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        match token.strip_prefix(UNREADABLE) {
            Some(hex) => u128::from_str_radix(hex, 16).ok().map(|id| Self::Unreadable(id.to_be_bytes())),
            None => token.parse().ok().map(Self::Key),
        }
    }
}

/// No key id starts with it.
const UNREADABLE: char = '!';

impl Index {
    /// Learns the records that came since the last time.
    pub(super) fn refresh(&mut self, reading: &Reading<'_>, cx: &Context) -> Result<(), Fault> {
        let sql = "SELECT version, epoch, sealed, n, id FROM records WHERE n > ?1 ORDER BY n";
        let mut query = reading.tx.prepare_cached(sql)?;
        let mut rows = query.query((self.last,))?;
        while let Some(columns) = rows.next()? {
            still_wanted(cx)?;
            let (row, id) = (Row::from_columns(columns, 0)?, columns.get(4)?);
            let position = match reading.decode_record(&id, &row) {
                Ok(record) => Position::Key(record.id().clone()),
                Err(_) => Position::Unreadable(id),
            };
            self.rows.insert(position, id);
            self.last = columns.get(3)?;
        }
        Ok(())
    }

    /// The positions after one, in order.
    pub(super) fn after(&self, position: Option<&Position>) -> impl Iterator<Item = (&Position, &RowId)> {
        let from = position.map_or(Bound::Unbounded, Bound::Excluded);
        self.rows.range::<Position, _>((from, Bound::Unbounded))
    }
}
