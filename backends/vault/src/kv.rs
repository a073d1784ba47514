//! KV version 2: one secret with numbered versions at a path, written by check-and-set.

use std::fmt;

use keyward_core::{Context, Error, ErrorKind, Operation, Result, SecretValue};
use serde_json::Value;

use crate::client::{Client, Json, Reply, Request};
use crate::error::not_vault;

/// A mount of KV version 2.
#[derive(Clone, Debug)]
pub(crate) struct Kv {
    client: Client,
    mount: String,
}

/// What lies at a path.
pub(crate) enum Found {
    /// Nothing was ever written, or its metadata was deleted.
    Nothing,
    /// The version is there in name only: deleted or destroyed.
    Gone(Written),
    /// A version with its data.
    Here(Json, Written),
}

/// No path has as many versions; a number beyond is nonsense, and the next one must still be one.
const MOST: u64 = 1 << 53;

/// A version of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Written {
    pub(crate) number: u64,
    pub(crate) created: String,
    /// The server will delete it, or has deleted it.
    pub(crate) deletion: bool,
    pub(crate) destroyed: bool,
}

/// What became of a write.
pub(crate) enum Put {
    Written(Written),
    /// Written, but the server will delete it by itself.
    Vanishing,
    /// Not written, or written by an earlier attempt of ours: read back.
    Refused,
    /// No answer came: read back. When that does not tell either, this is the error.
    Unclear(Error),
}

/// What the metadata of a path says.
pub(crate) struct Metadata {
    pub(crate) versions: Vec<Written>,
    pub(crate) custom: Vec<(String, String)>,
    /// The path deletes its versions after a while.
    pub(crate) deletes: bool,
}

impl Kv {
    pub(crate) fn new(client: Client, mount: String) -> Self {
        Self { client, mount }
    }

    /// The same server, another mount.
    pub(crate) fn at(&self, mount: &str) -> Self {
        Self { client: self.client.clone(), mount: mount.to_owned() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn mount(&self) -> &str {
        &self.mount
    }

    /// Reads the latest version, or a numbered one.
    pub(crate) async fn get(
        &self,
        cx: &Context,
        operation: Operation,
        path: &str,
        number: Option<u64>,
    ) -> Result<Found> {
        let request = Request::get(self.path("data", path));
        let request = match number {
            Some(number) => request.query("version", number.to_string()),
            None => request,
        };
        let (mut json, here) = match self.client.call(cx, operation, &request).await? {
            Reply::Done(json) => (json, true),
            Reply::Missing(json) => (json, false),
            refused => return Err(unlike(refused, operation, false)),
        };
        if !here && json.is_silent() {
            return Ok(Found::Nothing);
        }
        let mut data = json.take_data(operation)?;
        let written = data.take("metadata").and_then(|m| Written::of(&m)).ok_or_else(|| not_vault(operation, false))?;
        match (here, data.take("data")) {
            (true, Some(map)) => Ok(Found::Here(map.out_of(&mut json), written)),
            // A version that was written as `null`, or whose data is gone.
            (true, None) | (false, _) => Ok(Found::Gone(written)),
        }
    }

    /// Writes the next version, if the latest is number `cas` (0: none yet).
    pub(crate) async fn put(
        &self,
        cx: &Context,
        operation: Operation,
        path: &str,
        data: &SecretValue,
        cas: u64,
    ) -> Result<Put> {
        let request = Request::post(self.path("data", path), framed(data, cas));
        let mut json = match self.client.call(cx, operation, &request).await {
            Ok(Reply::Done(json)) => json,
            Ok(Reply::Refused(_)) => return Ok(Put::Refused),
            Ok(other) => return Err(unlike(other, operation, true)),
            Err(error) if error.kind() == ErrorKind::Unknown => return Ok(Put::Unclear(error)),
            Err(error) => return Err(error),
        };
        match json.take("data").and_then(|data| Written::of(&data)) {
            Some(written) if written.deletion => Ok(Put::Vanishing),
            Some(written) => Ok(Put::Written(written)),
            None => Ok(Put::Unclear(not_vault(operation, true))),
        }
    }

    /// Makes a path refuse writes without check-and-set, and keep so many versions.
    pub(crate) async fn configure(&self, cx: &Context, operation: Operation, path: &str, keep: u32) -> Result<()> {
        let body = format!(r#"{{"cas_required":true,"max_versions":{keep}}}"#);
        let request = Request::post(self.path("metadata", path), SecretValue::from(body.as_str()));
        self.client.call(cx, operation, &request).await?.acknowledged(operation)
    }

    /// Which versions a path has. Shows no value.
    pub(crate) async fn metadata(&self, cx: &Context, operation: Operation, path: &str) -> Result<Option<Metadata>> {
        let request = Request::get(self.path("metadata", path));
        let Some(mut json) = self.client.call(cx, operation, &request).await?.found(operation)? else {
            return Ok(None);
        };
        let mut data = json.take_data(operation)?;
        let listed = data.take("versions").ok_or_else(|| not_vault(operation, false))?;
        let versions =
            listed.entries().map(|(number, value)| Written::listed(number, value)).collect::<Option<Vec<_>>>();
        let mut versions = versions.ok_or_else(|| not_vault(operation, false))?;
        versions.sort_unstable_by_key(|written| written.number);
        let custom = data.take("custom_metadata").unwrap_or_default();
        let custom =
            custom.entries().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        Ok(Some(Metadata { versions, custom, deletes: is_set(data.get("delete_version_after")) }))
    }

    /// Destroys versions for good. Repeating it finishes an interrupted one.
    pub(crate) async fn destroy(&self, cx: &Context, operation: Operation, path: &str, numbers: &[u64]) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let body = format!(r#"{{"versions":[{}]}}"#, numbers.join(","));
        let request = Request::post(self.path("destroy", path), SecretValue::from(body.as_str()));
        self.client.call(cx, operation, &request).await?.acknowledged(operation)
    }

    /// Removes a path with all its versions. Nothing there: success.
    pub(crate) async fn remove(&self, cx: &Context, operation: Operation, path: &str) -> Result<()> {
        let request = Request::delete(self.path("metadata", path));
        match self.client.call(cx, operation, &request).await? {
            Reply::Missing(_) => Ok(()),
            removed => removed.acknowledged(operation),
        }
    }

    /// Names in a folder; those of folders end with a slash. A server that pages answers at most `limit` after
    /// `after`; another answers all of them.
    pub(crate) async fn list(
        &self,
        cx: &Context,
        operation: Operation,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut request = Request::list(self.path("metadata", &folder)).query("limit", limit.to_string());
        if let Some(after) = after {
            request = request.query("after", after.to_owned());
        }
        match self.client.call(cx, operation, &request).await?.found(operation)? {
            Some(json) => json.into_keys(operation),
            None => Ok(Vec::new()),
        }
    }

    fn path(&self, verb: &str, path: &str) -> String {
        format!("{}/{verb}/{path}", self.mount)
    }
}

impl Written {
    fn of(json: &Json) -> Option<Self> {
        let created = json.get("created_time").as_str().filter(|text| text.len() <= MAX_TIME)?;
        let number = json.get("version").as_u64().filter(|number| *number < MOST)?;
        let destroyed = json.get("destroyed").as_bool()?;
        let deletion = json.get("deletion_time").as_str().is_some_and(|text| !text.is_empty());
        Some(Self { number, created: created.to_owned(), deletion, destroyed })
    }

    fn listed(number: &str, value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Some(Self {
            number: number.parse().ok().filter(|number| *number < MOST)?,
            created: text("created_time").filter(|text| text.len() <= MAX_TIME)?.to_owned(),
            deletion: text("deletion_time").is_some_and(|text| !text.is_empty()),
            destroyed: value.get("destroyed").and_then(Value::as_bool)?,
        })
    }

    /// The version as one short text, another for every version ever written at a path: numbers begin anew when the
    /// metadata of a path is deleted, times do not.
    pub(crate) fn mark(&self) -> String {
        format!("{}:{}", self.number, self.created)
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Gone(written) => f.debug_tuple("Gone").field(written).finish(),
            Self::Here(_, written) => f.debug_tuple("Here").field(written).finish(),
        }
    }
}

/// What is said when a write was given a time to die.
pub(crate) const SELF_DELETING: &str = "the server would delete this by itself: delete_version_after is set on the \
                                        mount or the path; set it to 0s, then repeat";

/// The longest time text a server sends.
const MAX_TIME: usize = 64;

/// A duration setting that is on.
pub(crate) fn is_set(value: &Value) -> bool {
    match value {
        Value::String(text) => !matches!(text.as_str(), "" | "0" | "0s"),
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => false,
    }
}

/// The body of a write, put together without a copy that grows.
fn framed(data: &SecretValue, cas: u64) -> SecretValue {
    let head = format!(r#"{{"options":{{"cas":{cas}}},"data":"#);
    let mut body = Vec::with_capacity(head.len() + data.len() + 1);
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(data.expose_secret());
    body.push(b'}');
    SecretValue::new(body)
}

/// The error of an answer that is no success.
fn unlike(reply: Reply, operation: Operation, write: bool) -> Error {
    reply.done(operation).err().unwrap_or_else(|| not_vault(operation, write))
}
