//! How far a key reaches: access level, mode, permissions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::NameError;
use crate::name::name_type;

/// How far a key reaches. Ordered: each level includes the ones before.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three levels are the mission's own; a fourth would change every decision"
)]
pub enum AccessLevel {
    /// Looks, never changes.
    ReadOnly,
    /// Changes data.
    Write,
    /// Changes who may do what.
    Admin,
}

impl AccessLevel {
    /// The level as text: `read-only`, `write`, `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a key moves real money. A key is one of them, never both.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "test or live is a closed question")]
pub enum Mode {
    /// The issuer's sandbox.
    Test,
    /// The real thing.
    Live,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Live => "live",
        })
    }
}

name_type!(
    /// A thing at the issuer that a permission is about, such as `charges`.
    Resource, "resource", 64
);

/// One permission, `resource:level`, such as `charges:write`.
///
/// ```
/// use keyward_core::{AccessLevel, Permission};
/// let permission: Permission = "reports:read-only".parse()?;
/// assert_eq!(permission.level, AccessLevel::ReadOnly);
/// # Ok::<(), keyward_core::NameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Permission {
    /// What it is about.
    pub resource: Resource,
    /// How far it reaches.
    pub level: AccessLevel,
}

impl Permission {
    /// A permission on `resource` up to `level`.
    pub fn new(resource: Resource, level: AccessLevel) -> Self {
        Self { resource, level }
    }
}

impl FromStr for Permission {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (resource, level) = text.split_once(':').ok_or(NameError::Reserved { part: "permission" })?;
        let level = match level {
            "read-only" => AccessLevel::ReadOnly,
            "write" => AccessLevel::Write,
            "admin" => AccessLevel::Admin,
            _ => return Err(NameError::Reserved { part: "permission level" }),
        };
        Ok(Self { resource: resource.parse()?, level })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.level)
    }
}
