//! Logging in, and staying logged in, on a real server.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Operator, OwnServer, cx, key, kind, one, shown, target, unique};
use keyward_conformance::servers::{Answer, Proxy, Stub, server_setting};
use keyward_core::{ErrorKind, SecretBackend, SecretBackendExt, SecretValue, VersionId};
use keyward_vault::{Auth, Connection, Jwt, Retry, VaultBackend};
use serde_json::{Value, json};

struct Role {
    operator: Operator,
    mount: String,
    id: String,
}

impl Role {
    /// An AppRole whose tokens may do everything for so long.
    async fn new(ttl: &str) -> Self {
        let operator = Operator::of_tests();
        let mount = unique("approle");
        operator.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "approle" })).await;
        let policy = unique("policy");
        let all = r#"path "*" { capabilities = ["create","read","update","delete","list"] }"#;
        operator.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": all })).await;
        let body = json!({ "token_policies": [policy], "token_ttl": ttl, "token_max_ttl": "1h" });
        operator.must("POST", &format!("auth/{mount}/role/r"), body).await;
        let id = operator.get(&format!("auth/{mount}/role/r/role-id")).await;
        let id = id["data"]["role_id"].as_str().expect("a role id").to_owned();
        Self { operator, mount, id }
    }

    async fn auth(&self) -> Auth {
        let path = format!("auth/{}/role/r/secret-id", self.mount);
        let answer = self.operator.must("POST", &path, json!({})).await;
        let secret_id = answer["data"]["secret_id"].as_str().expect("a secret id");
        Auth::app_role(&self.id, secret_id.into()).at(&self.mount)
    }

    /// Ends every token the role gave.
    async fn revoke_all(&self) {
        self.operator.must("POST", &format!("sys/leases/revoke-prefix/auth/{}/login", self.mount), json!({})).await;
    }

    fn logins(&self, proxy: &Proxy) -> usize {
        proxy.count(|call| call.path.ends_with(&format!("auth/{}/login", self.mount)))
    }
}

async fn works(connection: &Connection) {
    let store = VaultBackend::open(&cx(), connection.clone()).await.expect("a store");
    assert!(store.load_one(&cx(), &key(&unique("any"))).await.expect("the token works").is_none());
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn app_role_logs_in() {
    let role = Role::new("1h").await;
    works(&role.operator.connect_with(role.auth().await).await).await;
    let wrong = Auth::app_role(&role.id, "not-the-secret-id".into()).at(&role.mount);
    let refused = Connection::builder(&role.operator.address, wrong).connect(&cx()).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.detail().is_some_and(|detail| detail.contains("refused the login")), "{refused}");
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_wrapped_secret_id_opens_once_and_says_when_someone_was_faster() {
    let role = Role::new("1h").await;
    let wrapped = || async {
        let http = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        let url = format!("{}/v1/auth/{}/role/r/secret-id", role.operator.address, role.mount);
        let call =
            http.post(url).header("X-Vault-Token", server_setting("VAULT_TOKEN")).header("X-Vault-Wrap-TTL", "60s");
        let answer: Value = call.json(&json!({})).send().await.expect("an answer").json().await.expect("JSON");
        answer["wrap_info"]["token"].as_str().expect("a wrapping token").to_owned()
    };
    let token = wrapped().await;
    let auth = || Auth::wrapped_app_role(&role.id, token.as_str().into()).at(&role.mount);
    let connection = role.operator.connect_with(auth()).await;
    works(&connection).await;
    // The secret-id it opened is kept: it can log in again.
    role.revoke_all().await;
    works(&connection).await;
    let refused = Connection::builder(&role.operator.address, auth()).connect(&cx()).await.expect_err("opened before");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.detail().is_some_and(|detail| detail.contains("intercepted")), "{refused}");
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn userpass_logs_in() {
    let operator = Operator::of_tests();
    let mount = unique("userpass");
    operator.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "userpass" })).await;
    let body = json!({ "password": "pass word", "token_policies": ["default"] });
    operator.must("POST", &format!("auth/{mount}/users/ada"), body).await;
    let auth = |password: &str| Auth::userpass("ada", password.into()).at(&mount);
    assert!(Connection::builder(&operator.address, auth("pass word")).connect(&cx()).await.is_ok());
    assert_eq!(kind(Connection::builder(&operator.address, auth("wrong")).connect(&cx()).await), ErrorKind::Denied);
    let climbing = Auth::userpass("../../sys", "x".into()).at(&mount);
    assert_eq!(kind(Connection::builder(&operator.address, climbing).connect(&cx()).await), ErrorKind::Invalid);
}

/// A key pair, and identity tokens signed with it.
struct Signer(tempfile::TempDir);

impl Signer {
    fn new() -> Self {
        let signer = Self(tempfile::tempdir().expect("a temporary directory"));
        signer.python(
            "from cryptography.hazmat.primitives.asymmetric import ec\n\
             from cryptography.hazmat.primitives import serialization as s\n\
             k = ec.generate_private_key(ec.SECP256R1())\n\
             open('key.pem','wb').write(k.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))\n\
             open('pub.pem','wb').write(k.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))\n\
             import datetime as d\n\
             from cryptography import x509\n\
             from cryptography.hazmat.primitives import hashes\n\
             n = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'tests')])\n\
             t = d.datetime.now(d.timezone.utc)\n\
             c = x509.CertificateBuilder().subject_name(n).issuer_name(n).public_key(k.public_key())\n\
             c = c.serial_number(1).not_valid_before(t).not_valid_after(t + d.timedelta(days=1)).sign(k, hashes.SHA256())\n\
             open('ca.pem','wb').write(c.public_bytes(s.Encoding.PEM))\n",
            &[],
        );
        signer
    }

    /// A file it made: `pub.pem`, or `ca.pem` with a certificate of its own.
    fn made(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).expect("it was made")
    }

    /// Writes a token for a subject to a file, which lasts so many seconds.
    fn sign(&self, subject: &str, lasts: i64) -> std::path::PathBuf {
        let lasts = lasts.to_string();
        self.python(
            "import sys, json, time, base64\n\
             from cryptography.hazmat.primitives import hashes, serialization as s\n\
             from cryptography.hazmat.primitives.asymmetric import ec, utils\n\
             b = lambda x: base64.urlsafe_b64encode(x).rstrip(b'=')\n\
             k = s.load_pem_private_key(open('key.pem','rb').read(), None)\n\
             n = int(time.time())\n\
             c = {'iss':'tests','sub':sys.argv[1],'aud':['keyward'],'iat':n,'nbf':n,'exp':n+int(sys.argv[2]),\n\
                  'kubernetes.io':{'namespace':'prod','serviceaccount':{'name':'billing','uid':'u-1'}}}\n\
             m = b(json.dumps({'alg':'ES256','typ':'JWT'}).encode())+b'.'+b(json.dumps(c).encode())\n\
             r, t = utils.decode_dss_signature(k.sign(m, ec.ECDSA(hashes.SHA256())))\n\
             open('jwt','wb').write(m+b'.'+b(r.to_bytes(32,'big')+t.to_bytes(32,'big'))+b'\\n')\n",
            &[subject, &lasts],
        );
        self.0.path().join("jwt")
    }

    fn python(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(server_setting("KEYWARD_TEST_PYTHON"));
        let done = command.args(["-c", program]).args(arguments).current_dir(self.0.path()).status();
        assert!(done.expect("python runs").success());
    }
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_signed_identity_logs_in_and_is_read_anew_each_time() {
    let (operator, signer) = (Operator::of_tests(), Signer::new());
    let mount = unique("jwt");
    operator.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "jwt" })).await;
    let body = json!({ "jwt_validation_pubkeys": [signer.made("pub.pem")] });
    operator.must("POST", &format!("auth/{mount}/config"), body).await;
    let body = json!({ "role_type": "jwt", "user_claim": "sub", "bound_subject": "billing",
        "bound_audiences": ["keyward"], "token_policies": ["default"] });
    operator.must("POST", &format!("auth/{mount}/role/r"), body).await;
    let file = signer.sign("billing", 120);
    let auth = || Auth::jwt(Some("r"), Jwt::file(&file)).at(&mount);
    let proxy = Proxy::start(&operator.address).await;
    let connection = Connection::builder(&proxy.url(), auth()).connect(&cx()).await.expect("a connection");
    let store = VaultBackend::builder(connection).open(&cx()).await.expect("a store");
    signer.sign("someone-else", 120);
    assert_eq!(kind(Connection::builder(&operator.address, auth()).connect(&cx()).await), ErrorKind::Denied);
    // The connection logs in again with what the file holds by then. The policy lets it read nothing.
    let logins = || proxy.count(|call| call.path.ends_with(&format!("auth/{mount}/login")));
    for (subject, expected, detail) in [("someone-else", 2, "refused the login"), ("billing", 3, "may not do this")] {
        signer.sign(subject, 120);
        operator.must("POST", &format!("sys/leases/revoke-prefix/auth/{mount}/login"), json!({})).await;
        let refused = store.load_one(&cx(), &key("any")).await.expect_err("nothing is allowed");
        assert!(refused.detail().is_some_and(|said| said.contains(detail)), "{subject}: {refused}");
        assert_eq!(logins(), expected, "{subject}");
    }
    let gone = Auth::jwt(Some("r"), Jwt::file("/nonexistent/jwt")).at(&mount);
    assert_eq!(kind(Connection::builder(&operator.address, gone).connect(&cx()).await), ErrorKind::Denied);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_kubernetes_service_account_logs_in() {
    let (operator, signer) = (Operator::of_tests(), Signer::new());
    // The part of Kubernetes that Vault asks whether a token is good.
    let reviews = Arc::new(AtomicUsize::new(0));
    let counted = reviews.clone();
    let kubernetes = Stub::start(Duration::ZERO, move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        let user = json!({ "username": "system:serviceaccount:prod:billing", "uid": "u-1",
            "groups": ["system:serviceaccounts"] });
        let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": { "authenticated": true, "audiences": ["keyward"], "user": user } });
        Answer::new(201, review.to_string()).header("content-type", "application/json")
    })
    .await;
    let mount = unique("kubernetes");
    operator.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "kubernetes" })).await;
    let reviewer = std::fs::read_to_string(signer.sign("reviewer", 600)).expect("a token");
    let body = json!({ "kubernetes_host": kubernetes.url(), "token_reviewer_jwt": reviewer.trim(),
        "disable_local_ca_jwt": true, "kubernetes_ca_cert": signer.made("ca.pem"), "disable_iss_validation": true });
    operator.must("POST", &format!("auth/{mount}/config"), body).await;
    let body = json!({ "bound_service_account_names": "billing", "bound_service_account_namespaces": "prod",
        "token_policies": ["default"] });
    operator.must("POST", &format!("auth/{mount}/role/billing"), body).await;
    let auth = Auth::kubernetes_with("billing", Jwt::file(signer.sign("billing", 600))).at(&mount);
    Connection::builder(&operator.address, auth).connect(&cx()).await.expect("a connection");
    assert!(reviews.load(Ordering::Relaxed) > 0, "the server asked about the token");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn f28_a_dead_token_is_replaced_once_for_all_callers() {
    let role = Role::new("1h").await;
    let proxy = Proxy::start(&role.operator.address).await;
    let connection = Connection::builder(&proxy.url(), role.auth().await).connect(&cx()).await.expect("a connection");
    let store = VaultBackend::open(&cx(), connection).await.expect("a store");
    assert_eq!(role.logins(&proxy), 1);
    role.revoke_all().await;
    let calls = (0..16).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.load_one(&cx(), &key(&format!("k{n}"))).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.expect("no panic").expect("the call goes on with a new token").is_none());
    }
    assert_eq!(role.logins(&proxy), 2, "one login for all of them");
    // A write in the middle of things goes on as well.
    role.revoke_all().await;
    shown(&store, &target(&unique("midway")), "value").await;
    assert_eq!(role.logins(&proxy), 3);
}

/// Tokens that may not look themselves up: a denial and a dead token cannot be told apart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_request_that_is_denied_again_and_again_is_no_reason_to_log_in_again_and_again() {
    let role = Role::new("1h").await;
    let (operator, kv) = (role.operator.clone(), role.operator.mount(2).await);
    let (policy, allowed) = (unique("policy"), format!("{kv}/data/keyward/records/production/messaging/allowed"));
    let rules = format!("path \"{allowed}\" {{ capabilities = [\"read\"] }}");
    operator.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": rules })).await;
    let body = json!({ "token_policies": [policy], "token_no_default_policy": true });
    operator.must("POST", &format!("auth/{}/role/r", role.mount), body).await;
    let proxy = Proxy::start(&operator.address).await;
    let connection = Connection::builder(&proxy.url(), role.auth().await).connect(&cx()).await.expect("a connection");
    let store = VaultBackend::builder(connection).mount(&kv).open(&cx()).await.expect("a store");
    let opened = role.logins(&proxy);
    assert!(opened <= 2, "{opened} logins to open a store whose mount may not be looked at");
    for n in 0..20 {
        let denied = key(&format!("denied-{n}"));
        let items = [key("allowed"), denied.clone(), denied];
        let mut answers = store.load(&cx(), &items).await.into_iter();
        assert!(matches!(answers.next(), Some(Ok(None))), "what is allowed still works");
        answers.for_each(|answer| assert_eq!(kind(answer), ErrorKind::Denied));
    }
    assert_eq!(role.logins(&proxy), 2, "one new login, which changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_token_is_renewed_before_it_runs_out() {
    let role = Role::new("3s").await;
    let proxy = Proxy::start(&role.operator.address).await;
    let connection = Connection::builder(&proxy.url(), role.auth().await).connect(&cx()).await.expect("a connection");
    let renewals = || proxy.count(|call| call.path.ends_with("token/renew-self"));
    let store = VaultBackend::open(&cx(), connection.clone()).await.expect("a store");
    // In front of a call.
    tokio::time::sleep(Duration::from_millis(2300)).await;
    assert!(store.load_one(&cx(), &key("any")).await.is_ok());
    assert_eq!((renewals(), role.logins(&proxy)), (1, 1), "renewed, not logged in anew");
    // With nobody calling.
    let keeper = tokio::spawn(async move { connection.keep_alive().await });
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(renewals() >= 3, "{} renewals", renewals());
    assert!(store.load_one(&cx(), &key("any")).await.is_ok());
    assert_eq!(role.logins(&proxy), 1);
    keeper.abort();
    // Not renewed for too long: logged in again, without a failed call.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert!(store.load_one(&cx(), &key("any")).await.is_ok());
    assert_eq!(role.logins(&proxy), 2);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_namespace_is_a_world_of_its_own() {
    let operator = Operator::of_tests();
    let name = unique("team");
    operator.must("POST", &format!("sys/namespaces/{name}"), json!({})).await;
    let inside = operator.clone().within(&name);
    let mount = inside.mount(2).await;
    let store = VaultBackend::builder(inside.connect().await).mount(&mount).open(&cx()).await.expect("a store");
    let target = target("inside");
    shown(&store, &target, "value").await;
    let path = format!("{mount}/data/keyward/keys/{}", target.id);
    assert_eq!(inside.get(&path).await["data"]["data"]["value"], "value");
    assert_eq!(operator.ask("GET", &path, Value::Null).await.0, 404, "not in the world outside");
    let outside = VaultBackend::builder(operator.connect().await).mount(&mount).open(&cx()).await;
    assert_eq!(kind(outside), ErrorKind::NotFound);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn only_a_server_whose_certificate_holds_is_trusted() {
    let (server, authority) = OwnServer::start(true).await;
    let authority = authority.expect("an authority");
    let builder = || Connection::builder(&server.address, Auth::token("root".into())).retry(Retry::NEVER);
    let connection = builder().ca_pem(&authority).connect(&cx()).await.expect("a connection");
    let store = VaultBackend::open(&cx(), connection).await.expect("a store");
    let version = VersionId::generate();
    store.stage(&cx(), &target("tls"), version, &one("value")).await.expect("a stage");
    assert_eq!(kind(builder().connect(&cx()).await), ErrorKind::Unavailable, "an authority nobody named");
    assert_eq!(kind(builder().ca_pem(b"not PEM").connect(&cx()).await), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_address_that_others_could_listen_to_is_refused() {
    for address in
        ["http://vault.example.com:8200", "http://10.0.0.1", "ftp://127.0.0.1", "vault", "https://u:p@h", "https://h/x"]
    {
        let builder = Connection::builder(address, Auth::token(SecretValue::from("root")));
        assert_eq!(kind(builder.connect(&cx()).await), ErrorKind::Invalid, "{address}");
    }
}
