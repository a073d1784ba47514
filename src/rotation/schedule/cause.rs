//! Why a key is due.

use std::fmt;

use chrono::{DateTime, Utc};

/// Why a key is due. In order of urgency: the first comes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Cause {
    /// A version leaked and its incident is not contained and replaced yet.
    Leak,
    /// A run is under way, whoever began it.
    UnderWay,
    /// Somebody named the key.
    Manual,
    /// The version readers get is about to expire.
    Expiry,
    /// The owner or the backup owner left.
    OwnerLeft,
    /// Somebody who could read the version may no longer do so.
    RecipientRemoved,
    /// The recorded scope was edited after the version was made.
    ScopeChange,
    /// The version is as old as the interval allows.
    Age,
    /// The key has no version at all. Only where the schedule asks for it.
    FirstVersion,
    /// A version was given up and is not seen dead, or its material is kept long enough.
    Housekeeping,
}

impl Cause {
    /// True when a new run would be started.
    pub fn starts_a_run(self) -> bool {
        !matches!(self, Self::Leak | Self::UnderWay | Self::Housekeeping)
    }

    /// The cause as one or two words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::UnderWay => "under way",
            Self::Manual => "manual",
            Self::Expiry => "expiry",
            Self::OwnerLeft => "owner left",
            Self::RecipientRemoved => "recipient removed",
            Self::ScopeChange => "scope change",
            Self::Age => "age",
            Self::FirstVersion => "first version",
            Self::Housekeeping => "housekeeping",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// That a key is due, or will be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Due {
    /// Why.
    pub cause: Cause,
    /// Since when, or from when on.
    pub at: DateTime<Utc>,
}

impl Due {
    pub(super) fn new(cause: Cause, at: DateTime<Utc>) -> Self {
        Self { cause, at }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.cause, self.at.format("%Y-%m-%d %H:%M UTC"))
    }
}
