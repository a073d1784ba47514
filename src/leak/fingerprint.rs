//! Naming a secret without repeating it.

use keyward_core::{Fingerprint, Material};
use keyward_seal::InventoryKey;

/// The name a secret has in records, logs and reports: its keyed hash under the inventory key.
///
/// ```
/// use keyward::InventoryKey;
/// use keyward::core::{Material, SecretValue};
/// use keyward::leak::fingerprint;
/// let key = InventoryKey::from_bytes(&[7; 32]);
/// let seen_in_a_gist = Material::one(SecretValue::from("sk_live_1"))?;
/// let name = fingerprint(&key, &seen_in_a_gist);
/// assert_eq!(name, fingerprint(&key, &seen_in_a_gist.duplicate()));
/// # Ok::<(), keyward::core::MaterialError>(())
/// ```
pub fn fingerprint(key: &InventoryKey, material: &Material) -> Fingerprint {
    Fingerprint::from_hash(&key.fingerprint(material.encode().expose_secret()))
}
