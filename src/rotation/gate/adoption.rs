//! The adoption gate: does every known consumer have the new version, or no old one any more? Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{Adoption, VersionId};

use super::Verdict;

/// When the new version was published, and how long a reader may serve another one after that.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Published {
    pub(in super::super) version: VersionId,
    pub(in super::super) at: DateTime<Utc>,
    /// How long a reader serves a value after the store last confirmed it.
    pub(in super::super) ttl: Duration,
}

/// Judges which version the consumers use.
///
/// A consumer that reported another version may serve it until its time to live is over, counted
/// from that report or from the publication, whichever was later. One that never reported is known
/// to be off the old version only by that time.
pub(in super::super) fn judge(consumers: &[Adoption], published: Published, now: DateTime<Utc>) -> Verdict {
    let ttl = TimeDelta::from_std(published.ttl).unwrap_or(TimeDelta::MAX);
    let over = |since: DateTime<Utc>| now - since.max(published.at) >= ttl;
    let mut latest = BTreeMap::<_, &Adoption>::new();
    for seen in consumers {
        let known = latest.entry((&seen.service, &seen.instance)).or_insert(seen);
        if seen.seen_at > known.seen_at {
            *known = seen;
        }
    }
    let known = latest.len();
    let (moved, behind): (Vec<_>, Vec<_>) = latest.into_values().partition(|c| c.version == published.version);
    let (out, waits): (Vec<_>, Vec<_>) = behind.into_iter().partition(|c| over(c.seen_at));
    if let Some(first) = waits.first() {
        let more = match waits.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        return Verdict::Insufficient(format!(
            "{} of {known} consumers may still use another version: {} ({}), seen at {}{more}",
            waits.len(),
            first.service,
            first.instance,
            first.seen_at
        ));
    }
    if moved.is_empty() && !over(published.at) {
        return Verdict::Insufficient("no consumer has reported the new version yet".to_owned());
    }
    let minutes = published.ttl.as_secs() / 60;
    Verdict::Pass(match (known, out.len()) {
        (0, _) => format!("no consumer reports; no reader serves an old version for more than {minutes} min"),
        (_, 0) => format!("all {known} known consumers use the new version"),
        (_, n) => format!(
            "{} of {known} known consumers use the new version; {n} last seen more than {minutes} min ago serve none",
            known - n
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15 * 60);

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).expect("a time")
    }

    fn seen(service: &str, instance: &str, version: VersionId, minute: i64) -> Adoption {
        let seen_at = start() + TimeDelta::minutes(minute);
        Adoption { service: service.parse().expect("a service"), instance: instance.to_owned(), version, seen_at }
    }

    fn at(minute: i64, version: VersionId, consumers: &[Adoption]) -> Verdict {
        let published = Published { version, at: start(), ttl: TTL };
        judge(consumers, published, start() + TimeDelta::minutes(minute))
    }

    #[test]
    fn all_on_the_new_version_pass_at_once() {
        let new = VersionId::generate();
        let all = [seen("billing-api", "a", new, 1), seen("billing-api", "b", new, 2)];
        assert!(matches!(at(3, new, &all), Verdict::Pass(_)));
    }

    #[test]
    fn one_behind_holds_back_until_its_time_to_live_is_over() {
        let (old, new) = (VersionId::generate(), VersionId::generate());
        let all = [seen("billing-api", "a", new, 1), seen("billing-api", "b", old, 10)];
        let Verdict::Insufficient(why) = at(24, new, &all) else { panic!("passed") };
        assert!(why.contains("1 of 2") && why.contains("billing-api (b)"), "{why}");
        assert!(matches!(at(25, new, &all), Verdict::Pass(_)));
    }

    #[test]
    fn a_report_from_before_the_publication_counts_from_the_publication() {
        let (old, new) = (VersionId::generate(), VersionId::generate());
        let all = [seen("billing-api", "a", old, -600)];
        assert!(matches!(at(14, new, &all), Verdict::Insufficient(_)));
        assert!(matches!(at(15, new, &all), Verdict::Pass(_)));
    }

    #[test]
    fn who_reports_the_old_version_again_and_again_never_passes() {
        let (old, new) = (VersionId::generate(), VersionId::generate());
        assert!(matches!(at(10_000, new, &[seen("billing-api", "a", old, 9_999)]), Verdict::Insufficient(_)));
        assert!(matches!(at(10_000, new, &[seen("billing-api", "a", old, 20_000)]), Verdict::Insufficient(_)));
    }

    #[test]
    fn silence_passes_by_time_only() {
        let new = VersionId::generate();
        assert!(matches!(at(14, new, &[]), Verdict::Insufficient(_)));
        assert!(matches!(at(15, new, &[]), Verdict::Pass(_)));
    }

    #[test]
    fn the_latest_report_of_a_consumer_counts() {
        let (old, new) = (VersionId::generate(), VersionId::generate());
        let moved = [seen("billing-api", "a", new, 5), seen("billing-api", "a", old, 1)];
        assert!(matches!(at(6, new, &moved), Verdict::Pass(_)));
        let back = [seen("billing-api", "a", new, 1), seen("billing-api", "a", old, 5)];
        assert!(matches!(at(6, new, &back), Verdict::Insufficient(_)));
    }
}
