//! Contexts and MAC inputs: different lists of fields never have the same encoding.

use keyward_seal::{ContextBuilder, InventoryKey, MacKey, RootKey, SealError};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Bytes(Vec<u8>),
    Text(String),
    Number(u64),
}

proptest! {
    /// The bytes can be read back to one list of fields, so no two lists share them.
    #[test]
    fn a_context_says_exactly_its_fields(domain in "[a-z/]{0,8}", fields in fields()) {
        prop_assert_eq!(decode(&encode(&domain, &fields)), Some((domain, fields)));
    }

    #[test]
    fn different_fields_give_different_contexts(one in fields(), other in fields()) {
        prop_assert_eq!(one == other, encode("d", &one) == encode("d", &other));
    }

    #[test]
    fn moving_a_boundary_changes_context_and_mac(bytes in vec(any::<u8>(), 1..40), a: prop::sample::Index, b: prop::sample::Index) {
        let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
        let split = |at: usize| [Field::Bytes(bytes[..at].to_vec()), Field::Bytes(bytes[at..].to_vec())];
        prop_assert_eq!(a == b, encode("d", &split(a)) == encode("d", &split(b)));
        let key = MacKey::from_bytes(&[1; 32]);
        let mac = |at: usize| key.mac(&[&bytes[..at], &bytes[at..]]);
        prop_assert_eq!(a == b, mac(a) == mac(b));
    }

    #[test]
    fn a_mac_verifies_for_its_parts_only(parts in vec(vec(any::<u8>(), 0..20), 0..5), others in vec(vec(any::<u8>(), 0..3), 0..3)) {
        let key = MacKey::generate().unwrap();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        let tag = key.mac(&parts);
        prop_assert!(key.verify(&parts, &tag).is_ok());
        prop_assert_eq!(key.verify(&others, &tag).is_ok(), others == parts);
    }
}

#[test]
fn the_number_of_parts_counts() {
    let key = MacKey::generate().unwrap();
    let lists: [&[&[u8]]; 5] = [&[], &[b""], &[b"", b""], &[&[0; 8]], &[b"ab"]];
    for (at, one) in lists.iter().enumerate() {
        for other in &lists[at + 1..] {
            assert_ne!(key.mac(one), key.mac(other));
        }
    }
}

#[test]
fn every_bit_of_a_tag_counts() {
    let key = MacKey::generate().unwrap();
    let mut tag = key.mac(&[b"row"]);
    for bit in 0..256 {
        tag[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.verify(&[b"row"], &tag), Err(SealError::Rejected));
        tag[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(key.verify(&[b"row"], &tag), Ok(()));
    assert!(MacKey::generate().unwrap().verify(&[b"row"], &tag).is_err());
}

#[test]
fn fingerprints_depend_on_the_inventory() {
    let (one, other) = (RootKey::from_bytes(&[1; 32]), RootKey::from_bytes(&[2; 32]));
    let fingerprint = InventoryKey::derive_from(&one).fingerprint(b"sk_live_1");
    assert_eq!(fingerprint, InventoryKey::derive_from(&one).fingerprint(b"sk_live_1"));
    assert_ne!(fingerprint, InventoryKey::derive_from(&other).fingerprint(b"sk_live_1"));
    assert_ne!(fingerprint, InventoryKey::from_bytes(&[1; 32]).fingerprint(b"sk_live_1"));
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    // Few different values, so that near-collisions are frequent.
    let bytes = prop_oneof![vec(0_u8..4, 0..4), vec(any::<u8>(), 0..40)];
    let field = prop_oneof![
        bytes.prop_map(Field::Bytes),
        "[\\x00-\\x03a]{0,3}".prop_map(Field::Text),
        prop_oneof![0_u64..4, any::<u64>()].prop_map(Field::Number),
    ];
    vec(field, 0..5)
}

fn encode(domain: &str, fields: &[Field]) -> Vec<u8> {
    let builder = ContextBuilder::new(domain);
    let add = |builder: ContextBuilder, field: &Field| match field {
        Field::Bytes(bytes) => builder.bytes(bytes),
        Field::Text(text) => builder.text(text),
        Field::Number(number) => builder.number(*number),
    };
    fields.iter().fold(builder, add).finish()
}

fn decode(mut bytes: &[u8]) -> Option<(String, Vec<Field>)> {
    let mut domain = None;
    let mut fields = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        bytes = rest;
        match kind {
            0 => domain = Some(String::from_utf8(value.to_vec()).ok()?),
            1 => fields.push(Field::Bytes(value.to_vec())),
            2 => fields.push(Field::Text(String::from_utf8(value.to_vec()).ok()?)),
            3 => fields.push(Field::Number(u64::from_be_bytes(value.try_into().ok()?))),
            _ => return None,
        }
    }
    Some((domain?, fields))
}
