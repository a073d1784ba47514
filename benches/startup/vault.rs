//! KV version 2 of Vault, as much of it as the benchmark needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::core::SecretValue;
use keyward::vault::{Auth, Connection, VaultBackend};
use keyward_conformance::servers::{Answer, Stub};
use keyward_remote::fan_out;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{DELAY, KEYS, Side, fill, id, setup};

/// How many requests the store has under way at once unless told otherwise.
const AT_ONCE: usize = 32;

pub(crate) struct Vault {
    store: VaultBackend,
    client: reqwest::Client,
    paths: [Vec<String>; 2],
    _stub: Stub,
}

/// A store that was filled without the delay.
pub(crate) fn side(server: &Runtime, client: &Runtime) -> Vault {
    let shelf: Arc<Mutex<Shelf>> = Arc::default();
    let stub = |delay: Duration| {
        let shelf = shelf.clone();
        server.block_on(Stub::start(delay, move |request, body| {
            let question = serde_json::from_slice(body).unwrap_or_default();
            let answer = shelf.lock().expect("no panic").answer(request.method.as_str(), request.uri.path(), question);
            let status = if answer.is_null() { 404 } else { 200 };
            let answer = if answer.is_null() { json!({"errors": []}) } else { answer };
            Answer::new(status, answer.to_string()).header("content-type", "application/json")
        }))
    };
    let (quick, slow) = (stub(Duration::ZERO), stub(DELAY));
    client.block_on(async {
        let versions = fill(&open(&quick.url()).await).await;
        let path = |path: String| format!("{}/v1/secret/data/keyward/{path}", slow.url());
        let records = (0..KEYS).map(|n| path(format!("records/{}", id(n)))).collect();
        let values = (0..KEYS).map(|n| path(format!("pending/{}/{}", id(n), versions[n]))).collect();
        Vault { store: open(&slow.url()).await, client: reqwest::Client::new(), paths: [records, values], _stub: slow }
    })
}

async fn open(url: &str) -> VaultBackend {
    let auth = Auth::token(SecretValue::from("token"));
    let connection = Connection::builder(url, auth).connect(&setup::cx()).await.expect("a connection");
    VaultBackend::open(&setup::cx(), connection).await.expect("a store")
}

impl Side for Vault {
    type Store = VaultBackend;

    fn store(&self) -> VaultBackend {
        self.store.clone()
    }

    async fn by_hand(&self) -> usize {
        let mut found = 0;
        for paths in &self.paths {
            let answers = fan_out(paths, AT_ONCE, async |path: &String| {
                let answer = self.client.get(path).header("x-vault-token", "token").send().await;
                let answer = answer.and_then(reqwest::Response::error_for_status).expect("an answer");
                usize::from(!answer.bytes().await.expect("a body").is_empty())
            });
            found += answers.await.into_iter().sum::<usize>();
        }
        found
    }
}

/// What the server keeps: versions by path.
#[derive(Default)]
struct Shelf(BTreeMap<String, Vec<Value>>);

impl Shelf {
    /// An answer; null for what is not there.
    fn answer(&mut self, method: &str, path: &str, question: Value) -> Value {
        let path = path.strip_prefix("/v1/").expect("a path of the API");
        match (method, path.split_once('/')) {
            (_, Some(("auth", "token/lookup-self"))) => {
                json!({"data": {"id": "token", "ttl": 0, "renewable": false, "policies": ["root"]}})
            }
            (_, Some(("sys", _))) => json!({"data": {"type": "kv", "options": {"version": "2"}}}),
            (_, Some(("secret", "config"))) => json!({"data": {"max_versions": 0, "delete_version_after": "0s"}}),
            (method, Some(("secret", rest))) => match (method, rest.split_once('/')) {
                ("POST" | "PUT", Some(("data", path))) => {
                    let versions = self.0.entry(path.to_owned()).or_default();
                    versions.push(question["data"].clone());
                    json!({"data": about(versions.len())})
                }
                ("GET", Some(("data", path))) => self.0.get(path).map_or(
                    Value::Null,
                    |versions| json!({"data": {"data": versions.last(), "metadata": about(versions.len())}}),
                ),
                ("POST" | "PUT", Some(("metadata", _))) => json!({}),
                _ => Value::Null,
            },
            _ => panic!("the benchmark does not need {method} {path}"),
        }
    }
}

fn about(version: usize) -> Value {
    json!({
        "created_time": "2026-01-01T00:00:00.000000000Z",
        "custom_metadata": null,
        "deletion_time": "",
        "destroyed": false,
        "version": version,
    })
}
