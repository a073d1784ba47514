//! What a material call is about, and the opaque tokens backends make.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{KeyId, Location, Shape};

/// Given to every material call, taken from the record: no hidden record load.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The key.
    pub id: KeyId,
    /// Where native readers find it.
    pub location: Location,
    /// One value, or named fields.
    pub shape: Shape,
}

impl Target {
    /// A target from its parts.
    #[must_use]
    pub fn new(id: KeyId, location: Location, shape: Shape) -> Self {
        Self { id, location, shape }
    }
}

macro_rules! token_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A token only its backend can read. Keep it short and free of secrets.
            pub fn new(token: impl Into<Arc<str>>) -> Self {
                Self(token.into())
            }

            /// What the backend put in.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

token_type!(
    /// Which state of a record was read. Made by the backend, compared by the backend.
    Stamp
);
token_type!(
    /// Which state of the published pointer was seen. Exists even when nothing is published.
    PointerToken
);
token_type!(
    /// Where a listing goes on.
    PageToken
);

/// A value with the stamp under which it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; backends build it")]
pub struct Stamped<T> {
    /// The value.
    pub value: T,
    /// The stamp.
    pub stamp: Stamp,
}
