//! Stores whose key a transit key wraps.

mod common;

use common::{Operator, cx, on_runtime, unique};
use keyward_conformance::servers::{Answer, Fault, Proxy, server_setting, server_url};
use keyward_file::{FileBackend, FileError};
use keyward_seal::{KeyWrapper, SealError, WrapError, WrapKey};
use keyward_vault::transit::TransitWrapper;
use keyward_vault::{Auth, Connection, Retry};
use serde_json::{Value, json};
use std::time::Duration;

/// A transit mount of its own.
struct Site {
    operator: Operator,
    mount: String,
}

impl Site {
    async fn new() -> Self {
        let (operator, mount) = (Operator::of_tests(), unique("transit"));
        operator.must("POST", &format!("sys/mounts/{mount}"), json!({ "type": "transit" })).await;
        Self { operator, mount }
    }

    async fn key(&self, name: &str, settings: Value) -> &Self {
        self.operator.must("POST", &format!("{}/keys/{name}", self.mount), settings).await;
        self
    }

    async fn wrapper(&self, key: &str) -> TransitWrapper {
        TransitWrapper::new(&self.operator.connect().await, &self.mount, key).expect("a wrapper")
    }

    async fn keys(&self) -> Vec<String> {
        let (_, answer) = self.operator.ask("LIST", &format!("{}/keys", self.mount), Value::Null).await;
        let keys = answer["data"]["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

fn why(refused: Result<FileBackend, FileError>) -> WrapError {
    match refused {
        Err(FileError::Unlock { problem: SealError::Service { service: "vault-transit", problem }, .. }) => problem,
        other => panic!("expected a refusal by the service: {other:?}"),
    }
}

fn some_key() -> WrapKey {
    WrapKey::from_bytes(&[7; 32]).expect("a key")
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_store_opens_with_its_key_and_with_no_other() {
    on_runtime(async {
        let site = Site::new().await;
        site.key("one", json!({})).await.key("two", json!({})).await;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.keyward");
        let one = site.wrapper("one").await;
        drop(FileBackend::builder().create_wrapped(&path, &one).await.expect("a store"));
        let store = FileBackend::builder().open_wrapped(&path, &one).await.expect("it opens");
        let info = store.info(&cx()).await.expect("an answer");
        assert_eq!(info.slots[0].service, Some(("vault-transit".to_owned(), format!("{}/one", site.mount))));
        drop(store);
        let refused = FileBackend::builder().open_wrapped(&path, &site.wrapper("two").await).await;
        assert_eq!(why(refused), WrapError::Rejected);
        let refused = FileBackend::builder().open_wrapped(&path, &site.wrapper("none").await).await;
        assert_eq!(why(refused), WrapError::KeyUnusable);

        // A newer version of the key opens what an older one wrapped, until it may not.
        let keys = format!("{}/keys/one", site.mount);
        site.operator.must("POST", &format!("{keys}/rotate"), json!({})).await;
        drop(FileBackend::builder().open_wrapped(&path, &one).await.expect("it opens"));
        site.operator.must("POST", &format!("{keys}/config"), json!({ "min_decryption_version": 2 })).await;
        assert_eq!(why(FileBackend::builder().open_wrapped(&path, &one).await), WrapError::Rejected);
        site.operator.must("POST", &format!("{keys}/config"), json!({ "min_decryption_version": 1 })).await;
        drop(FileBackend::builder().open_wrapped(&path, &one).await.expect("it opens"));
        site.operator.must("POST", &format!("{keys}/config"), json!({ "deletion_allowed": true })).await;
        site.operator.must("DELETE", &keys, Value::Null).await;
        assert_eq!(why(FileBackend::builder().open_wrapped(&path, &one).await), WrapError::KeyUnusable);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_wrapped_key_is_bound_to_its_store() {
    on_runtime(async {
        let site = Site::new().await;
        for kind in ["aes256-gcm96", "chacha20-poly1305"] {
            site.key(kind, json!({ "type": kind })).await;
            let transit = site.wrapper(kind).await;
            let wrapping = transit.wrap(&[1; 16], &some_key()).await.expect("wrapped");
            assert!(wrapping.blob().starts_with(b"vault:v1:"));
            let back = transit.unwrap(&[1; 16], &wrapping).await.expect("unwrapped");
            assert_eq!(back.expose_secret(), &[7; 32]);
            assert_eq!(transit.unwrap(&[2; 16], &wrapping).await.expect_err("another store"), WrapError::Rejected);
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_key_that_is_not_there_is_not_made_and_one_that_binds_nothing_is_not_used() {
    on_runtime(async {
        let site = Site::new().await;
        let missing = site.wrapper("typo").await;
        assert_eq!(missing.wrap(&[1; 16], &some_key()).await.expect_err("no key"), WrapError::KeyUnusable);
        assert_eq!(site.keys().await, [""; 0]);
        for (name, settings) in [("rsa", json!({ "type": "rsa-2048" })), ("derived", json!({ "derived": true }))] {
            site.key(name, settings).await;
            let wrapper = site.wrapper(name).await;
            assert_eq!(wrapper.wrap(&[1; 16], &some_key()).await.expect_err("refused"), WrapError::Unexpected);
        }
        let nowhere = TransitWrapper::new(&site.operator.connect().await, &unique("nowhere"), "one").expect("names");
        assert_eq!(nowhere.wrap(&[1; 16], &some_key()).await.expect_err("no mount"), WrapError::KeyUnusable);
        let wrapping = {
            site.key("one", json!({})).await;
            site.wrapper("one").await.wrap(&[1; 16], &some_key()).await.expect("wrapped")
        };
        assert_eq!(nowhere.unwrap(&[1; 16], &wrapping).await.expect_err("no mount"), WrapError::KeyUnusable);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn who_may_create_and_who_may_open() {
    on_runtime(async {
        let site = Site::new().await;
        site.key("one", json!({})).await;
        let mount = &site.mount;
        let role = |policy: String| {
            let operator = site.operator.clone();
            async move {
                let auth = Auth::token(operator.token_for(&policy).await);
                TransitWrapper::new(&operator.connect_with(auth).await, mount, "one").expect("a wrapper")
            }
        };
        // The documented policies, and no more.
        let creator = role(format!(
            "path \"{mount}/encrypt/one\" {{ capabilities = [\"update\"] }}\npath \"{mount}/keys/one\" {{ capabilities = [\"read\"] }}"
        ));
        let opener = role(format!("path \"{mount}/decrypt/one\" {{ capabilities = [\"update\"] }}"));
        let (creator, opener, nobody) = (
            creator.await,
            opener.await,
            role(r#"path "secret/data/nothing" { capabilities = ["read"] }"#.to_owned()).await,
        );
        let wrapping = creator.wrap(&[1; 16], &some_key()).await.expect("wrapped");
        assert!(opener.unwrap(&[1; 16], &wrapping).await.is_ok());
        assert_eq!(creator.unwrap(&[1; 16], &wrapping).await.expect_err("denied"), WrapError::Denied);
        assert_eq!(opener.wrap(&[1; 16], &some_key()).await.expect_err("denied"), WrapError::Denied);
        assert_eq!(nobody.unwrap(&[1; 16], &wrapping).await.expect_err("denied"), WrapError::Denied);
        // Without the right to look at the key, what it did not encrypt is rejected all the same.
        assert_eq!(opener.unwrap(&[2; 16], &wrapping).await.expect_err("another store"), WrapError::Rejected);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_server_that_is_away_sealed_or_makes_no_sense() {
    on_runtime(async {
        let site = Site::new().await;
        site.key("one", json!({})).await;
        let wrapping = site.wrapper("one").await.wrap(&[1; 16], &some_key()).await.expect("wrapped");
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let quick = Retry::new(3, Duration::from_millis(10), Duration::from_millis(50));
        let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
        let connection = Connection::builder(&proxy.url(), auth).retry(quick).connect(&cx()).await.expect("a login");
        let transit = TransitWrapper::new(&connection, &site.mount, "one").expect("a wrapper");
        proxy.plan(Fault::LoseReply.when(|call| call.path.contains("/decrypt/")).times(1));
        assert!(transit.unwrap(&[1; 16], &wrapping).await.is_ok(), "asked again");
        let json = |status, body: &str| Answer::new(status, body.to_owned()).header("content-type", "application/json");
        for (answer, problem) in [
            (json(503, r#"{"errors":["Vault is sealed"]}"#), WrapError::Unavailable),
            (json(429, r#"{"errors":[]}"#), WrapError::Unavailable),
            (json(200, r#"{"data":{}}"#), WrapError::Unexpected),
            (json(200, r#"{"data":{"plaintext":"not base64"}}"#), WrapError::Unexpected),
            (json(200, r#"{"data":{"plaintext":"YWJj"}}"#), WrapError::Unexpected),
            (json(200, r#"{"errors":[]}"#), WrapError::Unexpected),
        ] {
            let what = format!("{answer:?}");
            let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
            let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
            let connection = Connection::builder(&proxy.url(), auth).retry(quick).connect(&cx()).await;
            let transit = TransitWrapper::new(&connection.expect("a login"), &site.mount, "one").expect("a wrapper");
            proxy.plan(Fault::Answer(answer).when(|call| call.path.contains("/decrypt/")));
            assert_eq!(transit.unwrap(&[1; 16], &wrapping).await.expect_err("refused"), problem, "{what}");
        }
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
        let connection = Connection::builder(&proxy.url(), auth).retry(Retry::NEVER).connect(&cx()).await;
        let transit = TransitWrapper::new(&connection.expect("a login"), &site.mount, "one").expect("a wrapper");
        for foreign in common::Foreign::all() {
            proxy.plan(Fault::Answer(foreign.answer()).always());
            let problems =
                [transit.unwrap(&[1; 16], &wrapping).await.err(), transit.wrap(&[1; 16], &some_key()).await.err()];
            for problem in problems {
                // Neither the key nor the bytes are blamed for it.
                assert!(
                    matches!(problem, Some(WrapError::Unavailable | WrapError::Unexpected)),
                    "{foreign}: {problem:?}"
                );
            }
            proxy.clear();
        }
    });
}
