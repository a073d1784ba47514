//! The one type that holds secret bytes.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Secret bytes, wiped on drop, with one door: [`SecretValue::expose_secret`].
///
/// No `Display`, `Serialize`, `PartialEq`, `Clone` or `Hash`; `Debug` is a fixed text. Compare
/// with [`SecretValue::ct_eq`], copy with [`SecretValue::duplicate`].
///
/// What it does not do: lock memory, or reach copies the value passed through before it came here.
///
/// ```
/// use keyward_core::SecretValue;
/// let value = SecretValue::from("sk_live_51");
/// assert_eq!(format!("{value:?}"), "SecretValue(redacted)");
/// assert!(value.ct_eq(&SecretValue::from("sk_live_51")));
/// ```
pub struct SecretValue(SecretSlice<u8>);

impl SecretValue {
    /// Takes the bytes over. A vector with spare capacity is copied exactly and wiped.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice().into());
        }
        let exact: Box<[u8]> = bytes.as_slice().into();
        bytes.zeroize();
        Self(exact.into())
    }

    /// The one door to the bytes. `grep expose_secret` is the audit.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The number of bytes, which is not a secret here.
    pub fn len(&self) -> usize {
        self.expose_secret().len()
    }

    /// True for no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compares in time that depends on the lengths only.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.expose_secret().ct_eq(other.expose_secret()).into()
    }

    /// A second copy, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from(self.expose_secret())
    }
}

impl From<&[u8]> for SecretValue {
    fn from(bytes: &[u8]) -> Self {
        let exact: Box<[u8]> = bytes.into();
        Self(exact.into())
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(redacted)")
    }
}
