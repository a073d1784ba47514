//! The sealed state row.

use rusqlite::{Connection, OptionalExtension};

use super::keys::Keys;
use crate::error::Fault;
use crate::wire::State;

pub(super) fn create(conn: &Connection, keys: &Keys, state: &State) -> Result<(), Fault> {
    conn.execute("INSERT INTO state (n, sealed) VALUES (1, ?1)", (keys.seal_state(&state.encode())?,))?;
    Ok(())
}

pub(super) fn read(conn: &Connection, keys: &Keys) -> Result<State, Fault> {
    let sealed: Option<Vec<u8>> =
        conn.prepare_cached("SELECT sealed FROM state WHERE n = 1")?.query_row([], |row| row.get(0)).optional()?;
    let plain = keys.open_state(&sealed.ok_or(GONE)?)?;
    State::decode(&plain).ok_or(Fault::Tampered("the state of the store is not one"))
}

pub(super) fn write(conn: &Connection, keys: &Keys, state: &State) -> Result<(), Fault> {
    let sealed = keys.seal_state(&state.encode())?;
    let changed = conn.prepare_cached("UPDATE state SET sealed = ?1 WHERE n = 1")?.execute((sealed,))?;
    if changed == 1 { Ok(()) } else { Err(GONE) }
}

const GONE: Fault = Fault::Tampered("the state of the store is gone");
