//! The calls about the secret-ids of a role.

use keyward_core::{
    Context, CreateError, ErrorKind, IssuerKey, IssuerRef, KeyRecord, Operation, Result, SecretValue, VersionId,
};
use keyward_remote::fan_out;
use serde_json::{Value, json};

use super::label::{known, label, labelled};
use super::{AT_ONCE, create_error, end_of, lost_key};
use crate::client::{Client, Json, Reply, Request};
use crate::error::{fault, not_vault};

/// The most secret-ids of one role that are looked at.
const MAX_LISTED: usize = 1000;

#[derive(Clone, Debug)]
pub(super) struct SecretIds {
    client: Client,
    mount: String,
}

/// A secret-id just made.
pub(super) struct Made {
    pub(super) role_id: SecretValue,
    pub(super) secret_id: SecretValue,
    pub(super) accessor: IssuerRef,
    pub(super) expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl SecretIds {
    pub(super) fn new(client: Client, mount: String) -> Self {
        Self { client, mount }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn login_path(&self) -> String {
        format!("auth/{}/login", self.mount)
    }

    /// Makes a secret-id: one attempt. What can be found out before is asked before.
    pub(super) async fn create(
        &self,
        cx: &Context,
        role: &str,
        record: &KeyRecord,
        version: VersionId,
    ) -> Result<Made, CreateError> {
        let operation = Operation::Create;
        let role_id = self.prepare(cx, role).await.map_err(CreateError::NotCreated)?;
        let metadata = label(record.id(), version).to_string();
        let request = Request::post(self.path(role, "secret-id"), json(&json!({ "metadata": metadata })));
        let answer = self.client.once(cx, operation, &request).await.map_err(create_error)?;
        let mut made = answer.done(operation).map_err(CreateError::NotCreated)?;
        let data = made.take("data").ok_or_else(lost_key)?;
        let text = |name| data.get(name).as_str().filter(|text| !text.is_empty());
        let (Some(secret_id), Some(accessor)) = (text("secret_id"), text("secret_id_accessor")) else {
            return Err(lost_key());
        };
        let (secret_id, accessor) = (SecretValue::from(secret_id), accessor.parse().map_err(|_| lost_key())?);
        Ok(Made { role_id, secret_id, accessor, expires_at: end_of(data.get("secret_id_ttl")) })
    }

    /// The id of the role. A role whose secret-ids wear out is refused: trying one out would use it up.
    async fn prepare(&self, cx: &Context, role: &str) -> Result<SecretValue> {
        let operation = Operation::Create;
        let read = |path| async move { self.client.call(cx, operation, &Request::get(path)).await?.done(operation) };
        let role_data = read(self.path(role, "")).await?.take_data(operation)?;
        let uses = role_data.get("secret_id_num_uses").as_u64().ok_or_else(|| not_vault(operation, false))?;
        if uses != 0 {
            let detail =
                "the role limits how often a secret-id may be used (secret_id_num_uses), so none can be tried out";
            return Err(fault(ErrorKind::Invalid, operation, detail));
        }
        let data = read(self.path(role, "/role-id")).await?.take_data(operation)?;
        data.get("role_id").as_str().map(SecretValue::from).ok_or_else(|| not_vault(operation, false))
    }

    /// What the server knows of a secret-id; nothing when there is none, or no such role.
    pub(super) async fn look_up(
        &self,
        cx: &Context,
        operation: Operation,
        role: &str,
        accessor: &IssuerRef,
    ) -> Result<Option<Json>> {
        let body = json(&json!({ "secret_id_accessor": accessor.as_str() }));
        let request = Request::post(self.path(role, "secret-id-accessor/lookup"), body);
        let found = match self.client.once(cx, operation, &request).await {
            // With a role that is gone, and with some servers, one that is not there is a failure of the server, and
            // would be one for ever.
            Err(error) if error.code() == Some(500) && !self.is_listed(cx, operation, role, accessor).await? => {
                return Ok(None);
            }
            Err(error) if error.retry() != keyward_core::Retry::No => self.client.call(cx, operation, &request).await,
            answer => answer,
        };
        match found.map_err(read_only)? {
            Reply::Missing(said) if is_unknown(&said) => Ok(None),
            found => {
                let data = found.done(operation)?.take_data(operation)?;
                let same = data.get("secret_id_accessor").as_str() == Some(accessor.as_str());
                if same { Ok(Some(data)) } else { Err(not_vault(operation, false)) }
            }
        }
    }

    /// Destroys a secret-id; one that is gone is destroyed.
    pub(super) async fn destroy(&self, cx: &Context, role: &str, accessor: &IssuerRef) -> Result<()> {
        let operation = Operation::Revoke;
        if self.look_up(cx, operation, role, accessor).await?.is_none() {
            return Ok(());
        }
        let body = json(&json!({ "secret_id_accessor": accessor.as_str() }));
        let request = Request::post(self.path(role, "secret-id-accessor/destroy"), body);
        let answer = self.client.once(cx, operation, &request).await;
        match answer.and_then(|answer| answer.acknowledged(operation)) {
            Ok(()) => Ok(()),
            // One that went meanwhile is answered like a failure of the server: look again.
            Err(error) => match self.look_up(cx, operation, role, accessor).await {
                Ok(None) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// The secret-ids of a role that carry a label of this record.
    pub(super) async fn find(&self, cx: &Context, role: &str, record: &KeyRecord) -> Result<Vec<IssuerKey>> {
        let operation = Operation::Find;
        let listed = self.list(cx, operation, role).await?;
        if listed.len() > MAX_LISTED {
            let detail = "the role has more than 1,000 secret-ids, too many to look at; destroy those nobody uses";
            return Err(fault(ErrorKind::Quota, operation, detail));
        }
        let looked = fan_out(listed, AT_ONCE, |accessor| async move {
            let Ok(accessor) = accessor.parse::<IssuerRef>() else { return Ok(None) };
            if let Some(known) = known(record, &accessor) {
                return Ok(Some(known));
            }
            let found = self.look_up(cx, operation, role, &accessor).await?;
            let label = found.and_then(|data| labelled(data.get("metadata"), record.id()));
            Ok(label.map(|label| IssuerKey { label, reference: accessor }))
        });
        looked.await.into_iter().filter_map(Result::transpose).collect()
    }

    /// The accessors of a role; none when there is no such role.
    async fn list(&self, cx: &Context, operation: Operation, role: &str) -> Result<Vec<String>> {
        let request = Request::list(self.path(role, "secret-id"));
        match self.client.call(cx, operation, &request).await? {
            Reply::Missing(_) => Ok(Vec::new()),
            // What is answered for a role that is not there.
            Reply::Refused(_) if !self.has_role(cx, operation, role).await? => Ok(Vec::new()),
            listed => listed.done(operation)?.into_keys(operation),
        }
    }

    async fn is_listed(&self, cx: &Context, operation: Operation, role: &str, accessor: &IssuerRef) -> Result<bool> {
        let listed = self.list(cx, operation, role).await?;
        Ok(listed.iter().any(|listed| listed == accessor.as_str()))
    }

    async fn has_role(&self, cx: &Context, operation: Operation, role: &str) -> Result<bool> {
        let answer = self.client.call(cx, operation, &Request::get(self.path(role, ""))).await?;
        Ok(answer.found(operation)?.is_some())
    }

    fn path(&self, role: &str, below: &str) -> String {
        let path = format!("auth/{}/role/{role}/{}", self.mount, below.trim_start_matches('/'));
        path.trim_end_matches('/').to_owned()
    }
}

/// True when the server says that it has no secret-id under an accessor.
fn is_unknown(said: &Json) -> bool {
    let error = said.get("data").get("error").and_then(Value::as_str);
    error.is_some_and(|error| error.contains("failed to find accessor"))
}

/// A lookup is sent like a change but changes nothing.
pub(super) fn read_only(error: keyward_core::Error) -> keyward_core::Error {
    if error.kind() != ErrorKind::Unknown {
        return error;
    }
    let same = fault(ErrorKind::Unavailable, error.operation(), "the server gave no answer that can be used");
    match error.code() {
        Some(code) => same.with_code(code),
        None => same,
    }
}

/// The body of a request without a secret.
pub(super) fn json(body: &Value) -> SecretValue {
    SecretValue::new(body.to_string().into_bytes())
}
