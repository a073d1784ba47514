//! Thirty-two secret bytes on the heap, and the only calls to HKDF.

use hkdf::{Hkdf, HkdfExtract};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use crate::error::SealError;

/// A 256-bit secret. It lives in its own heap block, so that moving the owner copies a pointer and not the secret.
pub(crate) type Secret32 = SecretBox<[u8; 32]>;

pub(crate) fn random() -> Result<Secret32, SealError> {
    let mut secret = Secret32::default();
    fill_random(secret.expose_secret_mut())?;
    Ok(secret)
}

pub(crate) fn fill_random(out: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(out).map_err(|_| SealError::NoRandomness)
}

pub(crate) fn copy_of(bytes: &[u8; 32]) -> Secret32 {
    Secret32::init_with_mut(|secret| secret.copy_from_slice(bytes))
}

/// A new key from `key` for one `purpose` (a constant of this crate) and the caller's `info`.
///
/// The purpose ends with a zero byte, so that no purpose is the beginning of another.
pub(crate) fn derive(key: &Secret32, purpose: &'static str, info: &[u8]) -> Secret32 {
    Secret32::init_with_mut(|out| {
        expand(key, &[DOMAIN, purpose.as_bytes(), &[0], info], out);
    })
}

/// HKDF-Expand with SHA-512. `info` is the concatenation of its parts.
///
/// RFC 5869 wants a key of at least the hash length and the `hkdf` crate insists, while this format has keys of 32
/// bytes. HMAC fills up every key shorter than its block (128 bytes) with zeros before use, so a key with zeros
/// appended up to 64 bytes gives the same output as the bare key.
pub(crate) fn expand(key: &Secret32, info: &[&[u8]], out: &mut [u8]) {
    let mut padded = Zeroizing::new([0; 64]);
    padded[..32].copy_from_slice(key.expose_secret());
    Hkdf::<Sha512>::from_prk(padded.as_slice())
        .expect("64 bytes are the length of the hash")
        .expand_multi_info(info, out)
        .expect("no caller asks for more than 255 hash lengths");
}

/// HKDF with SHA-512, extract and expand. The input key material is the concatenation of its parts.
pub(crate) fn extract(salt: &[u8], material: &[&Secret32], purpose: &'static str, info: &[u8]) -> Secret32 {
    let mut extract = HkdfExtract::<Sha512>::new(Some(salt));
    for part in material {
        extract.input_ikm(part.expose_secret());
    }
    let (mut unused, hkdf) = extract.finalize();
    unused.as_mut_slice().zeroize();
    Secret32::init_with_mut(|out| {
        hkdf.expand_multi_info(&[DOMAIN, purpose.as_bytes(), &[0], info], out)
            .expect("32 bytes are less than 255 hash lengths");
    })
}

const DOMAIN: &[u8] = b"keyward-seal/v1/";
