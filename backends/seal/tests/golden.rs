//! The format is frozen: what `golden.py` made, with another implementation, is read here for ever.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use keyward_seal::{
    ContextBuilder, InventoryKey, KdfPolicy, KeyFile, KeyWrapper, Passphrase, RootKey, ServiceUnlock, Slot, Unlock,
    WrapError, WrapKey, Wrapping, async_trait, open,
};

#[test]
fn envelopes_and_derived_keys() {
    let key = root().derive(b"records");
    assert!(*open(&key, &bytes(SEALED_UNDER_DERIVED), b"golden").unwrap() == b"material");
}

#[test]
fn macs_and_fingerprints() {
    let mac = root().derive_mac(b"ids").mac(&[b"production", b"stripe"]);
    assert!(mac[..] == bytes(MAC));
    let fingerprint = InventoryKey::derive_from(&root()).fingerprint(b"sk_live_1");
    assert!(fingerprint[..] == bytes(FINGERPRINT));
}

#[test]
fn contexts() {
    let context = ContextBuilder::new("golden/v1").bytes(&STORE).text("stripe").number(3).finish();
    assert!(context == bytes(CONTEXT));
}

#[test]
fn slots() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unlock.key");
    let line = "keyward-key-v1:202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n";
    fs::write(&path, line).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let passphrase = || Passphrase::new("correct horse".into()).unwrap();
    let both = Unlock::from((KeyFile::at(&path), passphrase()));

    opens(FILE_SLOT, &KeyFile::at(&path).into());
    opens(PASSPHRASE_SLOT, &passphrase().into());
    opens(BOTH_SLOT, &both);

    let slot = Slot::decode(&bytes(WRAPPED_SLOT)).unwrap();
    let unlock = futures_lite::future::block_on(ServiceUnlock::unwrap(&Told, &STORE, &slot)).unwrap();
    opens(WRAPPED_SLOT, &unlock.into());
}

/// A service that unwraps one blob, for one store, to a known key.
#[derive(Debug)]
struct Told;

#[async_trait]
impl KeyWrapper for Told {
    fn service(&self) -> &'static str {
        "kms"
    }

    async fn wrap(&self, _: &[u8; 16], _: &WrapKey) -> Result<Wrapping, WrapError> {
        Err(WrapError::Denied)
    }

    async fn unwrap(&self, store: &[u8; 16], wrapping: &Wrapping) -> Result<WrapKey, WrapError> {
        assert_eq!((*store, wrapping.key_name(), wrapping.blob()), (STORE, "key/one", &b"blob"[..]));
        WrapKey::from_bytes(&std::array::from_fn::<u8, 32, _>(|at| 32 + at as u8))
    }
}

#[track_caller]
fn opens(slot: &str, unlock: &Unlock) {
    let slot = Slot::decode(&bytes(slot)).expect("a slot");
    let found = slot.open(&STORE, unlock, &KdfPolicy::default()).expect("opens");
    assert!(found.derive_mac(b"ids").mac(&[]) == root().derive_mac(b"ids").mac(&[]));
}

fn root() -> RootKey {
    RootKey::from_bytes(&std::array::from_fn(|at| at as u8))
}

fn bytes(hex: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(hex).expect("hex digits")
}

const STORE: [u8; 16] = [7; 16];

const SEALED_UNDER_DERIVED: &str = "\
    09090909090909090909090909090909090909090909090964b841ef6fff64b9c7f9aa7b0673fa1ba2eee7c80e\
    fa3e527e18c412aed5204f7b5e511e138b1c500510de70f03216de1fe721acbc568e93";
const MAC: &str = "d2fc7438d197d18df7abe3b40156fdeefd0cfd83542ab326b493e340de030aa5";
const FINGERPRINT: &str = "3118c298e19abafdaed25b860d94f15f5b930d9c96af5ae918ec4abffdad0e39";
const CONTEXT: &str = "\
    000000000000000009676f6c64656e2f7631010000000000000010070707070707070707070707070707070200\
    000000000000067374726970650300000000000000080000000000000003";
const FILE_SLOT: &str = "\
    4b57534c0101090909090909090909090909090909090909090909090909cd2e6923f9866cb82f7b5305357408\
    c8e3e4478acb0b4c8bc0f3cc31b92aa22b930b9eb9e300b9b3400f75298c7948f55a4bcdad24547ca2a858773d\
    68b805bfd967bfb9bc8f8d49ea1d4ea0deead294";
const PASSPHRASE_SLOT: &str = "\
    4b57534c01020100004c0000000002000000030505050505050505050505050505050509090909090909090909\
    0909090909090909090909090909b4db0c3de538100f380acf9adb3efc5642e41ecb9acbf900a682fd23a7528d\
    c38458895b7837e933c9a5c42ad85551a1d2e9612ee971946c32270fe8a1277e903dfda31c8fe8a074503bbbc2\
    2e7e0687";
const WRAPPED_SLOT: &str = "\
    4b57534c0104036b6d73076b65792f6f6e650004626c6f62090909090909090909090909090909090909090909\
    09090979c5e0a31a7ca822c1c82adcc21fb8b8c791dfe01cce00ac616aa05c4cb006e6a496acb68d6413554e00\
    995e8bdecaac130bb3610e3e4d7dc1e8af4fbe86fb5477042532d34fe9aa6d4b64dc50b1d99e";
const BOTH_SLOT: &str = "\
    4b57534c01030100004c0000000002000000030505050505050505050505050505050509090909090909090909\
    090909090909090909090909090937fad216a153949556cd15382c26c54460cd495e2e3adddd93051c7e282f56\
    cd1af54ce024f8ab726615b6cc314c290f445a7222e5cbb3c16bdd35892557b1c1ed2dec4db6a7c1e087158a07\
    0d1da34b";
