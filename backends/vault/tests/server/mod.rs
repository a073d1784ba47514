//! The test server, and places on it that no other test uses.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::sync::LazyLock;

use keyward_conformance::servers::{server_setting, server_url};
use keyward_core::{Context, RequestId, SecretValue};
use keyward_vault::{Auth, Connection, VaultBackend};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));

/// Runs a future on the one runtime of this process, from any thread.
pub(crate) fn on_runtime<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// A name no other test uses.
pub(crate) fn unique(kind: &str) -> String {
    format!("{kind}-{}", RequestId::generate())
}

pub(crate) fn cx() -> Context {
    Context::new("vault-tests", "a promise is checked").expect("a plain actor and reason")
}

/// What an operator does by hand, with the root token.
#[derive(Clone)]
pub(crate) struct Operator {
    http: reqwest::Client,
    pub(crate) address: String,
    token: String,
    namespace: Option<String>,
}

impl Operator {
    pub(crate) fn of_tests() -> Self {
        Self::at(&server_url("VAULT_ADDR"), &server_setting("VAULT_TOKEN"))
    }

    pub(crate) fn at(address: &str, token: &str) -> Self {
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
        Self { http, address: address.to_owned(), token: token.to_owned(), namespace: None }
    }

    pub(crate) fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub(crate) fn root(&self) -> Auth {
        Auth::token(SecretValue::from(self.token.as_str()))
    }

    /// One request; the status and what was answered.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut call =
            self.http.request(method, format!("{}/v1/{path}", self.address)).header("X-Vault-Token", &self.token);
        if let Some(namespace) = &self.namespace {
            call = call.header("X-Vault-Namespace", namespace);
        }
        let answer = if body.is_null() { call } else { call.json(&body) }.send().await.expect("the server answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// One request that must succeed.
    pub(crate) async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.must("GET", path, Value::Null).await
    }

    /// A KV mount of its own.
    pub(crate) async fn mount(&self, version: u8) -> String {
        let mount = unique("kv");
        let body = json!({ "type": "kv", "options": { "version": version.to_string() } });
        self.must("POST", &format!("sys/mounts/{mount}"), body).await;
        mount
    }

    /// A token with one policy, from HCL.
    pub(crate) async fn token_for(&self, policy: &str) -> SecretValue {
        let name = unique("policy");
        self.must("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": policy })).await;
        let body = json!({ "policies": [name], "no_default_policy": false, "ttl": "10m" });
        let answer = self.must("POST", "auth/token/create", body).await;
        SecretValue::from(answer["auth"]["client_token"].as_str().expect("a token"))
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.connect_with(self.root()).await
    }

    pub(crate) async fn connect_with(&self, auth: Auth) -> Connection {
        let mut builder = Connection::builder(&self.address, auth);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        builder.connect(&cx()).await.expect("a connection")
    }
}

/// A store of its own on the test server.
pub(crate) async fn open() -> VaultBackend {
    let operator = Operator::of_tests();
    static MOUNT: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    let mount = MOUNT.get_or_init(|| async { operator.mount(2).await }).await;
    let builder = VaultBackend::builder(operator.connect().await).mount(mount).prefix(&unique("store"));
    builder.open(&cx()).await.expect("a store")
}
