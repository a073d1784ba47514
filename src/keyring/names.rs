//! The declared names, found fast.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What was declared under `function/name`. Built once, then only read.
pub(super) type Names<T> = HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>;

/// Folds eight bytes at a time into one product.
///
/// Not resistant to chosen collisions, and need not be: the names in the map are those the program
/// declared, and looking up any other name inserts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameHasher(u64);

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl NameHasher {
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(ODD);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= (bytes.len() as u64).wrapping_mul(ODD);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        match bytes.last_chunk::<8>() {
            // The last eight bytes once more, which is faster than to gather the odd ones.
            Some(last) if !rest.is_empty() => self.fold(u64::from_le_bytes(*last)),
            Some(_) => {}
            None => self.fold(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        // `str` ends its hash with one byte; the length above says the same already.
        self.0 ^= u64::from(byte);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
