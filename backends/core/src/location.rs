//! Where native readers find a key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::{TextError, text_type};

text_type!(
    /// The name or the ARN of an existing AWS secret.
    AwsSecretName,
    "AWS secret name",
    512
);

/// A mount or a path inside Vault: 1 to 512 bytes without empty, `.` or `..` segments and without
/// `%`, `?`, `#` and `\`, which could lead elsewhere once the path stands in an address.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct VaultPathText(Arc<str>);

impl VaultPathText {
    /// The most bytes allowed.
    pub const MAX_LEN: usize = 512;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VaultPathText {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let what = "Vault path";
        crate::text::check(what, text, Self::MAX_LEN)?;
        let mut at = 0;
        for segment in text.split('/') {
            if matches!(segment, "" | "." | "..") {
                return Err(TextError::Segment { what, at });
            }
            if let Some(inside) = segment.find(['%', '?', '#', '\\']) {
                return Err(TextError::Segment { what, at: at + inside });
            }
            at += segment.len() + 1;
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for VaultPathText {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        text.parse()
    }
}

impl TryFrom<String> for VaultPathText {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<VaultPathText> for String {
    fn from(text: VaultPathText) -> Self {
        text.0.as_ref().into()
    }
}

impl fmt::Display for VaultPathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where native readers find a key: at a place derived from its id, or in an existing secret
/// adopted where it lies.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Location {
    /// Derived from the key id by the backend.
    #[default]
    Derived,
    /// An existing secret in AWS Secrets Manager.
    AwsSecret {
        /// Its name or ARN.
        name: AwsSecretName,
    },
    /// An existing path in a Vault KV v2 mount.
    VaultPath {
        /// The mount.
        mount: VaultPathText,
        /// The path inside the mount.
        path: VaultPathText,
        /// The field that holds the value, when only one field is ours.
        field: Option<crate::FieldName>,
    },
}

impl fmt::Display for Location {
    /// The name or path as its store writes it; a field after `#`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Derived => f.write_str("the place derived from its name"),
            Self::AwsSecret { name } => write!(f, "{name}"),
            Self::VaultPath { mount, path, field: None } => write!(f, "{mount}/{path}"),
            Self::VaultPath { mount, path, field: Some(field) } => write!(f, "{mount}/{path}#{}", field.as_str()),
        }
    }
}

impl Location {
    /// An existing AWS secret, by name or ARN.
    ///
    /// ```
    /// use keyward_core::Location;
    /// assert!(Location::aws_secret("prod/stripe").is_ok());
    /// assert!(Location::aws_secret("").is_err());
    /// ```
    ///
    /// # Errors
    /// [`TextError`] when the name is empty, too long or unprintable.
    pub fn aws_secret(name: &str) -> Result<Self, TextError> {
        Ok(Self::AwsSecret { name: name.parse()? })
    }

    /// An existing Vault path; `field` when only one field of it is ours.
    ///
    /// # Errors
    /// [`TextError`] when the mount or the path is empty, too long, unprintable or climbs with `..`.
    ///
    /// ```
    /// use keyward_core::Location;
    /// let adopted = Location::vault_path("secret", "teams/billing/stripe", Some("api_key".parse()?))?;
    /// assert!(Location::vault_path("secret", "teams/../root", None).is_err());
    /// # let _ = adopted;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vault_path(mount: &str, path: &str, field: Option<crate::FieldName>) -> Result<Self, TextError> {
        Ok(Self::VaultPath { mount: mount.parse()?, path: path.parse()?, field })
    }
}
