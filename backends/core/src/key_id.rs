//! The name of a key: `environment/function/name`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Environment, Function, KeyName, NameError};

/// The name of a key, `environment/function/name`. Safe to log, cheap to clone.
///
/// Invariants, checked once by the parser:
/// - three parts, each of `a-z`, `0-9` and inner hyphens; no `.`, `%`, `..` or empty part;
/// - at most 32, 32 and 64 bytes;
/// - ordered as text, the same on every backend.
///
/// A history page of a key carries the reserved suffix `.hN`; see [`KeyId::history_page`].
///
/// ```
/// use keyward_core::{Environment, KeyId};
/// let key: KeyId = "production/payments/stripe-charges".parse()?;
/// assert_eq!(key.environment(), &Environment::Production);
/// assert!("production/payments/../x".parse::<KeyId>().is_err());
/// # Ok::<(), keyward_core::NameError>(())
/// ```
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Arc<Parts>);

struct Parts {
    text: Box<str>,
    environment: Environment,
    function: Function,
    name: KeyName,
    page: Option<u32>,
}

impl KeyId {
    /// Puts a key id together from parsed parts.
    pub fn new(environment: Environment, function: Function, name: KeyName) -> Self {
        Self::assemble(environment, function, name, None)
    }

    /// The environment.
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// What the key is for.
    pub fn function(&self) -> &Function {
        &self.0.function
    }

    /// The last part.
    pub fn name(&self) -> &KeyName {
        &self.0.name
    }

    /// The whole id as text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The id under which page `number` of this key's older history is kept. Pages count from 1;
    /// 0 stands for 1.
    ///
    /// ```
    /// use keyward_core::KeyId;
    /// let key: KeyId = "production/payments/stripe-charges".parse()?;
    /// assert_eq!(key.history_page(2).as_str(), "production/payments/stripe-charges.h2");
    /// # Ok::<(), keyward_core::NameError>(())
    /// ```
    #[must_use]
    pub fn history_page(&self, number: u32) -> Self {
        Self::assemble(self.0.environment.clone(), self.0.function.clone(), self.0.name.clone(), Some(number.max(1)))
    }

    /// The number of the history page this id names, if it names one.
    pub fn page(&self) -> Option<u32> {
        self.0.page
    }

    fn assemble(environment: Environment, function: Function, name: KeyName, page: Option<u32>) -> Self {
        let text = match page {
            None => format!("{environment}/{function}/{name}"),
            Some(number) => format!("{environment}/{function}/{name}.h{number}"),
        };
        Self(Arc::new(Parts { text: text.into(), environment, function, name, page }))
    }
}

impl FromStr for KeyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split('/');
        let (Some(environment), Some(function), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NameError::Parts { found: text.split('/').count() });
        };
        let (name, page) = match name.split_once(".h") {
            None => (name, None),
            Some((name, number)) => (name, Some(page_number(number)?)),
        };
        Ok(Self::assemble(environment.parse()?, function.parse()?, name.parse()?, page))
    }
}

fn page_number(text: &str) -> Result<u32, NameError> {
    let reserved = NameError::Reserved { part: "name suffix" };
    let canonical = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if canonical { text.parse().map_err(|_| reserved) } else { Err(reserved) }
}

impl TryFrom<&str> for KeyId {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<String> for KeyId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(key: KeyId) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl PartialEq for KeyId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for KeyId {}

impl PartialOrd for KeyId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for KeyId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
