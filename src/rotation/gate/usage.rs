//! The usage gate: is the old version silent? Pure.
//!
//! What issuers say about the last use lags and is coarse: presence is strong, absence is weak. So
//! this gate never fails a run. It holds it back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{LastUse, RotationPolicy};

use super::Verdict;

/// How long the old version must have been silent: half the overlap, at least an hour.
pub(in super::super) fn quiet(policy: &RotationPolicy) -> Duration {
    (policy.overlap / 2).max(Duration::from_secs(3_600))
}

/// Judges when the old version was last used.
pub(in super::super) fn judge(last: LastUse, now: DateTime<Utc>, quiet: Duration) -> Verdict {
    let wanted = TimeDelta::from_std(quiet).unwrap_or(TimeDelta::MAX);
    match last {
        LastUse::At(at) if now - at >= wanted => Verdict::Pass(format!("the old version was last used at {at}")),
        LastUse::At(at) => Verdict::Insufficient(format!(
            "the old version was last used at {at}; it must be silent for {} min",
            quiet.as_secs() / 60
        )),
        LastUse::Never => Verdict::Pass("the old version was never used, as far as the signal looks back".to_owned()),
        LastUse::Unknown => Verdict::Insufficient("the signal cannot say when the old version was used".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).expect("a time")
    }

    fn used(before: TimeDelta) -> Verdict {
        judge(LastUse::At(now() - before), now(), Duration::from_secs(86_400))
    }

    #[test]
    fn silent_for_the_whole_window_passes_and_a_moment_less_does_not() {
        assert!(matches!(used(TimeDelta::days(1)), Verdict::Pass(_)));
        let Verdict::Insufficient(why) = used(TimeDelta::days(1) - TimeDelta::seconds(1)) else { panic!("passed") };
        assert!(why.contains("2025-12-31 00:00:01"), "it names the time last seen: {why}");
    }

    #[test]
    fn a_use_in_the_future_is_a_use() {
        assert!(matches!(used(-TimeDelta::days(400)), Verdict::Insufficient(_)));
    }

    #[test]
    fn presence_holds_back_and_never_fails() {
        for verdict in [used(TimeDelta::zero()), judge(LastUse::Unknown, now(), Duration::ZERO)] {
            assert!(matches!(verdict, Verdict::Insufficient(_)), "{verdict}");
        }
        assert!(matches!(judge(LastUse::Never, now(), Duration::from_secs(60)), Verdict::Pass(_)));
    }

    #[test]
    fn the_window_is_half_the_overlap_and_an_hour_at_least() {
        let day = Duration::from_secs(86_400);
        assert_eq!(quiet(&RotationPolicy::default()), day);
        let short = RotationPolicy::default().with_windows(Duration::ZERO, Duration::ZERO, Duration::ZERO);
        assert_eq!(quiet(&short), Duration::from_secs(3_600));
    }
}
