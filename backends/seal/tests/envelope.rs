//! The envelope: round trips, and everything that must be rejected.

use keyward_seal::{OVERHEAD, SealError, SealKey, open, opened_len, seal, sealed_len};
use proptest::prelude::*;

const CHUNK: usize = 16 * 1024;
const CONTEXT: &[u8] = b"keyward-seal/test";

#[test]
fn every_bit_flip_of_a_thousand_records_is_rejected() {
    let key = SealKey::generate().unwrap();
    let halves = std::thread::scope(|scope| {
        let start = |half: usize| {
            let key = &key;
            scope.spawn(move || (half..1000).step_by(2).map(|record| flip_record(key, record)).collect::<Vec<_>>())
        };
        [start(0), start(1)].map(|half| half.join().expect("no bit flip was accepted"))
    });
    let flips = halves.concat();
    assert_eq!(flips.len(), 1000);
    assert!(flips.iter().all(|&count| count >= 8 * OVERHEAD), "every record has its flips");
}

#[test]
fn bit_flips_around_the_chunk_boundaries_are_rejected() {
    let key = SealKey::generate().unwrap();
    for length in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5] {
        let mut sealed = seal(&key, &plaintext(length), CONTEXT).unwrap();
        assert!(reject_every_flip(&key, &mut sealed, 1009) > 100);
        // Every tag, bit by bit.
        let ends = (1..=length / CHUNK).map(|n| 56 + n * (CHUNK + 16)).chain([sealed.len()]);
        for end in ends {
            for at in end - 16..end {
                for bit in 0..8 {
                    sealed[at] ^= 1 << bit;
                    rejected(&key, &sealed);
                    sealed[at] ^= 1 << bit;
                }
            }
        }
        assert!(*open(&key, &sealed, CONTEXT).unwrap() == plaintext(length));
    }
}

#[test]
fn truncation_and_extension_at_every_length_are_rejected() {
    let key = SealKey::generate().unwrap();
    for length in [0, 1, 15, 16, 17, 300, CHUNK, CHUNK + 40] {
        let sealed = seal(&key, &plaintext(length), CONTEXT).unwrap();
        // Around every boundary, and everywhere for short envelopes.
        let step = if sealed.len() < 1000 { 1 } else { 97 };
        for cut in (0..sealed.len()).step_by(step).chain(sealed.len() - 40..sealed.len()) {
            rejected(&key, &sealed[..cut]);
        }
        for extra in (1..40).chain([CHUNK - 1, CHUNK, CHUNK + 16, 2 * CHUNK]) {
            let mut longer = sealed.clone();
            longer.resize(sealed.len() + extra, 0);
            rejected(&key, &longer);
        }
        assert!(open(&key, &sealed, CONTEXT).is_ok());
    }
}

#[test]
fn chunks_in_another_order_are_rejected() {
    let key = SealKey::generate().unwrap();
    let sealed = seal(&key, &plaintext(3 * CHUNK + 7), CONTEXT).unwrap();
    let chunk = |n: usize| 56 + n * (CHUNK + 16)..56 + (n + 1) * (CHUNK + 16);
    let build = |order: &[usize], last: bool| {
        let mut bytes = sealed[..56].to_vec();
        order.iter().for_each(|&n| bytes.extend_from_slice(&sealed[chunk(n)]));
        if last {
            bytes.extend_from_slice(&sealed[chunk(3).start..]);
        }
        bytes
    };
    assert!(build(&[0, 1, 2], true) == sealed);
    assert!(open(&key, &build(&[0, 1, 2], true), CONTEXT).is_ok());
    let others: [(&[usize], bool); 7] = [
        (&[1, 0, 2], true),
        (&[0, 2, 1], true),
        (&[0, 0, 1, 2], true),
        (&[0, 1], true),
        (&[0, 1, 2], false),
        (&[0, 1], false),
        (&[], true),
    ];
    for (order, last) in others {
        rejected(&key, &build(order, last));
    }
}

#[test]
fn another_key_or_context_is_rejected() {
    let (key, other) = (SealKey::generate().unwrap(), SealKey::generate().unwrap());
    let sealed = seal(&key, b"material", CONTEXT).unwrap();
    rejected(&other, &sealed);
    rejected(&key.derive(b""), &sealed);
    for context in [&b""[..], &CONTEXT[1..], &CONTEXT[..5], b"keyward-seal/test\0"] {
        assert_eq!(open(&key, &sealed, context).unwrap_err(), SealError::Rejected);
    }
    // The end of the salt must not pass for the beginning of the context.
    let mut shifted = sealed.clone();
    shifted[23] = CONTEXT[0];
    assert_eq!(open(&key, &shifted, &CONTEXT[1..]).unwrap_err(), SealError::Rejected);
    assert!(open(&key, &sealed, CONTEXT).is_ok());
}

#[test]
fn a_key_is_opened_only_where_a_key_was_sealed() {
    let (outer, inner) = (SealKey::generate().unwrap(), SealKey::generate().unwrap());
    let sealed = outer.seal_key(&inner, b"epoch 1").unwrap();
    assert_eq!(sealed.len(), 104);
    let again = outer.open_key(&sealed, b"epoch 1").unwrap();
    assert!(open(&again, &seal(&inner, b"material", b"").unwrap(), b"").is_ok());

    assert_eq!(outer.open_key(&sealed, b"epoch 2").unwrap_err(), SealError::Rejected);
    for length in [0, 31, 33] {
        let sealed = seal(&outer, &plaintext(length), b"epoch 1").unwrap();
        assert_eq!(outer.open_key(&sealed, b"epoch 1").unwrap_err(), SealError::Rejected);
    }
}

#[test]
fn derived_keys_depend_on_key_purpose_and_info() {
    let key = SealKey::generate().unwrap();
    let sealed = seal(&key.derive(b"a"), b"", b"").unwrap();
    assert!(open(&key.derive(b"a"), &sealed, b"").is_ok());
    rejected(&key.derive(b"b"), &sealed);
    rejected(&SealKey::generate().unwrap().derive(b"a"), &sealed);
    assert_ne!(key.derive_mac(b"a").mac(&[]), key.derive_mac(b"b").mac(&[]));
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let key = SealKey::generate().unwrap();
    assert!(seal(&key, b"same", CONTEXT).unwrap() != seal(&key, b"same", CONTEXT).unwrap());
}

#[test]
fn lengths() {
    assert_eq!(sealed_len(0), Some(OVERHEAD));
    assert_eq!(sealed_len(CHUNK - 1), Some(CHUNK - 1 + OVERHEAD));
    assert_eq!(sealed_len(CHUNK), Some(CHUNK + OVERHEAD + 16));
    assert_eq!(sealed_len((1 << 52) - 1), Some((1 << 52) - 1 + 56 + (1 << 38) * 16));
    assert_eq!(sealed_len(1 << 52), None);
    assert_eq!(sealed_len(usize::MAX), None);
    assert_eq!(opened_len(0), None);
    assert_eq!(opened_len(56), None);
    assert_eq!(opened_len(OVERHEAD + CHUNK), None, "the last chunk is full");
    assert_eq!(opened_len(OVERHEAD + CHUNK + 1), None, "the last tag is cut off");
    assert_eq!(opened_len(OVERHEAD + CHUNK + 16), Some(CHUNK));
    assert_eq!(opened_len(usize::MAX), None);
    let lengths = (0..3 * CHUNK + 3).chain((1 << 52) - 3 * CHUNK..1 << 52);
    for length in lengths {
        assert_eq!(sealed_len(length).and_then(opened_len), Some(length));
    }
}

proptest! {
    #[test]
    fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..2000), context: Vec<u8>, key: [u8; 32]) {
        let key = SealKey::from_bytes(&key);
        let sealed = seal(&key, &bytes, &context).unwrap();
        prop_assert_eq!(Some(sealed.len()), sealed_len(bytes.len()));
        prop_assert!(*open(&key, &sealed, &context).unwrap() == bytes);
    }

    #[test]
    fn round_trip_over_chunk_boundaries(length in 0_usize..4 * CHUNK, context: Vec<u8>) {
        let key = SealKey::generate().unwrap();
        let sealed = seal(&key, &plaintext(length), &context).unwrap();
        prop_assert!(*open(&key, &sealed, &context).unwrap() == plaintext(length));
    }

    #[test]
    fn arbitrary_bytes_are_rejected(bytes: Vec<u8>, context: Vec<u8>) {
        let key = SealKey::generate().unwrap();
        prop_assert_eq!(open(&key, &bytes, &context).err(), Some(SealError::Rejected));
    }
}

/// Seals a record, flips each of its bits, and opens it afterwards: the negative control.
fn flip_record(key: &SealKey, record: usize) -> usize {
    // Up to 600 bytes; most records are short, to bound the time.
    let length = 600 * record.pow(4) / 999_usize.pow(4);
    let mut sealed = seal(key, &plaintext(length), CONTEXT).expect("sealed");
    let flips = reject_every_flip(key, &mut sealed, 1);
    assert!(*open(key, &sealed, CONTEXT).expect("opens") == plaintext(length));
    flips
}

/// Flips every `step`-th bit, one at a time, and says how many there were.
fn reject_every_flip(key: &SealKey, sealed: &mut [u8], step: usize) -> usize {
    let bits = (0..sealed.len() * 8).step_by(step);
    let count = bits.len();
    for bit in bits {
        sealed[bit / 8] ^= 1 << (bit % 8);
        rejected(key, sealed);
        sealed[bit / 8] ^= 1 << (bit % 8);
    }
    count
}

#[track_caller]
fn rejected(key: &SealKey, sealed: &[u8]) {
    assert!(matches!(open(key, sealed, CONTEXT), Err(SealError::Rejected)));
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}
