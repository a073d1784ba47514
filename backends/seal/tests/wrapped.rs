//! Slots whose key a service wraps: who gets in, what a changed slot does, and what shows.

mod service;

use futures_lite::future::block_on;
use keyward_seal::{
    KdfPolicy, KeyFile, KeyWrapper, Passphrase, RootKey, SealError, ServiceUnlock, Slot, SlotKind, SlotProblem, Unlock,
    WrapError, WrapKey, Wrapping,
};
use proptest::prelude::*;
use service::Service;

const STORE: [u8; 16] = [7; 16];
const POLICY: KdfPolicy = KdfPolicy::minimum();

#[test]
fn opens_with_its_service_and_only_for_its_store() {
    let (kms, root) = (Service::new("kms", "key/one"), RootKey::generate().unwrap());
    let slot = made_by(&kms, &root);
    assert_eq!(slot.kind(), SlotKind::Wrapped);
    assert_eq!(slot.kdf(), None);
    let (service, wrapping) = slot.wrapping().unwrap();
    assert_eq!((service, wrapping.key_name()), ("kms", "key/one"));

    let slot = Slot::decode(&slot.encode()).unwrap();
    let unlock = asked(&kms, &STORE, &slot).unwrap();
    assert!(same(&root, &slot.open(&STORE, &unlock, &POLICY).unwrap()));
    // The service refuses another store by itself; what it gave for this one is not taken for another.
    assert_eq!(asked(&kms, &[8; 16], &slot).unwrap_err(), failed("kms", WrapError::Rejected));
    assert_eq!(slot.open(&[8; 16], &unlock, &POLICY).unwrap_err(), SealError::UnlockRejected);
    assert_eq!(Slot::create(&[8; 16], &root, &unlock, &POLICY).unwrap_err(), SealError::UnlockRejected);
}

#[test]
fn another_key_another_service_and_another_unlock() {
    let (one, two) = (Service::new("kms", "key/one"), Service::new("kms", "key/two"));
    let root = RootKey::generate().unwrap();
    let slot = made_by(&one, &root);
    assert_eq!(asked(&two, &STORE, &slot).unwrap_err(), failed("kms", WrapError::Rejected));

    let transit = Service::new("transit", "key/one");
    assert_eq!(asked(&transit, &STORE, &slot).unwrap_err(), SealError::OtherService { given: "transit" });
    assert_eq!(transit.calls(), 0, "a service is not asked about what it did not wrap");

    // What was unwrapped for one slot does not open another.
    let unlock = asked(&one, &STORE, &made_by(&one, &root)).unwrap();
    assert_eq!(slot.open(&STORE, &unlock, &POLICY).unwrap_err(), SealError::UnlockRejected);

    let words = Unlock::from(Passphrase::new("correct horse".into()).unwrap());
    let wrong = |needed, given| SealError::WrongUnlock { needed, given };
    let error = slot.open(&STORE, &words, &POLICY).unwrap_err();
    assert_eq!(error, wrong(SlotKind::Wrapped, SlotKind::Passphrase));
    let by_words = Slot::create(&STORE, &root, &words, &POLICY).unwrap();
    let error = by_words.open(&STORE, &unlock, &POLICY).unwrap_err();
    assert_eq!(error, wrong(SlotKind::Passphrase, SlotKind::Wrapped));
    assert_eq!(asked(&one, &STORE, &by_words).unwrap_err(), wrong(SlotKind::Passphrase, SlotKind::Wrapped));

    // From one kind to the other and back.
    let unlock = asked(&one, &STORE, &slot).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = Unlock::from(KeyFile::create(directory.path().join("unlock.key")).unwrap());
    let by_file = slot.rewrap(&STORE, &unlock, &file, &POLICY).unwrap();
    let fresh = block_on(ServiceUnlock::wrap(&two, &STORE)).unwrap().into();
    let back = by_file.rewrap(&STORE, &file, &fresh, &POLICY).unwrap();
    assert!(same(&root, &back.open(&STORE, &fresh, &POLICY).unwrap()));
}

#[test]
fn a_service_that_refuses() {
    let kms = Service::new("kms", "key/one");
    let slot = made_by(&kms, &RootKey::generate().unwrap());
    for problem in [WrapError::Denied, WrapError::KeyUnusable, WrapError::Unavailable, WrapError::Unexpected] {
        kms.refuse(Some(problem));
        assert_eq!(asked(&kms, &STORE, &slot).unwrap_err(), failed("kms", problem));
        assert_eq!(block_on(ServiceUnlock::wrap(&kms, &STORE)).unwrap_err(), failed("kms", problem));
        let text = failed("kms", problem).to_string();
        assert!(text.starts_with("the key service kms ") && text.contains(';'), "no next step: {text}");
    }
    kms.refuse(None);
    assert!(asked(&kms, &STORE, &slot).is_ok());
}

#[test]
fn names_and_sizes_are_bounded() {
    let long = "k".repeat(Wrapping::MAX_KEY_NAME);
    let blob = [7; Wrapping::MAX_BLOB];
    assert!(Wrapping::new(&long, &blob).is_ok());
    for (name, blob) in
        [("", &blob[..]), (&format!("{long}k"), &blob), ("a\nb", &blob), ("schlüssel", &blob), ("k", &[])]
    {
        assert_eq!(Wrapping::new(name, blob).unwrap_err(), WrapError::Unexpected, "{name}");
    }
    assert_eq!(Wrapping::new("k", &[7; Wrapping::MAX_BLOB + 1]).unwrap_err(), WrapError::Unexpected);

    let longest = Service::new(LONGEST, &long).padded(Wrapping::MAX_BLOB);
    let slot = made_by(&longest, &RootKey::generate().unwrap()).encode();
    assert_eq!(slot.len(), Slot::MAX_ENCODED_LEN);
    assert!(Slot::decode(&slot).is_ok());
    for name in ["", "KMS", "k m s", "kms\n", "abcdefghijabcdefghijabcdefghij123"] {
        let unlock = block_on(ServiceUnlock::wrap(&Service::new(name, "k"), &STORE)).unwrap().into();
        let error = Slot::create(&STORE, &RootKey::generate().unwrap(), &unlock, &POLICY).unwrap_err();
        assert_eq!(error, failed(name, WrapError::Unexpected));
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let slot = made_by(&Service::new("kms", "key/one"), &RootKey::generate().unwrap());
    let bytes = slot.encode();
    let blob = slot.wrapping().unwrap().1.blob();
    assert_eq!(bytes[..18], *b"KWSL\x01\x04\x03kms\x07key/one");
    assert_eq!(usize::from(u16::from_be_bytes([bytes[18], bytes[19]])), blob.len());
    assert_eq!(&bytes[20..20 + blob.len()], blob);
    assert_eq!(bytes.len(), 20 + blob.len() + 104);
}

#[test]
fn every_bit_flip_is_refused() {
    let (kms, root) = (Service::new("kms", "key/one"), RootKey::generate().unwrap());
    let slot = made_by(&kms, &root).encode();
    let mut undecoded = 0;
    for bit in 0..slot.len() * 8 {
        let mut flipped = slot.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let opened = Slot::decode(&flipped)
            .inspect_err(|_| undecoded += 1)
            .and_then(|slot| asked(&kms, &STORE, &slot).and_then(|unlock| slot.open(&STORE, &unlock, &POLICY)));
        assert!(opened.is_err(), "bit {bit}");
    }
    assert!((48..slot.len() * 4).contains(&undecoded), "{undecoded}");

    // The name of the remote key does not choose the key, and a changed one is noticed even so.
    let mut renamed = slot.clone();
    renamed[11..18].copy_from_slice(b"key/two");
    let renamed = Slot::decode(&renamed).unwrap();
    let unlock = asked(&kms, &STORE, &renamed).unwrap();
    assert_eq!(renamed.open(&STORE, &unlock, &POLICY).unwrap_err(), SealError::UnlockRejected);
}

#[test]
fn the_body_of_one_slot_does_not_fit_another() {
    let (kms, root) = (Service::new("kms", "key/one"), RootKey::generate().unwrap());
    let [one, two] = [0, 1].map(|_| made_by(&kms, &root).encode());
    let body = one.len() - 104;
    let swapped = Slot::decode(&[&one[..body], &two[body..]].concat()).unwrap();
    let unlock = asked(&kms, &STORE, &swapped).unwrap();
    assert_eq!(swapped.open(&STORE, &unlock, &POLICY).unwrap_err(), SealError::UnlockRejected);
}

#[test]
fn slots_are_decoded_strictly() {
    let slot = made_by(&Service::new("kms", "key/one"), &RootKey::generate().unwrap()).encode();
    for cut in 0..slot.len() {
        let problem = problem(&slot[..cut]);
        assert!(matches!(problem, SlotProblem::Truncated { needed, found } if found == cut && needed > cut));
    }
    for extra in [1, 104, 1000] {
        assert_eq!(problem(&[&slot[..], &vec![0; extra]].concat()), SlotProblem::TrailingBytes { extra });
    }
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = slot.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        match problem(&changed) {
            SlotProblem::BadWrapping { what } => what,
            other => panic!("{other}"),
        }
    };
    assert_eq!(with(7, b"K"), "service name");
    assert_eq!(with(7, &[0xff]), "service name");
    assert_eq!(with(6, &[0]), "service name");
    assert_eq!(with(6, &[40]), "service name");
    assert_eq!(with(11, &[0xff]), "remote key name");
    assert_eq!(with(11, b"\n"), "remote key name or wrapped key");
    assert_eq!(with(18, &[2, 1]), "wrapped key");
    assert_eq!(with(18, &[0, 0]), "remote key name or wrapped key");
}

#[test]
fn no_secret_shows() {
    let kms = Service::new("kms", "key/one");
    let key = WrapKey::from_bytes(b"canarycanarycanarycanarycanary!!").unwrap();
    let wrapping = block_on(kms.wrap(&STORE, &key)).unwrap();
    let unlock = block_on(ServiceUnlock::wrap(&kms, &STORE)).unwrap();
    let texts = [format!("{key:?} {key:#?}"), format!("{wrapping:?}"), format!("{unlock:?} {unlock:#?}")];
    assert!(texts[0].contains("REDACTED") && texts[2].contains("REDACTED"));
    assert!(texts.iter().all(|text| !text.contains("canary") && !text.contains("99, 97, 110")), "{texts:?}");
    // Neither the sealed bytes nor the wrapped ones: long, and of no use to a reader.
    assert!(!texts[1].contains("blob"), "{texts:?}");
}

proptest! {
    #[test]
    fn decoding_never_panics_and_is_canonical(rest: Vec<u8>, service in "[a-z]{0,3}", name in "[ -~]{0,3}", len in 0_u16..600, blob in prop::collection::vec(any::<u8>(), 100..120)) {
        let start = [b"KWSL\x01\x04", &[service.len() as u8][..], service.as_bytes(), &[name.len() as u8], name.as_bytes()];
        let plain = [&start.concat()[..], &len.to_be_bytes(), &rest].concat();
        let fitting = [&start.concat()[..], &5_u16.to_be_bytes(), &blob[..109.min(blob.len())]].concat();
        for bytes in [plain, fitting] {
            if let Ok(slot) = Slot::decode(&bytes) {
                prop_assert_eq!(slot.encode(), bytes);
            }
        }
    }
}

fn made_by(service: &Service, root: &RootKey) -> Slot {
    let unlock = block_on(ServiceUnlock::wrap(service, &STORE)).expect("wrapped").into();
    Slot::create(&STORE, root, &unlock, &POLICY).expect("a slot")
}

fn asked(service: &Service, store: &[u8; 16], slot: &Slot) -> Result<Unlock, SealError> {
    block_on(ServiceUnlock::unwrap(service, store, slot)).map(Unlock::from)
}

fn failed(service: &'static str, problem: WrapError) -> SealError {
    SealError::Service { service, problem }
}

fn same(one: &RootKey, other: &RootKey) -> bool {
    one.derive_mac(b"test").mac(&[]) == other.derive_mac(b"test").mac(&[])
}

#[track_caller]
fn problem(bytes: &[u8]) -> SlotProblem {
    match Slot::decode(bytes) {
        Err(SealError::SlotMalformed(problem)) => problem,
        other => panic!("expected a malformed slot, got {other:?}"),
    }
}

const LONGEST: &str = "a-service-with-the-longest-name1";
