//! Why a handle or a value is refused. Never holds a value.

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

/// Why a key has no live value now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotLive {
    /// The store was not reached for longer than the hard limit; the old value is not trusted.
    #[error("{key} is stale: not confirmed by the store for {}s; check the store", age.as_secs())]
    Stale {
        /// The key.
        key: Arc<KeyId>,
        /// How long ago the store confirmed it.
        age: Duration,
    },
    /// The lifetime of its version is over.
    #[error("{key}: version {version} has expired; rotate it")]
    Expired {
        /// The key.
        key: Arc<KeyId>,
        /// The version.
        version: VersionId,
    },
    /// Its version was given up and nothing has replaced it.
    #[error("{key}: version {version} is revoked and nothing replaces it yet")]
    Revoked {
        /// The key.
        key: Arc<KeyId>,
        /// The version.
        version: VersionId,
    },
    /// Its version leaked and nothing has replaced it.
    #[error("{key}: version {version} leaked and nothing replaces it yet")]
    Compromised {
        /// The key.
        key: Arc<KeyId>,
        /// The version.
        version: VersionId,
    },
    /// It does not exist, or has no version yet.
    #[error("{key} has no version to serve")]
    NoKey {
        /// The key.
        key: Arc<KeyId>,
    },
    /// Anything else: not in scope, retired, denied, tampered.
    #[error("{key}: {problem}")]
    Withheld {
        /// The key.
        key: Arc<KeyId>,
        /// What stands in the way.
        problem: Arc<Problem>,
    },
}

impl NotLive {
    /// The key.
    pub fn key(&self) -> &KeyId {
        match self {
            Self::Stale { key, .. }
            | Self::Expired { key, .. }
            | Self::Revoked { key, .. }
            | Self::Compromised { key, .. }
            | Self::NoKey { key }
            | Self::Withheld { key, .. } => key,
        }
    }

    pub(super) fn because(key: Arc<KeyId>, problem: &Arc<Problem>) -> Self {
        match **problem {
            Problem::Expired { version, .. } => Self::Expired { key, version },
            Problem::Revoked { version } => Self::Revoked { key, version },
            Problem::Compromised { version } => Self::Compromised { key, version },
            Problem::Missing | Problem::NotProvisioned => Self::NoKey { key },
            _ => Self::Withheld { key, problem: problem.clone() },
        }
    }
}

/// Why a read by name has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// There is no handle under that name.
    #[error(transparent)]
    Handle(Box<HandleError>),
    /// The key has no live value now.
    #[error(transparent)]
    NotLive(#[from] NotLive),
}

impl From<HandleError> for LiveError {
    fn from(error: HandleError) -> Self {
        Self::Handle(error.into())
    }
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
