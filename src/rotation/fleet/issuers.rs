//! What a fleet holds against issuers: how many runs are under way, and how many failed in a row.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::IssuerName;

use super::report::HeldIssuer;

/// How many runs are under way, in all and at each issuer.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    per_issuer: usize,
    busy: BTreeMap<IssuerName, usize>,
    total: usize,
}

impl Slots {
    pub(super) fn new(most: usize, per_issuer: usize) -> Self {
        Self { most, per_issuer, busy: BTreeMap::new(), total: 0 }
    }

    pub(super) fn is_free(&self, issuer: &IssuerName) -> bool {
        self.total < self.most && self.busy.get(issuer).is_none_or(|busy| *busy < self.per_issuer)
    }

    pub(super) fn take(&mut self, issuer: &IssuerName) {
        self.total += 1;
        *self.busy.entry(issuer.clone()).or_default() += 1;
    }

    pub(super) fn leave(&mut self, issuer: &IssuerName) {
        self.total -= 1;
        if let Some(busy) = self.busy.get_mut(issuer) {
            *busy -= 1;
        }
    }
}

/// What a run says about its issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It gave a key that works.
    Good,
    /// The run came to nothing there.
    Bad,
    /// Nothing.
    Silent,
}

/// Whether a new run may begin at an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begin {
    Yes,
    /// One run is trying the issuer out; wait for it.
    Soon,
    /// Run after run failed.
    Held {
        until: DateTime<Utc>,
    },
}

/// Stops beginning runs where run after run failed: a broken issuer must not use up the turns, nor
/// the key slots, of a whole fleet. After a while one run tries it again.
#[derive(Debug)]
pub(super) struct Circuits {
    limit: u32,
    rest: Duration,
    failing: BTreeMap<IssuerName, Failing>,
}

#[derive(Debug)]
struct Failing {
    in_a_row: u32,
    until: DateTime<Utc>,
    on_trial: bool,
}

impl Circuits {
    pub(super) fn new(limit: u32, rest: Duration) -> Self {
        Self { limit: limit.max(1), rest, failing: BTreeMap::new() }
    }

    pub(super) fn may_begin(&self, issuer: &IssuerName, now: DateTime<Utc>) -> Begin {
        match self.failing.get(issuer) {
            Some(failing) if failing.in_a_row < self.limit => Begin::Yes,
            Some(failing) if now < failing.until => Begin::Held { until: failing.until },
            Some(failing) if failing.on_trial => Begin::Soon,
            _ => Begin::Yes,
        }
    }

    /// A new run begins.
    pub(super) fn begin(&mut self, issuer: &IssuerName) {
        if let Some(failing) = self.failing.get_mut(issuer) {
            failing.on_trial = failing.in_a_row >= self.limit;
        }
    }

    /// A run has shown something about its issuer. Answers until when the issuer is held, when
    /// that has just been decided.
    pub(super) fn judge(&mut self, issuer: &IssuerName, verdict: Verdict, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match verdict {
            Verdict::Good => {
                self.failing.remove(issuer);
                None
            }
            Verdict::Silent => {
                if let Some(failing) = self.failing.get_mut(issuer) {
                    failing.on_trial = false;
                }
                None
            }
            Verdict::Bad => {
                let new = Failing { in_a_row: 0, until: now, on_trial: false };
                let failing = self.failing.entry(issuer.clone()).or_insert(new);
                let held = failing.in_a_row >= self.limit && now < failing.until;
                failing.in_a_row += 1;
                failing.on_trial = false;
                if failing.in_a_row < self.limit {
                    return None;
                }
                let rest = TimeDelta::from_std(self.rest).unwrap_or(TimeDelta::MAX);
                failing.until = now.checked_add_signed(rest).unwrap_or(DateTime::<Utc>::MAX_UTC);
                (!held).then_some(failing.until)
            }
        }
    }

    /// Where no new run may begin now.
    pub(super) fn held(&self, now: DateTime<Utc>) -> Vec<HeldIssuer> {
        let held = self.failing.iter().filter(|(_, f)| f.in_a_row >= self.limit && now < f.until);
        held.map(|(issuer, f)| HeldIssuer { issuer: issuer.clone(), failures: f.in_a_row, until: f.until }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> IssuerName {
        "acme".parse().unwrap()
    }

    #[test]
    fn an_issuer_is_held_after_enough_failures_in_a_row_and_then_tried_by_one_run() {
        let (mut circuits, now) = (Circuits::new(3, Duration::from_secs(60)), DateTime::UNIX_EPOCH);
        for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Good, Verdict::Bad, Verdict::Silent, Verdict::Bad] {
            assert_eq!(circuits.judge(&acme(), verdict, now), None);
            assert_eq!(circuits.may_begin(&acme(), now), Begin::Yes);
        }
        let until = now + TimeDelta::seconds(60);
        assert_eq!(circuits.judge(&acme(), Verdict::Bad, now), Some(until));
        assert_eq!(circuits.may_begin(&acme(), now), Begin::Held { until });
        assert_eq!(circuits.held(now)[0].failures, 3);
        assert_eq!(circuits.judge(&acme(), Verdict::Bad, now), None, "of a run that had begun before");

        assert_eq!(circuits.may_begin(&acme(), until), Begin::Yes);
        circuits.begin(&acme());
        assert_eq!(circuits.may_begin(&acme(), until), Begin::Soon, "one at a time");
        assert!(circuits.judge(&acme(), Verdict::Bad, until).is_some(), "held again at once");
        let later = until + TimeDelta::seconds(60);
        circuits.begin(&acme());
        circuits.judge(&acme(), Verdict::Good, later);
        assert_eq!(circuits.may_begin(&acme(), later), Begin::Yes);
        circuits.begin(&acme());
        assert_eq!(circuits.may_begin(&acme(), later), Begin::Yes, "many at once again");
    }

    #[test]
    fn slots_are_counted_in_all_and_at_each_issuer() {
        let (mut slots, other) = (Slots::new(3, 2), "other".parse().unwrap());
        slots.take(&acme());
        slots.take(&acme());
        assert!(!slots.is_free(&acme()) && slots.is_free(&other));
        slots.take(&other);
        assert!(!slots.is_free(&other), "three in all");
        slots.leave(&acme());
        assert!(slots.is_free(&acme()) && slots.is_free(&other));
    }
}
