//! Material as native readers see it: a JSON object of texts.

use std::fmt;

use data_encoding::BASE64;
use keyward_core::{FieldName, Material, SecretValue, Shape};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// The field that holds material of one value.
const VALUE: &str = "value";
/// The field that names the fields whose text is base64, because their bytes are not UTF-8.
const ENCODING: &str = "keyward_encoding";
/// Fields of this library; no field of material may begin with it.
const RESERVED: &str = "keyward_";

/// A JSON object that holds material, in the form native readers expect: `{"value": ..}` or one
/// text per field. Its texts are wiped on drop, and `Debug` shows names only.
///
/// Bytes that are not UTF-8 stand as base64, and `keyward_encoding` names those fields.
///
/// ```
/// use keyward_core::{Material, SecretValue, Shape};
/// use keyward_remote::NativeMap;
/// let material = Material::one(SecretValue::from("sk_test_1"))?;
/// let map = NativeMap::of(&material);
/// assert!(map.material(&Shape::One).is_ok_and(|back| back.ct_eq(&material)));
/// # Ok::<(), keyward_core::MaterialError>(())
/// ```
#[derive(Default)]
pub struct NativeMap(Map<String, Value>);

impl NativeMap {
    /// The native form of material.
    pub fn of(material: &Material) -> Self {
        let (mut map, mut encoded) = (Map::new(), Vec::new());
        for (name, value) in material.iter() {
            let name = name.map_or(VALUE, FieldName::as_str);
            let text = match std::str::from_utf8(value.expose_secret()) {
                Ok(text) => text.to_owned(),
                Err(_) => {
                    encoded.push(name);
                    BASE64.encode(value.expose_secret())
                }
            };
            map.insert(name.to_owned(), Value::String(text));
        }
        if !encoded.is_empty() {
            map.insert(ENCODING.to_owned(), Value::String(encoded.join(",")));
        }
        Self(map)
    }

    /// Takes a map a client has parsed.
    pub fn from_map(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// Reads a JSON object; `None` for anything else.
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// True when material has a field whose name is kept for this library.
    pub fn reserves(shape: &Shape) -> bool {
        match shape {
            Shape::One => false,
            Shape::Fields(names) => names.iter().any(|name| name.as_str().starts_with(RESERVED)),
        }
    }

    /// The material of a shape: exactly its fields, whatever else of this library's is there.
    ///
    /// # Errors
    /// [`NotMaterial`] when a field is missing, is not text, is not the base64 it should be, or
    /// there are others.
    ///
    /// ```
    /// use keyward_core::Shape;
    /// use keyward_remote::{NativeMap, NotMaterial};
    /// let foreign = NativeMap::parse(br#"{"port": 5432}"#).expect("an object");
    /// assert!(matches!(foreign.material(&Shape::One), Err(NotMaterial)));
    /// ```
    pub fn material(&self, shape: &Shape) -> Result<Material, NotMaterial> {
        let ours = self.0.keys().filter(|name| !name.starts_with(RESERVED)).count();
        match shape {
            Shape::One if ours == 1 => Material::one(self.field(VALUE)?),
            Shape::Fields(names) if ours == names.len() => {
                let fields = names.iter().map(|name| Ok((name.clone(), self.field(name.as_str())?)));
                Material::fields(fields.collect::<Result<Vec<_>, _>>()?)
            }
            _ => return Err(NotMaterial),
        }
        .map_err(|_| NotMaterial)
    }

    /// The bytes of one field, whatever else is there.
    ///
    /// # Errors
    /// [`NotMaterial`] when it is missing, not text, or not the base64 it should be.
    ///
    /// ```
    /// use keyward_remote::NativeMap;
    /// let shared = NativeMap::parse(br#"{"api_key": "sk_test_1", "port": 5432}"#).expect("an object");
    /// assert!(shared.field("api_key").is_ok() && shared.field("port").is_err());
    /// ```
    pub fn field(&self, name: &str) -> Result<SecretValue, NotMaterial> {
        let text = self.text(name).ok_or(NotMaterial)?;
        let encoded = self.text(ENCODING).is_some_and(|names| names.split(',').any(|n| n == name));
        if encoded {
            return BASE64.decode(text.as_bytes()).map(SecretValue::new).map_err(|_| NotMaterial);
        }
        Ok(SecretValue::from(text))
    }

    /// The shape of a foreign map: its fields, when all are text under plain names.
    pub fn shape(&self) -> Option<Shape> {
        let name = |(name, value): (&String, &Value)| {
            let plain = value.is_string() && !name.starts_with(RESERVED);
            plain.then(|| name.parse::<FieldName>().ok()).flatten()
        };
        let mut names = self.0.iter().map(name).collect::<Option<Vec<_>>>()?;
        names.sort_unstable();
        (1..=Material::MAX_FIELDS).contains(&names.len()).then_some(Shape::Fields(names))
    }

    /// The text of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Sets a field to a text; what stood there is wiped.
    pub fn set(&mut self, name: &str, text: &str) {
        if let Some(mut old) = self.0.insert(name.to_owned(), Value::String(text.to_owned())) {
            wipe(&mut old);
        }
    }

    /// The map itself, to be sent.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The map as JSON text.
    pub fn to_json(&self) -> SecretValue {
        SecretValue::new(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

impl Drop for NativeMap {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

impl fmt::Debug for NativeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The object does not hold material of the shape asked for. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "nothing more may ever be said")]
pub struct NotMaterial;

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_come_back_beside_text_that_looks_encoded() {
        let field = |name: &str, value: &[u8]| (name.parse().expect("a name"), SecretValue::from(value));
        let fields = [field("raw", &[0xff, 0, 1]), field("looks", b"/wAB"), field("empty", b"")];
        let material = Material::fields(fields).expect("material");
        let json = NativeMap::of(&material).to_json();
        let back = NativeMap::parse(json.expose_secret()).expect("an object").material(&material.shape());
        assert!(back.is_ok_and(|back| back.ct_eq(&material)));
    }
}
