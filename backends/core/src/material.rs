//! The secret of a version: one value, or named fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::SecretValue;

/// The secret of a version, immutable: one value, or named fields (an id and a secret, say).
///
/// ```
/// use keyward_core::{Material, SecretValue};
/// let one = Material::one(SecretValue::from("sk_test_1"))?;
/// let pair = Material::fields([
///     ("access_key_id".parse()?, SecretValue::from("AKIAEXAMPLE")),
///     ("secret".parse()?, SecretValue::from("wJalrXUtnFEMI")),
/// ])?;
/// assert!(!one.ct_eq(&pair));
/// # Ok::<(), keyward_core::MaterialError>(())
/// ```
#[derive(Debug)]
pub struct Material(Inner);

#[derive(Debug)]
enum Inner {
    One(SecretValue),
    Fields(BTreeMap<FieldName, SecretValue>),
}

impl Material {
    /// The most bytes all values have together: what every backend can store.
    pub const MAX_LEN: usize = 60 * 1024;
    /// The most fields.
    pub const MAX_FIELDS: usize = 32;

    /// Material of one value.
    ///
    /// ```
    /// use keyward_core::{Material, SecretValue};
    /// assert!(Material::one(SecretValue::from("sk_test_1")).is_ok());
    /// assert!(Material::one(SecretValue::from("")).is_err());
    /// ```
    ///
    /// # Errors
    /// [`MaterialError::Length`] when it is empty or longer than [`Material::MAX_LEN`].
    pub fn one(value: SecretValue) -> Result<Self, MaterialError> {
        check_len(value.len())?;
        Ok(Self(Inner::One(value)))
    }

    /// Material of named fields. A field may be empty, all together may not.
    ///
    /// ```
    /// use keyward_core::{Material, SecretValue};
    /// let login = Material::fields([("user".parse()?, SecretValue::from("u")), ("password".parse()?, SecretValue::from("p"))])?;
    /// assert!(login.field("user").is_some() && login.value().is_none());
    /// # Ok::<(), keyward_core::MaterialError>(())
    /// ```
    ///
    /// # Errors
    /// [`MaterialError::Length`] as for one value, [`MaterialError::Fields`] for no field, too
    /// many, or one name twice.
    pub fn fields(fields: impl IntoIterator<Item = (FieldName, SecretValue)>) -> Result<Self, MaterialError> {
        let mut map = BTreeMap::new();
        for (name, value) in fields {
            if map.insert(name, value).is_some() || map.len() > Self::MAX_FIELDS {
                return Err(MaterialError::Fields);
            }
        }
        if map.is_empty() {
            return Err(MaterialError::Fields);
        }
        check_len(map.values().map(SecretValue::len).sum())?;
        Ok(Self(Inner::Fields(map)))
    }

    /// The shape, without values.
    pub fn shape(&self) -> Shape {
        match &self.0 {
            Inner::One(_) => Shape::One,
            Inner::Fields(fields) => Shape::Fields(fields.keys().cloned().collect()),
        }
    }

    /// The value, when there is exactly one without a name.
    pub fn value(&self) -> Option<&SecretValue> {
        match &self.0 {
            Inner::One(value) => Some(value),
            Inner::Fields(_) => None,
        }
    }

    /// The value of one field.
    pub fn field(&self, name: &str) -> Option<&SecretValue> {
        match &self.0 {
            Inner::One(_) => None,
            Inner::Fields(fields) => fields.iter().find(|(n, _)| n.as_str() == name).map(|(_, v)| v),
        }
    }

    /// All values with their field names (`None` for material of one value).
    pub fn iter(&self) -> impl Iterator<Item = (Option<&FieldName>, &SecretValue)> {
        let (one, fields) = match &self.0 {
            Inner::One(value) => (Some((None, value)), None),
            Inner::Fields(fields) => (None, Some(fields.iter().map(|(n, v)| (Some(n), v)))),
        };
        one.into_iter().chain(fields.into_iter().flatten())
    }

    /// Compares shapes, and values in time that depends on their lengths only.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
            && self.iter().zip(other.iter()).fold(true, |same, ((_, a), (_, b))| a.ct_eq(b) & same)
    }

    /// A second copy, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(match &self.0 {
            Inner::One(value) => Inner::One(value.duplicate()),
            Inner::Fields(fields) => Inner::Fields(fields.iter().map(|(n, v)| (n.clone(), v.duplicate())).collect()),
        })
    }

    /// The canonical bytes: what backends seal and fingerprints are taken of. Equal material has
    /// equal bytes.
    ///
    /// ```
    /// use keyward_core::{Material, SecretValue};
    /// let material = Material::one(SecretValue::from("sk_test_1"))?;
    /// let back = Material::decode(material.encode().expose_secret())?;
    /// assert!(back.ct_eq(&material));
    /// # Ok::<(), keyward_core::MaterialError>(())
    /// ```
    ///
    /// Layout: byte 1 = layout version 1; byte 2 = number of fields, 0 for one value; then per
    /// value: name length (u8) and name (fields only), value length (u32, big endian), value.
    pub fn encode(&self) -> SecretValue {
        let size = 2 + self.iter().map(|(n, v)| n.map_or(0, |n| 1 + n.as_str().len()) + 4 + v.len()).sum::<usize>();
        let mut out = Vec::with_capacity(size);
        let count = match &self.0 {
            Inner::One(_) => 0,
            Inner::Fields(fields) => fields.len(),
        };
        out.extend([1, u8::try_from(count).unwrap_or(u8::MAX)]);
        for (name, value) in self.iter() {
            if let Some(name) = name {
                out.push(u8::try_from(name.as_str().len()).unwrap_or(u8::MAX));
                out.extend_from_slice(name.as_str().as_bytes());
            }
            out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(value.expose_secret());
        }
        SecretValue::new(out)
    }

    /// Reads the canonical bytes back.
    ///
    /// ```
    /// use keyward_core::{Material, SecretValue};
    /// let one = Material::one(SecretValue::from("sk_test_1"))?;
    /// assert!(Material::decode(one.encode().expose_secret())?.ct_eq(&one));
    /// assert!(Material::decode(b"something else").is_err());
    /// # Ok::<(), keyward_core::MaterialError>(())
    /// ```
    ///
    /// # Errors
    /// [`MaterialError::Malformed`] when the bytes are not exactly one encoding, without a word
    /// about what they hold; otherwise as the constructors.
    pub fn decode(bytes: &[u8]) -> Result<Self, MaterialError> {
        let mut cursor = Cursor(bytes);
        let [version, count] = cursor.array::<2>()?;
        if version != 1 {
            return Err(MaterialError::Malformed);
        }
        let material = if count == 0 {
            Self::one(cursor.value()?)?
        } else {
            let fields = (0..count).map(|_| Ok((cursor.name()?, cursor.value()?)));
            let fields = fields.collect::<Result<Vec<_>, MaterialError>>()?;
            // Another order would be a second encoding of the same material.
            if fields.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                return Err(MaterialError::Malformed);
            }
            Self::fields(fields)?
        };
        if cursor.0.is_empty() { Ok(material) } else { Err(MaterialError::Malformed) }
    }
}

/// The shape of material: what is there, never what it says.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "every backend must map every shape")]
pub enum Shape {
    /// One value.
    One,
    /// Named fields, in order of their names.
    Fields(Vec<FieldName>),
}

impl Shape {
    /// A shape that material can have: 1 to [`Material::MAX_FIELDS`] names, in order, each once.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::One => true,
            Self::Fields(names) => {
                (1..=Material::MAX_FIELDS).contains(&names.len()) && names.windows(2).all(|pair| pair[0] < pair[1])
            }
        }
    }
}

/// The name of a field of material: 1 to 64 bytes of letters, digits, `_`, `-` and `.`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(Box<str>);

impl FieldName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for FieldName {
    type Err = MaterialError;

    fn from_str(text: &str) -> Result<Self, MaterialError> {
        if text.is_empty() || text.len() > 64 {
            return Err(MaterialError::FieldName { at: 0 });
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        match text.bytes().position(|b| !allowed(b)) {
            Some(at) => Err(MaterialError::FieldName { at }),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for FieldName {
    type Error = MaterialError;

    fn try_from(text: String) -> Result<Self, MaterialError> {
        text.parse()
    }
}

impl From<FieldName> for String {
    fn from(name: FieldName) -> Self {
        name.0.into()
    }
}

/// Why material was refused. Never holds any of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// A field name is empty, too long or has a bad character.
    #[error("the field name is bad at byte {at}; use 1 to 64 letters, digits, '_', '-' or '.'")]
    FieldName {
        /// Byte offset.
        at: usize,
    },
    /// No field, more than 32, or one name twice.
    #[error("give 1 to 32 fields, each name once")]
    Fields,
    /// Nothing at all, or too much.
    #[error("the material has {found} bytes; store 1 to {} bytes", Material::MAX_LEN)]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// Stored bytes are not an encoding of material.
    #[error("the stored bytes are not an encoding of material; the store is damaged or newer than this library")]
    Malformed,
}

fn check_len(found: usize) -> Result<(), MaterialError> {
    if (1..=Material::MAX_LEN).contains(&found) { Ok(()) } else { Err(MaterialError::Length { found }) }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], MaterialError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(MaterialError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MaterialError> {
        self.take(N)?.try_into().map_err(|_| MaterialError::Malformed)
    }

    fn name(&mut self) -> Result<FieldName, MaterialError> {
        let [len] = self.array::<1>()?;
        let text = std::str::from_utf8(self.take(len.into())?).map_err(|_| MaterialError::Malformed)?;
        text.parse().map_err(|_| MaterialError::Malformed)
    }

    fn value(&mut self) -> Result<SecretValue, MaterialError> {
        let len = u32::from_be_bytes(self.array()?);
        let len = usize::try_from(len).map_err(|_| MaterialError::Malformed)?;
        Ok(self.take(len)?.into())
    }
}
