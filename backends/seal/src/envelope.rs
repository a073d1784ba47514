//! The envelope: C2SP chunked encryption with SHA-512 and AES-256-GCM, "Cobblestone-256".

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::SealError;
use crate::key::SealKey;
use crate::secret;

/// How many bytes an envelope adds to a plaintext shorter than 16 KiB. Every full 16 KiB add another 16.
pub const OVERHEAD: usize = HEADER + TAG;

/// Encrypts `plaintext` so that only the same key with the same `context` opens it.
///
/// `context` says what the bytes are and where they belong (see [`ContextBuilder`](crate::ContextBuilder)). It is
/// not stored: whoever opens brings it. The salt is random, so sealing twice gives different bytes.
///
/// # Errors
/// [`SealError::NoRandomness`] when the operating system gives none, [`SealError::TooLong`] from 4 PiB on.
///
/// ```
/// # use keyward_seal::{SealKey, open, seal, sealed_len};
/// let key = SealKey::generate()?;
/// let sealed = seal(&key, b"sk_live_...", b"stripe-charges, version 3")?;
/// assert_eq!(Some(sealed.len()), sealed_len(11));
/// assert!(*open(&key, &sealed, b"stripe-charges, version 3")? == b"sk_live_...");
/// # Ok::<(), keyward_seal::SealError>(())
/// ```
pub fn seal(key: &SealKey, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, SealError> {
    let too_long = SealError::TooLong { found: plaintext.len() };
    let mut sealed = vec![0; sealed_len(plaintext.len()).ok_or(too_long)?];
    let (header, body) = sealed.split_at_mut(HEADER);
    let (salt, commitment) = header.split_at_mut(SALT);
    secret::fill_random(salt)?;
    let message = Message::new(key, salt, context);
    commitment.copy_from_slice(message.commitment());

    let mut counter = 0;
    let chunks = plaintext.chunks_exact(CHUNK);
    let last = chunks.remainder();
    let mut places = body.chunks_exact_mut(CHUNK + TAG);
    for (chunk, place) in chunks.zip(&mut places) {
        message.seal_chunk(counter, chunk, place);
        counter += 1;
    }
    message.seal_chunk(counter, last, places.into_remainder());
    Ok(sealed)
}

/// Decrypts what [`seal`] made with the same key and the same `context`.
///
/// The buffer has its final size from the start and is wiped on drop, also when a later part turns out to be
/// damaged.
///
/// # Errors
/// [`SealError::Rejected`] for another key, another context, and bytes that were changed, cut off or extended.
///
/// ```
/// # use keyward_seal::{SealError, SealKey, open, seal};
/// let key = SealKey::generate()?;
/// let sealed = seal(&key, b"sk_live_...", b"production")?;
/// assert!(open(&key, &sealed, b"production").is_ok());
/// assert_eq!(open(&key, &sealed, b"staging").unwrap_err(), SealError::Rejected);
/// # Ok::<(), SealError>(())
/// ```
pub fn open(key: &SealKey, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let length = opened_len(sealed.len()).ok_or(SealError::Rejected)?;
    let (header, body) = sealed.split_at(HEADER);
    let (salt, commitment) = header.split_at(SALT);
    let message = Message::new(key, salt, context);
    if !bool::from(message.commitment().ct_eq(commitment)) {
        return Err(SealError::Rejected);
    }

    let mut plaintext = Zeroizing::new(vec![0; length]);
    let mut counter = 0;
    let chunks = body.chunks_exact(CHUNK + TAG);
    let last = chunks.remainder();
    let mut places = plaintext.chunks_exact_mut(CHUNK);
    for (chunk, place) in chunks.zip(&mut places) {
        message.open_chunk(counter, chunk, place)?;
        counter += 1;
    }
    message.open_chunk(counter, last, places.into_remainder())?;
    Ok(plaintext)
}

/// How long the envelope of a plaintext of `plaintext_len` bytes is; nothing from 4 PiB on.
#[must_use]
pub const fn sealed_len(plaintext_len: usize) -> Option<usize> {
    if plaintext_len as u64 >= MAX_PLAINTEXT {
        return None;
    }
    let tags = (plaintext_len / CHUNK + 1) * TAG;
    plaintext_len.checked_add(HEADER + tags)
}

/// How long the plaintext in an envelope of `sealed_len` bytes is; nothing if no envelope has that length.
///
/// ```
/// # use keyward_seal::{OVERHEAD, opened_len};
/// assert_eq!(opened_len(OVERHEAD + 40), Some(40));
/// assert_eq!(opened_len(OVERHEAD - 1), None);
/// ```
#[must_use]
pub const fn opened_len(sealed_len: usize) -> Option<usize> {
    let Some(body) = sealed_len.checked_sub(HEADER) else {
        return None;
    };
    // The last chunk is always shorter than a full one, and never shorter than a tag.
    let (full, last) = (body / (CHUNK + TAG), body % (CHUNK + TAG));
    let Some(last) = last.checked_sub(TAG) else {
        return None;
    };
    let plaintext_len = full * CHUNK + last;
    if plaintext_len as u64 >= MAX_PLAINTEXT { None } else { Some(plaintext_len) }
}

/// What one message is encrypted with: used once, for one salt.
struct Message {
    cipher: Aes256Gcm,
    derived: Zeroizing<[u8; KEY + NONCE + COMMITMENT]>,
}

impl Message {
    fn new(key: &SealKey, salt: &[u8], context: &[u8]) -> Self {
        let mut derived = Zeroizing::new([0; KEY + NONCE + COMMITMENT]);
        secret::expand(key.secret(), &[PREFIX, salt, context], derived.as_mut_slice());
        let cipher = Aes256Gcm::new_from_slice(&derived[..KEY]).expect("the slice has the length of a key");
        Self { cipher, derived }
    }

    fn commitment(&self) -> &[u8] {
        &self.derived[KEY + NONCE..]
    }

    fn seal_chunk(&self, counter: u64, chunk: &[u8], place: &mut [u8]) {
        let (bytes, tag) = place.split_at_mut(chunk.len());
        let bytes = InOutBuf::new(chunk, bytes).expect("both have the length of the chunk");
        let sum = self
            .cipher
            .encrypt_inout_detached(&self.nonce(counter), &[], bytes)
            .expect("a chunk is far shorter than what GCM allows");
        tag.copy_from_slice(&sum);
    }

    fn open_chunk(&self, counter: u64, chunk: &[u8], place: &mut [u8]) -> Result<(), SealError> {
        let (bytes, tag) = chunk.split_last_chunk::<TAG>().ok_or(SealError::Rejected)?;
        let bytes = InOutBuf::new(bytes, place).map_err(|_| SealError::Rejected)?;
        self.cipher
            .decrypt_inout_detached(&self.nonce(counter), &[], bytes, &Tag::from(*tag))
            .map_err(|_| SealError::Rejected)
    }

    /// The base nonce XOR the number of the chunk, as a big-endian integer.
    fn nonce(&self, counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&self.derived[KEY..KEY + NONCE]);
        for (byte, count) in nonce[NONCE - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= count;
        }
        nonce.into()
    }
}

const PREFIX: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const SALT: usize = 24;
const COMMITMENT: usize = 32;
const HEADER: usize = SALT + COMMITMENT;
const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
const CHUNK: usize = 16 * 1024;

/// At most 2^38 chunks, of which the last is short.
const MAX_PLAINTEXT: u64 = (1 << 38) * CHUNK as u64;
