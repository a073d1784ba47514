//! What someone with write access to the file, and without its unlock, can and cannot do.

mod common;

use common::{Site, copy_of, cx, fill, filled, key, material, next, publish, register, shows, target, verify_finds};
use futures_lite::future::block_on;
use keyward_core::{
    AuditQuery, ErrorKind, Expect, KeyId, ListQuery, SecretBackend, SecretBackendExt, Select, Swap, VersionId,
};
use keyward_file::{FileBackend, FileError, KeyFile};
use rusqlite::Connection;

/// Changes the closed store through SQLite and opens it again; an opening that is refused as damaged is an answer.
fn tampered(site: &Site, sql: &str) -> Option<FileBackend> {
    let raw = site.raw();
    raw.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(raw.changes() > 0, "nothing was changed by {sql}");
    drop(raw);
    match block_on(FileBackend::open(&site.store, KeyFile::at(&site.key))) {
        Ok(store) => Some(store),
        Err(FileError::Damaged { .. }) => None,
        Err(other) => panic!("{sql}: {other}"),
    }
}

fn read_kind(store: &FileBackend, id: &KeyId) -> Result<(), ErrorKind> {
    block_on(store.read_one(&cx(), &target(id), Select::Current)).map(drop).map_err(|error| error.kind())
}

fn load_kind(store: &FileBackend, id: &KeyId) -> Result<bool, ErrorKind> {
    block_on(store.load_one(&cx(), id)).map(|found| found.is_some()).map_err(|error| error.kind())
}

#[test]
fn an_untouched_store_verifies() {
    let site = filled();
    let store = site.open();
    let verified = block_on(store.verify(&cx())).unwrap();
    assert_eq!((verified.records, verified.keys_with_material, verified.material), (3, 3, 6));
    // Created, opened three times, 3 registered, 6 staged and published.
    assert_eq!(verified.audit_entries, 4 + 3 + 12);
    assert!(shows(&store, &key("one"), "sk_test_one_1"));
}

#[test]
fn a_deleted_row() {
    for table in ["records", "pointers", "material"] {
        for n in 1..=3 {
            let site = filled();
            let store =
                tampered(&site, &format!("DELETE FROM {table} WHERE n = {n}")).expect("the end of the log holds");
            verify_finds(&store, table);
        }
    }
    // Material that is gone is noticed by whoever reads it: its pointer lists it.
    let site = filled();
    let store = tampered(&site, "DELETE FROM material").expect("the end of the log holds");
    assert_eq!(read_kind(&store, &key("one")), Err(ErrorKind::Tampered));
}

#[test]
fn what_only_the_whole_check_notices() {
    // A fresh process cannot tell a record that was deleted from one that never was. Documented, and this is the test.
    let site = filled();
    let store = tampered(&site, "DELETE FROM records WHERE n = 1; DELETE FROM pointers WHERE n = 1").unwrap();
    assert_eq!(load_kind(&store, &key("one")), Ok(false));
    assert_eq!(read_kind(&store, &key("one")), Err(ErrorKind::NotFound));
    verify_finds(&store, "deleted record and pointer");
    // Writing over it does not cover it up.
    register(&store, &key("one"));
    verify_finds(&store, "deleted record, registered again");
}

#[test]
fn swapped_rows() {
    for table in ["records", "pointers", "material"] {
        let columns: &[&str] = &["id", "version", "epoch", "sealed"];
        for swapped in [&columns[1..], &columns[3..], &columns[1..2]] {
            let site = filled();
            swap_rows(&site.raw(), table, swapped);
            let store = site.open();
            verify_finds(&store, table);
            let affected = match table {
                "records" => load_kind(&store, &key("one")).map(drop),
                "pointers" => read_kind(&store, &key("one")),
                _ => version_kind(&store),
            };
            assert_eq!(affected, Err(ErrorKind::Tampered), "{table} {swapped:?}");
        }
    }
}

/// Reads both versions of the first key; the worst answer.
fn version_kind(store: &FileBackend) -> Result<(), ErrorKind> {
    let versions = block_on(store.survey(&cx(), &target(&key("one")))).expect("a survey").versions;
    versions.into_iter().try_for_each(|version| {
        let read = block_on(store.read_one(&cx(), &target(&key("one")), Select::Version(version)));
        read.map(drop).map_err(|error| error.kind())
    })
}

fn swap_rows(raw: &Connection, table: &str, columns: &[&str]) {
    raw.execute_batch(&format!("CREATE TEMP TABLE before AS SELECT * FROM {table}")).expect("a copy");
    for column in columns {
        let sql = format!(
            "UPDATE {table} SET {column} = (SELECT {column} FROM before WHERE before.n = 3 - {table}.n) WHERE n IN (1, 2)"
        );
        raw.execute_batch(&sql).expect("a swap");
    }
}

#[test]
fn a_row_of_another_table() {
    let site = filled();
    // The record of a key where its pointer should be.
    let sql = "UPDATE pointers SET (version, epoch, sealed) = (SELECT version, epoch, sealed FROM records WHERE n = 1) WHERE n = 1";
    let store = tampered(&site, sql).unwrap();
    assert_eq!(read_kind(&store, &key("one")), Err(ErrorKind::Tampered));
    verify_finds(&store, "a record as pointer");
}

#[test]
fn rows_of_another_store() {
    // The same unlock, the same names, another store.
    let (site, other) = (filled(), Site::empty());
    let created = block_on(FileBackend::create(&other.store, KeyFile::at(&site.key))).unwrap();
    fill(&created);
    drop(created);
    for table in ["records", "pointers", "material", "audit", "state", "header"] {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("keys.keyward");
        std::fs::copy(&site.store, &path).unwrap();
        let raw = Connection::open(&path).unwrap();
        raw.execute("ATTACH ?1 AS other", [other.store.to_str().unwrap()]).unwrap();
        raw.execute_batch(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM other.{table}")).unwrap();
        drop(raw);
        match block_on(FileBackend::open(&path, KeyFile::at(&site.key))) {
            Ok(store) => verify_finds(&store, table),
            Err(error) => assert!(matches!(error, FileError::Damaged { .. }), "{table}: {error}"),
        }
    }
}

#[test]
fn an_older_state_of_one_row() {
    let site = filled();
    let raw = site.raw();
    raw.execute_batch(
        "CREATE TABLE kept_records AS SELECT * FROM records; CREATE TABLE kept_pointers AS SELECT * FROM pointers",
    )
    .unwrap();
    let kept: Vec<(&str, i64, Vec<u8>)> = ["records", "pointers"]
        .into_iter()
        .map(|table| {
            raw.query_row(&format!("SELECT version, sealed FROM {table} WHERE n = 1"), [], |row| {
                Ok((table, row.get(0)?, row.get(1)?))
            })
            .unwrap()
        })
        .collect();
    raw.execute_batch("DROP TABLE kept_records; DROP TABLE kept_pointers").unwrap();
    drop(raw);
    let store = site.open();
    let seen = block_on(store.load_existing(&cx(), &key("one"))).unwrap();
    block_on(store.swap(&cx(), &key("one"), Expect::At(seen.stamp), &next(&seen.value))).unwrap();
    publish(&store, &key("one"), "sk_test_one_2");
    drop(store);

    for (table, version, sealed) in &kept {
        let copy = Site { key: site.key.clone(), ..copy_of(&site) };
        let raw = copy.raw();
        raw.execute(&format!("UPDATE {table} SET version = ?1, sealed = ?2 WHERE n = 1"), (version, sealed)).unwrap();
        drop(raw);
        let store = copy.open();
        // On its own the row is sound: a fresh process sees that it is old only when it checks the whole.
        assert!(load_kind(&store, &key("one")).is_ok());
        verify_finds(&store, table);
    }

    // A process that has seen the newer state notices at once.
    let store = site.open();
    assert!(load_kind(&store, &key("one")).is_ok() && read_kind(&store, &key("one")).is_ok());
    let raw = site.raw();
    for (table, version, sealed) in &kept {
        raw.execute(&format!("UPDATE {table} SET version = ?1, sealed = ?2 WHERE n = 1"), (version, sealed)).unwrap();
    }
    assert_eq!(load_kind(&store, &key("one")), Err(ErrorKind::Tampered));
    assert_eq!(read_kind(&store, &key("one")), Err(ErrorKind::Tampered));
    raw.execute_batch("DELETE FROM records WHERE n = 1").unwrap();
    assert_eq!(load_kind(&store, &key("one")), Err(ErrorKind::Tampered));
}

#[test]
fn older_material_of_a_version_that_was_staged_again() {
    let site = filled();
    let store = site.open();
    let (id, version) = (key("four"), VersionId::generate());
    let stage = |text: &str| block_on(store.stage(&cx(), &target(&id), version, &material(text))).unwrap();
    stage("sk_test_old");
    let kept: (i64, Vec<u8>) = site
        .raw_beside(&store)
        .query_row("SELECT version, sealed FROM material ORDER BY n DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    block_on(store.withdraw(&cx(), &target(&id), version)).unwrap();
    stage("sk_test_new");
    drop(store);
    let raw = site.raw();
    raw.execute("UPDATE material SET version = ?1, sealed = ?2 WHERE n = (SELECT max(n) FROM material)", kept).unwrap();
    drop(raw);
    let store = site.open();
    let read = block_on(store.read_one(&cx(), &target(&id), Select::Version(version)));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Tampered);
    verify_finds(&store, "older material");
}

#[test]
fn an_older_copy_of_the_whole_file_is_not_noticed_and_the_store_says_so() {
    let site = filled();
    let older = std::fs::read(&site.store).unwrap();
    let store = site.open();
    publish(&store, &key("one"), "sk_test_one_2");
    drop(store);
    std::fs::write(&site.store, older).unwrap();
    let store = site.open();
    assert!(block_on(store.verify(&cx())).is_ok());
    assert!(block_on(store.info(&cx())).unwrap().freshness.starts_with("none"));
}

#[test]
fn the_audit_log() {
    for (what, sql) in [
        ("an entry deleted", "DELETE FROM audit WHERE seq = 5"),
        ("the first entry deleted", "DELETE FROM audit WHERE seq = 1"),
        ("the end cut off", "DELETE FROM audit WHERE seq > 10"),
        ("the last cut off", "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"),
        ("all deleted", "DELETE FROM audit"),
        ("an entry changed", "UPDATE audit SET sealed = (SELECT sealed FROM audit WHERE seq = 6) WHERE seq = 5"),
        ("a link changed", "UPDATE audit SET link = (SELECT link FROM audit WHERE seq = 6) WHERE seq = 5"),
        (
            "two swapped",
            "UPDATE audit SET seq = -seq WHERE seq IN (5, 6); UPDATE audit SET seq = 11 + seq WHERE seq < 0",
        ),
        (
            "one doubled",
            "UPDATE audit SET seq = -seq WHERE seq > 5; UPDATE audit SET seq = 1 - seq WHERE seq < 0; INSERT INTO audit SELECT 6, epoch, sealed, link FROM audit WHERE seq = 5",
        ),
        ("one before the first", "INSERT INTO audit SELECT 0, epoch, sealed, link FROM audit WHERE seq = 1"),
        ("one after the last", "INSERT INTO audit SELECT 1000, epoch, sealed, link FROM audit WHERE seq = 1"),
        ("another epoch", "UPDATE audit SET epoch = 2 WHERE seq = 5"),
    ] {
        let site = filled();
        let Some(store) = tampered(&site, sql) else {
            println!("{what}: refused at opening");
            continue;
        };
        verify_finds(&store, what);
        if what != "one before the first" {
            let sink = store.audit().unwrap();
            let error = block_on(sink.verify(&cx())).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Tampered, "{what}");
            let error = block_on(sink.entries(&cx(), &AuditQuery::default(), None)).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Tampered, "{what}");
        }
    }
}

#[test]
fn a_listing_shows_a_record_that_cannot_be_read_in_its_place() {
    let site = filled();
    let store = tampered(&site, "UPDATE records SET sealed = zeroblob(length(sealed)) WHERE n = 2").unwrap();
    for limit in [1, 2, 10] {
        let listed = block_on(store.list_all(&cx(), &ListQuery::all().limit(limit))).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = listed.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (2, 1), "limit {limit}");
        assert_eq!(bad[0].as_ref().unwrap_err().kind(), ErrorKind::Tampered);
    }
    drop(store);
    // A process that knew the record names it.
    let site = filled();
    let store = site.open();
    block_on(store.list_all(&cx(), &ListQuery::all())).unwrap();
    site.raw().execute_batch("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE n = 2").unwrap();
    let listed = block_on(store.list_all(&cx(), &ListQuery::all())).unwrap();
    let keys: Vec<_> =
        listed.iter().filter_map(|item| item.as_ref().err().and_then(keyward_core::Error::key)).collect();
    assert_eq!(keys, [&key("two")]);
}

#[test]
fn a_swap_over_a_tampered_record_is_refused() {
    let site = filled();
    let store = site.open();
    let seen = block_on(store.load_existing(&cx(), &key("one"))).unwrap();
    drop(store);
    let store = tampered(&site, "UPDATE records SET sealed = zeroblob(length(sealed)) WHERE n = 1").unwrap();
    let swapped = block_on(store.swap(&cx(), &key("one"), Expect::At(seen.stamp.clone()), &next(&seen.value)));
    assert_eq!(swapped.unwrap_err().kind(), ErrorKind::Tampered);
    assert!(!matches!(
        block_on(store.swap(&cx(), &key("two"), Expect::At(seen.stamp), &common::record(&key("two")))),
        Ok(Swap::Applied(_))
    ));
}
