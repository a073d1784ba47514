//! Material in the form native readers expect: the bare value, or a JSON object of texts.

use keyward_core::{Material, SecretValue, Shape};
use keyward_remote::NativeMap;

/// The largest value AWS takes, in bytes.
const MAX_LEN: usize = 65_536;

/// What stands in a version of a secret.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: SecretValue,
    /// `SecretString`, not `SecretBinary`. Text may stand in the latter too, but nothing else in the former.
    pub(crate) is_text: bool,
}

impl Raw {
    /// The native form of material.
    pub(crate) fn of(material: &Material) -> Result<Self, &'static str> {
        if NativeMap::reserves(&material.shape()) {
            return Err("field names that begin with keyward_ are kept for this library");
        }
        let raw = match material.value() {
            Some(value) => {
                let is_text = std::str::from_utf8(value.expose_secret()).is_ok();
                Self { bytes: value.duplicate(), is_text }
            }
            None => Self { bytes: NativeMap::of(material).to_json(), is_text: true },
        };
        if raw.bytes.len() > MAX_LEN { Err("encoded for AWS, the material is larger than 64 KiB") } else { Ok(raw) }
    }

    /// The text, for `SecretString`.
    pub(crate) fn text(&self) -> Option<String> {
        if !self.is_text {
            return None;
        }
        std::str::from_utf8(self.bytes.expose_secret()).ok().map(str::to_owned)
    }

    /// The material of a shape; `None` when it is not of that shape.
    pub(crate) fn material(&self, shape: &Shape) -> Option<Material> {
        match shape {
            Shape::One => Material::one(self.bytes.duplicate()).ok(),
            // No fields in what is no text.
            Shape::Fields(_) => NativeMap::parse(self.bytes.expose_secret())?.material(shape).ok(),
        }
    }

    /// The shape it has, when nobody said: a JSON object of texts is fields, all else is one value.
    pub(crate) fn shape(&self) -> Shape {
        let map = self.is_text.then(|| NativeMap::parse(self.bytes.expose_secret())).flatten();
        map.and_then(|map| map.shape()).unwrap_or(Shape::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Material {
        Material::one(bytes.into()).expect("material")
    }

    #[test]
    fn one_value_is_bare_and_binary_only_where_it_must_be() {
        let text = Raw::of(&one(b"sk_live")).expect("native");
        assert!(text.is_text && text.bytes.ct_eq(&"sk_live".into()));
        let binary = Raw::of(&one(b"\xff\x00")).expect("native");
        assert!(!binary.is_text && binary.text().is_none());
        assert!(binary.material(&Shape::One).is_some_and(|back| back.ct_eq(&one(b"\xff\x00"))));
    }

    #[test]
    fn fields_are_text_wherever_they_stand() {
        let shape = Shape::Fields(["a".parse().expect("a name")].into());
        let binary = |bytes: &[u8]| Raw { bytes: bytes.into(), is_text: false };
        assert!(binary(br#"{"a":"b"}"#).material(&shape).is_some());
        assert!(binary(b"{\"a\":\"\xff\"}").material(&shape).is_none());
    }

    #[test]
    fn fields_too_large_once_encoded_and_reserved_names_are_refused() {
        let field = |name: &str, bytes: Vec<u8>| {
            Material::fields([(name.parse().expect("a name"), SecretValue::new(bytes))]).expect("material")
        };
        assert!(Raw::of(&field("a", vec![b'x'; Material::MAX_LEN])).is_ok());
        assert!(Raw::of(&field("a", vec![b'"'; Material::MAX_LEN])).is_err());
        assert!(Raw::of(&field("keyward_encoding", vec![b'x'])).is_err());
    }

    #[test]
    fn the_shape_of_a_foreign_value_is_proposed() {
        let of = |text: &str| Raw { bytes: text.into(), is_text: true }.shape();
        assert_eq!(of("sk_live"), Shape::One);
        assert_eq!(of(r#"{"port":5432}"#), Shape::One);
        assert!(matches!(of(r#"{"user":"u","password":"p"}"#), Shape::Fields(names) if names.len() == 2));
    }
}
