//! All Wycheproof vectors for exactly this format.
//!
//! The vectors store each ciphertext compressed. A harness that forgets to inflate them passes every negative case for
//! the wrong reason, so both kinds are counted, and the positive ones must give the right plaintext.

use std::io::Read;

use flate2::read::ZlibDecoder;
use keyward_seal::{SealError, SealKey, open, opened_len};
use sha2::{Digest, Sha512};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{ChunkedEncryptionAead, Test, TestFlag, TestName, TestSet};

#[test]
fn every_wycheproof_vector() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let (mut valid, mut invalid, mut key_sizes) = (0, 0, 0);
    for group in &set.test_groups {
        assert_eq!(group.aead, ChunkedEncryptionAead::Aes256Gcm);
        for test in &group.tests {
            match (test.result, key(test)) {
                (TestResult::Valid, Some(key)) => {
                    valid += 1;
                    check_valid(test, &key);
                }
                (TestResult::Invalid, Some(key)) => {
                    invalid += 1;
                    let opened = open(&key, &inflate(&test.ct), &test.ctx);
                    assert_eq!(opened.err(), Some(SealError::Rejected), "{}", test.comment);
                }
                // Our keys cannot have another length than 32 bytes: the type refuses the case.
                (TestResult::Invalid, None) => {
                    key_sizes += 1;
                    assert!(test.flags.contains(&TestFlag::InvalidKeySize), "{}", test.comment);
                }
                (result, _) => panic!("case {}: unexpected result {result:?}", test.tc_id),
            }
        }
    }
    assert_eq!((valid, invalid, key_sizes), (10, 23, 2));
}

/// The envelopes of the valid vectors, with one byte changed, are invalid: the inflated bytes are what counts.
#[test]
fn the_valid_vectors_are_not_valid_for_any_bytes() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    for test in tests.filter(|test| test.result == TestResult::Valid) {
        let key = key(test).unwrap();
        let mut sealed = inflate(&test.ct);
        assert!(open(&key, &test.ct, &test.ctx).is_err(), "not inflated");
        *sealed.last_mut().unwrap() ^= 1;
        assert!(open(&key, &sealed, &test.ctx).is_err(), "{}", test.comment);
    }
}

fn check_valid(test: &Test, key: &SealKey) {
    let sealed = inflate(&test.ct);
    let plaintext = open(key, &sealed, &test.ctx).expect(&test.comment);
    assert_eq!(Some(plaintext.len()), test.msg_length);
    assert_eq!(opened_len(sealed.len()), test.msg_length);
    let digest = test.msg_sha512.as_ref().expect("a digest of the plaintext");
    assert!(Sha512::digest(&*plaintext).as_slice() == &digest[..], "{}", test.comment);
}

fn key(test: &Test) -> Option<SealKey> {
    test.key.as_ref().try_into().ok().map(SealKey::from_bytes)
}

fn inflate(compressed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(compressed).read_to_end(&mut bytes).expect("zlib data");
    bytes
}
