//! The calls about tokens, by their accessors.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{
    Context, CreateError, ErrorKind, IssuerKey, IssuerRef, KeyRecord, Operation, Result, SecretValue, VersionId,
};
use keyward_remote::fan_out;
use serde_json::{Value, json};

use super::label::{known, label, labelled};
use super::secret_ids::{json, read_only};
use super::{AT_ONCE, create_error, end_of, lost_key};
use crate::client::{Client, Json, Reply, Request};
use crate::error::{fault, not_vault};

#[derive(Clone, Debug)]
pub(super) struct Tokens {
    client: Client,
    role: Option<String>,
    max_listed: usize,
}

/// A token just made.
pub(super) struct Made {
    pub(super) token: SecretValue,
    pub(super) accessor: IssuerRef,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl Tokens {
    pub(super) fn new(client: Client, role: Option<String>, max_listed: usize) -> Self {
        Self { client, role, max_listed }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a token: one attempt.
    pub(super) async fn create(
        &self,
        cx: &Context,
        record: &KeyRecord,
        version: VersionId,
        policies: &[String],
        ttl: Duration,
    ) -> Result<Made, CreateError> {
        let operation = Operation::Create;
        let path = match &self.role {
            Some(role) => {
                self.check_role(cx, role).await.map_err(CreateError::NotCreated)?;
                format!("auth/token/create/{role}")
            }
            None => "auth/token/create-orphan".to_owned(),
        };
        let ttl = format!("{}s", ttl.as_secs());
        let body = json!({
            "policies": policies,
            "meta": label(record.id(), version),
            "display_name": "keyward",
            "ttl": &ttl,
            "explicit_max_ttl": &ttl,
            "renewable": false,
        });
        let answer = self.client.once(cx, operation, &Request::post(path, json(&body))).await.map_err(create_error)?;
        let mut made = answer.done(operation).map_err(CreateError::NotCreated)?;
        let auth = made.take("auth").ok_or_else(lost_key)?;
        let text = |name| auth.get(name).as_str().filter(|text| !text.is_empty());
        let (Some(token), Some(accessor)) = (text("client_token"), text("accessor")) else { return Err(lost_key()) };
        let (token, accessor) = (SecretValue::from(token), accessor.parse().map_err(|_| lost_key())?);
        Ok(Made { token, accessor, expires_at: end_of(auth.get("lease_duration")) })
    }

    /// A token with a parent would die with ours, and one without an accessor could not be revoked.
    async fn check_role(&self, cx: &Context, role: &str) -> Result<()> {
        let operation = Operation::Create;
        let answer = self.client.call(cx, operation, &Request::get(format!("auth/token/roles/{role}"))).await?;
        let role = answer.done(operation)?.take_data(operation)?;
        let lasting = role.get("orphan").as_bool() == Some(true);
        let named = matches!(role.get("token_type").as_str(), Some("service" | "default-service"));
        if lasting && named {
            return Ok(());
        }
        let detail = "the token role is not for tokens without a parent (orphan) of type service";
        Err(fault(ErrorKind::Invalid, operation, detail))
    }

    /// What the server knows of a token; nothing when there is none.
    pub(super) async fn look_up(
        &self,
        cx: &Context,
        operation: Operation,
        accessor: &IssuerRef,
    ) -> Result<Option<Json>> {
        let request = Request::post(LOOK_UP, json(&json!({ "accessor": accessor.as_str() })));
        match self.client.call(cx, operation, &request).await.map_err(read_only)? {
            Reply::Refused(said) if is_unknown(&said) => Ok(None),
            // Some servers answer an unknown accessor with the status of a lack of permission.
            Reply::Denied(said) if is_unknown(&said) && self.may_look_up(cx, operation).await? => Ok(None),
            found => {
                let data = found.done(operation)?.take_data(operation)?;
                let same = data.get("accessor").as_str() == Some(accessor.as_str());
                if same { Ok(Some(data)) } else { Err(not_vault(operation, false)) }
            }
        }
    }

    /// Revokes a token; one that is gone is revoked.
    pub(super) async fn revoke(&self, cx: &Context, accessor: &IssuerRef) -> Result<()> {
        let operation = Operation::Revoke;
        let request = Request::post("auth/token/revoke-accessor", json(&json!({ "accessor": accessor.as_str() })));
        match self.client.call(cx, operation, &request).await? {
            refused @ (Reply::Refused(_) | Reply::Denied(_)) => match self.look_up(cx, operation, accessor).await {
                Ok(None) => Ok(()),
                _ => refused.acknowledged(operation),
            },
            answer => answer.acknowledged(operation),
        }
    }

    /// The tokens that carry a label of this record.
    pub(super) async fn find(&self, cx: &Context, record: &KeyRecord) -> Result<Vec<IssuerKey>> {
        let operation = Operation::Find;
        let answer = self.client.call(cx, operation, &Request::list("auth/token/accessors")).await?;
        let Some(listed) = answer.found(operation)? else { return Ok(Vec::new()) };
        let listed = listed.into_keys(operation)?;
        if listed.len() > self.max_listed {
            let detail = "the server has more tokens than are looked at in search of a label; see max_listed";
            return Err(fault(ErrorKind::Quota, operation, detail));
        }
        let looked = fan_out(listed, AT_ONCE, |accessor| async move {
            let Ok(accessor) = accessor.parse::<IssuerRef>() else { return Ok(None) };
            if let Some(known) = known(record, &accessor) {
                return Ok(Some(known));
            }
            let found = self.look_up(cx, operation, &accessor).await?;
            let label = found.and_then(|data| labelled(data.get("meta"), record.id()));
            Ok(label.map(|label| IssuerKey { label, reference: accessor }))
        });
        looked.await.into_iter().filter_map(Result::transpose).collect()
    }

    /// Whether we may look tokens up at all.
    async fn may_look_up(&self, cx: &Context, operation: Operation) -> Result<bool> {
        let request = Request::post("sys/capabilities-self", json(&json!({ "paths": [LOOK_UP] })));
        let answer = self.client.call(cx, operation, &request).await.map_err(read_only)?.done(operation)?;
        let able = answer.get(LOOK_UP).as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(able.into_iter().any(|able| matches!(able, "update" | "root")))
    }
}

/// True when the server says that it has no token under an accessor; the second text is that of one just about to go.
fn is_unknown(said: &Json) -> bool {
    ["invalid accessor", "bad token"].iter().any(|text| said.mentions(text))
}

const LOOK_UP: &str = "auth/token/lookup-accessor";
