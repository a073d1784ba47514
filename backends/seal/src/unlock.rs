//! What a user brings to open a slot.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::error::SealError;
use crate::key_file::KeyFile;
use crate::secret::Secret32;
use crate::slot::Slot;
use crate::wrapper::{KeyWrapper, WrapKey, Wrapping};

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
    /// A key that a service wrapped or unwrapped for one store.
    Service(ServiceUnlock),
}

impl Unlock {
    /// Which slots this can open.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::KeyFileAndPassphrase { .. } => SlotKind::KeyFileAndPassphrase,
            Self::Service(_) => SlotKind::Wrapped,
        }
    }

    pub(crate) fn key_file(&self) -> Option<&KeyFile> {
        match self {
            Self::KeyFile(key_file) | Self::KeyFileAndPassphrase { key_file, .. } => Some(key_file),
            Self::Passphrase(_) | Self::Service(_) => None,
        }
    }

    pub(crate) fn service(&self) -> Option<&ServiceUnlock> {
        match self {
            Self::Service(unlock) => Some(unlock),
            Self::KeyFile(_) | Self::Passphrase(_) | Self::KeyFileAndPassphrase { .. } => None,
        }
    }

    pub(crate) fn passphrase(&self) -> Option<&Passphrase> {
        match self {
            Self::Passphrase(passphrase) | Self::KeyFileAndPassphrase { passphrase, .. } => Some(passphrase),
            Self::KeyFile(_) | Self::Service(_) => None,
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

impl From<ServiceUnlock> for Unlock {
    fn from(unlock: ServiceUnlock) -> Self {
        Self::Service(unlock)
    }
}

/// What a service gave for one slot of one store: asked for before the slot is made or opened, because asking takes
/// time and may fail.
///
/// It fits one store and is of no use for another.
#[derive(Debug)]
pub struct ServiceUnlock {
    store: [u8; 16],
    service: &'static str,
    wrapping: Wrapping,
    key: WrapKey,
}

impl ServiceUnlock {
    /// Has a new random key wrapped for the store with this id: for [`Slot::create`](crate::Slot::create).
    ///
    /// # Errors
    /// [`SealError::Service`] when the service does not; [`SealError::NoRandomness`].
    ///
    /// ```no_run
    /// # use keyward_seal::{KdfPolicy, KeyWrapper, RootKey, SealError, ServiceUnlock, Slot};
    /// # async fn example(kms: &dyn KeyWrapper, policy: KdfPolicy) -> Result<(), SealError> {
    /// let store_id = [7; 16];
    /// let unlock = ServiceUnlock::wrap(kms, &store_id).await?.into();
    /// let slot = Slot::create(&store_id, &RootKey::generate()?, &unlock, &policy)?;
    ///
    /// // Later:
    /// let unlock = ServiceUnlock::unwrap(kms, &store_id, &slot).await?.into();
    /// let root = slot.open(&store_id, &unlock, &policy)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wrap(wrapper: &dyn KeyWrapper, store_id: &[u8; 16]) -> Result<Self, SealError> {
        let (service, key) = (wrapper.service(), WrapKey::generate()?);
        let failed = |problem| SealError::Service { service, problem };
        let wrapping = wrapper.wrap(store_id, &key).await.map_err(failed)?;
        Ok(Self { store: *store_id, service, wrapping, key })
    }

    /// Has the key of a slot of the store with this id unwrapped: for [`Slot::open`](crate::Slot::open).
    ///
    /// # Errors
    /// [`SealError::WrongUnlock`] and [`SealError::OtherService`] when the slot is none of this service, which is then
    /// not asked; [`SealError::Service`] when the service does not unwrap it.
    ///
    /// ```no_run
    /// # use keyward_seal::{KdfPolicy, KeyWrapper, SealError, ServiceUnlock, Slot};
    /// # async fn example(kms: &dyn KeyWrapper, stored: &[u8]) -> Result<(), SealError> {
    /// let slot = Slot::decode(stored)?;
    /// let unlock = ServiceUnlock::unwrap(kms, &[7; 16], &slot).await?.into();
    /// let root = slot.open(&[7; 16], &unlock, &KdfPolicy::default())?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unwrap(wrapper: &dyn KeyWrapper, store_id: &[u8; 16], slot: &Slot) -> Result<Self, SealError> {
        let service = wrapper.service();
        let Some((found, wrapping)) = slot.wrapping() else {
            return Err(SealError::WrongUnlock { needed: slot.kind(), given: SlotKind::Wrapped });
        };
        if found != service {
            return Err(SealError::OtherService { given: service });
        }
        let failed = |problem| SealError::Service { service, problem };
        let key = wrapper.unwrap(store_id, wrapping).await.map_err(failed)?;
        Ok(Self { store: *store_id, service, wrapping: wrapping.clone(), key })
    }

    pub(crate) fn wrapping(&self) -> (&'static str, &Wrapping) {
        (self.service, &self.wrapping)
    }

    /// The key, if it is for this store.
    pub(crate) fn key_for(&self, store_id: &[u8; 16]) -> Option<&Secret32> {
        (self.store == *store_id).then(|| self.key.secret())
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
    /// Opens with a key that a service has to unwrap.
    Wrapped,
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
            Self::Wrapped => "a key service",
        })
    }
}
