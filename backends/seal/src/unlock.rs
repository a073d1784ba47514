//! What a user brings to open a slot.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::error::SealError;
use crate::key_file::KeyFile;

/// What opens a [`Slot`](crate::Slot).
///
/// ```
/// # use keyward_seal::{KeyFile, SlotKind, Unlock};
/// let unlock = Unlock::from(KeyFile::at("/run/secrets/unlock.key"));
/// assert_eq!(unlock.kind(), SlotKind::KeyFile);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// A file with a random key.
    KeyFile(KeyFile),
    /// Something a human remembers.
    Passphrase(Passphrase),
    /// Both: neither a stolen file nor a guessed passphrase is enough.
    KeyFileAndPassphrase {
        /// The file.
        key_file: KeyFile,
        /// The passphrase.
        passphrase: Passphrase,
    },
}

impl Unlock {
    /// Which slots this can open.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::KeyFileAndPassphrase { .. } => SlotKind::KeyFileAndPassphrase,
        }
    }

    pub(crate) fn key_file(&self) -> Option<&KeyFile> {
        match self {
            Self::KeyFile(key_file) | Self::KeyFileAndPassphrase { key_file, .. } => Some(key_file),
            Self::Passphrase(_) => None,
        }
    }

    pub(crate) fn passphrase(&self) -> Option<&Passphrase> {
        match self {
            Self::Passphrase(passphrase) | Self::KeyFileAndPassphrase { passphrase, .. } => Some(passphrase),
            Self::KeyFile(_) => None,
        }
    }
}

impl From<KeyFile> for Unlock {
    fn from(key_file: KeyFile) -> Self {
        Self::KeyFile(key_file)
    }
}

impl From<Passphrase> for Unlock {
    fn from(passphrase: Passphrase) -> Self {
        Self::Passphrase(passphrase)
    }
}

impl From<(KeyFile, Passphrase)> for Unlock {
    fn from((key_file, passphrase): (KeyFile, Passphrase)) -> Self {
        Self::KeyFileAndPassphrase { key_file, passphrase }
    }
}

/// A passphrase: a secret, wiped on drop, never empty.
///
/// The bytes count as they are. Nothing is trimmed and nothing is normalised: a trailing newline is part of the
/// passphrase, and an accented letter typed as one character differs from the same letter typed as two.
#[derive(Debug)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// A `String` with spare capacity leaves a copy behind when it becomes a [`SecretString`]; build it from a
    /// `&str` or from a `String` of exact size.
    ///
    /// # Errors
    /// [`SealError::EmptyPassphrase`].
    ///
    /// ```
    /// # use keyward_seal::{Passphrase, SealError};
    /// let passphrase = Passphrase::new("correct horse battery staple".into())?;
    /// assert_eq!(Passphrase::new("".into()).unwrap_err(), SealError::EmptyPassphrase);
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn new(passphrase: SecretString) -> Result<Self, SealError> {
        if passphrase.expose_secret().is_empty() {
            return Err(SealError::EmptyPassphrase);
        }
        Ok(Self(passphrase))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// The kinds of slots: what has to be brought to open one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SlotKind {
    /// Opens with a key file.
    KeyFile,
    /// Opens with a passphrase.
    Passphrase,
    /// Opens with a key file and a passphrase together.
    KeyFileAndPassphrase,
}

impl SlotKind {
    pub(crate) const fn needs_passphrase(self) -> bool {
        matches!(self, Self::Passphrase | Self::KeyFileAndPassphrase)
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyFile => "a key file",
            Self::Passphrase => "a passphrase",
            Self::KeyFileAndPassphrase => "a key file and a passphrase",
        })
    }
}
