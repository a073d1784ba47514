//! Keyed hashes: blinded ids, state seals, audit chains, fingerprints.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::SealError;
use crate::secret::{self, Secret32};

/// A key for HMAC-SHA-256. It is kept in the form in which it is used, with the key block already hashed, and
/// wiped on drop.
///
/// The message is a list of parts. Each part is preceded by its length as a big-endian `u64`, so
/// `["ab", "c"]` and `["a", "bc"]` are different messages.
///
/// ```
/// # use keyward_seal::{RootKey, SealError};
/// let ids = RootKey::generate()?.derive_mac(b"row ids");
/// let id = ids.mac(&[b"production", b"stripe-charges"]);
/// assert_eq!(id, ids.mac(&[b"production", b"stripe-charges"]));
/// # Ok::<(), SealError>(())
/// ```
pub struct MacKey(Box<Hmac<Sha256>>);

impl MacKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] when the operating system gives none.
    ///
    /// ```
    /// let key = keyward_seal::MacKey::generate()?;
    /// # Ok::<(), keyward_seal::SealError>(())
    /// ```
    pub fn generate() -> Result<Self, SealError> {
        secret::random().map(|secret| Self::from_secret(&secret))
    }

    /// A key from 32 bytes that are uniformly random, never from a password. The bytes are copied; wipe yours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(keyed(bytes)))
    }

    /// The keyed hash of `parts`. Whoever does not have the key cannot compute it or link it to the parts.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hmac = Hmac::clone(&self.0);
        for part in parts {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }

    /// Checks that `tag` is the keyed hash of `parts`, in a time that does not depend on where they differ.
    ///
    /// # Errors
    /// [`SealError::Rejected`] if it is not.
    ///
    /// ```
    /// # use keyward_seal::{MacKey, SealError};
    /// let key = MacKey::generate()?;
    /// let tag = key.mac(&[b"row 1", b"row 2"]);
    /// key.verify(&[b"row 1", b"row 2"], &tag)?;
    /// assert_eq!(key.verify(&[b"row 2", b"row 1"], &tag), Err(SealError::Rejected));
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8; 32]) -> Result<(), SealError> {
        if bool::from(self.mac(parts).ct_eq(tag)) { Ok(()) } else { Err(SealError::Rejected) }
    }

    pub(crate) fn from_secret(secret: &Secret32) -> Self {
        Self::from_bytes(secret.expose_secret())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([REDACTED])")
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
