//! What a pass did, key by key.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keyward_core::{Error, IssuerName};

use super::outcome::{Hold, KeyReport, Outcome};

/// An issuer at which run after run failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeldIssuer {
    /// The issuer.
    pub issuer: IssuerName,
    /// How many runs failed in a row.
    pub failures: u32,
    /// When one run is tried again.
    pub until: DateTime<Utc>,
}

/// What a pass did. Prints as a table; holds no value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FleetReport {
    /// When the pass began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How many records were looked at.
    pub seen: usize,
    /// Every key that was due, in the order in which it was done with, then those that wait.
    pub keys: Vec<KeyReport>,
    /// Records that could not be read. Each may be of a key that is due.
    pub unreadable: Vec<Error>,
    /// Why the listing broke off; what was listed before was seen to.
    pub incomplete: Option<Error>,
    /// Issuers at which no new run is begun.
    pub held: Vec<HeldIssuer>,
    /// When the next pass has something to do, as far as can be said now.
    pub next_due: Option<DateTime<Utc>>,
    /// Keys that need not be seen yet; they come last.
    pub(super) waiting: Vec<KeyReport>,
}

impl FleetReport {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            started_at: now,
            ended_at: now,
            seen: 0,
            keys: Vec::new(),
            unreadable: Vec::new(),
            incomplete: None,
            held: Vec::new(),
            next_due: None,
            waiting: Vec::new(),
        }
    }

    /// How many keys had which outcome.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { seen: self.seen, unreadable: self.unreadable.len(), ..Summary::default() };
        for KeyReport { outcome, .. } in &self.keys {
            let count = match outcome {
                Outcome::Finished { outcome: keyward_core::RunOutcome::Completed, .. } => &mut summary.completed,
                Outcome::Finished { .. } => &mut summary.not_completed,
                Outcome::Contained => &mut summary.contained,
                Outcome::Tidied { .. } | Outcome::DoneElsewhere => &mut summary.tidied,
                Outcome::Waiting { .. } => &mut summary.waiting,
                Outcome::NeedsOperator { .. } => &mut summary.needs_operator,
                Outcome::Failed { .. } => &mut summary.failed,
                Outcome::Held(_) => &mut summary.held,
            };
            *count += 1;
        }
        summary
    }

    /// The keys with whose outcome `wanted` agrees.
    pub fn with(&self, wanted: impl Fn(&Outcome) -> bool) -> impl Iterator<Item = &KeyReport> {
        self.keys.iter().filter(move |key| wanted(&key.outcome))
    }

    /// A key's turn is over. What ended may leave something to do: the next look finds it.
    pub(super) fn add(&mut self, key: KeyReport, look_every: Duration) {
        let now = key.outcome.until().or_else(|| match key.outcome {
            Outcome::Held(_) => Some(self.started_at),
            _ => self.started_at.checked_add_signed(TimeDelta::from_std(look_every).ok()?),
        });
        now.into_iter().for_each(|at| self.wakes(at));
        self.keys.push(key);
    }

    /// True when keys were left over for the next pass.
    pub(super) fn left_some(&self) -> bool {
        self.with(|outcome| matches!(outcome, Outcome::Held(Hold::NextPass))).next().is_some()
    }

    pub(super) fn wakes(&mut self, at: DateTime<Utc>) {
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }
}

/// How many keys had which outcome in a pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Records looked at.
    pub seen: usize,
    /// Runs completed.
    pub completed: usize,
    /// Runs aborted, rolled back or overtaken by a leak.
    pub not_completed: usize,
    /// Leaks contained and replaced.
    pub contained: usize,
    /// Keys with nothing left to do.
    pub tidied: usize,
    /// Keys that wait.
    pub waiting: usize,
    /// Keys that need a person.
    pub needs_operator: usize,
    /// Keys that cannot go on.
    pub failed: usize,
    /// Keys that are due and were not begun.
    pub held: usize,
    /// Records that could not be read.
    pub unreadable: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.completed, "completed"),
            (self.not_completed, "not completed"),
            (self.contained, "contained"),
            (self.tidied, "tidied"),
            (self.waiting, "waiting"),
            (self.needs_operator, "need an operator"),
            (self.failed, "failed"),
            (self.held, "held"),
            (self.unreadable, "unreadable"),
        ];
        write!(f, "{} keys seen", self.seen)?;
        counts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.keys.iter().map(cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or_default()
        };
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut line = |cells: [&str; 5]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        if !rows.is_empty() {
            line(HEAD)?;
        }
        for row in &rows {
            line(std::array::from_fn(|column| row[column].as_str()))?;
        }
        for HeldIssuer { issuer, failures, until } in &self.held {
            writeln!(f, "issuer {issuer}: {failures} runs failed in a row; no new run before {}", minute(*until))?;
        }
        for error in &self.unreadable {
            writeln!(f, "unreadable: {error}")?;
        }
        if let Some(error) = &self.incomplete {
            writeln!(f, "the listing broke off: {error}")?;
        }
        write!(f, "{}", self.summary())?;
        match self.next_due {
            Some(at) => write!(f, "; next at {}", minute(at)),
            None => Ok(()),
        }
    }
}

const HEAD: [&str; 5] = ["KEY", "CAUSE", "OUTCOME", "NEXT", "DETAIL"];

fn cells(key: &KeyReport) -> [String; 5] {
    [
        key.key.to_string(),
        key.due.cause.to_string(),
        key.outcome.as_str().to_owned(),
        key.outcome.until().map_or_else(|| "-".to_owned(), minute),
        key.outcome.to_string(),
    ]
}

fn minute(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
