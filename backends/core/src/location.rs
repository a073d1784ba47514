//! Where native readers find a key.

use serde::{Deserialize, Serialize};

use crate::text::{TextError, text_type};

text_type!(
    /// The name or the ARN of an existing AWS secret.
    AwsSecretName,
    "AWS secret name",
    512
);
text_type!(
    /// A mount or a path inside Vault, without `.` or `..` segments.
    VaultPathText,
    "Vault path",
    512
);

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

impl Location {
    /// An existing AWS secret, by name or ARN.
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
    pub fn vault_path(mount: &str, path: &str, field: Option<crate::FieldName>) -> Result<Self, TextError> {
        let climbs = |text: &str| text.split('/').any(|segment| matches!(segment, "." | ".." | ""));
        if climbs(mount) || climbs(path) {
            return Err(TextError::Padding { what: "Vault path" });
        }
        Ok(Self::VaultPath { mount: mount.parse()?, path: path.parse()?, field })
    }
}
