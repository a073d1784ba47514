//! Storing material.

use keyward_core::{
    ErrorKind, FieldName, Location, Material, Result, SecretValue, Select, Shape, Shows, Stage, Target, VersionId,
};

use crate::Subject;
use crate::subject::{assert_found, assert_refused, one};

/// Material comes back as it went in: any bytes, NUL and invalid UTF-8 among them.
pub async fn staged_bytes_come_back_whatever_they_are(on: &Subject<'_>) {
    let every: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    let binary: [&[u8]; 6] = [&every, b"\0", b"a\0b", b"\xff\xfe\xfd", b"\xc3\x28", b"\xed\xa0\x80"];
    for (n, bytes) in binary.into_iter().enumerate() {
        comes_back(on, &on.target(&format!("binary-{n}")), &one(bytes)).await;
    }
}

/// The shortest material.
pub async fn one_byte_comes_back(on: &Subject<'_>) {
    comes_back(on, &on.target("byte"), &one(b"x")).await;
}

/// Text that looks like a stored form, or that a careless codec would trim, comes back verbatim.
pub async fn value_that_looks_encoded_comes_back(on: &Subject<'_>) {
    let tricky = ["{\"value\":\"x\"}", "null", "\"", " padded ", "line\r\n", "\u{feff}bom", "a=b&c=%20", "cGxhaW4="];
    for (n, text) in tricky.into_iter().enumerate() {
        comes_back(on, &on.target(&format!("tricky-{n}")), &one(text.as_bytes())).await;
    }
}

/// Named fields come back, an empty and a binary one among them.
pub async fn fields_come_back_with_an_empty_one(on: &Subject<'_>) {
    let fields: [(&str, &[u8]); 4] =
        [("access_key_id", b"AKIAEXAMPLE"), ("empty", b""), ("Secret.Value-1", b"\0\xff\x80"), ("value", b"text")];
    let material = fields_of(fields.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    comes_back(on, &shaped(on, "fields", &material), &material).await;
}

/// As many fields as material may have.
pub async fn most_fields_allowed_come_back(on: &Subject<'_>) {
    let material = fields_of((0..Material::MAX_FIELDS).map(|n| (format!("field-{n}"), vec![b'v'; n])));
    comes_back(on, &shaped(on, "many", &material), &material).await;
}

/// The same bytes again are `AlreadySame`.
pub async fn same_bytes_again_are_already_same(on: &Subject<'_>) {
    let target = on.target("same");
    let version = on.staged(&target, b"value").await;
    for _ in 0..2 {
        assert_eq!(stage(on, &target, version, &one(b"value")).await.expect("a repeated stage"), Stage::AlreadySame);
    }
    assert_found(on.read(&target, Select::Version(version)).await, version, &one(b"value"));
}

/// Never overwrites: other bytes are `Conflict`, and what was stored first stays.
pub async fn other_bytes_conflict_and_are_not_stored(on: &Subject<'_>) {
    let target = on.target("taken");
    let version = on.staged(&target, b"first").await;
    for other in [&b"other"[..], b"firs", b"first ", b"FIRST"] {
        assert_eq!(stage(on, &target, version, &one(other)).await.expect("an answered stage"), Stage::Conflict);
    }
    assert_found(on.read(&target, Select::Version(version)).await, version, &one(b"first"));
}

/// Published material is write-once as well.
pub async fn stage_is_write_once_after_publishing_too(on: &Subject<'_>) {
    let target = on.target("shown");
    let version = on.shown(&target, b"first").await;
    assert_eq!(stage(on, &target, version, &one(b"first")).await.expect("a repeated stage"), Stage::AlreadySame);
    assert_eq!(stage(on, &target, version, &one(b"other")).await.expect("an answered stage"), Stage::Conflict);
    on.assert_current(&target, version, b"first").await;
}

/// `Invalid` when the shape is not the target's, and nothing is stored.
pub async fn material_of_another_shape_is_invalid_and_not_stored(on: &Subject<'_>) {
    let pair = fields_of([("id".to_owned(), b"a".to_vec()), ("secret".to_owned(), b"b".to_vec())]);
    let renamed = fields_of([("id".to_owned(), b"a".to_vec()), ("other".to_owned(), b"b".to_vec())]);
    let value = on.target("value");
    let fields = shaped(on, "pair", &pair);
    for (target, material) in [(&value, &pair), (&fields, &one(b"value")), (&fields, &renamed)] {
        let version = VersionId::generate();
        assert_refused(stage(on, target, version, material).await, ErrorKind::Invalid, "material of another shape");
        let survey = on.backend.survey(&on.cx(), target).await.expect("a survey");
        assert!(survey.versions.is_empty(), "a refused stage stores nothing");
        assert_refused(on.read(target, Select::Version(version)).await, ErrorKind::NotFound, "a refused version");
    }
}

/// Readers of the current value see nothing of staged material.
pub async fn staged_material_is_not_shown_to_readers(on: &Subject<'_>) {
    let target = on.target("pending");
    on.staged(&target, b"never shown").await;
    assert_refused(on.read(&target, Select::Current).await, ErrorKind::NotFound, "nothing is published");
    let pointer = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
    assert_eq!(pointer.shows, Shows::Nothing, "a stage publishes nothing");

    let shown = on.shown(&target, b"shown").await;
    on.staged(&target, b"staged later").await;
    on.assert_current(&target, shown, b"shown").await;
}

/// A version of one key is not readable through another.
pub async fn keys_do_not_see_each_others_material(on: &Subject<'_>) {
    let (a, b) = (on.target("a"), on.target("b"));
    let mine = on.shown(&a, b"of a").await;
    assert_refused(on.read(&b, Select::Version(mine)).await, ErrorKind::NotFound, "another key's version");
    assert_refused(on.read(&b, Select::Current).await, ErrorKind::NotFound, "another key's current value");
    let theirs = on.shown(&b, b"of b").await;
    on.assert_current(&a, mine, b"of a").await;
    on.assert_current(&b, theirs, b"of b").await;
}

/// Stages, and reads by version and through the pointer.
pub(super) async fn comes_back(on: &Subject<'_>, target: &Target, material: &Material) {
    let version = VersionId::generate();
    assert_eq!(stage(on, target, version, material).await.expect("a first stage"), Stage::Stored);
    assert_found(on.read(target, Select::Version(version)).await, version, material);
    on.published(target, version).await;
    assert_found(on.read(target, Select::Current).await, version, material);
}

async fn stage(on: &Subject<'_>, target: &Target, version: VersionId, material: &Material) -> Result<Stage> {
    on.backend.stage(&on.cx(), target, version, material).await
}

fn fields_of(fields: impl IntoIterator<Item = (String, Vec<u8>)>) -> Material {
    let name = |text: String| text.parse::<FieldName>().expect("a valid field name");
    let fields = fields.into_iter().map(|(field, bytes)| (name(field), SecretValue::new(bytes)));
    Material::fields(fields).expect("material within the limits")
}

fn shaped(on: &Subject<'_>, name: &str, material: &Material) -> Target {
    let shape = material.shape();
    assert!(matches!(shape, Shape::Fields(_)));
    Target::new(on.key(name), Location::Derived, shape)
}
