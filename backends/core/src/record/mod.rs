//! Everything about a key except material.

mod draft;
mod run;
mod size;
mod spill;
mod version;
mod wire;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use draft::KeyDraft;
pub(crate) use draft::bounded;
pub use run::{Instructions, Lease, Run, RunKind, RunOutcome, RunPhase, RunSummary};
pub use spill::Spill;
pub use version::{Compromise, Incident, IncidentState, IssuerRef, IssuerState, Proof, Version, VersionState};

use crate::annotation::{Labels, Link, Note};
use crate::{
    Actor, IssuerName, KeyId, KeyUid, Location, OperationId, Ownership, PublicationId, RotationPolicy, Scope, Shape,
    Target, VersionId,
};

/// Everything about a key except material. Safe to list without permission to read values.
///
/// Read it through its methods; change it through [`KeyRecord::apply`], which knows every legal
/// transition. A record read from a store has been checked: see [`KeyRecord::decode`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRecord(pub(crate) Box<Body>);

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) id: KeyId,
    pub(crate) uid: KeyUid,
    pub(crate) revision: u64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: Actor,
    pub(crate) ownership: Ownership,
    pub(crate) scope: Scope,
    pub(crate) issuer: IssuerName,
    pub(crate) policy: RotationPolicy,
    pub(crate) labels: Labels,
    pub(crate) links: Vec<Link>,
    pub(crate) notes: Vec<Note>,
    pub(crate) location: Location,
    pub(crate) shape: Shape,
    pub(crate) versions: Vec<Version>,
    pub(crate) publications: Vec<Publication>,
    pub(crate) run: Option<Run>,
    pub(crate) history: Vec<RunSummary>,
    pub(crate) pages: u32,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) operations: Vec<OperationNote>,
    pub(crate) retiring: bool,
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

/// Which version a publication made current. Written before the publication is attempted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Publication {
    /// The act of publishing.
    pub id: PublicationId,
    /// The version it made current.
    pub version: VersionId,
}

/// One accepted change of a record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OperationNote {
    /// The idempotency token of the swap.
    pub id: OperationId,
    /// What was done, such as `promote`.
    pub verb: String,
    /// Who did it.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
}

impl KeyRecord {
    /// How many operation ids a record remembers.
    pub const OPERATIONS: usize = 8;

    /// The key.
    pub fn id(&self) -> &KeyId {
        &self.0.id
    }

    /// The identity behind the name.
    pub fn uid(&self) -> KeyUid {
        self.0.uid
    }

    /// Rises by one with every accepted change.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// When the key was registered.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Who registered it.
    pub fn created_by(&self) -> &Actor {
        &self.0.created_by
    }

    /// Who answers for it.
    pub fn ownership(&self) -> &Ownership {
        &self.0.ownership
    }

    /// What it may do.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Who mints it.
    pub fn issuer(&self) -> &IssuerName {
        &self.0.issuer
    }

    /// When it is rotated.
    pub fn policy(&self) -> &RotationPolicy {
        &self.0.policy
    }

    /// Free labels.
    pub fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// Linked systems and runbooks.
    pub fn links(&self) -> &[Link] {
        &self.0.links
    }

    /// What people wrote, oldest first.
    pub fn notes(&self) -> &[Note] {
        &self.0.notes
    }

    /// Where native readers find it.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// One value, or named fields.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// What a material call needs to know.
    pub fn target(&self) -> Target {
        Target::new(self.0.id.clone(), self.0.location.clone(), self.0.shape.clone())
    }

    /// The versions kept in the record, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.0.versions
    }

    /// One version.
    pub fn version(&self, id: VersionId) -> Option<&Version> {
        self.0.versions.iter().find(|v| v.id == id)
    }

    /// The version readers get.
    pub fn primary(&self) -> Option<&Version> {
        self.0.versions.iter().find(|v| v.state == VersionState::Primary)
    }

    /// When the version readers get expires.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.primary().and_then(|v| v.expires_at)
    }

    /// When the next rotation is due.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        let interval = chrono::TimeDelta::from_std(self.0.policy.interval).ok()?;
        self.primary().and_then(|v| v.planned_at.checked_add_signed(interval))
    }

    /// The version a publication made current.
    pub fn publication(&self, id: PublicationId) -> Option<VersionId> {
        self.0.publications.iter().find(|p| p.id == id).map(|p| p.version)
    }

    /// All publications of the versions kept in the record.
    pub fn publications(&self) -> &[Publication] {
        &self.0.publications
    }

    /// The run under way.
    pub fn run(&self) -> Option<&Run> {
        self.0.run.as_ref()
    }

    /// Ended runs kept in the record, oldest first; older ones are on [`KeyRecord::pages`].
    pub fn history(&self) -> &[RunSummary] {
        &self.0.history
    }

    /// How many history pages exist; page `n` of `1..=pages` is the record of
    /// [`KeyId::history_page`].
    pub fn pages(&self) -> u32 {
        self.0.pages
    }

    /// Answers to leaks.
    pub fn incidents(&self) -> &[Incident] {
        &self.0.incidents
    }

    /// The last accepted changes, newest last; at most [`KeyRecord::OPERATIONS`].
    pub fn operations(&self) -> &[OperationNote] {
        &self.0.operations
    }

    /// The idempotency token of the change that made this record.
    pub fn operation(&self) -> Option<OperationId> {
        self.0.operations.last().map(|o| o.id)
    }

    /// True when a change with this token is among the remembered ones.
    pub fn remembers(&self, operation: OperationId) -> bool {
        self.0.operations.iter().any(|o| o.id == operation)
    }

    /// True while its versions are being revoked for good.
    pub fn is_retiring(&self) -> bool {
        self.0.retiring
    }

    /// When the key was retired. A retired record stays as a tombstone; it wakes up only when one of
    /// its versions turns out to work after all.
    pub fn retired_at(&self) -> Option<DateTime<Utc>> {
        self.0.retired_at
    }

    /// True for an immutable page of older history.
    pub fn is_page(&self) -> bool {
        self.0.id.page().is_some()
    }
}

/// Why a record was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record contradicts itself.
    #[error("the record contradicts itself: {0}; the store is damaged or was edited by hand")]
    Inconsistent(&'static str),
    /// A history page was used as a key.
    #[error("the id names a history page, not a key; drop the .hN suffix")]
    IsPage,
    /// A label is not acceptable.
    #[error("a label has a bad name or value; use a-z, 0-9, '-' and up to 128 printable bytes")]
    Label,
    /// Not JSON of a record.
    #[error("the record is malformed at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Written by a newer library.
    #[error("the record has format {found} and this library reads {known}; update the library")]
    NewerFormat {
        /// Format found.
        found: u32,
        /// Newest format this library reads.
        known: u32,
    },
    /// A draft of another key was given.
    #[error("the draft names another key; use the name of the record")]
    OtherKey,
    /// The policy does not hold.
    #[error(transparent)]
    Policy(#[from] crate::PolicyError),
    /// The scope does not hold.
    #[error(transparent)]
    Scope(#[from] crate::ScopeError),
    /// The shape names no field, too many, or not in order.
    #[error("the shape lists no field, more than 32, one twice, or not in order of their names")]
    Shape,
    /// The encoded record is too large for some backend.
    #[error("the record has {found} bytes encoded; the limit is {max}; shorten notes, labels or links")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// Too many items of one kind.
    #[error("the record lists {found} {what}; the limit is {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many were found.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
}
