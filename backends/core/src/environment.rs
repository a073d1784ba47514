//! Where a key is used: dev, staging, production, or a name of your own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{self, NameError, name_type};

/// Where a key is used. A key of one environment is never handed to a process of another.
///
/// ```
/// use keyward_core::Environment;
/// assert_eq!("production".parse::<Environment>()?, Environment::Production);
/// assert_eq!("qa-eu".parse::<Environment>()?.to_string(), "qa-eu");
/// # Ok::<(), keyward_core::NameError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Environment {
    /// A developer's machine or a shared development system.
    Dev,
    /// The rehearsal of production.
    Staging,
    /// Where customers are.
    Production,
    /// Any other environment.
    Custom(CustomEnvironment),
}

impl Environment {
    /// The name as it stands in a key id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Custom(name) => name.as_str(),
        }
    }
}

impl FromStr for Environment {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Ok(match text {
            "dev" => Self::Dev,
            "staging" => Self::Staging,
            "production" => Self::Production,
            other => Self::Custom(other.parse::<Unreserved>().map(CustomEnvironment)?),
        })
    }
}

impl TryFrom<String> for Environment {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Environment> for String {
    fn from(environment: Environment) -> Self {
        environment.as_str().to_owned()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The validated name of an environment that is none of the three well-known ones.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CustomEnvironment(Unreserved);

impl CustomEnvironment {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for CustomEnvironment {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        name::check("environment", text, 32)?;
        if matches!(text, "dev" | "staging" | "production") {
            return Err(NameError::Reserved { part: "environment" });
        }
        text.parse().map(Self)
    }
}

mod unreserved {
    use super::name_type;
    name_type!(
        /// A syntactically valid environment name.
        Unreserved, "environment", 32
    );
}
use unreserved::Unreserved;
