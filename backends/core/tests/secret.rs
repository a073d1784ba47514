//! Secret values: one door, no accidents, nothing in any text.

use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, FieldName, KeyId, Location, Material, MaterialError,
    MemoryBackend, NewKey, Operation, PublicationId, Read, ReadItem, SecretBackend, SecretBackendExt, SecretValue,
    Select, Shape, Target, VersionId,
};
use proptest::prelude::*;

const CANARY: &str = "canary-7f3a\"/+&\u{e9}-marked";

/// The forms in which a value could slip into text.
fn forms() -> Vec<String> {
    let hex =
        |upper: bool| CANARY.bytes().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect();
    let url =
        CANARY.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") });
    let list = format!("{:?}", CANARY.as_bytes());
    let json = serde_json::to_string(CANARY).expect("JSON");
    vec![
        CANARY.to_owned(),
        "canary-7f3a".to_owned(),
        hex(false),
        hex(true),
        url.collect(),
        list.trim_matches(['[', ']']).to_owned(),
        json.trim_matches('"').to_owned(),
        "Y2FuYXJ5LTdmM2".to_owned(),
    ]
}

fn silent(what: &str, said: &str) {
    for form in forms() {
        assert!(!said.contains(&form), "{what} says the secret");
    }
}

fn canary() -> SecretValue {
    SecretValue::from(CANARY)
}

fn pair() -> Material {
    Material::fields([
        ("id".parse().expect("a field"), SecretValue::from("x")),
        ("secret".parse().expect("a field"), canary()),
    ])
    .expect("material")
}

#[test]
fn what_must_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn debug_is_a_fixed_text() {
    assert_eq!(format!("{:?}", canary()), "SecretValue(redacted)");
    assert_eq!(format!("{:#?}", canary()), "SecretValue(redacted)");
    assert_eq!(format!("{:?}", SecretValue::new(Vec::new())), "SecretValue(redacted)");
    let one = Material::one(canary()).expect("material");
    for (what, said) in [
        ("material", format!("{one:?} {one:#?}")),
        ("fields", format!("{:?} {:#?}", pair(), pair())),
        ("an encoding", format!("{:?}", pair().encode())),
        ("a new key", format!("{:?}", NewKey::new(pair()))),
        ("a created key", format!("{:?}", Created::Key(NewKey::new(pair())))),
        (
            "a read",
            format!("{:?}", Read::Found { material: pair(), version: VersionId::generate(), publication: None }),
        ),
        ("an option", format!("{:?}", Some(Box::new(canary())))),
    ] {
        silent(what, &said);
    }
}

#[test]
fn no_error_repeats_what_it_refused() {
    let field: Result<FieldName, _> = CANARY.parse();
    silent("a field name", &format!("{:?}", field.expect_err("not a name")));
    let refused = [
        Material::one(SecretValue::new(Vec::new())),
        Material::one(SecretValue::new(CANARY.repeat(4_000).into_bytes())),
        Material::fields([]),
        Material::fields([("a".parse().expect("a field"), canary()), ("a".parse().expect("a field"), canary())]),
        Material::decode(CANARY.as_bytes()),
        Material::decode(&[&[1, 1, 2][..], CANARY.as_bytes()].concat()),
        Material::decode(&[pair().encode().expose_secret(), CANARY.as_bytes()].concat()),
    ];
    for refused in refused {
        let error = refused.expect_err("not material");
        silent("a material error", &format!("{error} {error:?}"));
    }
    let key: KeyId = "dev/analytics/x".parse().expect("a key");
    let error =
        Error::new(ErrorKind::Invalid, Operation::Stage, "memory").with_key(&key).with_request_id(CANARY).with_code(7);
    assert_eq!(error.request_id(), None, "not plain, so it is dropped");
    let created = CreateError::Unknown(error.clone());
    silent("an error", &format!("{error} {error:?} {created} {created:?}"));
}

#[test]
fn the_memory_store_says_nothing_of_what_it_holds() {
    futures_lite::future::block_on(async {
        let store = MemoryBackend::default();
        let cx = Context::new("tester", "canary").expect("a context");
        let shape = pair().shape();
        let target = Target::new("dev/analytics/x".parse().expect("a key"), Location::Derived, shape);
        let version = VersionId::generate();
        store.stage(&cx, &target, version, &pair()).await.expect("staged");
        let other = Material::one(canary()).expect("material");
        let wrong = store.stage(&cx, &target, version, &other).await.expect_err("another shape");
        let token = store.pointer(&cx, &target).await.expect("a pointer").token;
        store.publish(&cx, &target, version, PublicationId::first(version), &token).await.expect("published");
        let item = ReadItem { target: target.clone(), select: Select::Current };
        let read = store.read(&cx, &[item]).await;
        let survey = store.survey(&cx, &target).await;
        let log = store.audit().expect("a log").entries(&cx, &Default::default(), None).await;
        let json = serde_json::to_string(&log.as_ref().expect("entries").items).expect("JSON");
        silent("the store", &format!("{store:?} {store:#?} {wrong} {wrong:?} {read:?} {survey:?} {log:?} {json}"));
        let found = store.read_one(&cx, &target, Select::Version(version)).await.expect("found");
        assert!(matches!(found, Read::Found { material, .. } if material.ct_eq(&pair())));
    });
}

#[test]
fn comparing_and_copying_have_names() {
    assert!(canary().ct_eq(&canary().duplicate()));
    for other in ["", "canary", "canary-7f3a\"/+&\u{e9}-markeD"] {
        assert!(!canary().ct_eq(&SecretValue::from(other)));
    }
    let spare = {
        let mut bytes = Vec::with_capacity(500);
        bytes.extend_from_slice(CANARY.as_bytes());
        SecretValue::new(bytes)
    };
    assert!(spare.ct_eq(&canary()));
    assert_eq!((spare.len(), spare.is_empty()), (CANARY.len(), false));
    assert!(SecretValue::new(Vec::new()).is_empty());
    let one = Material::one(canary()).expect("material");
    assert!(one.ct_eq(&one.duplicate()) && pair().ct_eq(&pair().duplicate()) && !one.ct_eq(&pair()));
}

#[test]
fn material_keeps_its_bounds() {
    let bytes = |n: usize| SecretValue::new(vec![b'x'; n]);
    let field = |n: usize| -> FieldName { format!("f{n:02}").parse().expect("a field") };
    assert!(Material::one(bytes(Material::MAX_LEN)).is_ok());
    assert_eq!(
        Material::one(bytes(Material::MAX_LEN + 1)).err(),
        Some(MaterialError::Length { found: Material::MAX_LEN + 1 })
    );
    assert_eq!(Material::one(bytes(0)).err(), Some(MaterialError::Length { found: 0 }));
    let fields = |n: usize, each: usize| Material::fields((0..n).map(|n| (field(n), bytes(each))));
    assert!(fields(32, 1_920).is_ok());
    assert_eq!(fields(32, 1_921).err(), Some(MaterialError::Length { found: 32 * 1_921 }));
    assert_eq!(fields(33, 1).err(), Some(MaterialError::Fields));
    assert_eq!(fields(0, 1).err(), Some(MaterialError::Fields));
    assert_eq!(fields(3, 0).err(), Some(MaterialError::Length { found: 0 }));
    let some_empty =
        Material::fields([(field(1), bytes(0)), (field(0), bytes(1))]).expect("one of them holds something");
    assert_eq!(some_empty.shape(), Shape::Fields(vec![field(0), field(1)]), "in order of their names");
    assert!(some_empty.field("f01").is_some_and(SecretValue::is_empty) && some_empty.field("f02").is_none());
    assert!(some_empty.value().is_none() && some_empty.iter().count() == 2);
}

/// Fingerprints are taken of the encoding: one material must not have two.
#[test]
fn there_is_one_encoding() {
    let ordered = Material::decode(b"\x01\x02\x01a\0\0\0\x01x\x01b\0\0\0\x01y").expect("material");
    assert_eq!(ordered.encode().expose_secret(), b"\x01\x02\x01a\0\0\0\x01x\x01b\0\0\0\x01y");
    for other in [
        &b"\x01\x02\x01b\0\0\0\x01y\x01a\0\0\0\x01x"[..],
        b"\x01\x02\x01a\0\0\0\x01x\x01a\0\0\0\x01x",
        b"\x02\x00\0\0\0\x01x",
        b"\x01\x00\0\0\0\x01xy",
        b"\x01\x00\xff\xff\xff\xffx",
        b"\x01\x01\x01/\0\0\0\x01x",
        b"\x01\x01\x01\xff\0\0\0\x01x",
        b"\x01\x01\x00\0\0\0\x01x",
        b"\x01",
        b"",
    ] {
        assert_eq!(Material::decode(other).err(), Some(MaterialError::Malformed), "{other:?}");
    }
    assert_eq!(Material::decode(b"\x01\x00\0\0\0\0").err(), Some(MaterialError::Length { found: 0 }));
}

fn material() -> impl Strategy<Value = Material> {
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    let one =
        prop::collection::vec(any::<u8>(), 1..60).prop_map(|v| Material::one(SecretValue::new(v)).expect("material"));
    let fields = prop::collection::btree_map("[a-zA-Z0-9_.-]{1,12}", value(), 1..6)
        .prop_filter("nothing at all", |map| map.values().any(|v| !v.is_empty()))
        .prop_map(|map| {
            let fields = map.into_iter().map(|(n, v)| (n.parse().expect("a field"), SecretValue::new(v)));
            Material::fields(fields).expect("material")
        });
    prop_oneof![one, fields]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(material in material()) {
        let bytes = material.encode();
        let back = Material::decode(bytes.expose_secret()).expect("an encoding");
        prop_assert!(back.ct_eq(&material) && back.shape() == material.shape());
        prop_assert!(back.encode().ct_eq(&bytes));
    }

    #[test]
    fn damage_is_an_error_or_other_material(material in material()) {
        let bytes = material.encode();
        let bytes = bytes.expose_secret();
        for len in 0..bytes.len() {
            prop_assert!(Material::decode(&bytes[..len]).is_err(), "cut at {}", len);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Material::decode(&flipped) {
                prop_assert!(!other.ct_eq(&material));
                prop_assert!(other.encode().expose_secret() == flipped, "one encoding for one material");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(material) = Material::decode(&bytes) {
            prop_assert!(material.encode().expose_secret() == bytes);
        }
    }
}
