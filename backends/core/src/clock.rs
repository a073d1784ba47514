//! Time: wall time for people and records, monotonic time for windows, and a way to wait.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

/// Where the library takes time from. Tests and simulations bring a [`ManualClock`].
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// Wall time, for records and people. May jump.
    fn now(&self) -> DateTime<Utc>;

    /// Time since a fixed but arbitrary start. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The clock of this machine. Needs no runtime.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit value that callers name")]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        futures_timer::Delay::new(duration).await;
    }
}

/// A clock that stands still until it is moved by hand. Sleepers wake when it has moved far enough.
///
/// ```
/// use std::time::Duration;
/// use keyward_core::{Clock, ManualClock};
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(86_400));
/// assert_eq!((clock.now() - before).num_days(), 1);
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<Hands>);

#[derive(Debug)]
struct Hands {
    now: DateTime<Utc>,
    elapsed: Duration,
    sleepers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(Hands { now, elapsed: Duration::ZERO, sleepers: Vec::new() }))
    }

    /// Moves both hands forward.
    pub fn advance(&self, by: Duration) {
        let woken = {
            let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            hands.elapsed = hands.elapsed.saturating_add(by);
            let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
            hands.now = hands.now.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC);
            std::mem::take(&mut hands.sleepers)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Moves wall time only, also back: what a clock correction does.
    pub fn set_wall(&self, now: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now = now;
    }
}

impl Default for ManualClock {
    /// Shows 2026-01-01, midnight.
    fn default() -> Self {
        Self::at(DateTime::from_timestamp(1_767_225_600, 0).unwrap_or(DateTime::UNIX_EPOCH))
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic().saturating_add(duration);
        std::future::poll_fn(|cx| {
            let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if hands.elapsed >= until {
                return Poll::Ready(());
            }
            if !hands.sleepers.iter().any(|sleeper| sleeper.will_wake(cx.waker())) {
                hands.sleepers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        (**self).sleep(duration).await;
    }
}
