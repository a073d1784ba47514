//! A store through its own HTTP interface, as other people's clients use it.

use keyward::core::Location;
use keyward_conformance::servers::{server_setting, server_url};
use serde_json::{Value, json};

use crate::stores::{Kind, Store};

/// The store behind a [`Store`], without this library.
pub(crate) struct Raw<'a>(pub(crate) &'a Store);

/// What a native client sees: the value, and the store's own mark of the write that made it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) value: Value,
    pub(crate) mark: String,
}

impl Raw<'_> {
    /// Where native readers find a derived key.
    pub(crate) fn derived(&self, key: &str) -> String {
        match &self.0.kind {
            Kind::Aws { prefix } => format!("{prefix}/keys/{key}.key"),
            Kind::Vault { prefix, .. } => format!("{prefix}/keys/{key}"),
            _ => panic!("no native readers"),
        }
    }

    /// A name of somebody else's secret, beside what this library keeps.
    pub(crate) fn legacy(&self, name: &str) -> String {
        match &self.0.kind {
            Kind::Aws { prefix } | Kind::Vault { prefix, .. } => format!("{prefix}-legacy/{name}"),
            _ => panic!("no native readers"),
        }
    }

    /// The location of such a secret; on Vault only one field of it.
    pub(crate) fn location(&self, path: &str, field: Option<&str>) -> Location {
        match &self.0.kind {
            Kind::Aws { .. } => Location::aws_secret(path).expect("a name"),
            Kind::Vault { mount, .. } => {
                let field = field.map(|f| f.parse().expect("a field"));
                Location::vault_path(mount, path, field).expect("a path")
            }
            _ => panic!("no native readers"),
        }
    }

    /// Creates or overwrites a secret: `value` is a text, or an object of texts.
    pub(crate) async fn put(&self, path: &str, value: &Value) {
        match &self.0.kind {
            Kind::Aws { .. } => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let create = json!({"Name": path, "SecretString": text, "ClientRequestToken": token()});
                if !self.aws("CreateSecret", &create).await.0 {
                    self.overwrite(path, &text).await;
                }
            }
            Kind::Vault { .. } => {
                let data = if value.is_object() { value.clone() } else { json!({"value": value}) };
                // Our own paths demand a check-and-set, from a person too.
                let (_, now) = self.vault("GET", &format!("metadata/{path}"), None).await;
                let cas = now["data"]["current_version"].as_u64().unwrap_or(0);
                let body = json!({"data": data, "options": {"cas": cas}});
                let (stored, _) = self.vault("POST", &format!("data/{path}"), Some(body)).await;
                assert!(stored, "a native put");
            }
            _ => panic!("no native readers"),
        }
    }

    /// What a native reader gets, if anything.
    pub(crate) async fn get(&self, path: &str) -> Option<Seen> {
        match &self.0.kind {
            Kind::Aws { .. } => {
                let (found, answer) = self.aws("GetSecretValue", &json!({"SecretId": path})).await;
                let mark = answer["VersionId"].as_str().unwrap_or_default().to_owned();
                found.then(|| Seen { value: answer["SecretString"].clone(), mark })
            }
            Kind::Vault { .. } => {
                let (found, answer) = self.vault("GET", &format!("data/{path}"), None).await;
                let mark = answer["data"]["metadata"]["version"].to_string();
                found.then(|| Seen { value: answer["data"]["data"].clone(), mark })
            }
            _ => panic!("no native readers"),
        }
    }

    /// Makes a secret unreadable in the way its store has: scheduled for deletion, soft-deleted.
    pub(crate) async fn delete(&self, path: &str) {
        let deleted = match &self.0.kind {
            Kind::Aws { .. } => self.aws("DeleteSecret", &json!({"SecretId": path, "RecoveryWindowInDays": 7})).await.0,
            Kind::Vault { .. } => self.vault("DELETE", &format!("data/{path}"), None).await.0,
            _ => panic!("no native readers"),
        };
        assert!(deleted, "a native delete");
    }

    /// A new current version. Put aside first, then made current: the server of the tests would
    /// otherwise wipe the labels of the version before, which AWS keeps.
    async fn overwrite(&self, path: &str, text: &str) {
        let (_, now) = self.aws("GetSecretValue", &json!({"SecretId": path})).await;
        let (version, stage) = (token(), ["by-hand"]);
        let put =
            json!({"SecretId": path, "SecretString": text, "ClientRequestToken": version, "VersionStages": stage});
        assert!(self.aws("PutSecretValue", &put).await.0, "a native put");
        let (to, from) = (version, &now["VersionId"]);
        let current =
            json!({"SecretId": path, "VersionStage": "AWSCURRENT", "MoveToVersionId": to, "RemoveFromVersionId": from});
        assert!(self.aws("UpdateSecretVersionStage", &current).await.0, "a native move");
    }

    async fn aws(&self, action: &str, body: &Value) -> (bool, Value) {
        // The server of the tests routes by the scope of the signature and does not check it.
        let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
                     SignedHeaders=host, Signature=0";
        let request = reqwest::Client::new()
            .post(server_url("AWS_ENDPOINT_URL_SECRETS_MANAGER"))
            .header("x-amz-target", format!("secretsmanager.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", scope)
            .body(body.to_string());
        answer(request).await
    }

    async fn vault(&self, method: &str, path: &str, body: Option<Value>) -> (bool, Value) {
        let Kind::Vault { mount, .. } = &self.0.kind else { panic!("a Vault") };
        let url = format!("{}/v1/{mount}/{path}", server_url("VAULT_ADDR"));
        let method = method.parse().expect("a method");
        let mut request =
            reqwest::Client::new().request(method, url).header("x-vault-token", server_setting("VAULT_TOKEN"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (bool, Value) {
    let answer = request.send().await.expect("the server answers");
    let done = answer.status().is_success();
    (done, answer.json().await.unwrap_or(Value::Null))
}

fn token() -> String {
    keyward::core::RequestId::generate().to_string()
}
