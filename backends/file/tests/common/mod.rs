//! What the tests share: a store in a directory of its own, keys, records.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward_core::{
    AccessLevel, Actor, Change, Context, Edit, ErrorKind, Expect, KeyDraft, KeyId, KeyRecord, Material, Ownership,
    PointerToken, PublicationId, Publish, Read, Scope, SecretBackend, SecretBackendExt, SecretValue, Select, Stage,
    Stamp, Swap, Target, Transition, VersionId,
};
use keyward_file::{FileBackend, FileBuilder, KeyFile};
use tempfile::TempDir;

/// A directory with a store in it and the key file beside.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) store: PathBuf,
    pub(crate) key: PathBuf,
}

impl Site {
    /// A directory with a key file and no store.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (store, key) = (directory.path().join("keys.keyward"), directory.path().join("unlock.key"));
        KeyFile::create(&key).expect("a key file");
        Self { directory, store, key }
    }

    /// A directory with a key file and a closed store.
    pub(crate) fn new() -> Self {
        let site = Self::empty();
        drop(site.create());
        site
    }

    pub(crate) fn create(&self) -> FileBackend {
        block_on(FileBackend::create(&self.store, KeyFile::at(&self.key))).expect("a new store")
    }

    pub(crate) fn open(&self) -> FileBackend {
        self.open_with(FileBackend::builder())
    }

    pub(crate) fn open_with(&self, builder: FileBuilder) -> FileBackend {
        block_on(builder.open(&self.store, KeyFile::at(&self.key))).expect("the store opens")
    }

    /// The store through SQLite alone.
    pub(crate) fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.store).expect("SQLite opens the store")
    }

    /// The same while a store is open in this process. SQLite knows of both and keeps its locks; no other way of
    /// opening the file would.
    pub(crate) fn raw_beside(&self, _open: &FileBackend) -> rusqlite::Connection {
        self.raw()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

pub(crate) fn cx() -> Context {
    Context::new("test", "a test").expect("plain texts").within(Duration::from_secs(120))
}

pub(crate) fn key(name: &str) -> KeyId {
    format!("dev/analytics/{name}").parse().expect("a key id")
}

pub(crate) fn change() -> Change {
    Change::new("test".parse::<Actor>().expect("an actor"), keyward_core::Clock::now(&keyward_core::SystemClock))
}

/// The first record of a key.
pub(crate) fn record(id: &KeyId) -> KeyRecord {
    let draft = KeyDraft::new(
        id.clone(),
        Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments").expect("an ownership"),
        Scope::new(AccessLevel::ReadOnly).service("billing").expect("a service"),
        "acme".parse().expect("an issuer"),
    );
    KeyRecord::register(&draft, &change()).expect("a record")
}

/// The next record: one note, one revision more.
pub(crate) fn next(record: &KeyRecord) -> KeyRecord {
    let note = "a note".parse().expect("a note");
    record.apply(&Transition::Edit(Edit::Note(note)), &change()).expect("a legal edit")
}

pub(crate) fn target(id: &KeyId) -> Target {
    record(id).target()
}

pub(crate) fn material(text: &str) -> Material {
    Material::one(SecretValue::from(text)).expect("material")
}

pub(crate) fn register(store: &FileBackend, id: &KeyId) -> Stamp {
    match block_on(store.swap(&cx(), id, Expect::Absent, &record(id))).expect("a swap") {
        Swap::Applied(stamp) => stamp,
        Swap::Conflict(_) => panic!("the key is registered already"),
    }
}

/// Stages and publishes a version; its id.
pub(crate) fn publish(store: &FileBackend, id: &KeyId, text: &str) -> VersionId {
    let (target, version) = (target(id), VersionId::generate());
    block_on(async {
        let staged = store.stage(&cx(), &target, version, &material(text)).await.expect("a stage");
        assert_eq!(staged, Stage::Stored);
        let token: PointerToken = store.pointer(&cx(), &target).await.expect("a pointer").token;
        let published = store.publish(&cx(), &target, version, PublicationId::generate(), &token).await;
        assert!(matches!(published.expect("a publish"), Publish::Moved(_)));
    });
    version
}

/// The current value is this text.
pub(crate) fn shows(store: &FileBackend, id: &KeyId, text: &str) -> bool {
    let read = block_on(store.read_one(&cx(), &target(id), Select::Current)).expect("a read");
    matches!(read, Read::Found { material: found, .. } if found.ct_eq(&material(text)))
}

/// This test binary again, as a child process that runs one of its ignored tests in the directory of `site`. What the
/// child has to say comes on its standard error, line by line.
pub(crate) fn child(site: &Site, test: &str, mode: &str) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", test, "--nocapture"])
        .envs(told(site, mode))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child process")
}

/// What a child must be told.
pub(crate) fn told(site: &Site, mode: &str) -> [(&'static str, std::ffi::OsString); 2] {
    [(DIRECTORY, site.path().into()), (MODE, mode.into())]
}

/// In the child: the store and the mode the parent chose. Nothing when there is no parent, as when someone runs all
/// ignored tests.
pub(crate) fn called() -> Option<(PathBuf, KeyFile, String)> {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY)?);
    let unlock = KeyFile::at(directory.join("unlock.key"));
    Some((directory.join("keys.keyward"), unlock, std::env::var(MODE).ok()?))
}

/// In the child: one line to the parent, in one piece.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
}

const DIRECTORY: &str = "KEYWARD_FILE_TEST_DIRECTORY";
const MODE: &str = "KEYWARD_FILE_TEST_MODE";

/// Every file of a directory with its bytes.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let regular = path.symlink_metadata().expect("an entry").is_file();
            let bytes = regular.then(|| std::fs::read(&path).expect("a file"));
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

/// A closed store: three keys with two versions each, one after the other published.
pub(crate) fn filled() -> Site {
    let site = Site::new();
    fill(&site.open());
    site
}

pub(crate) fn fill(store: &FileBackend) {
    for name in ["one", "two", "three"] {
        register(store, &key(name));
        for round in 0..2 {
            publish(store, &key(name), &format!("sk_test_{name}_{round}"));
        }
    }
}

/// The check of everything fails as it should.
pub(crate) fn verify_finds(store: &FileBackend, what: &str) {
    let error = block_on(store.verify(&cx())).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Tampered, "{what}: {error}");
}

/// A copy of a closed store, with the same key.
pub(crate) fn copy_of(site: &Site) -> Site {
    let copy = Site::empty();
    std::fs::copy(&site.store, &copy.store).expect("a copy");
    Site { key: site.key.clone(), ..copy }
}
