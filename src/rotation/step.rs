//! What one step did, and what became of a run.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{KeyId, RunId, RunKind, RunOutcome, RunSummary, VersionId};

use super::NeedsOperator;

/// What one step did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// The new key was created at the issuer and stored where no reader looks.
    Created {
        /// The new version.
        version: VersionId,
    },
    /// A create whose outcome is unknown was given up for a fresh version.
    Replanned {
        /// The version given up; it is hunted down and revoked.
        abandoned: VersionId,
        /// The fresh version.
        version: VersionId,
    },
    /// The new key was proven to work with the recorded scope.
    Validated {
        /// The new version.
        version: VersionId,
    },
    /// The intent to publish was journalled.
    Promoting {
        /// The new version.
        version: VersionId,
    },
    /// Readers get the new key; the old one still works.
    Published {
        /// The new version.
        version: VersionId,
    },
    /// The old key is about to be switched off, reversibly.
    Suspending {
        /// The old version.
        version: VersionId,
        /// Why that is safe.
        evidence: String,
    },
    /// The old key was seen switched off. Whoever still needs it says so now.
    SwitchedOff {
        /// The old version.
        version: VersionId,
    },
    /// The old key works again and is watched anew.
    Reactivated {
        /// The old version.
        version: VersionId,
        /// Why it was switched on.
        evidence: String,
    },
    /// The old key is condemned: from here there is no way back.
    Retiring {
        /// The old version.
        version: VersionId,
        /// Why that is safe.
        evidence: String,
    },
    /// A condemned key was found at the issuer by its label.
    Found {
        /// The version.
        version: VersionId,
    },
    /// A key was seen dead.
    Revoked {
        /// The version.
        version: VersionId,
    },
    /// The new key is being taken back.
    RollingBack {
        /// The version given up.
        version: VersionId,
        /// Why.
        evidence: String,
    },
    /// The old key serves again.
    RolledBack {
        /// The version that serves.
        version: VersionId,
    },
    /// The old key cannot come back after all: the new one is published again.
    TurnedRound {
        /// The old version.
        version: VersionId,
        /// Why.
        evidence: String,
    },
    /// The run was given up before readers saw the new key.
    Abandoned {
        /// The version given up.
        version: VersionId,
        /// Why.
        evidence: String,
    },
    /// Something that people should know was written into the history.
    Noted {
        /// What.
        evidence: String,
    },
    /// Another process moved the record; the next step goes on from there.
    Overtaken,
    /// Nothing to do for now: step again after at most this long.
    Wait {
        /// How long.
        at_most: Duration,
        /// What is waited for.
        why: String,
    },
    /// A person must decide or do something.
    NeedsOperator(NeedsOperator),
    /// The run has ended and its versions are as they should be.
    Finished(RunReport),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { version } => write!(f, "created version {version} and stored it where no reader looks"),
            Self::Replanned { abandoned, version } => {
                write!(f, "gave up version {abandoned} (its create may have happened) and planned {version}")
            }
            Self::Validated { version } => write!(f, "proved that version {version} works with the recorded scope"),
            Self::Promoting { version } => write!(f, "journalled that version {version} is about to be published"),
            Self::Published { version } => write!(f, "published version {version}: readers get it from now on"),
            Self::Suspending { version, evidence } => {
                write!(f, "about to switch old version {version} off ({evidence})")
            }
            Self::SwitchedOff { version } => write!(f, "saw old version {version} switched off"),
            Self::Reactivated { version, evidence } => write!(f, "old version {version} works again ({evidence})"),
            Self::Retiring { version, evidence } => write!(f, "condemned old version {version} ({evidence})"),
            Self::Found { version } => write!(f, "found condemned version {version} at the issuer"),
            Self::Revoked { version } => write!(f, "saw version {version} dead"),
            Self::RollingBack { version, evidence } => write!(f, "taking back version {version} ({evidence})"),
            Self::RolledBack { version } => write!(f, "version {version} serves again"),
            Self::TurnedRound { evidence, .. } => write!(f, "staying on the new version ({evidence})"),
            Self::Abandoned { version, evidence } => write!(f, "gave up version {version} ({evidence})"),
            Self::Noted { evidence } => write!(f, "noted: {evidence}"),
            Self::Overtaken => f.write_str("another process moved the record"),
            Self::Wait { at_most, why } => write!(f, "waiting up to {} s: {why}", at_most.as_secs()),
            Self::NeedsOperator(what) => write!(f, "needs an operator: {what}"),
            Self::Finished(report) => write!(f, "finished: {report}"),
        }
    }
}

/// What became of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunReport {
    /// The key.
    pub key: KeyId,
    /// The run.
    pub run: RunId,
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
    /// What was seen on the way.
    pub evidence: Vec<String>,
    /// Versions of the key that are condemned and cannot be seen dead yet; sweep them later.
    pub pending: Vec<VersionId>,
}

impl RunReport {
    pub(super) fn of(key: &KeyId, summary: &RunSummary, pending: Vec<VersionId>) -> Self {
        Self {
            key: key.clone(),
            run: summary.id,
            kind: summary.kind,
            outcome: summary.outcome,
            from: summary.from,
            to: summary.to,
            started_at: summary.started_at,
            ended_at: summary.ended_at,
            evidence: summary.evidence.iter().map(ToString::to_string).collect(),
            pending,
        }
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run of {} {}", self.kind, self.key, self.outcome)?;
        match self.pending.len() {
            0 => Ok(()),
            n => write!(f, "; {n} condemned versions to sweep later"),
        }
    }
}
