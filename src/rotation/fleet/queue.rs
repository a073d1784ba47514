//! The keys that are due, most urgent first, and what is remembered of those that wait.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{IssuerName, KeyId};

use super::super::schedule::{Cause, Due};
use super::issuers::{Begin, Circuits, Slots};
use super::outcome::{Hold, KeyReport, Outcome};

/// A key that is due: a name and a reason, not a record.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) key: KeyId,
    pub(super) issuer: IssuerName,
    pub(super) due: Due,
    /// How often in a row it could not go on.
    pub(super) failures: u32,
}

impl Candidate {
    pub(super) fn becomes(self, outcome: Outcome) -> KeyReport {
        KeyReport { key: self.key, issuer: self.issuer, due: self.due, outcome }
    }
}

/// Due keys by issuer, the most urgent first.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<IssuerName, BTreeSet<Place>>);

type Place = (Cause, DateTime<Utc>, KeyId, u32);

impl Queue {
    pub(super) fn push(&mut self, candidate: Candidate) {
        let Candidate { key, issuer, due, failures } = candidate;
        self.0.entry(issuer).or_default().insert((due.cause, due.at, key, failures));
    }

    /// Takes the most urgent key that may begin now. Keys that may not begin in this pass are
    /// taken out and put to `held`.
    pub(super) fn next(
        &mut self,
        slots: &Slots,
        circuits: &Circuits,
        now: DateTime<Utc>,
        held: &mut Vec<KeyReport>,
    ) -> Option<Candidate> {
        for (issuer, keys) in &mut self.0 {
            if let Begin::Held { until } = circuits.may_begin(issuer, now) {
                let all = std::mem::take(keys);
                let (begin, go_on): (BTreeSet<_>, _) = all.into_iter().partition(|(cause, ..)| cause.starts_a_run());
                *keys = go_on;
                let hold = |place| candidate(issuer, place).becomes(Outcome::Held(Hold::Issuer { until }));
                held.extend(begin.into_iter().map(hold));
            }
        }
        self.0.retain(|_, keys| !keys.is_empty());
        let may_begin = |(issuer, keys): &(&IssuerName, &BTreeSet<Place>)| {
            let starts = keys.first().is_some_and(|(cause, ..)| cause.starts_a_run());
            slots.is_free(issuer) && !(starts && circuits.may_begin(issuer, now) != Begin::Yes)
        };
        let issuer =
            self.0.iter().filter(may_begin).min_by_key(|(_, keys)| keys.first()).map(|(issuer, _)| issuer.clone())?;
        let place = self.0.get_mut(&issuer)?.pop_first()?;
        Some(candidate(&issuer, place))
    }

    /// All that is left, most urgent first.
    pub(super) fn rest(self) -> Vec<Candidate> {
        let of = |(issuer, keys): (IssuerName, BTreeSet<Place>)| {
            keys.into_iter().map(move |place| candidate(&issuer, place)).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.0.into_iter().flat_map(of).collect();
        all.sort_by_key(|candidate| (candidate.due.cause, candidate.due.at));
        all
    }
}

fn candidate(issuer: &IssuerName, (cause, at, key, failures): Place) -> Candidate {
    Candidate { key, issuer: issuer.clone(), due: Due { cause, at }, failures }
}

/// What is remembered of keys that wait. All of it can be lost: then they are looked at sooner.
#[derive(Debug, Default)]
pub(super) struct Visits(BTreeMap<KeyId, Visit>);

#[derive(Debug)]
struct Visit {
    report: KeyReport,
    until: DateTime<Utc>,
    failures: u32,
}

impl Visits {
    /// What is known of a key that need not be seen yet.
    pub(super) fn waiting(&self, key: &KeyId, due: &Due, now: DateTime<Utc>) -> Option<&KeyReport> {
        let visit = self.0.get(key)?;
        // What has become more urgent since does not wait. A run under way is the one that was begun.
        let urgent = due.cause < visit.report.due.cause && due.cause != Cause::UnderWay;
        (now < visit.until && !urgent).then_some(&visit.report)
    }

    /// The keys whose time has come.
    pub(super) fn ready(&self, now: DateTime<Utc>) -> impl Iterator<Item = Candidate> + '_ {
        self.0.values().filter(move |visit| visit.until <= now).map(|Visit { report, failures, .. }| Candidate {
            key: report.key.clone(),
            issuer: report.issuer.clone(),
            due: report.due,
            failures: *failures,
        })
    }

    /// When the next key's time comes.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.0.values().map(|visit| visit.until).min()
    }

    pub(super) fn failures(&self, key: &KeyId) -> u32 {
        self.0.get(key).map_or(0, |visit| visit.failures)
    }

    pub(super) fn remember(&mut self, report: &KeyReport) {
        let failures = self.failures(&report.key);
        match (&report.outcome, report.outcome.until()) {
            (Outcome::Held(_), _) => {}
            (_, None) => drop(self.0.remove(&report.key)),
            (outcome, Some(until)) => {
                let in_vain = matches!(outcome, Outcome::Failed { .. }) || report.due.cause == Cause::Housekeeping;
                let failures = if in_vain { failures + 1 } else { 0 };
                self.0.insert(report.key.clone(), Visit { report: report.clone(), until, failures });
            }
        }
    }

    /// Forgets keys that were not due again for a day.
    pub(super) fn forget_old(&mut self, now: DateTime<Utc>) {
        self.0.retain(|_, visit| now - visit.until < TimeDelta::days(1));
    }
}
