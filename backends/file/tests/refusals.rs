//! What is not opened: a typed error that says what to do, and not a byte changed.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Site, contents, key, publish, register};
use futures_lite::future::block_on;
use keyward_file::{FileBackend, FileError, KdfPolicy, KeyFile, Passphrase, Unlock};

/// Opens what is at the path, wants a refusal that changes nothing, and answers it.
fn refused(site: &Site, unlock: impl Into<Unlock>) -> FileError {
    let before = contents(site.path());
    let error = block_on(FileBackend::open(&site.store, unlock)).expect_err("the store must be refused");
    assert!(before == contents(site.path()), "a refused open changed the directory: {error}");
    let text = error.to_string();
    assert!(text.contains(';') || text.contains("try again"), "the error says no next step: {text}");
    error
}

fn refused_with_key(site: &Site) -> FileError {
    refused(site, KeyFile::at(&site.key))
}

fn pass(text: &str) -> Passphrase {
    Passphrase::new(text.into()).expect("a passphrase")
}

/// A store with something in it, closed.
fn filled() -> Site {
    let site = Site::new();
    let store = site.open();
    register(&store, &key("stripe"));
    publish(&store, &key("stripe"), "sk_test_1");
    site
}

#[test]
fn a_missing_store_is_not_created() {
    let site = Site::empty();
    assert!(matches!(refused_with_key(&site), FileError::Missing { .. }));
    let nowhere = block_on(FileBackend::open(site.path().join("no/such/keys"), KeyFile::at(&site.key)));
    assert!(matches!(nowhere, Err(FileError::Missing { .. })));
    assert!(!FileBackend::exists(&site.store));
}

#[test]
fn create_never_overwrites() {
    let site = filled();
    let before = contents(site.path());
    for existing in ["keys.keyward", "unlock.key"] {
        let path = site.path().join(existing);
        let error = block_on(FileBackend::create(&path, KeyFile::at(&site.key))).unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }), "{error}");
    }
    let dangling = site.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let error = block_on(FileBackend::create(&dangling, KeyFile::at(&site.key))).unwrap_err();
    assert!(matches!(error, FileError::Exists { .. }), "{error}");
    fs::remove_file(&dangling).unwrap();
    assert!(before == contents(site.path()));
}

#[test]
fn a_failed_create_leaves_nothing() {
    let site = Site::empty();
    let before = contents(site.path());
    let error = block_on(FileBackend::create(&site.store, KeyFile::at(site.path().join("no.key")))).unwrap_err();
    assert!(matches!(error, FileError::Unlock { .. }), "{error}");
    let nowhere = block_on(FileBackend::create(site.path().join("no/such/keys"), KeyFile::at(&site.key)));
    assert!(matches!(nowhere, Err(FileError::Missing { .. })));
    assert!(before == contents(site.path()));
}

#[test]
fn the_wrong_unlock() {
    let site = filled();
    let other = KeyFile::create(site.path().join("other.key")).unwrap();
    assert!(matches!(refused(&site, other), FileError::Unlock { .. }));
    assert!(matches!(refused(&site, KeyFile::at(site.path().join("no.key"))), FileError::Unlock { .. }));
    assert!(matches!(refused(&site, pass("a passphrase")), FileError::Unlock { .. }));

    let site = Site::empty();
    let cheap = FileBackend::builder().kdf(KdfPolicy::minimum());
    block_on(cheap.create(&site.store, pass("correct horse"))).unwrap();
    assert!(matches!(refused(&site, pass("wrong horse")), FileError::Unlock { .. }));
    assert!(matches!(refused_with_key(&site), FileError::Unlock { .. }));
    assert!(block_on(FileBackend::open(&site.store, pass("correct horse"))).is_ok());
}

#[test]
fn a_store_cut_off_anywhere() {
    let site = filled();
    let whole = fs::read(&site.store).unwrap();
    let pages = (1..whole.len() / 4096).map(|page| page * 4096);
    let around =
        [1, 15, 16, 99, 100, 101, 511, 512, 513, 1023, 1024, 2048, 4095, 4097, whole.len() - 1, whole.len() - 512];
    let mut tried = 0;
    for length in pages.chain(around) {
        fs::write(&site.store, &whole[..length]).unwrap();
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::Damaged { .. } | FileError::NotAStore { .. }), "{length}: {error}");
        assert!(length % 4096 == 0 || length < 512 || error.to_string().contains("cut off"), "{length}: {error}");
        tried += 1;
    }
    println!("{tried} lengths of {}", whole.len());
    fs::write(&site.store, b"").unwrap();
    assert!(matches!(refused_with_key(&site), FileError::Empty { .. }));
    fs::write(&site.store, &whole).unwrap();
    drop(site.open());
}

#[test]
fn another_kind_of_file() {
    let site = Site::empty();
    let put = |bytes: &[u8]| {
        fs::write(&site.store, bytes).unwrap();
        fs::set_permissions(&site.store, Permissions::from_mode(0o600)).unwrap();
    };
    for bytes in [&b"age-encryption.org/v1\n"[..], &[0; 4096], &[0xff; 10_000], b"SQLite format 3\0", b"x"] {
        put(bytes);
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::NotAStore { .. } | FileError::Damaged { .. }), "{error}");
    }
    for mode in ["DELETE", "WAL"] {
        fs::remove_file(&site.store).unwrap();
        let foreign = site.raw();
        foreign
            .execute_batch(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (a); INSERT INTO t VALUES (1)"))
            .unwrap();
        drop(foreign);
        fs::set_permissions(&site.store, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(refused_with_key(&site), FileError::NotAStore { .. }), "{mode}");
    }
}

#[test]
fn a_file_that_others_can_use() {
    let site = filled();
    for mode in [0o604, 0o640, 0o660, 0o644, 0o610, 0o602] {
        fs::set_permissions(&site.store, Permissions::from_mode(mode)).unwrap();
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::NotPrivate { mode: found, .. } if found == mode), "{error}");
    }
    fs::set_permissions(&site.store, Permissions::from_mode(0o600)).unwrap();
    drop(site.open());
}

#[test]
fn what_is_not_a_plain_file() {
    let site = filled();
    let real = site.path().join("real.keyward");
    fs::rename(&site.store, &real).unwrap();

    symlink(&real, &site.store).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::NotAFile { .. }));
    fs::remove_file(&site.store).unwrap();

    fs::create_dir(&site.store).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::NotAFile { .. }));
    fs::remove_dir(&site.store).unwrap();

    let fifo = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &site.store, rustix::fs::FileType::Fifo, fifo, 0).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::NotAFile { .. }));
    fs::remove_file(&site.store).unwrap();

    fs::hard_link(&real, &site.store).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::Linked { .. }));
    fs::remove_file(&site.store).unwrap();

    fs::rename(&real, &site.store).unwrap();
    symlink("/dev/null", site.path().join("keys.keyward-wal")).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::NotAFile { .. }));
    fs::remove_file(site.path().join("keys.keyward-wal")).unwrap();
    fs::write(site.path().join("keys.keyward-journal"), b"roll me back").unwrap();
    fs::set_permissions(site.path().join("keys.keyward-journal"), Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::Damaged { .. }));
    fs::remove_file(site.path().join("keys.keyward-journal")).unwrap();
    drop(site.open());
}

#[test]
fn a_directory_in_which_everyone_may_replace_files() {
    let site = filled();
    let mode = |mode| fs::set_permissions(site.path(), Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    assert!(matches!(refused_with_key(&site), FileError::Directory { .. }));
    mode(0o1777);
    drop(site.open());
    mode(0o700);
}

#[test]
fn a_symlinked_directory_is_fine() {
    let site = filled();
    let outside = tempfile::tempdir().unwrap();
    let link = outside.path().join("link");
    symlink(site.path(), &link).unwrap();
    block_on(FileBackend::open(link.join("keys.keyward"), KeyFile::at(&site.key))).unwrap();
}

#[test]
fn another_user_owns_it() {
    let site = filled();
    let stranger = rustix::fs::Uid::from_raw(65_534);
    match rustix::fs::chown(&site.store, Some(stranger), None) {
        Ok(()) => assert!(matches!(refused_with_key(&site), FileError::ForeignOwner { .. })),
        // Only root can give a file away; without it, a file of root's stands in.
        Err(_) => {
            let passwd = block_on(FileBackend::open("/etc/passwd", KeyFile::at(&site.key))).unwrap_err();
            assert!(matches!(passwd, FileError::ForeignOwner { .. }), "{passwd}");
        }
    }
}

#[test]
fn a_newer_format() {
    let site = filled();
    site.raw().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::NewerFormat { found: 2, known: 1, .. }));
    site.raw().pragma_update(None, "user_version", 0).unwrap();
    assert!(matches!(refused_with_key(&site), FileError::Damaged { .. }));
}

#[test]
fn a_key_derivation_that_would_take_the_machine_down() {
    let site = Site::empty();
    let cheap = FileBackend::builder().kdf(KdfPolicy::minimum());
    block_on(cheap.create(&site.store, pass("correct horse"))).unwrap();
    let slot: Vec<u8> = value(&site.store, "slot/1");
    // Memory, passes and lanes of the slot, each as large as it goes; then the least of all.
    for (at, number) in [(7, u32::MAX), (7, 2 * 1024 * 1024), (11, u32::MAX), (15, u32::MAX), (7, 8), (11, 0)] {
        let mut bomb = slot.clone();
        bomb[at..at + 4].copy_from_slice(&number.to_be_bytes());
        put(&site.store, "slot/1", &bomb);
        let began = Instant::now();
        let error = refused(&site, pass("correct horse"));
        assert!(error.to_string().contains("key derivation was refused"), "{error}");
        assert!(began.elapsed() < Duration::from_millis(500), "it was computed before it was refused");
    }
    // Weaker, but within the limits: the slot does not open, because its parameters are part of it.
    let mut weaker = slot.clone();
    weaker[11..15].copy_from_slice(&3_u32.to_be_bytes());
    put(&site.store, "slot/1", &weaker);
    assert!(matches!(refused(&site, pass("correct horse")), FileError::Unlock { .. }));
    put(&site.store, "slot/1", &slot);
    drop(block_on(FileBackend::open(&site.store, pass("correct horse"))).unwrap());
}

#[test]
fn a_header_that_was_changed() {
    let site = filled();
    for (name, bytes) in
        [("primary", &7_u32.to_be_bytes()[..]), ("format", &2_u32.to_be_bytes()), ("slot/2", b"x"), ("extra", b"x")]
    {
        let before: Option<Vec<u8>> = (!matches!(name, "slot/2" | "extra")).then(|| value(&site.store, name));
        put(&site.store, name, bytes);
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::Damaged { .. } | FileError::Unlock { .. }), "{name}: {error}");
        match before {
            Some(before) => put(&site.store, name, &before),
            None => drop(site.raw().execute("DELETE FROM header WHERE name = ?1", [name]).unwrap()),
        }
    }
    for name in ["store", "epoch/1", "mac", "primary", "format", "slot/1"] {
        let before = value(&site.store, name);
        site.raw().execute("DELETE FROM header WHERE name = ?1", [name]).unwrap();
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::Damaged { .. }), "{name}: {error}");
        put(&site.store, name, &before);
    }
    drop(site.open());
}

#[test]
fn tables_that_do_not_belong_there() {
    for extra in [
        "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM audit; END",
        "CREATE VIEW v AS SELECT sealed FROM material",
        "CREATE TABLE t (a)",
        "CREATE INDEX i ON records (version)",
        "DROP TABLE pointers",
    ] {
        let site = filled();
        site.raw().execute_batch(extra).unwrap();
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::Damaged { what, .. } if what.contains("tables")), "{extra}: {error}");
    }
}

#[test]
fn a_state_or_a_log_that_does_not_fit() {
    for damage in [
        "DELETE FROM state",
        "UPDATE state SET sealed = zeroblob(length(sealed))",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "INSERT INTO audit SELECT seq + 100, epoch, sealed, link FROM audit LIMIT 1",
    ] {
        let site = filled();
        site.raw().execute_batch(damage).unwrap();
        let error = refused_with_key(&site);
        assert!(matches!(error, FileError::Damaged { .. }), "{damage}: {error}");
    }
}

#[test]
fn changes_a_killed_process_left_in_the_log_stay_there_until_the_store_is_unlocked() {
    let site = filled();
    let raw = site.raw();
    // What a killed process leaves: a log that was not folded into the file.
    raw.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute_batch("CREATE TABLE t (a); DROP TABLE t").unwrap();
    drop(raw);
    let log = site.path().join("keys.keyward-wal");
    assert!(log.metadata().unwrap().len() > 0);

    let other = KeyFile::create(site.path().join("other.key")).unwrap();
    let before = (fs::read(&site.store).unwrap(), fs::read(&log).unwrap());
    assert!(matches!(block_on(FileBackend::open(&site.store, other)), Err(FileError::Unlock { .. })));
    assert!(before == (fs::read(&site.store).unwrap(), fs::read(&log).unwrap()));
    drop(site.open());
    assert!(!log.exists());
}

fn value(store: &Path, name: &str) -> Vec<u8> {
    let raw = rusqlite::Connection::open(store).expect("SQLite opens the store");
    raw.query_row("SELECT value FROM header WHERE name = ?1", [name], |row| row.get(0)).expect("a header row")
}

fn put(store: &Path, name: &str, value: &[u8]) {
    let raw = rusqlite::Connection::open(store).expect("SQLite opens the store");
    raw.execute("INSERT OR REPLACE INTO header (name, value) VALUES (?1, ?2)", (name, value)).expect("a header row");
}
