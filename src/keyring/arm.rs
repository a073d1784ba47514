//! One client's counters for one version: lock-free, without allocation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{ArmCounts, ClientMinutes, Clock, ServiceName};

use super::Outcome;
use super::ring::Settings;
use super::tick::{Tick, Ticker};

/// One client's counters for one version.
///
/// Minutes are those of its own clock. What is reported while a minute turns may count in either;
/// no report is lost or counted twice.
pub(super) struct Arm {
    clean: AtomicU64,
    auth_rejects: AtomicU64,
    scope_rejects: AtomicU64,
    throttled: AtomicU64,
    other_failures: AtomicU64,
    /// When the last report was made; 0 for never.
    used: AtomicU64,
    /// The minute that is open.
    minute: AtomicU64,
    /// What the minutes before it hold: their clean and refused requests, how many they are, and
    /// the millionths of their refused shares.
    closed_clean: AtomicU64,
    closed_rejects: AtomicU64,
    closed_minutes: AtomicU64,
    closed_refused: AtomicU64,
    ticker: Ticker,
    clock: Arc<dyn Clock>,
    pub(super) service: ServiceName,
    /// When its keyring first served the version.
    pub(super) began: DateTime<Utc>,
}

impl Arm {
    pub(super) fn new(settings: &Settings) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            clean: zero(),
            auth_rejects: zero(),
            scope_rejects: zero(),
            throttled: zero(),
            other_failures: zero(),
            used: zero(),
            minute: zero(),
            closed_clean: zero(),
            closed_rejects: zero(),
            closed_minutes: zero(),
            closed_refused: zero(),
            ticker: settings.ticker.clone(),
            clock: settings.clock.clone(),
            service: settings.service.clone(),
            began: settings.clock.now(),
        }
    }

    #[inline]
    pub(super) fn count(&self, outcome: Outcome) {
        let now = self.ticker.now();
        self.used.store(now.max(1), Relaxed);
        let minute = now / MINUTE;
        if self.minute.load(Relaxed) != minute {
            self.turn_to(minute);
        }
        let counter = match outcome {
            Outcome::Ok => &self.clean,
            Outcome::AuthRejected => &self.auth_rejects,
            Outcome::ScopeRejected => &self.scope_rejects,
            Outcome::Throttled => &self.throttled,
            Outcome::RequestError | Outcome::ServerError | Outcome::NetworkError => &self.other_failures,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Closes the open minute, unless another thread does.
    #[cold]
    fn turn_to(&self, minute: u64) {
        let open = self.minute.load(Relaxed);
        if open >= minute || self.minute.compare_exchange(open, minute, Relaxed, Relaxed).is_err() {
            return;
        }
        let (clean, rejects) = (self.clean.load(Relaxed), self.rejects());
        // The maximum: a thread that slept through another turn brings old counts.
        let clean = clean.saturating_sub(self.closed_clean.fetch_max(clean, Relaxed));
        let rejects = rejects.saturating_sub(self.closed_rejects.fetch_max(rejects, Relaxed));
        let closed = ClientMinutes::of_minute(clean, rejects);
        self.closed_minutes.fetch_add(closed.seen(), Relaxed);
        self.closed_refused.fetch_add(closed.refused_millionths(), Relaxed);
    }

    fn minutes(&self) -> ClientMinutes {
        let clean = self.clean.load(Relaxed).saturating_sub(self.closed_clean.load(Relaxed));
        let rejects = self.rejects().saturating_sub(self.closed_rejects.load(Relaxed));
        let closed = (self.closed_minutes.load(Relaxed), self.closed_refused.load(Relaxed));
        ClientMinutes::of_millionths(closed.0, closed.1).plus(ClientMinutes::of_minute(clean, rejects))
    }

    fn rejects(&self) -> u64 {
        self.auth_rejects.load(Relaxed) + self.scope_rejects.load(Relaxed)
    }

    pub(super) fn counts(&self) -> ArmCounts {
        let mut counts = ArmCounts::default();
        counts.clean = self.clean.load(Relaxed);
        counts.auth_rejects = self.auth_rejects.load(Relaxed);
        counts.scope_rejects = self.scope_rejects.load(Relaxed);
        counts.throttled = self.throttled.load(Relaxed);
        counts.other_failures = self.other_failures.load(Relaxed);
        counts.clients = u64::from(self.used.load(Relaxed) > 0);
        counts.rejected_clients = u64::from(counts.rejects() > 0);
        counts.minutes = Some(self.minutes());
        counts
    }

    /// When the last report was made, by the wall clock of today.
    pub(super) fn last_use(&self) -> Option<DateTime<Utc>> {
        let used = self.used.load(Relaxed);
        let ago = Duration::from_nanos(self.ticker.now().saturating_sub(used));
        let at = self.now() - TimeDelta::from_std(ago).unwrap_or_default();
        (used > 0).then_some(at)
    }

    /// True while a keyring serves the version, or a request holds it: beside the ledger of the
    /// signal somebody keeps the arm.
    pub(super) fn is_served(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Arm");
        debug.field("service", &self.service).field("counts", &self.counts()).finish_non_exhaustive()
    }
}

const MINUTE: Tick = 60_000_000_000;

#[cfg(test)]
mod tests {
    #[test]
    fn a_minute_is_sixty_seconds_of_ticks() {
        assert_eq!(super::MINUTE, super::super::tick::nanos(std::time::Duration::from_secs(60)));
    }
}
