//! A key that looks right and is not.

use keyward_core::{FieldName, Material, MaterialError, SecretValue};
use zeroize::Zeroizing;

/// The material with one value, the given field or the only one, replaced by a wrong one of the same
/// shape. Nothing without randomness.
pub(super) fn wrong(material: &Material, field: Option<&FieldName>) -> Option<Material> {
    let built = match field {
        None => Material::one(alike(material.value()?.expose_secret())?),
        Some(field) => {
            let wrong = alike(material.field(field.as_str())?.expose_secret())?;
            let mut wrong = Some(wrong);
            let pairs = material.iter().filter_map(|(name, value)| {
                let name = name?;
                let value = if name == field { wrong.take()? } else { value.duplicate() };
                Some((name.clone(), value))
            });
            Material::fields(pairs.collect::<Vec<_>>())
        }
    };
    built.map_err(|_: MaterialError| ()).ok()
}

/// Random text of the same length and shape: digits for digits, letters for letters, everything
/// else and a leading `sk_live_` as it is.
fn alike(value: &[u8]) -> Option<SecretValue> {
    let keep = prefix(value);
    let hex = value[keep..].iter().all(|b| b.is_ascii_hexdigit() || !b.is_ascii_alphanumeric());
    let (lower, upper): (&[u8], &[u8]) = match hex {
        true => (b"abcdef", b"ABCDEF"),
        false => (b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    };
    let mut pool = Zeroizing::new(vec![0_u8; value.len()]);
    // One letter may come out as it was; all of them, over and over, do not.
    for _ in 0..64 {
        getrandom::fill(&mut pool).ok()?;
        let other = |(at, (b, random)): (usize, (&u8, &u8))| {
            let from: &[u8] = match b {
                b if at < keep => return *b,
                b'0'..=b'9' => b"0123456789",
                b'a'..=b'z' => lower,
                b'A'..=b'Z' => upper,
                _ => return *b,
            };
            from[usize::from(*random) % from.len()]
        };
        let mut made = Zeroizing::new(Vec::with_capacity(value.len()));
        made.extend(value.iter().zip(pool.iter()).enumerate().map(other));
        if made.as_slice() != value {
            return Some(SecretValue::from(made.as_slice()));
        }
    }
    // Nothing to vary: no letter and no digit in it.
    let made: Vec<u8> = pool.iter().map(|random| b"abcdefghijklmnop"[usize::from(random % 16)]).collect();
    Some(SecretValue::new(made))
}

/// How much of a value says what kind it is: `sk_live_`, `ghp_`; of a JSON web token, all but the
/// signature.
fn prefix(value: &[u8]) -> usize {
    if value.starts_with(b"eyJ") && value.iter().filter(|b| **b == b'.').count() == 2 {
        return value.iter().rposition(|b| *b == b'.').map_or(0, |at| at + 1);
    }
    let mut keep = 0;
    while let Some(length) = value[keep..].iter().position(|b| matches!(b, b'_' | b'-' | b'.')) {
        let segment = &value[keep..keep + length];
        if segment.len() > 8 || !segment.iter().all(u8::is_ascii_alphabetic) {
            break;
        }
        keep += length + 1;
    }
    // What is left must be able to vary.
    if value[keep..].iter().filter(|b| b.is_ascii_alphanumeric()).count() < 8 { 0 } else { keep }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        String::from_utf8(alike(text.as_bytes()).expect("randomness").expose_secret().to_vec()).expect("text")
    }

    fn shape(text: &str) -> String {
        let class = |c: char| match c {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        };
        text.chars().map(class).collect()
    }

    #[test]
    fn a_wrong_key_is_another_one_of_the_same_shape() {
        for text in ["sk_live_51HabcDEF0123456789", "AKIAIOSFODNN7EXAMPLE", "p4ss w0rd!", "7", "x", "aaaa-bbbb"] {
            for _ in 0..20 {
                let wrong = of(text);
                assert!(wrong != text && shape(&wrong) == shape(text), "{text}: {wrong}");
            }
        }
    }

    #[test]
    fn what_says_the_kind_of_a_key_stays() {
        assert!(of("sk_live_51HabcDEF0123456789").starts_with("sk_live_"));
        assert!(of("ghp_16C7e42F292c6912E7710c838347Ae178B4a").starts_with("ghp_"));
        assert!(
            of("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl")
                .starts_with("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.")
        );
        let uuid = of("3f2b8c1e-7d44-4b8a-9c55-0a1b2c3d4e5f");
        assert!(uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'), "{uuid}");
    }

    #[test]
    fn a_value_without_letters_and_digits_becomes_another_of_its_length() {
        let wrong = of("!!__??");
        assert!(wrong.len() == 6 && wrong != "!!__??", "{wrong}");
        assert_eq!(alike("\u{e9}\u{e9}".as_bytes()).expect("randomness").len(), 4);
    }

    #[test]
    fn only_the_field_that_is_asked_for_is_wrong() {
        let field = |name: &str, value| (name.parse::<FieldName>().expect("a name"), SecretValue::from(value));
        let pair = Material::fields([field("id", "id-12345"), field("secret", "s3cr3t")]).expect("material");
        let made = wrong(&pair, Some(&"secret".parse().expect("a name"))).expect("randomness");
        let same = |name: &str| made.field(name).zip(pair.field(name)).is_some_and(|(a, b)| a.ct_eq(b));
        assert!(same("id") && !same("secret"));
        assert!(wrong(&pair, None).is_none() && wrong(&pair, Some(&"other".parse().expect("a name"))).is_none());
    }
}
