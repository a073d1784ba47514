//! What does not agree, and what to do about it.

use std::fmt;

use chrono::{DateTime, Utc};
use keyward_core::{IssuerRef, KeyId, VersionId};

use super::super::sweep::SweepReport;

/// One thing in which record, pointer and issuer disagree.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The version that serves is dead at the issuer.
    PrimaryDead {
        /// The version.
        version: VersionId,
        /// How that is known.
        evidence: String,
    },
    /// The version that serves is switched off at the issuer.
    PrimaryOff {
        /// The version.
        version: VersionId,
    },
    /// The old version of a run still in its overlap is switched off at the issuer.
    OldOff {
        /// The version.
        version: VersionId,
    },
    /// The store has lost the material of the version that serves.
    MaterialLost {
        /// The version.
        version: VersionId,
    },
    /// Native readers are shown an older publication of ours.
    PointerBehind {
        /// The version shown.
        shown: VersionId,
        /// The version that serves.
        serving: VersionId,
    },
    /// Native readers are shown what somebody else put there.
    ForeignPublication,
    /// Native readers are shown nothing, though a version serves.
    NothingPublished {
        /// The version that serves.
        serving: VersionId,
    },
    /// The issuer has a working key under a label that the record does not know, or has given up.
    Orphan {
        /// The label.
        version: VersionId,
        /// How the issuer names it.
        reference: IssuerRef,
    },
    /// The issuer has one more key under the label of a version in use.
    SecondKey {
        /// The version in use.
        version: VersionId,
        /// How the issuer names the second key.
        reference: IssuerRef,
    },
    /// A version is condemned and not yet seen dead.
    RevokeOverdue {
        /// The version.
        version: VersionId,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Something newer than everything in the record exists: the record is an older copy, as after
    /// a restored backup.
    RecordRegressed {
        /// The newer version.
        newer: VersionId,
        /// Where it was seen.
        place: &'static str,
    },
}

impl Finding {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PrimaryDead { .. } => {
                "readers fail now: start a run at once, and find out who ended the key at the issuer"
            }
            Self::PrimaryOff { .. } => "repair switches it on again",
            Self::OldOff { .. } => "step the run on, or roll back: the old key is switched on first",
            Self::MaterialLost { .. } => {
                "readers that start now fail: start a run at once, and find out what the store lost"
            }
            Self::PointerBehind { .. } => "repair publishes the version that serves again",
            Self::ForeignPublication => {
                "find out who writes there and stop that; then overwrite it or adopt it, with a reason"
            }
            Self::NothingPublished { .. } => "find out who removed it; then overwrite, with a reason",
            Self::Orphan { .. } => "repair revokes it",
            Self::SecondKey { .. } => "find out who made it, then revoke it at the issuer",
            Self::RevokeOverdue { .. } => {
                "repair tries it again; if that does not help, look at the issuer's permissions"
            }
            Self::RecordRegressed { .. } => {
                "nothing is repaired: bring the newest record back, or adopt what is published, with a reason"
            }
        }
    }

    /// True for what [`Reconciler::repair`](super::Reconciler::repair) can put right by itself.
    pub fn is_repairable(&self) -> bool {
        match self {
            Self::PrimaryOff { .. } | Self::PointerBehind { .. } | Self::Orphan { .. } | Self::RevokeOverdue { .. } => {
                true
            }
            Self::PrimaryDead { .. }
            | Self::OldOff { .. }
            | Self::MaterialLost { .. }
            | Self::ForeignPublication
            | Self::NothingPublished { .. }
            | Self::SecondKey { .. }
            | Self::RecordRegressed { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimaryDead { version, evidence } => write!(f, "serving version {version} is dead ({evidence})"),
            Self::PrimaryOff { version } => write!(f, "serving version {version} is switched off at the issuer"),
            Self::OldOff { version } => write!(f, "old version {version} is switched off at the issuer"),
            Self::MaterialLost { version } => write!(f, "the store has lost the value of serving version {version}"),
            Self::PointerBehind { shown, serving } => {
                write!(f, "native readers are shown version {shown}, and {serving} serves")
            }
            Self::ForeignPublication => f.write_str("native readers are shown what somebody else put there"),
            Self::NothingPublished { serving } => {
                write!(f, "native readers are shown nothing, and version {serving} serves")
            }
            Self::Orphan { version, reference } => {
                write!(f, "the issuer has a working key {reference} under the label {version}, which nobody needs")
            }
            Self::SecondKey { version, reference } => {
                write!(f, "the issuer has a second key, {reference}, under the label of version {version}")
            }
            Self::RevokeOverdue { version, since } => {
                write!(f, "version {version} is condemned since {since} and not seen dead")
            }
            Self::RecordRegressed { newer, place } => {
                write!(f, "{place} version {newer}, which is newer than everything in the record")
            }
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReconcileReport {
    /// The key.
    pub key: KeyId,
    /// The revision of the record that was looked at.
    pub revision: u64,
    /// What does not agree; empty when all is well.
    pub findings: Vec<Finding>,
}

impl ReconcileReport {
    pub(super) fn new(key: KeyId, revision: u64, findings: Vec<Finding>) -> Self {
        Self { key, revision, findings }
    }

    /// True when nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// True when the record is an older copy: then nothing may be done on its word.
    pub fn is_regressed(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding, Finding::RecordRegressed { .. }))
    }
}

impl fmt::Display for ReconcileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "{}: record, pointer and issuer agree", self.key);
        }
        let each = |finding: &Finding| writeln!(f, "{}: {finding}; {}", self.key, finding.advice());
        self.findings.iter().try_for_each(each)
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// Serving versions that were switched on again and seen to be.
    pub switched_on: Vec<VersionId>,
    /// The version that was published again.
    pub republished: Option<VersionId>,
    /// What the sweep did.
    pub swept: SweepReport,
    /// What is left, for a person or for the next time.
    pub left: Vec<Finding>,
}
