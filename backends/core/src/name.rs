//! The one parser behind every name: lower-case letters, digits and inner hyphens.

/// Why a text is not a valid name. Holds positions and lengths, never the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A character outside `a-z`, `0-9` and `-`.
    #[error("{part} has a character at byte {at} that is not one of a-z, 0-9 or '-'; rename it")]
    Character {
        /// Which part of the name.
        part: &'static str,
        /// Byte offset inside the part.
        at: usize,
    },
    /// The part starts or ends with a hyphen.
    #[error("{part} has a hyphen at byte {at}, its edge; start and end it with a letter or digit")]
    Edge {
        /// Which part of the name.
        part: &'static str,
        /// Byte offset inside the part.
        at: usize,
    },
    /// Too short or too long.
    #[error("{part} has {found} bytes; use 1 to {max}")]
    Length {
        /// Which part of the name.
        part: &'static str,
        /// Bytes found.
        found: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// A key id without exactly three parts.
    #[error("a key id has {found} parts; write environment/function/name")]
    Parts {
        /// Parts found.
        found: usize,
    },
    /// A well-known name was given as a custom one, or a reserved suffix is malformed.
    #[error("{part} is reserved; use the well-known value or another name")]
    Reserved {
        /// Which part of the name.
        part: &'static str,
    },
}

/// Checks one part of a name.
pub(crate) fn check(part: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    let length = text.len();
    if length == 0 || length > max {
        return Err(NameError::Length { part, found: length, max });
    }
    let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if let Some(at) = text.bytes().position(|b| !allowed(b)) {
        return Err(NameError::Character { part, at });
    }
    if text.starts_with('-') {
        return Err(NameError::Edge { part, at: 0 });
    }
    if text.ends_with('-') {
        return Err(NameError::Edge { part, at: length - 1 });
    }
    Ok(())
}

/// Declares a validated name over `Cow<'static, str>`, with serde through the parser.
macro_rules! name_type {
    ($(#[$meta:meta])* $name:ident, $part:literal, $max:literal $(, { $($(#[$cmeta:meta])* $constant:ident = $text:literal;)* })?) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::borrow::Cow<'static, str>);

        impl $name {
            $($($(#[$cmeta])* pub const $constant: Self = Self(std::borrow::Cow::Borrowed($text));)*)?

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::name::check($part, text, $max)?;
                Ok(Self(std::borrow::Cow::Owned(text.to_owned())))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::NameError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use name_type;
