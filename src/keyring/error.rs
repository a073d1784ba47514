//! Why a handle or a value is refused. Never holds a value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{Environment, KeyId, NameError, VersionId};

use super::Problem;

/// Why a keyring hands out no handle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// An optional key that does not exist, or has no version yet.
    #[error("{key} is optional and not there; go on without it")]
    Absent {
        /// The key.
        key: KeyId,
    },
    /// Not the name of a key.
    #[error("not the name of a key: {0}")]
    BadName(NameError),
    /// The keyring did not load the key.
    #[error("{key} was not loaded; name it in require() or optional()")]
    NotDeclared {
        /// The key.
        key: KeyId,
    },
    /// The key belongs to another environment. The refusal goes on the audit log.
    #[error("{key} belongs to another environment and this process is {declared}")]
    OtherEnvironment {
        /// The key.
        key: KeyId,
        /// What the process declared.
        declared: Environment,
    },
}

/// Why a key has no live value now; [`NotLive::why`] is the reason to match on.
///
/// One pointer wide, so that a read that succeeds is not slowed down by how it might have failed.
#[derive(Clone, Debug)]
pub struct NotLive(Box<(Arc<KeyId>, Why)>);

impl NotLive {
    pub(super) fn new(key: Arc<KeyId>, why: Why) -> Self {
        Self(Box::new((key, why)))
    }

    /// The key.
    pub fn key(&self) -> &KeyId {
        &self.0.0
    }

    /// The reason.
    pub fn why(&self) -> &Why {
        &self.0.1
    }
}

impl fmt::Display for NotLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.why())
    }
}

impl std::error::Error for NotLive {}

/// Why a key has no live value now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Why {
    /// The store was not reached for longer than the hard limit; the old value is not trusted.
    Stale {
        /// How long ago the store confirmed it.
        age: Duration,
    },
    /// The lifetime of its version is over.
    Expired {
        /// The version.
        version: VersionId,
    },
    /// Its version was given up and nothing has replaced it.
    Revoked {
        /// The version.
        version: VersionId,
    },
    /// Its version leaked and nothing has replaced it.
    Compromised {
        /// The version.
        version: VersionId,
    },
    /// It does not exist, or has no version yet.
    NoKey,
    /// Anything else: not in scope, retired, denied, tampered.
    Withheld(Arc<Problem>),
}

impl From<Arc<Problem>> for Why {
    fn from(problem: Arc<Problem>) -> Self {
        match *problem {
            Problem::Expired { version, .. } => Self::Expired { version },
            Problem::Revoked { version } => Self::Revoked { version },
            Problem::Compromised { version } => Self::Compromised { version },
            Problem::Missing | Problem::NotProvisioned => Self::NoKey,
            _ => Self::Withheld(problem),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { age } => {
                write!(f, "stale, not confirmed by the store for {}s; check the store", age.as_secs())
            }
            Self::Expired { version } => write!(f, "version {version} has expired; rotate it"),
            Self::Revoked { version } => write!(f, "version {version} is revoked and nothing replaces it yet"),
            Self::Compromised { version } => write!(f, "version {version} leaked and nothing replaces it yet"),
            Self::NoKey => f.write_str("there is no version to serve"),
            Self::Withheld(problem) => problem.fmt(f),
        }
    }
}

/// Why a read by name has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// There is no handle under that name.
    #[error(transparent)]
    Handle(#[from] Box<HandleError>),
    /// The key has no live value now.
    #[error(transparent)]
    NotLive(#[from] NotLive),
}

/// The value is not one text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotText {
    /// The key has named fields.
    #[error("the key has named fields; ask for one with expose_field")]
    Fields,
    /// The bytes are not UTF-8.
    #[error("the value is not UTF-8; use expose_secret")]
    Utf8,
}
