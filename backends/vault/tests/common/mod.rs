//! The test server, and places on it that no other test uses.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use keyward_conformance::servers::{Answer, Call, Fault, FaultRule, server_setting, server_url};
use keyward_core::{
    AccessLevel, Change, Clock, Context, Edit, Error, ErrorKind, KeyDraft, KeyId, KeyRecord, Location, Material,
    Ownership, PointerToken, PublicationId, Publish, Read, RequestId, Scope, SecretBackend, SecretBackendExt,
    SecretValue, Select, Shape, Stage, SystemClock, Target, Transition, VersionId,
};
use keyward_vault::{Auth, Connection, Retry, VaultBackend};
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

    /// One request with a body as it stands; what was answered, as it stands.
    pub(crate) async fn text(&self, method: &str, path: &str, body: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let call =
            self.http.request(method, format!("{}/v1/{path}", self.address)).header("X-Vault-Token", &self.token);
        let answer = call.body(body.to_owned()).send().await.expect("the server answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.expect("a body")
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
        // For a moment a new mount refuses everything.
        while version == 2 && self.ask("GET", &format!("{mount}/config"), Value::Null).await.0 == 400 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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

/// A store of its own behind another address of the test server, and its folder `mount/prefix`.
pub(crate) async fn open_at(address: &str, retry: Retry) -> VaultBackend {
    let operator = Operator::of_tests();
    let mount = operator.mount(2).await;
    let connection = Connection::builder(address, operator.root()).retry(retry).connect(&cx()).await;
    let builder = VaultBackend::builder(connection.expect("a connection")).mount(&mount);
    builder.open(&cx()).await.expect("a store")
}

/// A store in a mount of its own; everything lies under `keyward/` in it.
pub(crate) async fn alone() -> (Operator, String, VaultBackend) {
    let operator = Operator::of_tests();
    let mount = operator.mount(2).await;
    let builder = VaultBackend::builder(operator.connect().await).mount(&mount);
    let store = builder.open(&cx()).await.expect("a store");
    (operator, mount, store)
}

pub(crate) fn one(text: &str) -> Material {
    Material::one(SecretValue::from(text)).expect("material within the limits")
}

pub(crate) fn key(name: &str) -> KeyId {
    format!("production/messaging/{name}").parse().expect("a key id")
}

pub(crate) fn target(name: &str) -> Target {
    Target::new(key(name), Location::Derived, Shape::One)
}

pub(crate) fn record(name: &str) -> KeyRecord {
    let ownership = Ownership::new("platform", "ada@example.com", "grace@example.com", "#platform").expect("owners");
    let scope = Scope::new(AccessLevel::ReadOnly).permission("messages:read-only").expect("a permission");
    let scope = scope.service("mailer").expect("a service");
    let draft = KeyDraft::new(key(name), ownership, scope, "acme".parse().expect("an issuer"));
    KeyRecord::register(&draft, &change()).expect("a valid draft")
}

pub(crate) fn noted(record: &KeyRecord, note: &str) -> KeyRecord {
    let note = Edit::Note(note.parse().expect("a note"));
    record.apply(&Transition::Edit(note), &change()).expect("a legal edit")
}

fn change() -> Change {
    Change::new(cx().actor, SystemClock.now())
}

pub(crate) async fn staged(store: &VaultBackend, target: &Target, text: &str) -> VersionId {
    let version = VersionId::generate();
    let answer = store.stage(&cx(), target, version, &one(text)).await.expect("a stage");
    assert_eq!(answer, Stage::Stored);
    version
}

pub(crate) async fn published(store: &VaultBackend, target: &Target, version: VersionId) -> PointerToken {
    let token = store.pointer(&cx(), target).await.expect("a pointer").token;
    match store.publish(&cx(), target, version, PublicationId::generate(), &token).await {
        Ok(Publish::Moved(token)) => token,
        other => panic!("a move was expected, but: {other:?}"),
    }
}

pub(crate) async fn shown(store: &VaultBackend, target: &Target, text: &str) -> VersionId {
    let version = staged(store, target, text).await;
    published(store, target, version).await;
    version
}

/// The kind of a refusal.
pub(crate) fn kind<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.expect_err("a refusal was expected").kind()
}

pub(crate) async fn current(store: &VaultBackend, target: &Target) -> Result<String, Error> {
    match store.read_one(&cx(), target, Select::Current).await? {
        Read::Found { material, .. } => {
            let value = material.value().expect("one value").expose_secret().to_vec();
            Ok(String::from_utf8(value).expect("text"))
        }
        Read::Unchanged => panic!("a value was expected"),
    }
}

/// What something in front of the server answers in its stead.
pub(crate) struct Foreign {
    pub(crate) status: u16,
    body: &'static str,
}

impl Foreign {
    const HTML: &str = "<html>not here</html>";
    const JSON: &str = r#"{"message":"no Route matched"}"#;
    /// Gateways number their requests, as Vault does.
    const NUMBERED: &str = r#"{"message":"no Route matched","request_id":"cbb9a5e2"}"#;

    /// One of each kind.
    pub(crate) fn all() -> Vec<Self> {
        let of = |body| move |status| Self { status, body };
        let json = [200, 400, 404, 503].map(of(Self::JSON));
        let html = [200, 302, 403, 404, 410, 429, 500].map(of(Self::HTML));
        let other = [
            Self { status: 400, body: r#"{"errors":"bad"}"# },
            Self { status: 503, body: r#"{"errors":["upstream"]}"# },
            Self { status: 200, body: "" },
            Self { status: 200, body: r#"{"status":"ok","data":{}}"# },
            Self { status: 204, body: "" },
        ];
        let numbered = [200, 404].map(of(Self::NUMBERED));
        json.into_iter().chain(html).chain(numbered).chain(other).collect()
    }

    pub(crate) fn answer(&self) -> Answer {
        let kind = if self.body.starts_with('<') { "text/html" } else { "application/json" };
        let answer = Answer::new(self.status, self.body).header("content-type", kind);
        if self.status == 302 { answer.header("location", "/login") } else { answer }
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.status, self.body)
    }
}

/// The requests a foreign answer met: those of one call from a number on.
#[derive(Clone, Default)]
pub(crate) struct Met(Arc<Mutex<Vec<String>>>);

impl Met {
    /// The answer for every request but the first `spared`. A 204 is the server's own where there is nothing to say.
    pub(crate) fn rule(&self, foreign: &Foreign, spared: usize) -> FaultRule {
        let (met, empty) = (self.clone(), foreign.status == 204);
        let spared = Mutex::new(spared);
        Fault::Answer(foreign.answer()).when(move |call: &Call| {
            let says_nothing = ["/destroy", "/metadata/", "/revoke-accessor", "/revoke-self"];
            if empty && call.method != "GET" && says_nothing.iter().any(|part| call.path.contains(part)) {
                return false;
            }
            let mut spared = spared.lock().expect("no panic");
            if let Some(left) = spared.checked_sub(1) {
                *spared = left;
                return false;
            }
            met.0.lock().expect("no panic").push(format!("{} {}", call.method, call.path));
            true
        })
    }

    /// The requests it met, the first one first.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A server of its own, for what would disturb the others. Ends when it is dropped.
pub(crate) struct OwnServer {
    process: Child,
    pub(crate) address: String,
    _home: tempfile::TempDir,
}

impl OwnServer {
    pub(crate) async fn start(tls: bool) -> (Self, Option<Vec<u8>>) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let mut command = Command::new(server_setting("KEYWARD_TEST_BAO"));
        command
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if tls {
            command.args(["-dev-tls", &format!("-dev-tls-cert-dir={}", home.path().display())]);
        }
        let process = command.spawn().expect("the server starts");
        let scheme = if tls { "https" } else { "http" };
        let server = Self { process, address: format!("{scheme}://127.0.0.1:{port}"), _home: home };
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let authority = std::fs::read(server._home.path().join("vault-ca.pem")).ok();
            let open = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            if open && (!tls || authority.is_some()) {
                // Listening; a moment later it answers.
                tokio::time::sleep(Duration::from_millis(300)).await;
                return (server, authority);
            }
        }
        panic!("the server did not come up");
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
