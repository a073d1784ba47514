//! What stands between a service and a key.

use std::fmt;

use chrono::{DateTime, Utc};
use keyward_core::{
    Environment, Error, ErrorKind, KeyId, KeyRecord, Link, LinkKind, NameError, Ownership, ServiceName, TextError,
    VersionId,
};

/// What stands between a service and a key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The name given to the builder is not the name of a key.
    #[error("the name is not acceptable: {0}")]
    BadName(NameError),
    /// The service name given to the builder is not acceptable.
    #[error("the service name is not acceptable: {0}")]
    BadService(NameError),
    /// The actor or the instance given to the builder is not acceptable.
    #[error("actor or instance is not acceptable: {0}")]
    BadText(TextError),
    /// A setting of the builder is missing or contradicts another one.
    #[error("{0}")]
    Setting(&'static str),
    /// The key belongs to another environment than the process.
    #[error("it belongs to another environment and this process is {declared}; use the key of {declared}")]
    OtherEnvironment {
        /// What the process declared.
        declared: Environment,
    },
    /// There is no record of the key.
    #[error("it is not registered; register it, or correct the name")]
    Missing,
    /// The key is registered and has never had a version.
    #[error("it has no version yet; run its first rotation")]
    NotProvisioned,
    /// The lifetime of the current version is over.
    #[error("version {version} expired at {at}; rotate it")]
    Expired {
        /// The version.
        version: VersionId,
        /// When it expired.
        at: DateTime<Utc>,
    },
    /// The last version was given up and nothing has replaced it.
    #[error("version {version} is revoked and nothing replaces it yet; rotate it")]
    Revoked {
        /// The version.
        version: VersionId,
    },
    /// The last version leaked and nothing has replaced it.
    #[error("version {version} leaked and nothing replaces it yet; finish the incident")]
    Compromised {
        /// The version.
        version: VersionId,
    },
    /// The key is retired, or being retired.
    #[error("it is retired; use the key that replaces it")]
    Retired,
    /// The scope of the key does not list the service.
    #[error("its scope does not allow {service}; add the service to the scope, or use its own key")]
    NotInScope {
        /// The service that asked.
        service: ServiceName,
    },
    /// The store has the record and not the material.
    #[error("the store holds no material of version {version}; restore it, or rotate")]
    MaterialMissing {
        /// The version.
        version: VersionId,
    },
    /// The store answered something that contradicts the record.
    #[error("the store contradicts the record: {0}; stop and investigate")]
    Contradiction(&'static str),
    /// The store showed an older record than it did before.
    #[error("the store showed revision {found} after revision {known}; a replica lags or a backup was restored")]
    OlderRecord {
        /// The revision it showed.
        found: u64,
        /// The newest revision seen.
        known: u64,
    },
    /// The store could not answer: denied, tampered, undecryptable, away.
    #[error("{0}")]
    Store(Error),
}

impl Problem {
    /// The kind of the store's error, when the store could not answer.
    pub fn store_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Store(error) => Some(error.kind()),
            _ => None,
        }
    }

    /// True when the record itself says so, and no failed call can unsay it.
    pub(super) fn is_verdict(&self) -> bool {
        !matches!(self, Self::Missing | Self::Store(_) | Self::MaterialMissing { .. } | Self::Contradiction(_))
    }

    /// True when an optional key may have it and still count as merely absent.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Missing | Self::NotProvisioned)
    }
}

/// One problem with one key, and whom to ask.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyProblem {
    /// The key; absent when no key could be told from the name, or for a setting.
    pub key: Option<KeyId>,
    /// The place of the name among those given to `require` and `optional`, from 1.
    pub place: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
    /// Who answers for the key, when its record is known.
    pub ownership: Option<Ownership>,
    /// What to read first, when its record is known.
    pub runbooks: Vec<Link>,
}

impl KeyProblem {
    pub(super) fn setting(problem: Problem) -> Self {
        Self { key: None, place: None, problem, ownership: None, runbooks: Vec::new() }
    }

    pub(super) fn of(key: Option<&KeyId>, place: usize, problem: Problem) -> Self {
        Self { key: key.cloned(), place: Some(place), ..Self::setting(problem) }
    }

    pub(super) fn known(mut self, contacts: Option<&Contacts>) -> Self {
        if let Some(contacts) = contacts {
            self.ownership = Some(contacts.ownership.clone());
            self.runbooks.clone_from(&contacts.runbooks);
        }
        self
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, self.place) {
            (Some(key), _) => write!(f, "{key}: {}", self.problem)?,
            (None, Some(place)) => write!(f, "name {place}: {}", self.problem)?,
            (None, None) => write!(f, "{}", self.problem)?,
        }
        if let Some(o) = &self.ownership {
            write!(f, "\n      ask {} or {} (team {}): {}", o.owner(), o.backup(), o.team(), o.contact())?;
        }
        for link in &self.runbooks {
            write!(f, "\n      runbook: {} <{}>", link.title, link.url.as_str())?;
        }
        Ok(())
    }
}

/// Whom to ask about a key, kept from its record.
#[derive(Clone, Debug)]
pub(super) struct Contacts {
    ownership: Ownership,
    runbooks: Vec<Link>,
}

impl Contacts {
    pub(super) fn of(record: &KeyRecord) -> Self {
        let runbooks = record.links().iter().filter(|link| link.kind == LinkKind::Runbook).cloned().collect();
        Self { ownership: record.ownership().clone(), runbooks }
    }
}

/// Why a keyring could not be loaded: every problem at once, each with owner and runbook.
///
/// The text has several lines, one block a problem, and never a value.
#[derive(Clone, Debug)]
pub struct LoadError {
    problems: Box<[KeyProblem]>,
}

impl LoadError {
    pub(super) fn new(problems: Vec<KeyProblem>) -> Self {
        Self { problems: problems.into() }
    }

    /// Every problem, in the order the names were given.
    pub fn problems(&self) -> &[KeyProblem] {
        &self.problems
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "the keys were not loaded: {count} problem{}", if count == 1 { "" } else { "s" })?;
        self.problems.iter().zip(1..).try_for_each(|(problem, n)| write!(f, "\n  {n}. {problem}"))
    }
}

impl std::error::Error for LoadError {}
