//! Listings for people and machines. No value and no fingerprint in them.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use keyward_core::{
    AccessLevel, Environment, Error, Function, KeyId, KeyName, KeyRecord, Labels, Mode, Ownership, ServiceName,
    VersionId,
};
use serde::Serialize;

use super::KeyState;

/// One key in a listing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The key.
    pub key: KeyId,
    /// Its environment.
    pub environment: Environment,
    /// What it is for.
    pub function: Function,
    /// The last part of its id.
    pub name: KeyName,
    /// How far it reaches.
    pub access: AccessLevel,
    /// Test or live, where the issuer tells them apart.
    pub mode: Option<Mode>,
    /// Team, owner, backup and contact.
    pub ownership: Ownership,
    /// The services that may load it.
    pub services: Vec<ServiceName>,
    /// Its labels.
    pub labels: Labels,
    /// Where it stands.
    pub state: KeyState,
    /// The phase of the run under way.
    pub phase: Option<&'static str>,
    /// The current version.
    pub version: Option<VersionId>,
    /// When the key was registered.
    pub created_at: DateTime<Utc>,
    /// When its current version was planned.
    pub version_at: Option<DateTime<Utc>>,
    /// When its next rotation is due.
    pub due_at: Option<DateTime<Utc>>,
    /// When its current version expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the last run ended.
    pub rotated_at: Option<DateTime<Utc>>,
}

impl Row {
    /// The row of a record.
    pub fn of(record: &KeyRecord) -> Self {
        let (id, scope) = (record.id(), record.scope());
        Self {
            key: id.clone(),
            environment: id.environment().clone(),
            function: id.function().clone(),
            name: id.name().clone(),
            access: scope.access(),
            mode: scope.test_or_live(),
            ownership: record.ownership().clone(),
            services: scope.services().cloned().collect(),
            labels: record.labels().clone(),
            state: KeyState::of(record),
            phase: record.run().map(|run| run.phase.name()),
            version: record.primary().map(|version| version.id),
            created_at: record.created_at(),
            version_at: record.primary().map(|version| version.planned_at),
            due_at: record.due_at(),
            expires_at: record.expires_at(),
            rotated_at: record.history().last().map(|run| run.ended_at),
        }
    }

    fn cells(&self, now: DateTime<Utc>) -> [String; 12] {
        let day = |at: Option<DateTime<Utc>>| at.map_or_else(dash, |at| at.format("%Y-%m-%d").to_string());
        let late =
            |at: Option<DateTime<Utc>>| format!("{}{}", day(at), if at.is_some_and(|at| at <= now) { "!" } else { "" });
        let state = match self.phase {
            Some(phase) => format!("{} ({phase})", self.state.as_str()),
            None => self.state.as_str().to_owned(),
        };
        [
            self.environment.to_string(),
            self.function.to_string(),
            self.name.to_string(),
            self.access.to_string(),
            self.mode.map_or_else(dash, |mode| mode.to_string()),
            self.ownership.owner().to_string(),
            self.ownership.backup().to_string(),
            self.ownership.team().to_string(),
            state,
            self.version_at.map_or_else(dash, |at| format!("{} d", (now - at).num_days().max(0))),
            late(self.due_at),
            late(self.expires_at),
        ]
    }
}

/// The keys that were asked for, and the records that could not be read.
///
/// Displayed as a table; `!` marks a date that has passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The keys, in the order of their ids.
    pub rows: Vec<Row>,
    /// Records that could not be read. They may match or not; nobody can tell, so none is hidden.
    pub problems: Vec<Error>,
    /// When it was made.
    pub at: DateTime<Utc>,
}

impl Listing {
    /// The listing for machines: JSON with a format number, names and dates only.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::MemoryBackend;
    /// use keyward::inventory::{Filter, Inventory};
    /// let inventory = Inventory::new(MemoryBackend::default()).actor("ada");
    /// let json = inventory.list(&Filter::all()).await?.to_json();
    /// assert!(json.contains(r#""format": 1"#));
    /// # Ok::<(), keyward::inventory::InventoryError>(())
    /// # }).unwrap();
    /// ```
    pub fn to_json(&self) -> String {
        let problems = self.problems.iter().map(Problem::of).collect();
        // Only strings, numbers and lists with string keys: JSON cannot refuse them.
        serde_json::to_string_pretty(&Export { format: 1, at: self.at, keys: &self.rows, problems }).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Export<'a> {
    format: u32,
    at: DateTime<Utc>,
    keys: &'a [Row],
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    key: Option<&'a KeyId>,
    kind: String,
    text: String,
}

impl<'a> Problem<'a> {
    fn of(error: &'a Error) -> Self {
        Self { key: error.key(), kind: error.kind().to_string(), text: error.to_string() }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.rows.iter().map(|row| row.cells(self.at)).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or_default()
        };
        let widths: [usize; 12] = std::array::from_fn(width);
        let mut line = |cells: [&str; 12]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        line(HEAD)?;
        for row in &rows {
            line(std::array::from_fn(|column| row[column].as_str()))?;
        }
        for problem in &self.problems {
            writeln!(f, "unreadable: {problem}")?;
        }
        let states = self.rows.iter().fold(BTreeMap::new(), |mut counts, row| {
            *counts.entry(row.state).or_insert(0_usize) += 1;
            counts
        });
        let counts: Vec<_> = states.iter().map(|(state, count)| format!(", {count} {}", state.as_str())).collect();
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{} keys{}, {} unreadable, at {at}", self.rows.len(), counts.concat(), self.problems.len())
    }
}

const HEAD: [&str; 12] =
    ["ENVIRONMENT", "FUNCTION", "NAME", "ACCESS", "MODE", "OWNER", "BACKUP", "TEAM", "STATE", "AGE", "DUE", "EXPIRES"];

fn dash() -> String {
    "-".to_owned()
}
