//! Text with a place for the key.

use keyward_core::{FieldName, Material};
use zeroize::Zeroizing;

use super::super::HttpError;

/// Text with places for the key: `{value}` and `{field:name}`.
#[derive(Clone)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone)]
enum Piece {
    Text(String),
    Value,
    Field(FieldName),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, HttpError> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, tail) = after.split_once('}').ok_or(HttpError::Placeholder)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match inner.strip_prefix("field:") {
                Some(name) => Piece::Field(name.parse().map_err(|_| HttpError::Placeholder)?),
                None if inner == "value" => Piece::Value,
                None => return Err(HttpError::Placeholder),
            });
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// True when there is a place for the key in it.
    pub(super) fn has_key(&self) -> bool {
        self.0.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }

    /// The fields it names.
    pub(super) fn fields(&self) -> impl Iterator<Item = &FieldName> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name),
            _ => None,
        })
    }

    /// The text with the key in its place, or why there is none.
    pub(super) fn fill(&self, material: &Material) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let parts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.as_bytes()),
            Piece::Value => material.value().map(|v| v.expose_secret()).ok_or(NO_VALUE),
            Piece::Field(name) => material.field(name.as_str()).map(|v| v.expose_secret()).ok_or(NO_FIELD),
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        // Exactly as long as it becomes: a vector that grows leaves copies behind.
        let mut filled = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| filled.extend_from_slice(part));
        Ok(filled)
    }
}

const NO_VALUE: &str = "the key has named fields and the probe asks for {value}; use {field:name}";
const NO_FIELD: &str = "the key lacks a field the probe asks for; correct the probe";

#[cfg(test)]
mod tests {
    use keyward_core::SecretValue;

    use super::*;

    #[test]
    fn only_two_placeholders_are_known() {
        for good in ["Bearer {value}", "{field:id}:{field:secret}", "plain", ""] {
            assert!(Template::parse(good).is_ok(), "{good}");
        }
        for bad in ["{token}", "Bearer {value", "{}", "{field:}", "{field:a b}", "{Value}", "{{value}}"] {
            assert_eq!(Template::parse(bad).err(), Some(HttpError::Placeholder), "{bad}");
        }
    }

    #[test]
    fn the_key_takes_its_place_or_there_is_a_reason() {
        let one = Material::one(SecretValue::from("k")).expect("material");
        let field = |name: &str, value| (name.parse().expect("a name"), SecretValue::from(value));
        let two = Material::fields([field("id", "i"), field("secret", "s")]).expect("material");
        let fill = |text: &str, material| {
            Template::parse(text).expect("a template").fill(material).map(|filled| String::from_utf8(filled.to_vec()))
        };
        assert_eq!(fill("a {value} b {value}", &one), Ok(Ok("a k b k".to_owned())));
        assert_eq!(fill("{field:id}:{field:secret}", &two), Ok(Ok("i:s".to_owned())));
        assert_eq!(fill("{value}", &two), Err(NO_VALUE));
        assert_eq!(fill("{field:id}", &one), Err(NO_FIELD));
        assert_eq!(fill("{field:other}", &two), Err(NO_FIELD));
    }
}
