//! A connection to SQLite that trusts the file as little as possible.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::place::Place;
use crate::config::FileBuilder;
use crate::error::{Fault, FileError};

/// The first SQLite in which several writers cannot damage a store with a write-ahead log.
const OLDEST: i32 = 3_051_003;
/// The page size of new stores.
pub(super) const PAGE: u64 = 4096;

/// Connects to the store at `place`, which has been checked. Never creates it.
pub(super) fn connect(place: &Place, settings: &FileBuilder) -> Result<Connection, FileError> {
    let found = rusqlite::version_number();
    if found < OLDEST {
        return Err(FileError::SqliteTooOld { found });
    }
    connect_to(&place.path, settings, place.has_log()).map_err(|fault| FileError::from_fault(&place.shown, fault))
}

pub(super) fn connect_to(path: &Path, settings: &FileBuilder, keep_log: bool) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let conn = Connection::open_with_flags(path, flags)?;
    for (limit, value) in LIMITS {
        conn.set_limit(limit, value)?;
    }
    for (switch, on) in SWITCHES {
        conn.set_db_config(switch, on)?;
    }
    // Until the store is found sound, a log that lies beside it is not folded into it.
    keep_log_on_close(&conn, keep_log)?;
    conn.busy_timeout(settings.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.execute_batch(SETTINGS)?;
    Ok(conn)
}

/// Whether closing the last connection leaves the write-ahead log alone.
pub(super) fn keep_log_on_close(conn: &Connection, keep: bool) -> Result<(), Fault> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
    Ok(())
}

/// Bounds what the file may grow to through this connection.
pub(super) fn bound(conn: &Connection, max_bytes: Option<u64>) -> Result<(), Fault> {
    let Some(limit) = max_bytes else { return Ok(()) };
    let pages = i64::try_from(limit / PAGE).unwrap_or(i64::MAX).clamp(1, 0x7fff_fffe);
    conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(())
}

/// More than this crate has.
const STATEMENTS: usize = 32;

const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON; \
                        PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;";

const SWITCHES: [(DbConfig, bool); 7] = [
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
];

/// The largest row is a holding of 1,024 versions, under 80 KiB.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, 256 * 1024),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 4096),
    (Limit::SQLITE_LIMIT_COLUMN, 16),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 16),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 16),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
