//! Services that wrap a key: a KMS, or the transit engine of a Vault.

use std::fmt;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::error::SealError;
use crate::secret::{self, Secret32};

/// A service that encrypts a small key under a key of its own, which never leaves it.
///
/// A [`Slot`](crate::Slot) of kind [`Wrapped`](crate::SlotKind::Wrapped) keeps what `wrap` answered; whoever opens the
/// store needs the right to `unwrap` it, and who loses that right no longer opens the store.
///
/// # Contract
/// - `wrap` and `unwrap` give the id of the store to the service as authenticated context, so that it refuses to unwrap
///   for one store what it wrapped for another.
/// - `unwrap` asks for the key this wrapper was built with, never for one that the stored bytes name.
/// - Both end within a bounded time. Neither repeats a refusal.
/// - No error and no `Debug` output holds the key or the text of a foreign error.
///
/// ```
/// use keyward_seal::{KeyWrapper, WrapError, WrapKey, Wrapping, async_trait};
///
/// #[derive(Debug)]
/// struct OnPaper; // an example: a real one asks a service
///
/// #[async_trait]
/// impl KeyWrapper for OnPaper {
///     fn service(&self) -> &'static str {
///         "on-paper"
///     }
///
///     async fn wrap(&self, _store: &[u8; 16], _key: &WrapKey) -> Result<Wrapping, WrapError> {
///         Err(WrapError::Unavailable)
///     }
///
///     async fn unwrap(&self, _store: &[u8; 16], _wrapping: &Wrapping) -> Result<WrapKey, WrapError> {
///         Err(WrapError::Denied)
///     }
/// }
/// let _wrapper: &dyn KeyWrapper = &OnPaper;
/// ```
#[async_trait]
pub trait KeyWrapper: fmt::Debug + Send + Sync {
    /// The kind of service, one fixed name: 1 to 32 lower-case letters, digits and `-`. Slots of another are not tried.
    fn service(&self) -> &'static str;

    /// Has `key` encrypted for the store with this id.
    ///
    /// # Errors
    /// [`WrapError`].
    async fn wrap(&self, store: &[u8; 16], key: &WrapKey) -> Result<Wrapping, WrapError>;

    /// Has the key decrypted that was wrapped for the store with this id.
    ///
    /// # Errors
    /// [`WrapError`]; [`WrapError::Rejected`] for bytes that the key did not encrypt for this store.
    async fn unwrap(&self, store: &[u8; 16], wrapping: &Wrapping) -> Result<WrapKey, WrapError>;
}

/// What a slot keeps of a wrapped key: the name of the remote key, and the encrypted bytes. No secret.
#[derive(Clone, Eq, PartialEq)]
pub struct Wrapping {
    key_name: Box<str>,
    blob: Box<[u8]>,
}

impl Wrapping {
    /// The longest name of a remote key, in bytes.
    pub const MAX_KEY_NAME: usize = 255;
    /// The most encrypted bytes.
    pub const MAX_BLOB: usize = 512;

    /// Takes the name of the remote key and what the service answered.
    ///
    /// # Errors
    /// [`WrapError::Unexpected`] when the name is not 1 to 255 printable ASCII characters, or the bytes are not 1 to
    /// 512.
    ///
    /// ```
    /// # use keyward_seal::{WrapError, Wrapping};
    /// let wrapping = Wrapping::new("transit/keyward", b"vault:v1:...")?;
    /// assert_eq!(wrapping.key_name(), "transit/keyward");
    /// assert_eq!(Wrapping::new("transit/keyward", b"").unwrap_err(), WrapError::Unexpected);
    /// # Ok::<(), WrapError>(())
    /// ```
    pub fn new(key_name: &str, blob: &[u8]) -> Result<Self, WrapError> {
        let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let named = (1..=Self::MAX_KEY_NAME).contains(&key_name.len()) && key_name.bytes().all(plain);
        if !named || !(1..=Self::MAX_BLOB).contains(&blob.len()) {
            return Err(WrapError::Unexpected);
        }
        Ok(Self { key_name: key_name.into(), blob: blob.into() })
    }

    /// The name of the remote key, as the service or the configuration gave it. For people: it does not choose the key
    /// that unwraps.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.key_name
    }

    /// The encrypted bytes.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }
}

impl fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapping").field("key_name", &self.key_name).finish_non_exhaustive()
    }
}

/// The key that a service wraps: 32 random bytes, wiped on drop.
///
/// Client libraries make copies of what they send and receive that nobody wipes. Therefore this key opens one slot and
/// nothing else.
#[derive(Debug)]
pub struct WrapKey(Secret32);

impl WrapKey {
    /// Takes what a service unwrapped. The bytes are copied; wipe yours.
    ///
    /// # Errors
    /// [`WrapError::Unexpected`] unless there are 32 of them.
    ///
    /// ```
    /// # use keyward_seal::{WrapError, WrapKey};
    /// assert!(WrapKey::from_bytes(&[7; 32]).is_ok());
    /// assert_eq!(WrapKey::from_bytes(&[7; 16]).unwrap_err(), WrapError::Unexpected);
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WrapError> {
        bytes.try_into().map(|bytes| Self(secret::copy_of(bytes))).map_err(|_| WrapError::Unexpected)
    }

    /// The bytes, to be sent to the service.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    pub(crate) fn generate() -> Result<Self, SealError> {
        secret::random().map(Self)
    }

    pub(crate) fn secret(&self) -> &Secret32 {
        &self.0
    }
}

/// Why a service did not wrap or unwrap. Holds nothing of what the service said.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The credentials are missing, wrong, or lack the right to use the key.
    #[error("refused access; check the credentials and their right to use the key")]
    Denied,

    /// The key does not exist, or is disabled or scheduled for deletion.
    #[error("has no such key, or the key is disabled or scheduled for deletion; restore or enable it")]
    KeyUnusable,

    /// The key did not encrypt these bytes, or not for this store, or they were changed.
    #[error("rejected the wrapped key: it was made by another key or for another store, or it was changed")]
    Rejected,

    /// The service is away, sealed or overloaded, or did not answer in time.
    #[error("did not answer, or asked to come back later; check that it can be reached, then try again")]
    Unavailable,

    /// The answer, or a name, is none that this version understands.
    #[error("gave an answer that makes no sense here; check its address and the name and type of the key")]
    Unexpected,
}
