//! Secrets Manager, as much of it as the benchmark needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, Region};
use keyward::aws::AwsBackend;
use keyward_conformance::servers::{Answer, Stub};
use keyward_remote::fan_out;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{DELAY, KEYS, Side, fill, id};

/// How many requests the store has under way at once unless told otherwise.
const AT_ONCE: usize = 8;
const BATCH: usize = 20;

pub(crate) struct Aws {
    store: AwsBackend,
    client: Client,
    _stub: Stub,
}

/// A store that was filled without the delay.
pub(crate) fn side(server: &Runtime, client: &Runtime) -> Aws {
    let secrets: Arc<Mutex<Shelf>> = Arc::default();
    let stub = |delay: Duration| {
        let secrets = secrets.clone();
        server.block_on(Stub::start(delay, move |request, body| {
            let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or_default();
            let question = serde_json::from_slice(body).unwrap_or_default();
            let answer = secrets.lock().expect("no panic").answer(operation, &question);
            let status = if answer.get("__type").is_some() { 400 } else { 200 };
            Answer::new(status, answer.to_string()).header("content-type", "application/x-amz-json-1.1")
        }))
    };
    let (quick, slow) = (stub(Duration::ZERO), stub(DELAY));
    client.block_on(async {
        fill(&open(&quick.url()).await).await;
        let config = config(&slow.url()).await;
        Aws { store: open(&slow.url()).await, client: Client::new(&config), _stub: slow }
    })
}

async fn open(url: &str) -> AwsBackend {
    AwsBackend::builder(&config(url).await).tags(false).open().await.expect("a store")
}

async fn config(url: &str) -> aws_config::SdkConfig {
    let keys = Credentials::new("test", "test", None, None, "benchmark");
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("us-east-1"));
    config.credentials_provider(keys).endpoint_url(url).load().await
}

impl Side for Aws {
    type Store = AwsBackend;

    fn store(&self) -> AwsBackend {
        self.store.clone()
    }

    async fn by_hand(&self) -> usize {
        let mut found = 0;
        for (folder, ending) in [("records", "record"), ("keys", "key")] {
            let names: Vec<String> = (0..KEYS).map(|n| format!("keyward/{folder}/{}.{ending}", id(n))).collect();
            let answers = fan_out(names.chunks(BATCH), AT_ONCE, async |names: &[String]| {
                let request = self.client.batch_get_secret_value().set_secret_id_list(Some(names.to_vec()));
                request.send().await.expect("an answer").secret_values().len()
            });
            found += answers.await.into_iter().sum::<usize>();
        }
        found
    }
}

/// What the server keeps.
#[derive(Default)]
struct Shelf {
    secrets: BTreeMap<String, Secret>,
}

#[derive(Default)]
struct Secret {
    /// Values by version.
    versions: BTreeMap<String, Value>,
    /// Versions by label.
    labels: BTreeMap<String, String>,
}

impl Shelf {
    fn answer(&mut self, operation: &str, question: &Value) -> Value {
        let text = |name: &str| question[name].as_str().map(str::to_owned);
        let Some(name) = text("SecretId").or(text("Name")) else { return self.batch(question) };
        if operation == "CreateSecret" {
            self.secrets.entry(name.clone()).or_default();
        }
        let Some(secret) = self.secrets.get_mut(&name) else { return absent() };
        match operation {
            "CreateSecret" | "PutSecretValue" => {
                let version = text("ClientRequestToken").unwrap_or_default();
                secret.versions.insert(version.clone(), question["SecretString"].clone());
                let labels = question["VersionStages"].as_array().cloned().unwrap_or(vec![json!("AWSCURRENT")]);
                for label in labels.iter().filter_map(Value::as_str) {
                    secret.labels.insert(label.to_owned(), version.clone());
                }
                json!({"ARN": name, "Name": name, "VersionId": version, "VersionStages": labels})
            }
            "UpdateSecretVersionStage" => {
                let label = text("VersionStage").unwrap_or_default();
                match text("MoveToVersionId") {
                    Some(version) => secret.labels.insert(label, version),
                    None => secret.labels.remove(&label),
                };
                json!({"ARN": name, "Name": name})
            }
            "DescribeSecret" => {
                let stages: Map<_, _> =
                    secret.versions.keys().map(|version| (version.clone(), json!(secret.labels_of(version)))).collect();
                json!({"ARN": name, "Name": name, "VersionIdsToStages": stages})
            }
            "GetSecretValue" => {
                let label = text("VersionStage").unwrap_or("AWSCURRENT".to_owned());
                let version = text("VersionId").or_else(|| secret.labels.get(&label).cloned());
                version.and_then(|version| secret.value(&name, &version)).unwrap_or_else(absent)
            }
            other => panic!("the benchmark does not need {other}"),
        }
    }

    fn batch(&self, question: &Value) -> Value {
        let names = question["SecretIdList"].as_array().expect("a list of names");
        let current = |name: &Value| {
            let name = name.as_str().expect("a name");
            let secret = self.secrets.get(name).expect("a secret that was filled in");
            secret.value(name, &secret.labels["AWSCURRENT"]).expect("a current version")
        };
        json!({"SecretValues": names.iter().map(current).collect::<Vec<_>>(), "Errors": []})
    }
}

impl Secret {
    fn labels_of(&self, version: &str) -> Vec<&str> {
        self.labels.iter().filter(|(_, of)| *of == version).map(|(label, _)| label.as_str()).collect()
    }

    fn value(&self, name: &str, version: &str) -> Option<Value> {
        let value = self.versions.get(version)?;
        let labels = self.labels_of(version);
        Some(json!({
            "ARN": name,
            "Name": name,
            "VersionId": version,
            "SecretString": value,
            "VersionStages": labels,
            "CreatedDate": 1_790_000_000.0,
        }))
    }
}

fn absent() -> Value {
    json!({"__type": "ResourceNotFoundException", "Message": "not there"})
}
