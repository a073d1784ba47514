//! The label of a credential: which version of which key it is.

use keyward_core::{IssuerKey, IssuerRef, KeyId, KeyRecord, VersionId};
use serde_json::{Map, Value};

/// The metadata a version is labelled with.
pub(super) fn label(key: &KeyId, version: VersionId) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::String(text));
    Value::Object(Map::from_iter([text(KEY, key.to_string()), text(VERSION, version.to_string())]))
}

/// The version metadata names, if it is of this key.
pub(super) fn labelled(metadata: &Value, key: &KeyId) -> Option<VersionId> {
    let of_key = metadata.get(KEY).and_then(Value::as_str) == Some(key.as_str());
    of_key.then(|| metadata.get(VERSION)?.as_str()?.parse().ok()).flatten()
}

/// The version that names an accessor already: no lookup is needed for it.
pub(super) fn known(record: &KeyRecord, accessor: &IssuerRef) -> Option<IssuerKey> {
    let version = record.versions().iter().find(|version| version.issuer_ref.as_ref() == Some(accessor))?;
    Some(IssuerKey { label: version.id, reference: accessor.clone() })
}

const KEY: &str = "keyward_key";
const VERSION: &str = "keyward_version";
