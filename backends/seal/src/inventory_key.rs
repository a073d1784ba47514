//! The key behind fingerprints.

use crate::key::RootKey;
use crate::mac::MacKey;

/// The key of an inventory: it turns key material into [fingerprints](Self::fingerprint), the only name a secret
/// has in logs, audit records and findings.
///
/// Whoever holds it can check a guess against a fingerprint, so services do not need it and should not have it.
#[derive(Debug)]
pub struct InventoryKey(MacKey);

impl InventoryKey {
    /// The inventory key of a store that has a root key of its own.
    #[must_use]
    pub fn derive_from(root: &RootKey) -> Self {
        Self(root.derive_mac(b"inventory fingerprints"))
    }

    /// An inventory key from 32 uniformly random bytes that are kept elsewhere, in a secret of their own. The
    /// bytes are copied; wipe yours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(MacKey::from_bytes(bytes))
    }

    /// The fingerprint of `material`: equal for equal material under the same key, and without the key of no use
    /// to find or to guess the material.
    ///
    /// ```
    /// # use keyward_seal::{InventoryKey, RootKey, SealError};
    /// let inventory = InventoryKey::derive_from(&RootKey::generate()?);
    /// assert_eq!(inventory.fingerprint(b"sk_live_1"), inventory.fingerprint(b"sk_live_1"));
    /// assert_ne!(inventory.fingerprint(b"sk_live_1"), inventory.fingerprint(b"sk_live_2"));
    /// # Ok::<(), SealError>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self, material: &[u8]) -> [u8; 32] {
        self.0.mac(&[material])
    }
}
