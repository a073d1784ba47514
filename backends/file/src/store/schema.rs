//! The tables, and the check that there are these and no others.

use rusqlite::Connection;

use crate::error::{Fault, FileError};
use crate::wire::FORMAT;
use std::path::Path;

/// `KWDF`: marks the file as one of ours.
const APPLICATION: i64 = 0x4b57_4446;

const TABLES: [(&str, &str, usize); 6] = [
    (
        "audit",
        "CREATE TABLE audit (seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, sealed BLOB NOT NULL, link BLOB NOT NULL) STRICT",
        0,
    ),
    ("header", "CREATE TABLE header (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT", 1),
    (
        "material",
        "CREATE TABLE material (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, epoch INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT",
        1,
    ),
    (
        "pointers",
        "CREATE TABLE pointers (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, epoch INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT",
        1,
    ),
    (
        "records",
        "CREATE TABLE records (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, epoch INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT",
        1,
    ),
    ("state", "CREATE TABLE state (n INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT", 0),
];

/// Creates the tables.
pub(super) fn create(conn: &Connection) -> Result<(), Fault> {
    for (_, sql, _) in TABLES {
        conn.execute_batch(sql)?;
    }
    conn.pragma_update(None, "application_id", APPLICATION)?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    Ok(())
}

/// Refuses what is not a store of this format, in the order in which a user would want to know.
pub(super) fn check(conn: &Connection, path: &Path) -> Result<(), FileError> {
    let refuse = |fault| FileError::from_fault(path, fault);
    let damaged = |what| FileError::Damaged { path: path.to_owned(), what };
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|e| refuse(e.into()));
    if pragma("application_id")? != APPLICATION {
        return Err(FileError::NotAStore { path: path.to_owned() });
    }
    match u32::try_from(pragma("user_version")?) {
        Ok(FORMAT) => {}
        Ok(found) if found > FORMAT => {
            return Err(FileError::NewerFormat { path: path.to_owned(), found, known: FORMAT });
        }
        _ => return Err(damaged("its format number is none that was ever written")),
    }
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(|e| refuse(e.into()))?;
    if mode != "wal" {
        return Err(damaged("it is not in the journal mode it was created in"));
    }
    if is_expected(conn).map_err(refuse)? { Ok(()) } else { Err(damaged("its tables are not those of a store")) }
}

/// True when tables and indexes are exactly the expected ones.
pub(super) fn is_expected(conn: &Connection) -> Result<bool, Fault> {
    let mut expected = Vec::new();
    for (table, sql, indexes) in TABLES {
        expected.push(("table".to_owned(), table.to_owned(), table.to_owned(), Some(sql.to_owned())));
        for number in 1..=indexes {
            let name = format!("sqlite_autoindex_{table}_{number}");
            expected.push(("index".to_owned(), name, table.to_owned(), None));
        }
    }
    expected.sort();
    let mut query = conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 32")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut found = rows.collect::<Result<Vec<(String, String, String, Option<String>)>, _>>()?;
    found.sort();
    Ok(found == expected)
}
