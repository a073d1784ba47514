//! What became of one key in a pass.

use std::fmt;

use chrono::{DateTime, Utc};
use keyward_core::{IssuerName, KeyId, RunOutcome};

use super::super::error::{NeedsOperator, RotationError};
use super::super::schedule::Due;

/// What became of a key in a pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A run has ended.
    Finished {
        /// How.
        outcome: RunOutcome,
        /// Condemned versions that are not seen dead yet; a later pass sees to them.
        pending: usize,
    },
    /// A leaked version is dead and replaced; the incident waits for its review.
    Contained,
    /// Dead and dying versions were seen to.
    Tidied {
        /// Condemned versions that are not seen dead yet; a later pass sees to them.
        pending: usize,
    },
    /// Another process saw to the key while this one got there.
    DoneElsewhere,
    /// Nothing to do before this time.
    Waiting {
        /// When to step again, at the latest.
        until: DateTime<Utc>,
        /// What is waited for.
        why: String,
    },
    /// A person must decide or do something.
    NeedsOperator {
        /// What.
        what: NeedsOperator,
        /// When it is looked at again.
        until: DateTime<Utc>,
    },
    /// It cannot go on. The other keys were seen to all the same.
    Failed {
        /// Why.
        error: RotationError,
        /// When it is tried again.
        until: DateTime<Utc>,
    },
    /// It is due and was not begun.
    Held(Hold),
}

/// Why a key that is due was not begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Hold {
    /// Run after run failed at its issuer.
    Issuer {
        /// When one run is tried again.
        until: DateTime<Utc>,
    },
    /// The pass had its time, or was told to stop; the next one goes on.
    NextPass,
    /// Nothing was to be done: a dry run.
    DryRun,
}

impl Outcome {
    /// The outcome as one or two words.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Finished { outcome: RunOutcome::Completed, .. } => "completed",
            Self::Finished { outcome: RunOutcome::RolledBack, .. } => "rolled back",
            Self::Finished { outcome: RunOutcome::Overtaken, .. } => "overtaken",
            Self::Finished { .. } => "aborted",
            Self::Contained => "contained",
            Self::Tidied { .. } => "tidied",
            Self::DoneElsewhere => "done elsewhere",
            Self::Waiting { .. } => "waiting",
            Self::NeedsOperator { .. } => "needs operator",
            Self::Failed { .. } => "failed",
            Self::Held(_) => "held",
        }
    }

    /// When the key wants to be seen again; absent when that is for its record to say.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Waiting { until, .. }
            | Self::NeedsOperator { until, .. }
            | Self::Failed { until, .. }
            | Self::Held(Hold::Issuer { until }) => Some(*until),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = |f: &mut fmt::Formatter<'_>, pending: usize| match pending {
            0 => Ok(()),
            n => write!(f, "; versions not seen dead yet: {n}"),
        };
        match self {
            Self::Finished { outcome, pending: left } => {
                write!(f, "{outcome}")?;
                pending(f, *left)
            }
            Self::Contained => f.write_str("contained and replaced; review the exposure window"),
            Self::Tidied { pending: left } => {
                f.write_str("saw to dead versions")?;
                pending(f, *left)
            }
            Self::DoneElsewhere => f.write_str("another process saw to it"),
            Self::Waiting { why, .. } => f.write_str(why),
            Self::NeedsOperator { what, .. } => write!(f, "{what}"),
            Self::Failed { error, .. } => write!(f, "{error}"),
            Self::Held(Hold::Issuer { .. }) => f.write_str("not begun: run after run failed at its issuer"),
            Self::Held(Hold::NextPass) => f.write_str("not begun: the pass ended before its turn"),
            Self::Held(Hold::DryRun) => f.write_str("would be seen to"),
        }
    }
}

/// One key in the report of a pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyReport {
    /// The key.
    pub key: KeyId,
    /// Its issuer.
    pub issuer: IssuerName,
    /// Why it was due.
    pub due: Due,
    /// What became of it.
    pub outcome: Outcome,
}
