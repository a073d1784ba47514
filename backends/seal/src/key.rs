//! The keys that seal: any of them, and the one at the root of a store.

use secrecy::ExposeSecret;

use crate::envelope::{open, seal};
use crate::error::SealError;
use crate::mac::MacKey;
use crate::secret::{self, Secret32};

/// A key for [`seal`] and [`open`]: 32 bytes, wiped on drop.
///
/// There is no way to print, compare, clone or serialise it. To store one, seal it under another with
/// [`seal_key`](Self::seal_key).
///
/// ```
/// let key = keyward_seal::SealKey::generate()?;
/// assert!(format!("{key:?}").contains("REDACTED"));
/// # Ok::<(), keyward_seal::SealError>(())
/// ```
#[derive(Debug)]
pub struct SealKey(Secret32);

impl SealKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] when the operating system gives none.
    ///
    /// ```
    /// let key = keyward_seal::SealKey::generate()?;
    /// # Ok::<(), keyward_seal::SealError>(())
    /// ```
    pub fn generate() -> Result<Self, SealError> {
        secret::random().map(Self)
    }

    /// A key from 32 bytes that are uniformly random, never from a password. The bytes are copied; wipe yours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(secret::copy_of(bytes))
    }

    /// Another seal key, for the purpose that `info` names. The same `info` always gives the same key.
    #[must_use]
    pub fn derive(&self, info: &[u8]) -> Self {
        Self(secret::derive(&self.0, SEAL, info))
    }

    /// A key for authentication, for the purpose that `info` names. Unrelated to `derive` of the same `info`.
    #[must_use]
    pub fn derive_mac(&self, info: &[u8]) -> MacKey {
        MacKey::from_secret(&secret::derive(&self.0, MAC, info))
    }

    /// Seals `inner` under this key, so that it can be stored: 104 bytes.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] when the operating system gives none.
    ///
    /// ```
    /// # use keyward_seal::SealKey;
    /// let (outer, inner) = (SealKey::generate()?, SealKey::generate()?);
    /// let stored = outer.seal_key(&inner, b"epoch 1")?;
    /// let again = outer.open_key(&stored, b"epoch 1")?;
    /// # Ok::<(), keyward_seal::SealError>(())
    /// ```
    pub fn seal_key(&self, inner: &Self, context: &[u8]) -> Result<Vec<u8>, SealError> {
        seal(self, inner.0.expose_secret(), context)
    }

    /// Opens what [`seal_key`](Self::seal_key) made.
    ///
    /// # Errors
    /// [`SealError::Rejected`] for another key or context, for changed bytes, and for an envelope that holds
    /// something else than a key.
    ///
    /// ```
    /// # use keyward_seal::{SealError, SealKey};
    /// let key = SealKey::generate()?;
    /// assert_eq!(key.open_key(b"nonsense", b"epoch 1").unwrap_err(), SealError::Rejected);
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn open_key(&self, sealed: &[u8], context: &[u8]) -> Result<Self, SealError> {
        let bytes = open(self, sealed, context)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| SealError::Rejected)?;
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn from_secret(secret: Secret32) -> Self {
        Self(secret)
    }

    pub(crate) fn secret(&self) -> &Secret32 {
        &self.0
    }
}

/// The key at the root of a store: 32 random bytes from which all other keys of the store come.
///
/// It is stored only inside [`Slot`](crate::Slot)s, and it seals nothing itself: derive a key for each purpose.
#[derive(Debug)]
pub struct RootKey(SealKey);

impl RootKey {
    /// A new random root key.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] when the operating system gives none.
    ///
    /// ```
    /// let root = keyward_seal::RootKey::generate()?;
    /// # Ok::<(), keyward_seal::SealError>(())
    /// ```
    pub fn generate() -> Result<Self, SealError> {
        SealKey::generate().map(Self)
    }

    /// A root key from 32 bytes that are uniformly random. The bytes are copied; wipe yours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SealKey::from_bytes(bytes))
    }

    /// The seal key of this root for the purpose that `info` names.
    #[must_use]
    pub fn derive(&self, info: &[u8]) -> SealKey {
        self.0.derive(info)
    }

    /// The authentication key of this root for the purpose that `info` names.
    #[must_use]
    pub fn derive_mac(&self, info: &[u8]) -> MacKey {
        self.0.derive_mac(info)
    }

    pub(crate) fn from_seal_key(key: SealKey) -> Self {
        Self(key)
    }

    pub(crate) fn as_seal_key(&self) -> &SealKey {
        &self.0
    }
}

const SEAL: &str = "derive/seal";
const MAC: &str = "derive/mac";
