//! Stores whose key a KMS key wraps: moto for the calls, ministack where it matters that KMS says no.
#![cfg(feature = "kms")]

mod common;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::BehaviorVersion;
use common::{config, config_of, on_runtime};
use keyward_aws::kms::KmsWrapper;
use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_file::{FileBackend, FileError};
use keyward_seal::{KeyWrapper, RootKey, SealError, ServiceUnlock, Slot, WrapError, WrapKey};

fn moto() -> String {
    server_url("AWS_ENDPOINT_URL_KMS")
}

fn strict() -> String {
    server_url("KEYWARD_TEST_MINISTACK_URL")
}

fn admin(url: &str) -> Client {
    let settings = config(url).to_builder().behavior_version(BehaviorVersion::latest());
    let http = aws_smithy_http_client::Builder::new().build_http();
    Client::new(&settings.http_client(http).build())
}

async fn new_key(url: &str) -> String {
    let made = admin(url).create_key().send().await.expect("a key");
    made.key_metadata().and_then(|key| key.arn()).expect("an ARN").to_owned()
}

fn wrapper(url: &str, key: &str) -> KmsWrapper {
    KmsWrapper::new(&config(url), key).expect("a wrapper")
}

fn why(refused: Result<FileBackend, FileError>) -> WrapError {
    match refused {
        Err(FileError::Unlock { problem: SealError::Service { service: "aws-kms", problem }, .. }) => problem,
        other => panic!("expected a refusal by the service: {other:?}"),
    }
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_store_opens_with_its_key_and_with_no_other() {
    on_runtime(async {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.keyward");
        let key = new_key(&moto()).await;
        let kms = wrapper(&moto(), &key);
        drop(FileBackend::builder().create_wrapped(&path, &kms).await.expect("a store"));
        let store = FileBackend::builder().open_wrapped(&path, &kms).await.expect("it opens");
        let info = store.info(&common::cx()).await.expect("an answer");
        assert_eq!(info.slots[0].service, Some(("aws-kms".to_owned(), key)));
        drop(store);
        let other = wrapper(&moto(), &new_key(&moto()).await);
        let problem = why(FileBackend::builder().open_wrapped(&path, &other).await);
        // AWS says `IncorrectKeyException`, which is `Rejected`; moto says it may not be used.
        assert!(matches!(problem, WrapError::Rejected | WrapError::Denied), "{problem:?}");
        let missing = wrapper(&moto(), "alias/no-such-key");
        assert_eq!(why(FileBackend::builder().open_wrapped(&path, &missing).await), WrapError::KeyUnusable);
        let alias = format!("alias/{}", common::fresh_prefix());
        let client = admin(&moto());
        client
            .create_alias()
            .alias_name(&alias)
            .target_key_id(&kms_key(&path, &kms).await)
            .send()
            .await
            .expect("an alias");
        drop(FileBackend::builder().open_wrapped(&path, &wrapper(&moto(), &alias)).await.expect("by its alias"));
    });
}

async fn kms_key(path: &std::path::Path, kms: &KmsWrapper) -> String {
    let store = FileBackend::builder().open_wrapped(path, kms).await.expect("it opens");
    let info = store.info(&common::cx()).await.expect("an answer");
    info.slots[0].service.clone().expect("a service").1
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_wrapped_key_is_bound_to_its_store() {
    on_runtime(async {
        for url in [moto(), strict()] {
            let kms = wrapper(&url, &new_key(&url).await);
            let key = WrapKey::from_bytes(&[7; 32]).expect("a key");
            let wrapping = kms.wrap(&[1; 16], &key).await.expect("wrapped");
            assert!(!wrapping.blob().windows(32).any(|window| window == [7; 32]));
            let back = kms.unwrap(&[1; 16], &wrapping).await.expect("unwrapped");
            assert_eq!(back.expose_secret(), &[7; 32]);
            assert_eq!(kms.unwrap(&[2; 16], &wrapping).await.expect_err("another store"), WrapError::Rejected);
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_disabled_key_and_one_to_be_deleted_open_nothing() {
    // moto decrypts with a disabled key; ministack does not.
    on_runtime(async {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.keyward");
        let (admin, key) = (admin(&strict()), new_key(&strict()).await);
        let kms = wrapper(&strict(), &key);
        drop(FileBackend::builder().create_wrapped(&path, &kms).await.expect("a store"));
        admin.disable_key().key_id(&key).send().await.expect("disabled");
        assert_eq!(why(FileBackend::builder().open_wrapped(&path, &kms).await), WrapError::KeyUnusable);
        let another = directory.path().join("other.keyward");
        assert_eq!(why(FileBackend::builder().create_wrapped(&another, &kms).await), WrapError::KeyUnusable);
        assert!(!FileBackend::exists(&another));
        admin.enable_key().key_id(&key).send().await.expect("enabled");
        drop(FileBackend::builder().open_wrapped(&path, &kms).await.expect("it opens"));
        admin.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await.expect("scheduled");
        assert_eq!(why(FileBackend::builder().open_wrapped(&path, &kms).await), WrapError::KeyUnusable);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn without_permission() {
    on_runtime(async {
        let key = new_key(&strict()).await;
        let nobody = KmsWrapper::new(&config_of(&strict(), "AKIAAAAAAAAAAAAAAAAA", "wrong"), &key).expect("a wrapper");
        let store = [7; 16];
        let unlock = ServiceUnlock::wrap(&nobody, &store).await.expect_err("denied");
        assert_eq!(unlock, SealError::Service { service: "aws-kms", problem: WrapError::Denied });
        // And what a permitted one wrapped.
        let kms = wrapper(&strict(), &key);
        let unlock = ServiceUnlock::wrap(&kms, &store).await.expect("wrapped").into();
        let policy = keyward_seal::KdfPolicy::minimum();
        let root = RootKey::generate().expect("a root key");
        let slot = Slot::create(&store, &root, &unlock, &policy).expect("a slot");
        let denied = ServiceUnlock::unwrap(&nobody, &store, &slot).await.expect_err("denied");
        assert_eq!(denied, SealError::Service { service: "aws-kms", problem: WrapError::Denied });
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_service_that_is_away_or_makes_no_sense() {
    on_runtime(async {
        let key = new_key(&moto()).await;
        let wrapping = wrapper(&moto(), &key).wrap(&[1; 16], &WrapKey::from_bytes(&[7; 32]).expect("a key")).await;
        let wrapping = wrapping.expect("wrapped");
        let proxy = Proxy::start(&moto()).await;
        let kms = wrapper(&proxy.url(), &key);
        // Throttled once, a lost reply once: asked again.
        proxy.plan(Fault::Answer(Answer::aws(400, "ThrottlingException")).at(0));
        proxy.plan(Fault::LoseReply.at(1));
        assert!(kms.unwrap(&[1; 16], &wrapping).await.is_ok());
        assert_eq!(proxy.requests(), 3);
        // A refusal is not repeated, and nothing of its text is kept.
        for (answer, problem) in [
            (Answer::aws(400, "AccessDeniedException"), WrapError::Denied),
            (Answer::aws(400, "IncorrectKeyException"), WrapError::Rejected),
            (Answer::aws(400, "KMSInvalidStateException"), WrapError::KeyUnusable),
            (Answer::aws(400, "InvalidKeyUsageException"), WrapError::Unexpected),
            (Answer::new(200, "{}").header("content-type", "application/x-amz-json-1.1"), WrapError::Unexpected),
            (
                Answer::new(200, r#"{"Plaintext":"YWJj"}"#).header("content-type", "application/x-amz-json-1.1"),
                WrapError::Unexpected,
            ),
        ] {
            let before = proxy.requests();
            proxy.plan(Fault::Answer(answer).at(before));
            assert_eq!(kms.unwrap(&[1; 16], &wrapping).await.expect_err("refused"), problem);
            assert_eq!(proxy.requests(), before + 1);
        }
        let closed = wrapper("http://127.0.0.1:9", &key);
        let started = std::time::Instant::now();
        assert_eq!(closed.unwrap(&[1; 16], &wrapping).await.expect_err("away"), WrapError::Unavailable);
        assert!(started.elapsed() < std::time::Duration::from_secs(35), "bounded");
    });
}
