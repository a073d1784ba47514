//! Stores whose key a service wraps: who gets in, and who is refused without a byte changed.

mod common;
#[path = "../../seal/tests/service/mod.rs"]
mod service;

use common::{Site, contents, cx, key, publish, register, shows};
use futures_lite::future::block_on;
use keyward_core::{Error, ErrorKind};
use keyward_file::{FileBackend, FileError, KeyFile, KeyWrapper, SealError, SlotKind, WrapError};
use service::Service;

fn create(site: &Site, wrapper: &dyn KeyWrapper) -> Result<FileBackend, FileError> {
    block_on(FileBackend::builder().create_wrapped(&site.store, wrapper))
}

fn open(site: &Site, wrapper: &dyn KeyWrapper) -> Result<FileBackend, FileError> {
    block_on(FileBackend::builder().open_wrapped(&site.store, wrapper))
}

/// Opens and wants a refusal by the unlock that changes nothing.
#[track_caller]
fn refused(site: &Site, wrapper: &dyn KeyWrapper) -> (SealError, Error) {
    let before = contents(site.path());
    let error = open(site, wrapper).expect_err("the store must be refused");
    assert!(before == contents(site.path()), "a refused open changed the directory: {error}");
    match error {
        FileError::Unlock { ref problem, .. } => (problem.clone(), error.into()),
        other => panic!("{other}"),
    }
}

fn filled(kms: &Service) -> Site {
    let site = Site::empty();
    let store = create(&site, kms).expect("a new store");
    register(&store, &key("stripe"));
    publish(&store, &key("stripe"), "sk_test_1");
    site
}

#[test]
fn opens_again_with_its_service_only() {
    let kms = Service::new("kms", "key/one");
    let site = filled(&kms);
    let store = open(&site, &kms).unwrap();
    assert!(shows(&store, &key("stripe"), "sk_test_1"));
    let info = block_on(store.info(&cx())).unwrap();
    assert_eq!(info.slots.len(), 1);
    assert_eq!(info.slots[0].kind, SlotKind::Wrapped);
    assert_eq!(info.slots[0].service, Some(("kms".to_owned(), "key/one".to_owned())));
    assert!(info.to_string().contains("slot 1: opens with a key service: kms, key key/one"), "{info}");
    block_on(store.verify(&cx())).unwrap();
    drop(store);

    let (problem, error) = refused(&site, &Service::new("kms", "key/one"));
    assert_eq!(problem, SealError::Service { service: "kms", problem: WrapError::Rejected });
    assert_eq!(error.kind(), ErrorKind::Undecryptable);
    let transit = Service::new("transit", "key/one");
    assert_eq!(refused(&site, &transit).0, SealError::OtherService { given: "transit" });
    assert_eq!(transit.calls(), 0);
    let by_file = block_on(FileBackend::open(&site.store, KeyFile::at(&site.key))).unwrap_err();
    let wrong = SealError::WrongUnlock { needed: SlotKind::Wrapped, given: SlotKind::KeyFile };
    assert!(matches!(&by_file, FileError::Unlock { problem, .. } if *problem == wrong), "{by_file}");
    drop(open(&site, &kms).unwrap());
}

#[test]
fn a_service_that_refuses_or_is_away() {
    let kms = Service::new("kms", "key/one");
    let site = filled(&kms);
    for (problem, kind) in [
        (WrapError::Denied, ErrorKind::Denied),
        (WrapError::KeyUnusable, ErrorKind::Undecryptable),
        (WrapError::Unavailable, ErrorKind::Unavailable),
        (WrapError::Unexpected, ErrorKind::Undecryptable),
    ] {
        kms.refuse(Some(problem));
        let before = kms.calls();
        let (found, error) = refused(&site, &kms);
        assert_eq!(found, SealError::Service { service: "kms", problem });
        assert_eq!((error.kind(), kms.calls()), (kind, before + 1));

        let nothing = Site::empty();
        let before = contents(nothing.path());
        assert!(matches!(create(&nothing, &kms), Err(FileError::Unlock { .. })));
        assert!(before == contents(nothing.path()), "a failed create leaves nothing");
    }
    kms.refuse(None);
    assert!(shows(&open(&site, &kms).unwrap(), &key("stripe"), "sk_test_1"));
}

#[test]
fn the_service_is_asked_about_stores_only() {
    let kms = Service::new("kms", "key/one");
    let site = Site::empty();
    assert!(matches!(open(&site, &kms), Err(FileError::Missing { .. })));
    std::fs::copy(&site.key, &site.store).unwrap();
    assert!(matches!(open(&site, &kms), Err(FileError::NotAStore { .. })));
    assert!(matches!(create(&site, &kms), Err(FileError::Exists { .. })));

    let by_file = Site::new();
    let wrong = SealError::WrongUnlock { needed: SlotKind::KeyFile, given: SlotKind::Wrapped };
    assert_eq!(refused(&by_file, &kms).0, wrong);
    assert_eq!(kms.calls(), 0);
}

#[test]
fn the_slot_of_another_store_is_refused() {
    let kms = Service::new("kms", "key/one");
    let (site, other) = (filled(&kms), filled(&kms));
    let header = |site: &Site, name: &str| -> Vec<u8> {
        site.raw().query_row("SELECT value FROM header WHERE name = ?1", [name], |row| row.get(0)).unwrap()
    };
    let put = |name: &str, value: &[u8]| {
        site.raw().execute("UPDATE header SET value = ?2 WHERE name = ?1", (name, value)).unwrap();
    };
    let (slot, id) = (header(&site, "slot/1"), header(&site, "store"));
    let rejected = SealError::Service { service: "kms", problem: WrapError::Rejected };

    put("slot/1", &header(&other, "slot/1"));
    assert_eq!(refused(&site, &kms).0, rejected);
    // With the id as well the service says yes; the rest of the header is then not what was written with it.
    put("store", &header(&other, "store"));
    assert!(matches!(open(&site, &kms), Err(FileError::Damaged { .. })));
    put("store", &id);
    put("slot/1", &slot);
    drop(open(&site, &kms).unwrap());
}

#[test]
fn every_changed_or_cut_byte_of_the_slot_is_refused() {
    let kms = Service::new("kms", "key/one");
    let site = filled(&kms);
    let read = |site: &Site| -> Vec<u8> {
        site.raw().query_row("SELECT value FROM header WHERE name = 'slot/1'", [], |row| row.get(0)).unwrap()
    };
    let slot = read(&site);
    let attempt = |bytes: &[u8]| {
        site.raw().execute("UPDATE header SET value = ?1 WHERE name = 'slot/1'", [bytes]).unwrap();
        let error = open(&site, &kms).expect_err("a changed slot must be refused");
        assert!(matches!(error, FileError::Unlock { .. } | FileError::Damaged { .. }), "{error}");
    };
    for at in 0..slot.len() {
        let mut changed = slot.clone();
        changed[at] ^= 1 << (at % 8);
        attempt(&changed);
    }
    for length in (0..slot.len()).step_by(7).chain([slot.len() - 1]) {
        attempt(&slot[..length]);
    }
    site.raw().execute("UPDATE header SET value = ?1 WHERE name = 'slot/1'", [&slot]).unwrap();
    drop(open(&site, &kms).unwrap());
}

#[test]
fn the_key_is_in_no_file() {
    let kms = Service::new("kms", "key/one");
    let site = filled(&kms);
    let key = kms.seen().pop().unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let holds = |bytes: &[u8]| {
        let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
        bytes.windows(key.len()).any(|window| window == key) || shows(hex.as_bytes())
    };
    for (path, bytes) in contents(site.path()) {
        assert!(!holds(&bytes.unwrap()), "the key that was wrapped is in {}", path.display());
    }
    // Control: the search finds what is there.
    assert!(holds(&[b"x", &key[..]].concat()) && holds(hex.to_uppercase().as_bytes()));
    let blob = std::fs::read(&site.store).unwrap().windows(7).any(|window| window == b"key/one");
    assert!(blob, "the slot is where it was looked for");
}

#[test]
fn the_longest_slot_fits_the_header() {
    let kms = Service::new("a-service-with-the-longest-name1", &"k".repeat(255)).padded(512);
    let site = filled(&kms);
    assert!(shows(&open(&site, &kms).unwrap(), &key("stripe"), "sk_test_1"));
}

#[test]
fn an_unlock_for_one_store_makes_no_other() {
    use keyward_seal::ServiceUnlock;
    let kms = Service::new("kms", "key/one");
    let site = Site::empty();
    let unlock = block_on(ServiceUnlock::wrap(&kms, &[7; 16])).unwrap();
    let error = block_on(FileBackend::create(&site.store, unlock)).unwrap_err();
    assert!(matches!(error, FileError::Unlock { problem: SealError::UnlockRejected, .. }), "{error}");
    assert!(!FileBackend::exists(&site.store));
}
