//! The only name a secret has in logs, audit and findings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A keyed hash of material under the inventory key: 16 bytes, written `fp_` and 32 hex digits.
///
/// Useless to whoever does not hold the inventory key, even for guessable secrets.
///
/// ```
/// use keyward_core::Fingerprint;
/// let reported: Fingerprint = "fp_000102030405060708090a0b0c0d0e0f".parse()?;
/// assert_eq!(reported.short(), "fp_0001020304");
/// assert!("sk_live_pasted_by_mistake".parse::<Fingerprint>().is_err());
/// # Ok::<(), keyward_core::FingerprintError>(())
/// ```
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The first 16 bytes of a keyed hash.
    pub fn from_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }

    /// A short form for people: `fp_` and 10 hex digits.
    pub fn short(&self) -> String {
        self.to_string().chars().take(13).collect()
    }
}

/// The text is not `fp_` and 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fingerprint is fp_ and 32 lower-case hex digits; copy it whole (and never paste the secret instead)")]
#[non_exhaustive]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let hex = text.strip_prefix("fp_").ok_or(FingerprintError)?;
        let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != 32 || !hex.bytes().all(lower) {
            return Err(FingerprintError);
        }
        u128::from_str_radix(hex, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| FingerprintError)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fp_{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
