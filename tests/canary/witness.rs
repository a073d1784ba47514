//! Who looks: every value on every surface, counted, with everything found reported at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use keyward::audit::line;
use keyward::core::{AuditEntry, KeyRecord};
use serde::Serialize;

use crate::hooks;
use crate::secret::{BINARY, Search, TEXT, TOKEN};

/// Where a secret could turn up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Surface {
    Debug,
    Display,
    Chain,
    Json,
    Trace,
    Panic,
    Disk,
    Output,
}

/// Looks at values and remembers what it found. Clones are the same witness.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Inner>);

struct Inner {
    search: Search,
    found: Mutex<BTreeSet<String>>,
    counts: Mutex<BTreeMap<Surface, u64>>,
}

/// All inspections of this process.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// Sees every panic and every trace event of this process.
static OVERSEER: LazyLock<Witness> = LazyLock::new(|| Witness::of(Search::of([TOKEN, TEXT, BINARY])));

impl Witness {
    /// A witness of the planted secrets; from now on panics and traces are watched, too.
    pub(crate) fn new() -> Self {
        hooks::install(&OVERSEER);
        Self::of(Search::of([TOKEN, TEXT, BINARY]))
    }

    /// A witness of other secrets.
    pub(crate) fn of(search: Search) -> Self {
        Self(Arc::new(Inner { search, found: Mutex::default(), counts: Mutex::default() }))
    }

    /// `{:?}` and `{:#?}`.
    pub(crate) fn debug(&self, place: &str, value: &dyn Debug) {
        self.look(Surface::Debug, place, format!("{value:?}").as_bytes());
        self.look(Surface::Debug, place, format!("{value:#?}").as_bytes());
    }

    /// `{:?}` alone, for what is large and seen often.
    pub(crate) fn glance(&self, place: &str, value: &dyn Debug) {
        self.look(Surface::Debug, place, format!("{value:?}").as_bytes());
    }

    /// As [`Witness::debug`], and `Display`.
    pub(crate) fn shown(&self, place: &str, value: &(impl Debug + Display)) {
        self.debug(place, value);
        self.look(Surface::Display, place, format!("{value}").as_bytes());
        self.look(Surface::Display, place, format!("{value:#}").as_bytes());
    }

    /// An error and everything it names as its cause.
    pub(crate) fn error(&self, place: &str, error: &dyn Error) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.look(Surface::Chain, place, format!("{error:?}").as_bytes());
            self.look(Surface::Chain, place, format!("{error:#?}").as_bytes());
            self.look(Surface::Chain, place, format!("{error}").as_bytes());
            next = error.source();
        }
    }

    /// A result, handed on.
    pub(crate) fn result<T: Debug, E: Error>(&self, place: &str, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(value) => self.debug(place, value),
            Err(error) => self.error(place, error),
        }
        result
    }

    /// A call that must succeed.
    #[track_caller]
    pub(crate) fn good<T: Debug, E: Error>(&self, place: &str, result: Result<T, E>) -> T {
        match self.result(place, result) {
            Ok(value) => value,
            // It was looked at before it is shown here.
            Err(error) => panic!("{place}: {error}"),
        }
    }

    /// A call that must be refused.
    #[track_caller]
    pub(crate) fn refused<T: Debug, E: Error>(&self, place: &str, result: Result<T, E>) -> E {
        match self.result(place, result) {
            Err(error) => error,
            Ok(_) => panic!("{place} must be refused"),
        }
    }

    pub(crate) fn json(&self, place: &str, value: &impl Serialize) {
        self.look(Surface::Json, place, &serde_json::to_vec(value).expect("JSON"));
        self.look(Surface::Json, place, &serde_json::to_vec_pretty(value).expect("JSON"));
    }

    /// A record, as a value, as JSON, and as stored.
    pub(crate) fn record(&self, place: &str, record: &KeyRecord) {
        self.debug(place, record);
        self.json(place, record);
        self.look(Surface::Json, place, &record.encode().expect("an encoded record"));
    }

    /// An entry of the audit log: as a value, as JSON, and as a line.
    pub(crate) fn entry(&self, entry: &AuditEntry) {
        self.debug("an audit entry", entry);
        self.json("an audit entry", entry);
        self.shown("an audit line", &line(entry));
    }

    /// Every byte of every file in a directory, and their names.
    ///
    /// Read by another process: closing a file of an open store drops the locks of this one.
    pub(crate) fn directory(&self, directory: &Path) {
        for file in std::fs::read_dir(directory).expect("a directory") {
            let path = file.expect("an entry").path();
            let read = Command::new("cat").arg(&path).output().expect("a program to read a file");
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.look(Surface::Disk, &format!("the file {name}"), &read.stdout);
            self.look(Surface::Disk, &format!("the name of the file {name}"), name.as_bytes());
        }
    }

    /// One text on one surface.
    pub(crate) fn look(&self, surface: Surface, place: &str, text: &[u8]) {
        TOTAL.fetch_add(1, Ordering::Relaxed);
        *lock(&self.0.counts).entry(surface).or_default() += 1;
        if let Some(form) = self.0.search.find(text) {
            lock(&self.0.found).insert(format!("{surface:?} of {place}: {form}"));
        }
    }

    /// What was found so far, and forgets it.
    pub(crate) fn take_found(&self) -> BTreeSet<String> {
        std::mem::take(&mut lock(&self.0.found))
    }

    /// Says how often it looked where; panics when a secret was seen, or a surface was not.
    pub(crate) fn finish(&self, test: &str, surfaces: &[Surface]) {
        let counts = lock(&self.0.counts).clone();
        let seen: u64 = counts.values().sum();
        println!("canary: {test}: {seen} inspections {counts:?}; {} so far", TOTAL.load(Ordering::Relaxed));
        println!("canary: panics and traces of the process so far: {:?}", lock(&OVERSEER.0.counts));
        let overseen = lock(&OVERSEER.0.found).clone();
        let found: Vec<_> = lock(&self.0.found).iter().cloned().chain(overseen).collect();
        assert!(found.is_empty(), "{test}: a planted secret was seen:\n{}", found.join("\n"));
        for surface in surfaces {
            assert!(counts.contains_key(surface), "{test}: nothing was looked at on {surface:?}");
        }
    }
}

/// Counts of the overseer, for tests that provoke panics.
pub(crate) fn overseen(surface: Surface) -> u64 {
    lock(&OVERSEER.0.counts).get(&surface).copied().unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
