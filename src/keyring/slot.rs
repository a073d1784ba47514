//! The place of one key in a keyring: what is served, why nothing is, and what was learned.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use keyward_core::{KeyId, KeyRecord, KeyUid, Material, ServiceName, Target, VersionId};

use super::arm::Arm;
use super::bell::Bell;
use super::judge::{dead, judge, may_linger};
use super::problem::Contacts;
use super::tick::{Tick, Ticker, nanos};
use super::{NotLive, Problem, Why};

/// One version in service, immutable but for its deadline. What a read touches stands first.
#[repr(C)]
pub(super) struct Serving {
    /// The earlier of hard limit and expiry: one comparison on the way to the value.
    deadline: AtomicU64,
    pub(super) material: Material,
    pub(super) version: VersionId,
    pub(super) arm: Arc<Arm>,
    expires: AtomicU64,
}

impl Serving {
    pub(super) fn new(version: VersionId, material: Material, arm: Arc<Arm>) -> Self {
        Self { version, material, arm, deadline: AtomicU64::new(0), expires: AtomicU64::new(Tick::MAX) }
    }
}

/// When a pass began, by both clocks, and the limit it works with.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) tick: Tick,
    pub(super) now: chrono::DateTime<chrono::Utc>,
    pub(super) hard: Duration,
}

/// What a pass has to do about a key after it has seen the record.
pub(super) enum Plan {
    /// Nothing: the record confirmed what is served.
    Confirmed,
    /// Read the material of a version.
    Read { target: Target, version: VersionId, expires: Tick, linger: bool },
    /// The record says that nothing may be served.
    Withheld(Vec<Problem>),
    /// The record could not be used; what is served stays until its deadline.
    Failed(Problem),
}

pub(super) type Shown = Guard<Option<Arc<Serving>>>;

/// What a read touches stands first.
#[repr(C)]
pub(super) struct Slot {
    shown: ArcSwapOption<Serving>,
    ticker: Ticker,
    pub(super) key: Arc<KeyId>,
    /// The place of the name among those given to the builder, from 1.
    pub(super) place: usize,
    pub(super) required: bool,
    /// Rings when another version is served.
    pub(super) turned: Bell,
    withheld: ArcSwapOption<Problem>,
    confirmed: AtomicU64,
    memory: Mutex<Memory>,
}

/// What was learned about a key and is never unlearned.
#[derive(Default)]
struct Memory {
    newest: Option<(KeyUid, u64)>,
    dead: BTreeSet<VersionId>,
    contacts: Option<Contacts>,
    noted: Option<VersionId>,
}

impl Slot {
    pub(super) fn new(key: KeyId, place: usize, required: bool, ticker: Ticker) -> Self {
        Self {
            key: key.into(),
            place,
            required,
            turned: Bell::default(),
            shown: ArcSwapOption::empty(),
            withheld: ArcSwapOption::from_pointee(Problem::Missing),
            confirmed: AtomicU64::new(0),
            ticker,
            memory: Mutex::default(),
        }
    }

    /// What is served now. No lock, no allocation, no system call on the way to a value.
    ///
    // Out of line, the answer goes through memory, which costs as much again as the read.
    #[inline(always)]
    pub(super) fn live(&self) -> Result<Shown, NotLive> {
        loop {
            let shown = self.shown.load();
            if let Some(serving) = &*shown
                && self.ticker.now() < serving.deadline.load(Relaxed)
            {
                return Ok(shown);
            }
            if let Some(error) = self.why_not(&shown) {
                return Err(error);
            }
        }
    }

    /// The version in service, whether its deadline has passed or not.
    pub(super) fn version(&self) -> Option<VersionId> {
        self.shown.load().as_ref().map(|serving| serving.version)
    }

    pub(super) fn is_absent(&self) -> bool {
        self.shown.load().is_none() && self.withheld.load().as_ref().is_some_and(|problem| problem.is_absence())
    }

    pub(super) fn contacts(&self) -> Option<Contacts> {
        self.memory().contacts.clone()
    }

    /// The version whose use has not been noted in the adoption ledger yet.
    pub(super) fn to_note(&self) -> Option<VersionId> {
        let version = self.version()?;
        (self.memory().noted != Some(version)).then_some(version)
    }

    pub(super) fn noted(&self, version: VersionId) {
        self.memory().noted = Some(version);
    }

    /// Learns from a record and decides what to do about it.
    pub(super) fn consider(&self, record: &KeyRecord, service: &ServiceName, moment: Moment) -> Plan {
        let mut memory = self.memory();
        // Death is for ever, so an older record teaches it as well.
        memory.dead.extend(dead(record));
        if let Some(gone) = self.version().filter(|version| memory.dead.contains(version)) {
            let leaked = record.version(gone).is_some_and(|v| v.compromised.is_some());
            let version = gone;
            self.withhold(if leaked { Problem::Compromised { version } } else { Problem::Revoked { version } });
        }
        let found = (record.uid(), record.revision());
        if let Some(known) = memory.newest.filter(|known| found < *known) {
            return Plan::Failed(Problem::OlderRecord { found: found.1, known: known.1 });
        }
        memory.newest = Some(found);
        memory.contacts = Some(Contacts::of(record));

        let version = match judge(record, service, &memory.dead, moment.now) {
            Ok(version) => version,
            Err(problems) => {
                if let Some(gravest) = problems.first() {
                    self.withhold(gravest.clone());
                }
                return Plan::Withheld(problems);
            }
        };
        let left = version.expires_at.map(|at| (at - moment.now).to_std().unwrap_or_default());
        let expires = left.map_or(Tick::MAX, |left| moment.tick.saturating_add(nanos(left)));
        match self.shown.load_full() {
            Some(serving) if serving.version == version.id => {
                self.confirm(&serving, expires, moment);
                Plan::Confirmed
            }
            other => Plan::Read {
                target: record.target(),
                version: version.id,
                expires,
                linger: other.is_some_and(|old| may_linger(record, old.version)),
            },
        }
    }

    /// Puts a version in service.
    pub(super) fn serve(&self, serving: Serving, expires: Tick, moment: Moment) {
        self.confirm(&serving, expires, moment);
        self.shown.store(Some(Arc::new(serving)));
        self.turned.ring();
    }

    /// Takes what is served out of service, at once.
    pub(super) fn withhold(&self, problem: Problem) {
        self.withheld.store(Some(Arc::new(problem)));
        self.shown.store(None);
    }

    /// Notes a failed pass: what is served stays until its deadline, and a verdict stays a verdict.
    pub(super) fn fail(&self, problem: &Problem) {
        let verdict = self.withheld.load().as_ref().is_some_and(|known| known.is_verdict());
        if self.shown.load().is_none() && !verdict {
            self.withheld.store(Some(Arc::new(problem.clone())));
        }
    }

    fn confirm(&self, serving: &Serving, expires: Tick, moment: Moment) {
        let hard = moment.tick.saturating_add(nanos(moment.hard));
        serving.expires.store(expires, Relaxed);
        serving.deadline.store(hard.min(expires), Relaxed);
        self.confirmed.store(moment.tick, Relaxed);
    }

    /// Why nothing is served; nothing when that changed since `shown` was taken: look again.
    #[cold]
    #[inline(never)]
    fn why_not(&self, shown: &Shown) -> Option<NotLive> {
        let withheld = self.withheld.load_full();
        if self.shown.load().as_ref().map(Arc::as_ptr) != shown.as_ref().map(Arc::as_ptr) {
            // Another version came into service, or this one left it, since we looked.
            return None;
        }
        let now = self.ticker.now();
        let why = match (&**shown, withheld) {
            (None, Some(problem)) => problem.into(),
            (Some(serving), _) if serving.expires.load(Relaxed) <= now => Why::Expired { version: serving.version },
            (Some(_) | None, _) => {
                Why::Stale { age: Duration::from_nanos(now.saturating_sub(self.confirmed.load(Relaxed))) }
            }
        };
        Some(NotLive::new(self.key.clone(), why))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("key", &self.key).field("version", &self.version()).finish_non_exhaustive()
    }
}
