//! Monotonic time for deadlines, cheap enough for every read.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::Clock;
#[cfg(not(target_os = "linux"))]
use keyward_core::SystemClock;
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary start. 0 as a deadline means "over".
pub(super) type Tick = u64;

/// Where deadlines take the time from.
///
/// The machine's own clock is asked without a dynamic call; on Linux it is the coarse one, which
/// stands still for up to a few milliseconds and costs no system call.
#[derive(Clone, Debug)]
pub(super) enum Ticker {
    Machine,
    Given(Arc<dyn Clock>),
}

impl Ticker {
    #[inline]
    pub(super) fn now(&self) -> Tick {
        match self {
            Self::Machine => machine(),
            Self::Given(clock) => nanos(clock.monotonic()),
        }
    }
}

pub(super) fn nanos(duration: Duration) -> Tick {
    Tick::try_from(duration.as_nanos()).unwrap_or(Tick::MAX)
}

#[cfg(target_os = "linux")]
#[inline]
fn machine() -> Tick {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    // Both parts are never negative on this clock.
    (now.tv_sec as Tick).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as Tick)
}

#[cfg(not(target_os = "linux"))]
#[inline]
fn machine() -> Tick {
    nanos(SystemClock::default().monotonic())
}
