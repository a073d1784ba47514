//! One rotation attempt, journalled in the record.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text::text_type;
use crate::{Actor, Change, Evidence, HolderId, PointerToken, PublicationId, Reason, RunId, VersionId};

text_type!(
    /// What a person is asked to do, in one line. Never a value.
    Instructions,
    "instructions",
    512
);

/// Why a run exists.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunKind {
    /// The first version of a key.
    Provision,
    /// The interval is over.
    Scheduled,
    /// Somebody asked.
    Manual,
    /// A version leaked: full validation, no soak.
    Leak,
    /// An existing key was brought in by a person.
    Import,
    /// An existing secret was brought under management where it lies.
    Adopt,
    /// What native readers are shown is put right: the version that serves is published again.
    Repair,
}

impl RunKind {
    /// True when the old version is not waited for: only after a leak. A first version has no old
    /// one to wait for, whatever the kind.
    pub fn skips_soak(self) -> bool {
        matches!(self, Self::Leak)
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provision => "provision",
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Leak => "leak",
            Self::Import => "import",
            Self::Adopt => "adopt",
            Self::Repair => "repair",
        })
    }
}

/// Where a run stands. Every move is one record swap.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "the specification is closed; every phase must be handled")]
pub enum RunPhase {
    /// The version id is reserved and the issuer is asked once, by the holder only.
    Plan {
        /// The new version.
        version: VersionId,
        /// Set when a person has been asked to supply the key.
        asked: Option<Instructions>,
    },
    /// Created and stored.
    Staged {
        /// The new version.
        version: VersionId,
    },
    /// Proven.
    Validated {
        /// The new version.
        version: VersionId,
    },
    /// The pointer is being moved; from here on only forward or a fenced way back.
    Promoting {
        /// The new version.
        version: VersionId,
        /// The publication being made.
        publication: PublicationId,
        /// The pointer this publication replaces; absent when a rollback turned round, where the
        /// pointer is read again.
        expect: Option<PointerToken>,
    },
    /// Both versions work; the new one is watched.
    Soaking {
        /// The new version.
        version: VersionId,
    },
    /// The old version is switched off, reversibly.
    Suspended {
        /// The new version.
        version: VersionId,
        /// When the old one was seen switched off; absent until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        off_since: Option<DateTime<Utc>>,
    },
    /// Past the point of no return: the old version is being revoked.
    Retiring {
        /// The new version.
        version: VersionId,
    },
    /// The old version is being published again.
    RollingBack {
        /// The version given up.
        version: VersionId,
        /// The version that comes back.
        to: VersionId,
        /// The fresh publication that fences the pointer.
        publication: PublicationId,
        /// What another writer put there and a person has said may be replaced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<PointerToken>,
    },
}

impl RunPhase {
    /// The new version of the run.
    pub fn version(&self) -> VersionId {
        match self {
            Self::Plan { version, .. }
            | Self::Staged { version }
            | Self::Validated { version }
            | Self::Promoting { version, .. }
            | Self::Soaking { version }
            | Self::Suspended { version, .. }
            | Self::Retiring { version }
            | Self::RollingBack { version, .. } => *version,
        }
    }

    /// The name of the phase.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan",
            Self::Staged { .. } => "staged",
            Self::Validated { .. } => "validated",
            Self::Promoting { .. } => "promoting",
            Self::Soaking { .. } => "soaking",
            Self::Suspended { .. } => "suspended",
            Self::Retiring { .. } => "retiring",
            Self::RollingBack { .. } => "rolling-back",
        }
    }
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rotation attempt, resumable by anyone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Why it exists.
    pub kind: RunKind,
    /// Where it stands.
    pub phase: RunPhase,
    /// The version it replaces.
    pub previous: Option<VersionId>,
    /// The process that planned the current version, and alone may ask the issuer for it.
    pub holder: HolderId,
    /// Rises each time another process takes the plan over. A change made under an older one is
    /// refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fence: u64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Who began it.
    pub started_by: Actor,
    /// Why, in words.
    pub reason: Reason,
    /// When it entered its phase.
    pub entered_at: DateTime<Utc>,
    /// What was seen on the way; at most [`Run::MAX_EVIDENCE`].
    pub evidence: Vec<Evidence>,
}

impl Run {
    /// The most pieces of evidence kept; the oldest give way.
    pub const MAX_EVIDENCE: usize = 8;

    pub(crate) fn begun(
        id: RunId,
        kind: RunKind,
        phase: RunPhase,
        previous: Option<VersionId>,
        holder: HolderId,
        reason: &Reason,
        change: &Change,
    ) -> Self {
        Self {
            id,
            kind,
            phase,
            previous,
            holder,
            fence: 0,
            started_at: change.at,
            started_by: change.actor.clone(),
            reason: reason.clone(),
            entered_at: change.at,
            evidence: Vec::new(),
        }
    }

    /// What the holder writes under.
    pub fn lease(&self) -> Lease {
        Lease { run: self.id, fence: self.fence }
    }

    pub(crate) fn enter(&mut self, phase: RunPhase, at: DateTime<Utc>) {
        self.phase = phase;
        self.entered_at = at;
    }

    pub(crate) fn saw(&mut self, evidence: Evidence) {
        if self.evidence.last() == Some(&evidence) {
            return;
        }
        if self.evidence.len() == Self::MAX_EVIDENCE {
            self.evidence.remove(0);
        }
        self.evidence.push(evidence);
    }
}

/// Left out of the stored form, which therefore stays as it was before there were fences.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(fence: &u64) -> bool {
    *fence == 0
}

/// The right to write what became of a planned create: good until another process takes it over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Its fence when the lease was taken.
    pub fence: u64,
}

impl Lease {
    /// The lease of the process that begins a run.
    #[must_use]
    pub fn first(run: RunId) -> Self {
        Self { run, fence: 0 }
    }

    /// The lease of the process that takes this one over.
    #[must_use]
    pub fn taken_over(self) -> Self {
        Self { fence: self.fence.saturating_add(1), ..self }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// The new version serves and the old one is dead.
    Completed,
    /// Given up before readers saw the new version.
    Aborted,
    /// The old version serves again.
    RolledBack,
    /// A leak took away what the run stood on; another run follows.
    Overtaken,
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled back",
            Self::Overtaken => "overtaken by a leak",
        })
    }
}

/// What is kept of an ended run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// Why it existed.
    pub kind: RunKind,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The version it replaced, or meant to.
    pub from: Option<VersionId>,
    /// The version it brought, or meant to.
    pub to: VersionId,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Who began it.
    pub started_by: Actor,
    /// Why, in words.
    pub reason: Reason,
    /// What was seen on the way.
    pub evidence: Vec<Evidence>,
}
