//! What a drill saw.

use std::fmt;
use std::time::Duration;

use keyward_core::KeyId;

use super::consumers::{ConsumerReport, span};
use super::permissions::{Permission, Proven};

/// One step of a rehearsal, and when it was made.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Moment {
    /// How long after the beginning of the rehearsal.
    pub after: Duration,
    /// What was done.
    pub what: String,
}

/// How a rehearsed rollback went: errors appear on the new version and the gate answers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rollback {
    /// It works.
    Works {
        /// From the first errors until the old key was current again.
        old_serves_after: Duration,
        /// From the first errors until the new key was seen dead.
        new_dead_after: Option<Duration>,
    },
    /// It does not.
    Fails {
        /// Why.
        why: String,
    },
    /// It was not rehearsed.
    NotTried {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works { old_serves_after, new_dead_after } => {
                write!(f, "works: the old key serves {} after the first errors", span(*old_serves_after))?;
                match new_dead_after {
                    Some(after) => write!(f, ", the new one is dead after {}", span(*after)),
                    None => f.write_str(", the new one was not seen dead"),
                }
            }
            Self::Fails { why } => write!(f, "FAILS: {why}"),
            Self::NotTried { why } => write!(f, "not rehearsed: {why}"),
        }
    }
}

/// What a drill saw. Prints in plain words; holds no value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrillReport {
    /// The key.
    pub key: KeyId,
    /// How the copy was made, when not from the record as it stands.
    pub copied_afresh: Option<String>,
    /// The rotation, step by step.
    pub steps: Vec<Moment>,
    /// Why the rotation did not come to its end.
    pub stuck: Option<String>,
    /// From the beginning until the old key was seen dead; absent when it was not, or there was
    /// none.
    pub revoked_after: Option<Duration>,
    /// Each consumer.
    pub consumers: Vec<ConsumerReport>,
    /// The way back.
    pub rollback: Rollback,
    /// What a rotation needs, and what is known of it.
    pub permissions: Vec<Permission>,
    /// What stands in the way of the real one, and what could not be rehearsed.
    pub notes: Vec<String>,
}

impl DrillReport {
    /// True when nothing speaks against the real rotation: both rehearsals came to their end,
    /// nobody is cut off, and no permission was refused.
    pub fn is_clear(&self) -> bool {
        self.stuck.is_none()
            && matches!(self.rollback, Rollback::Works { .. })
            && !self.consumers.iter().any(|consumer| consumer.may_be_cut_off)
            && !self.permissions.iter().any(|permission| matches!(permission.proven, Proven::No(_)))
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "drill of {}: {}", self.key, if self.is_clear() { "clear" } else { "NOT CLEAR" })?;
        if let Some(why) = &self.copied_afresh {
            writeln!(f, "  on a fresh copy of its draft: {why}")?;
        }
        writeln!(f, "rotation")?;
        for Moment { after, what } in &self.steps {
            writeln!(f, "  {:>7}  {what}", span(*after))?;
        }
        match (&self.stuck, self.revoked_after) {
            (Some(why), _) => writeln!(f, "  STUCK: {why}")?,
            (None, Some(after)) => writeln!(f, "  the old key is dead after {}", span(after))?,
            (None, None) => {}
        }
        writeln!(f, "rollback\n  {}", self.rollback)?;
        let lists = [
            ("consumers", self.consumers.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ("permissions", self.permissions.iter().map(ToString::to_string).collect()),
            ("notes", self.notes.clone()),
        ];
        for (head, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f, "{head}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}
