//! What is asked, and what is answered.

use std::fmt;

use keyward_core::{ErrorKind, Operation, Result, SecretValue};
use keyward_remote::NativeMap;
use reqwest::Method;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{DENIED, fault, not_vault};

/// A request below `/v1/`.
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<SecretValue>,
}

impl Request {
    /// Reads a path. Segments are separated by `/` and must be free of `.` and `..`; all else is escaped.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: Vec::new(), body: None }
    }

    /// Lists a folder.
    pub(crate) fn list(path: impl Into<String>) -> Self {
        Self::get(path).query("list", "true".to_owned())
    }

    /// Writes to a path. The bytes are JSON.
    pub(crate) fn post(path: impl Into<String>, body: SecretValue) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    /// Deletes a path.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// Adds a parameter.
    pub(crate) fn query(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }

    /// True when the request may have changed something although no answer came.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// An answer that is no error by itself.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Done, with what was answered.
    Done(Json),
    /// Nothing there. KV tells of a deleted or destroyed version in the body.
    Missing(Json),
    /// 400: malformed, or the check-and-set number is another one. Read back to tell.
    Refused(Json),
    /// 403: not allowed.
    Denied(Json),
}

impl Reply {
    /// The answer of a call that must succeed.
    pub(crate) fn done(self, operation: Operation) -> Result<Json> {
        match self {
            Self::Done(json) => Ok(json),
            Self::Missing(_) => {
                Err(fault(ErrorKind::NotFound, operation, "the server knows no such path").with_code(404))
            }
            Self::Refused(_) => {
                Err(fault(ErrorKind::Invalid, operation, "the server refused the request").with_code(400))
            }
            Self::Denied(_) => Err(fault(ErrorKind::Denied, operation, DENIED).with_code(403)),
        }
    }

    /// The answer of a change that must succeed, and of which nothing is told.
    pub(crate) fn acknowledged(self, operation: Operation) -> Result<()> {
        let json = self.done(operation)?;
        // An empty answer, or one in Vault's own envelope.
        if json.is_empty() || json.is_envelope() { Ok(()) } else { Err(not_vault(operation, true)) }
    }

    /// The answer of a call to which "nothing there" is an answer.
    pub(crate) fn found(self, operation: Operation) -> Result<Option<Json>> {
        match self {
            Self::Missing(_) => Ok(None),
            other => other.done(operation).map(Some),
        }
    }
}

/// A JSON object the server sent. Its texts are wiped on drop, and `Debug` shows none of them.
#[derive(Default)]
pub(crate) struct Json {
    map: Map<String, Value>,
    /// The whole answer as it was sent; nothing for an object inside of one.
    text: Zeroizing<Vec<u8>>,
}

impl Json {
    pub(super) fn parse(text: Zeroizing<Vec<u8>>) -> Option<Self> {
        let map = serde_json::from_slice(&text).ok()?;
        Some(Self { map, text })
    }

    /// An object inside of an answer, together with the text of that.
    pub(crate) fn out_of(mut self, answer: &mut Self) -> Self {
        self.text = std::mem::take(&mut answer.text);
        self
    }

    /// The whole of it as material, and the text of the answer it came out of.
    pub(crate) fn into_parts(mut self) -> (NativeMap, Zeroizing<Vec<u8>>) {
        let text = std::mem::take(&mut self.text);
        (self.into_native(), text)
    }

    /// A member, `Null` when it is missing.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.map.get(name).unwrap_or(&Value::Null)
    }

    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// True for what Vault puts around its answers: all of it, for others number their requests too.
    pub(crate) fn is_envelope(&self) -> bool {
        let texts = ["request_id", "lease_id"].iter().all(|name| self.get(name).is_string());
        texts && self.get("renewable").is_boolean() && self.get("lease_duration").is_number()
    }

    /// True for what Vault says when it refuses, or has nothing.
    pub(crate) fn is_refusal(&self) -> bool {
        self.get("errors").as_array().is_some_and(|errors| errors.iter().all(Value::is_string))
    }

    /// True for what Vault says when there is nothing: a refusal without a reason.
    pub(crate) fn is_silent(&self) -> bool {
        self.get("errors").as_array().is_some_and(Vec::is_empty)
    }

    /// Whether one of the errors has this text in it.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let mut errors = self.get("errors").as_array().into_iter().flatten().filter_map(Value::as_str);
        errors.any(|error| error.contains(text))
    }

    /// All members.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.map.iter()
    }

    /// Takes an object out of the `data` member.
    pub(crate) fn take_data(&mut self, operation: Operation) -> Result<Self> {
        self.take("data").ok_or_else(|| not_vault(operation, false))
    }

    /// Takes an object out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Self> {
        match self.map.get_mut(name).map(Value::take) {
            Some(Value::Object(map)) => Some(Self { map, text: Zeroizing::default() }),
            other => {
                other.into_iter().for_each(|mut value| wipe(&mut value));
                None
            }
        }
    }

    /// The whole of it as material.
    pub(crate) fn into_native(mut self) -> NativeMap {
        NativeMap::from_map(std::mem::take(&mut self.map))
    }

    /// The whole of it as JSON. Only for what holds no secret: nothing wipes it any more.
    pub(crate) fn into_value(mut self) -> Value {
        Value::Object(std::mem::take(&mut self.map))
    }

    /// Names of a listing, as `LIST` answers them.
    pub(crate) fn into_keys(mut self, operation: Operation) -> Result<Vec<String>> {
        let data = self.take_data(operation)?;
        let names = data.get("keys").as_array().ok_or_else(|| not_vault(operation, false))?;
        let texts = names.iter().map(|name| name.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>().ok_or_else(|| not_vault(operation, false))
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        self.map.values_mut().for_each(wipe);
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(redacted)")
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
