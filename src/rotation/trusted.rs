//! Time for windows, from clocks that may be wrong: a doubt only ever delays.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{Clock, KeyRecord};

/// How far clocks may be apart.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What both clocks of this machine showed when a session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    wall: DateTime<Utc>,
    elapsed: Duration,
}

impl Anchor {
    pub(super) fn drop_on(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), elapsed: clock.monotonic() }
    }

    /// The time by which windows are judged: the wall clock, unless it has run ahead of the
    /// monotonic one since the session began. A clock that was set forward, or a machine that
    /// slept, makes no window shorter.
    pub(super) fn now(&self, clock: &dyn Clock) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(clock.monotonic().saturating_sub(self.elapsed)).unwrap_or(TimeDelta::MAX);
        let counted = self.wall.checked_add_signed(passed).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let wall = clock.now();
        if wall.signed_duration_since(counted) <= TOLERANCE { wall } else { counted }
    }
}

/// Why nothing is given up now: the record was written in what is the future here, so this clock or
/// the writer's is wrong.
pub(super) fn from_the_future(record: &KeyRecord, now: DateTime<Utc>) -> Option<String> {
    let written = record.operations().last()?.at;
    (written.signed_duration_since(now) > TOLERANCE).then(|| {
        format!("the record was written at {written} and it is {now} here: one of the clocks is wrong, so nothing is given up until they agree")
    })
}

#[cfg(test)]
mod tests {
    use keyward_core::ManualClock;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn time_that_passes_is_believed() {
        let clock = ManualClock::default();
        let anchor = Anchor::drop_on(&clock);
        clock.advance(30 * HOUR);
        assert_eq!(anchor.now(&clock), clock.now());
    }

    #[test]
    fn a_jump_ahead_is_not() {
        let clock = ManualClock::default();
        let (anchor, began) = (Anchor::drop_on(&clock), clock.now());
        clock.set_wall(began + TimeDelta::days(30));
        assert_eq!(anchor.now(&clock), began);
        clock.advance(HOUR);
        assert_eq!(anchor.now(&clock), began + TimeDelta::hours(1));
        clock.set_wall(DateTime::<Utc>::MAX_UTC);
        assert_eq!(anchor.now(&clock), began + TimeDelta::hours(1));
    }

    #[test]
    fn a_step_back_is_believed_and_so_is_a_small_correction() {
        let clock = ManualClock::default();
        let (anchor, began) = (Anchor::drop_on(&clock), clock.now());
        for by in [-TimeDelta::hours(1), TimeDelta::minutes(5)] {
            clock.set_wall(began + by);
            assert_eq!(anchor.now(&clock), began + by);
        }
    }
}
