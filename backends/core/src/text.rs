//! Bounded, printable text for people: teams, owners, reasons, notes.

/// Why a text was refused. Holds positions and lengths, never the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A character that does not print and could forge or hide parts of a log line: a control
    /// character, a line separator, a mark that turns the direction of text.
    #[error("{what} has a control character at byte {at}; remove it")]
    Control {
        /// Which text.
        what: &'static str,
        /// Byte offset.
        at: usize,
    },
    /// Too short or too long.
    #[error("{what} has {found} bytes; use 1 to {max}")]
    Length {
        /// Which text.
        what: &'static str,
        /// Bytes found.
        found: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// An empty, `.` or `..` segment of a path, or a character that a path in an address cannot hold.
    #[error("{what} has an empty, '.' or '..' segment or one of % ? # \\ at byte {at}; name the place exactly")]
    Segment {
        /// Which text.
        what: &'static str,
        /// Byte offset.
        at: usize,
    },
    /// White space at the start or the end.
    #[error("{what} starts or ends with white space; trim it")]
    Padding {
        /// Which text.
        what: &'static str,
    },
}

pub(crate) fn check(what: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.is_empty() || text.len() > max {
        return Err(TextError::Length { what, found: text.len(), max });
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| is_unprintable(*c)) {
        return Err(TextError::Control { what, at });
    }
    if text.trim().len() != text.len() {
        return Err(TextError::Padding { what });
    }
    Ok(())
}

/// Cuts text of our own to fit: what does not print becomes a space.
pub(crate) fn fit(text: &str, max: usize) -> String {
    let mut clean: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    while clean.len() > max {
        clean.pop();
    }
    clean.trim().to_owned()
}

fn is_unprintable(c: char) -> bool {
    let separator_or_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || separator_or_direction || c == '\u{feff}'
}

/// Declares a bounded printable text, with serde through the parser.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// The most bytes allowed.
            pub const MAX_LEN: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::TextError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::text::check($what, text, $max)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::TextError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::TextError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;

text_type!(
    /// Who or what acts: a person, a service, a host. 1 to 128 bytes. Safe to log.
    Actor,
    "actor",
    128
);
text_type!(
    /// Why something is done, in one line of 1 to 256 bytes. Safe to log: never put a value here.
    Reason,
    "reason",
    256
);
text_type!(
    /// What was seen: evidence of a gate, a probe or a person, 1 to 256 bytes. Never a value.
    Evidence,
    "evidence",
    256
);

impl Evidence {
    /// Evidence from words of our own: what does not print becomes a space, the end is cut to fit.
    ///
    /// ```
    /// use keyward_core::Evidence;
    /// assert_eq!(Evidence::lossy("probe\nrefused\n").as_str(), "probe refused");
    /// ```
    pub fn lossy(text: &str) -> Self {
        let clean = fit(text, Self::MAX_LEN);
        Self(if clean.is_empty() { "nothing was said".into() } else { clean.into() })
    }
}

impl Reason {
    /// A reason from words of our own: what does not print becomes a space, the end is cut to fit.
    pub fn lossy(text: &str) -> Self {
        Self(Evidence::lossy(text).0)
    }
}
