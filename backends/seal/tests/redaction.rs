//! No secret shows in `Debug`, in an error, or through a trait that would copy, compare or print it.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::io::ErrorKind;

use keyward_seal::{
    ContextBuilder, FileKey, InventoryKey, KdfParams, KdfPolicy, KeyFile, KeyFileProblem, MacKey, Passphrase, RootKey,
    SealError, SealKey, ServiceUnlock, Slot, SlotKind, SlotProblem, Unlock, WrapKey, seal,
};

const CANARY: &[u8; 32] = b"canarycanarycanarycanarycanary!!";

#[test]
fn debug_shows_no_secret() {
    let words = std::str::from_utf8(CANARY).unwrap();
    let passphrase = || Passphrase::new(words.into()).unwrap();
    let unlock = Unlock::from((KeyFile::at("/run/secrets/unlock.key"), passphrase()));
    let by_words = Unlock::from(passphrase());
    let slot = Slot::create(&[7; 16], &RootKey::from_bytes(CANARY), &by_words, &KdfPolicy::minimum()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file_key = KeyFile::create(directory.path().join("unlock.key")).unwrap().load().unwrap();

    let texts = [
        debug(&SealKey::from_bytes(CANARY)),
        debug(&RootKey::from_bytes(CANARY)),
        debug(&MacKey::from_bytes(CANARY)),
        debug(&InventoryKey::from_bytes(CANARY)),
        debug(&file_key),
        debug(&passphrase()),
        debug(&by_words),
        debug(&unlock),
    ];
    for text in texts {
        clean(&text);
        assert!(text.contains("REDACTED"), "{text}");
    }
    let text = debug(&slot);
    clean(&text);
    assert!(text.contains("memory_kib: 19456") && !text.contains("sealed"), "{text}");
    assert!(debug(&unlock).contains("unlock.key"), "the path may show");
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for shown in [debug(CANARY), debug(&String::from_utf8_lossy(CANARY)), base16ct::lower::encode_string(CANARY)] {
        assert!(leaks(&shown), "{shown}");
    }
}

#[test]
fn errors_show_no_secret_and_say_what_to_do() {
    let words = std::str::from_utf8(CANARY).unwrap();
    let key = SealKey::from_bytes(CANARY);
    let unlock = Unlock::from(Passphrase::new(words.into()).unwrap());
    let other = Unlock::from(Passphrase::new("other".into()).unwrap());
    let policy = KdfPolicy::minimum();
    let slot = Slot::create(&[7; 16], &RootKey::from_bytes(CANARY), &unlock, &policy).unwrap();
    let sealed = seal(&key, CANARY, CANARY).unwrap();
    let errors = [
        keyward_seal::open(&key, &sealed, b"").unwrap_err(),
        key.open_key(CANARY, CANARY).unwrap_err(),
        MacKey::from_bytes(CANARY).verify(&[CANARY], CANARY).unwrap_err(),
        slot.open(&[8; 16], &unlock, &policy).unwrap_err(),
        slot.open(&[7; 16], &other, &policy).unwrap_err(),
        slot.open(&[7; 16], &KeyFile::at("k").into(), &policy).unwrap_err(),
        Slot::decode(CANARY).unwrap_err(),
        Passphrase::new("".into()).unwrap_err(),
    ];
    for error in errors {
        clean(&error.to_string());
        clean(&debug(&error));
        assert!(error.source().is_none(), "nothing foreign inside");
    }
}

#[test]
fn messages() {
    let allowed = 2..=16;
    let refused = SealError::KdfRefused { what: "number of passes", found: 1, allowed };
    let wrong = SealError::WrongUnlock { needed: SlotKind::KeyFileAndPassphrase, given: SlotKind::Passphrase };
    let file = |problem| SealError::KeyFile { path: "/keys/a".into(), problem };
    let slot = SealError::SlotMalformed(SlotProblem::UnknownVersion { found: 2 });
    for (error, parts) in [
        (refused, ["number of passes is 1", "2 to 16"]),
        (wrong, ["opens with a key file and a passphrase", "a passphrase was given"]),
        (file(KeyFileProblem::Missing), ["\"/keys/a\" does not exist", "KeyFile::create"]),
        (file(KeyFileProblem::Io(ErrorKind::PermissionDenied)), ["permission denied", "check"]),
        (file(KeyFileProblem::WrongLength { found: 3 }), ["has 3 bytes", "80"]),
        (slot, ["format version 2", "newer version"]),
        (SealError::KdfMemory { memory_kib: 65536 }, ["65536 KiB", "try again"]),
    ] {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("  "), "{text}");
    }
    let path = SealError::KeyFile { path: "a\n\u{1b}[31mb".into(), problem: KeyFileProblem::Missing };
    assert!(!path.to_string().contains(['\n', '\u{1b}']), "control characters are escaped");
}

/// Compiles only if the type does not have the trait: with it, two impls would fit and `_` would be ambiguous.
macro_rules! lacks {
    ($($secret:ty),+: $trait:path) => {$(
        const _: fn() = || {
            trait Lacks<Which> {
                fn check() {}
            }
            struct ItHasTheTrait;
            impl<T: ?Sized> Lacks<()> for T {}
            impl<T: ?Sized + $trait> Lacks<ItHasTheTrait> for T {}
            <$secret as Lacks<_>>::check();
        };
    )+};
}

lacks!(SealKey, RootKey, MacKey, InventoryKey, FileKey, Passphrase, WrapKey, ServiceUnlock, Unlock: Clone);
lacks!(SealKey, RootKey, MacKey, InventoryKey, FileKey, Passphrase, WrapKey, ServiceUnlock, Unlock: PartialEq);
lacks!(SealKey, RootKey, MacKey, InventoryKey, FileKey, Passphrase, WrapKey, ServiceUnlock, Unlock: Display);
lacks!(SealKey, RootKey, MacKey, InventoryKey, FileKey, Passphrase, WrapKey, ServiceUnlock, Unlock: AsRef<[u8]>);

#[test]
fn everything_can_cross_threads() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<(SealKey, RootKey, MacKey, InventoryKey, FileKey, Passphrase)>();
    check::<(Unlock, ServiceUnlock, WrapKey, KeyFile, Slot, KdfPolicy, KdfParams, ContextBuilder)>();
    check::<SealError>();
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

#[track_caller]
fn clean(text: &str) {
    assert!(!leaks(text), "a secret shows");
}

/// Whether the canary shows, as text, as a list of numbers, in hex or in base64 at any alignment.
fn leaks(text: &str) -> bool {
    let packed: String = text.split_whitespace().collect();
    ["canary", "99,97,110,97,114,121", "63616e617279", "63616E617279", "Y2FuYXJ5", "NhbmFye", "jYW5hcn"]
        .iter()
        .any(|form| packed.contains(form))
}
