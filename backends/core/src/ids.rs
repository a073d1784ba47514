//! Identifiers made here: one UUID type per thing, never mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier. Never holds the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} is not a lower-case hyphenated UUID; copy it whole")]
pub struct IdError {
    what: &'static str,
}

macro_rules! id_type {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh identifier (UUIDv7: ordered by time, never reused).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 16 bytes, for binding data and row ids.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let id = Uuid::try_parse(text).map_err(|_| IdError { what: $what })?;
                let canonical = id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
                if canonical && !id.is_nil() { Ok(Self(id)) } else { Err(IdError { what: $what }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.hyphenated().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }
    };
}

id_type!(
    /// The immutable identity of a key behind its name; a key registered again gets a new one.
    KeyUid, "key uid"
);
id_type!(
    /// One credential at the issuer, one attempt to create it. Also the label it carries there.
    ///
    /// ```
    /// use keyward_core::VersionId;
    /// let version = VersionId::generate();
    /// assert_eq!(version.to_string().parse::<VersionId>(), Ok(version));
    /// assert!("01900000ABCD".parse::<VersionId>().is_err());
    /// ```
    VersionId, "version id"
);
id_type!(
    /// One act of making a version current for every reader. Never reused.
    PublicationId, "publication id"
);
id_type!(
    /// One rotation attempt.
    RunId, "run id"
);
id_type!(
    /// One accepted change of a record; the idempotency token of a swap.
    OperationId, "operation id"
);
id_type!(
    /// One answer to a leak.
    IncidentId, "incident id"
);
id_type!(
    /// One call or request of a caller, for correlating logs.
    RequestId, "request id"
);
id_type!(
    /// One process that plans runs. Only the process that planned a version may create it.
    HolderId, "holder id"
);

impl PublicationId {
    /// The id of a version's first publication, which is the version's own.
    pub fn first(version: VersionId) -> Self {
        Self(version.0)
    }
}
