//! The check of everything.

use std::collections::HashMap;

use keyward_core::{Context, Material};
use rusqlite::Connection;

use super::header::Header;
use super::rows::{Reading, Row, RowId, Table};
use super::{Store, audit, schema, still_wanted};
use crate::error::Fault;
use crate::info::Verified;
use crate::wire::State;

impl Store {
    /// Checks every table, every row and the whole log against the sealed state, in one snapshot.
    pub(crate) fn verify(&mut self, cx: &Context) -> Result<Verified, Fault> {
        let reading = self.reading(cx)?;
        let state = reading.state()?;
        if !schema::is_expected(&reading.tx)? {
            return Err(Fault::Tampered("its tables are not those of a store"));
        }
        Header::read(&reading.tx)?.check(&self.root)?;
        structure(&reading.tx)?;
        let found = Walk::over(&reading, cx, state.counter)?;
        if found.set != state.set || found.rows != state.rows {
            return Err(Fault::Tampered(
                "the rows are not those the state counts: one was deleted, inserted or put back",
            ));
        }
        audit::walk(&reading, cx, 0, |_| true)?;
        let entries: i64 = reading.tx.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))?;
        if entries != state.entries.cast_signed() {
            return Err(Fault::Tampered("the audit log has entries outside its chain"));
        }
        let [records, keys, material] = state.rows;
        Ok(Verified {
            records,
            keys_with_material: keys,
            material,
            audit_entries: state.entries,
            counter: state.counter,
        })
    }
}

/// Damage in the trees of SQLite that would hide a row from a look-up, though a walk over the table still sees it.
fn structure(conn: &Connection) -> Result<(), Fault> {
    let answer: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if answer == "ok" { Ok(()) } else { Err(Fault::Tampered("SQLite finds the store malformed")) }
}

/// What a walk over all rows found.
struct Walk {
    set: [u8; 32],
    rows: [u64; 3],
}

impl Walk {
    fn over(reading: &Reading<'_>, cx: &Context, newest: u64) -> Result<Self, Fault> {
        let mut total = State::empty();
        let mut staged: HashMap<RowId, u64> = HashMap::new();
        for table in Table::ALL {
            let sql = format!("SELECT version, epoch, sealed, id FROM {}", table.name());
            let mut query = reading.tx.prepare(&sql)?;
            let mut rows = query.query([])?;
            while let Some(columns) = rows.next()? {
                still_wanted(cx)?;
                let (row, id) = (Row::from_columns(columns, 0)?, columns.get(3)?);
                if row.version > newest {
                    return Err(Fault::Tampered("a row is newer than the state of the store"));
                }
                total.toggle(&reading.keys.row_tag(table, &id, &row));
                total.rows[table as usize] += 1;
                match table {
                    Table::Records => drop(reading.decode_record(&id, &row)?),
                    Table::Pointers => {
                        let holding = reading.decode_holding(&id, &row)?;
                        let listed = holding.versions.iter();
                        staged.extend(listed.map(|(version, at)| (reading.material_id(&holding.key, *version), *at)));
                    }
                    Table::Material => {
                        if staged.remove(&id) != Some(row.version) {
                            return Err(Fault::Tampered("there is material that no pointer lists"));
                        }
                        reading.opened(table, &id, &row, |bytes| {
                            Material::decode(bytes).map(drop).map_err(|_| Fault::Tampered("sealed material is none"))
                        })?;
                    }
                }
            }
        }
        if staged.is_empty() {
            Ok(Self { set: total.set, rows: total.rows })
        } else {
            Err(Fault::Tampered("material that was staged and not withdrawn is gone"))
        }
    }
}
