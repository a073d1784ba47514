//! A network and a service that fail: lost replies, throttling, quotas, broken answers, deadlines.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use common::target;
use common::{
    assert_found, aws_url, builder, cx, fresh_prefix, kind, noted, one, published, record, registered, staged,
};
use keyward_aws::{AwsBackend, Retry};
use keyward_conformance::servers::{Answer, Fault, Proxy};
use keyward_core::{
    ErrorKind, Expect, KeyId, PublicationId, Publish, ReadItem, Retire, SecretBackend, SecretBackendExt, Select, Stage,
    Stamp, Swap, VersionId, Withdraw,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One secret of a batch for which the service failed: the next attempt, alone, may do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_fails_in_a_batch_for_this_once_is_read_again() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = patient(&proxy).await;
    let keys = [target("a"), target("b")];
    for key in &keys {
        published(&store, key, key.id.as_str().as_bytes()).await;
        registered(&store, key.id.as_str().rsplit('/').next().expect("a name")).await;
    }
    let failing = |name: String, code: &str| {
        let body = format!(r#"{{"SecretValues":[],"Errors":[{{"SecretId":"{name}","ErrorCode":"{code}"}}]}}"#);
        Answer::new(200, body).header("content-type", "application/x-amz-json-1.1").header("x-amzn-requestid", "1")
    };
    let items = keys.clone().map(|target| ReadItem { target, select: Select::Current });
    let ids = keys.clone().map(|key| key.id);
    for code in ["InternalServiceError", "ThrottlingException", "SomethingNew"] {
        let name = store.secret_name(&ids[0]);
        let record = name.replace("/keys/", "/records/").replace(".key", ".record");
        proxy.plan(Fault::Answer(failing(name.clone(), code)).on("BatchGetSecretValue"));
        for (answer, key) in store.read(&cx(), &items).await.into_iter().zip(&keys) {
            assert_found(answer, key.id.as_str().as_bytes());
        }
        proxy.clear();
        proxy.plan(Fault::Answer(failing(record, code)).on("BatchGetSecretValue"));
        assert!(store.load(&cx(), &ids).await.into_iter().all(|found| found.is_ok_and(|found| found.is_some())));
        // What goes on failing is no unknown outcome: nothing was written.
        proxy.plan(Fault::Answer(Answer::aws(500, "InternalServiceError")).on("GetSecretValue"));
        for answer in store.read(&cx(), &items).await {
            assert_eq!(kind(answer), ErrorKind::Unavailable, "{code}");
        }
        proxy.clear();
    }
}

/// A backend behind a proxy; it repeats nothing, so what settles a lost reply is reading back.
async fn behind_proxy() -> (Proxy, AwsBackend) {
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).retry(Retry::NEVER).tags(false).open().await.expect("a backend");
    (proxy, store)
}

async fn patient(proxy: &Proxy) -> AwsBackend {
    builder(&proxy.url(), &fresh_prefix()).tags(false).open().await.expect("a backend")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_lost_reply_of_a_swap_is_settled_by_reading_back() {
    let (proxy, store) = behind_proxy().await;
    proxy.plan(Fault::LoseReply.on("CreateSecret").times(1));
    let first = registered(&store, "swap").await;
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        let stored = store.load_existing(&cx(), first.value.id()).await.expect("a record");
        let next = noted(&stored.value, operation);
        proxy.plan(Fault::LoseReply.on(operation).times(1));
        let answer = store.swap(&cx(), next.id(), Expect::At(stored.stamp.clone()), &next).await;
        if operation == "PutSecretValue" {
            // Not yet moved: that much is known, and the same call again completes it.
            assert_eq!(kind(answer), ErrorKind::Unknown);
            let again = store.swap(&cx(), next.id(), Expect::At(stored.stamp), &next).await;
            assert!(matches!(again, Ok(Swap::Applied(_))), "{again:?}");
        } else {
            assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
        }
        let found = store.load_existing(&cx(), next.id()).await.expect("a record");
        assert_eq!(found.value, next);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_lost_reply_of_a_material_call_is_settled_by_reading_back() {
    let (proxy, store) = behind_proxy().await;
    let key = target("lost");
    for operation in ["CreateSecret", "PutSecretValue"] {
        proxy.plan(Fault::LoseReply.on(operation).times(1));
        staged(&store, &key, operation.as_bytes()).await;
    }
    proxy.plan(Fault::LoseReply.on("UpdateSecretVersionStage").times(1));
    let old = published(&store, &key, b"old").await;
    assert_found(store.read_one(&cx(), &key, Select::Current).await, b"old");

    // Published again, both steps of it.
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        let token = store.pointer(&cx(), &key).await.expect("a pointer").token;
        proxy.plan(Fault::LoseReply.on(operation).times(1));
        let publication = PublicationId::generate();
        let answer = store.publish(&cx(), &key, old, publication, &token).await;
        if operation == "PutSecretValue" {
            assert_eq!(kind(answer), ErrorKind::Unknown);
            let again = store.publish(&cx(), &key, old, publication, &token).await;
            assert!(matches!(again, Ok(Publish::Moved(_))), "{again:?}");
        } else {
            assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
        }
    }
    let other = staged(&store, &key, b"other").await;
    proxy.plan(Fault::LoseReply.on("UpdateSecretVersionStage").times(1));
    assert!(matches!(store.withdraw(&cx(), &key, other).await, Ok(Withdraw::Deferred { .. })));
    proxy.plan(Fault::LoseReply.on("DeleteSecret").times(1));
    assert!(matches!(store.retire(&cx(), &key, Duration::ZERO).await, Ok(Retire::Retired)));
    assert_eq!(store.retire(&cx(), &key, Duration::ZERO).await.expect("an answer"), Retire::Absent);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn an_outcome_that_cannot_be_read_back_is_unknown_never_a_false_failure() {
    let (proxy, store) = behind_proxy().await;
    let stored = registered(&store, "unknown").await;
    let next = noted(&stored.value, "next");
    proxy.plan(Fault::LoseReply.on("UpdateSecretVersionStage").times(1));
    proxy.plan(Fault::Refuse.on("GetSecretValue"));
    let answer = store.swap(&cx(), next.id(), Expect::At(stored.stamp.clone()), &next).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    proxy.clear();
    let again = store.swap(&cx(), next.id(), Expect::At(stored.stamp), &next).await;
    assert!(matches!(again, Ok(Swap::Applied(_))), "it had been applied: {again:?}");

    let key = target("unknown");
    let version = staged(&store, &key, b"value").await;
    let token = store.pointer(&cx(), &key).await.expect("a pointer").token;
    proxy.plan(Fault::LoseReply.on("UpdateSecretVersionStage").times(1));
    proxy.plan(Fault::Refuse.on("DescribeSecret").after(1));
    let answer = store.publish(&cx(), &key, version, PublicationId::first(version), &token).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    proxy.clear();
    let again = store.publish(&cx(), &key, version, PublicationId::first(version), &token).await;
    assert!(matches!(again, Ok(Publish::AlreadyThere(_))), "it had been moved: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_lost_reply_overtaken_by_another_writer_is_a_conflict_that_remembers() {
    let (proxy, store) = behind_proxy().await;
    let stored = registered(&store, "overtaken").await;
    let mine = noted(&stored.value, "mine");
    proxy.plan(Fault::LoseReply.on("UpdateSecretVersionStage").times(1));
    proxy.plan(Fault::Refuse.on("GetSecretValue").times(1));
    let answer = store.swap(&cx(), mine.id(), Expect::At(stored.stamp.clone()), &mine).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    let theirs = noted(&mine, "theirs");
    let at = Stamp::new(mine.operation().expect("an operation").to_string());
    assert!(matches!(store.swap(&cx(), theirs.id(), Expect::At(at), &theirs).await, Ok(Swap::Applied(_))));
    match store.swap(&cx(), mine.id(), Expect::At(stored.stamp), &mine).await {
        Ok(Swap::Conflict(Some(there))) => assert!(there.value.remembers(mine.operation().expect("an operation"))),
        other => panic!("a conflict was expected, but: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn throttling_is_waited_out_and_a_quota_is_not() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = patient(&proxy).await;
    let stored = registered(&store, "throttled").await;
    let key: &KeyId = stored.value.id();

    proxy.plan(Fault::Answer(Answer::aws(400, "ThrottlingException")).on("GetSecretValue").times(2));
    assert!(store.load_one(&cx(), key).await.is_ok_and(|found| found.is_some()));
    proxy.plan(Fault::Answer(Answer::aws(400, "ThrottlingException")).on("GetSecretValue"));
    assert_eq!(kind(store.load_one(&cx(), key).await), ErrorKind::Throttled);
    proxy.clear();

    let target = target("quota");
    let before = proxy.requests_of("PutSecretValue");
    proxy.plan(Fault::Answer(Answer::aws(400, "LimitExceededException")).on("PutSecretValue"));
    let answer = store.stage(&cx(), &target, VersionId::generate(), &one(b"value")).await;
    assert_eq!(kind(answer), ErrorKind::Quota);
    assert_eq!(proxy.requests_of("PutSecretValue"), before + 1, "a quota is not asked twice");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_wait_the_service_asks_for_is_honoured_within_the_deadline() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = patient(&proxy).await;
    let key = registered(&store, "waits").await.value.id().clone();
    let slow_down = || Answer::aws(400, "ThrottlingException").header("retry-after", "1");
    proxy.plan(Fault::Answer(slow_down()).on("GetSecretValue").times(1));
    let begun = Instant::now();
    assert!(store.load_one(&cx(), &key).await.is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waited");
    proxy.plan(Fault::Answer(slow_down()).on("GetSecretValue").times(1));
    let begun = Instant::now();
    let answer = store.load_one(&cx().within(Duration::from_millis(300)), &key).await;
    assert_eq!(kind(answer), ErrorKind::Throttled);
    assert!(begun.elapsed() < Duration::from_millis(900), "nobody waits past the deadline");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn each_answer_of_the_service_is_an_error_of_its_own_kind() {
    let (proxy, store) = behind_proxy().await;
    let key = registered(&store, "kinds").await.value.id().clone();
    let answers = [
        (Answer::aws(400, "AccessDeniedException"), ErrorKind::Denied),
        (Answer::aws(400, "ExpiredTokenException"), ErrorKind::Denied),
        (Answer::aws(400, "UnrecognizedClientException"), ErrorKind::Denied),
        (Answer::aws(400, "DecryptionFailure"), ErrorKind::Undecryptable),
        (Answer::aws(400, "RequestLimitExceeded"), ErrorKind::Throttled),
        (Answer::aws(400, "ValidationException"), ErrorKind::Invalid),
        (Answer::aws(500, "InternalServiceError"), ErrorKind::Unavailable),
        (Answer::new(403, "<Error><Code>no JSON</Code></Error>"), ErrorKind::Denied),
        (Answer::new(429, ""), ErrorKind::Throttled),
        (Answer::new(503, "<html>"), ErrorKind::Unavailable),
        (Answer::new(200, "no JSON"), ErrorKind::Unavailable),
        (Answer::new(200, "{}"), ErrorKind::Unavailable),
        (Answer::new(302, "").header("location", "http://127.0.0.1:1/"), ErrorKind::Unavailable),
    ];
    for (n, (answer, expected)) in answers.into_iter().enumerate() {
        let answer = answer.header("x-amzn-requestid", "a-request-1");
        proxy.plan(Fault::Answer(answer).on("GetSecretValue"));
        let error = store.load_one(&cx(), &key).await.expect_err("an error");
        assert_eq!(error.kind(), expected, "answer {n}: {error}");
        assert_eq!(error.key(), Some(&key));
        if n < 7 {
            assert_eq!(error.request_id(), Some("a-request-1"), "answer {n}: {error}");
        }
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_server_that_hangs_or_is_gone_is_given_up_in_time() {
    let (proxy, store) = behind_proxy().await;
    let stored = registered(&store, "hangs").await;
    let short = cx().within(Duration::from_millis(300));
    proxy.plan(Fault::Delay(Duration::from_secs(5)).always());
    let begun = Instant::now();
    assert_eq!(kind(store.load_one(&short, stored.value.id()).await), ErrorKind::Unavailable);
    let next = record("hangs-too");
    let answer = store.swap(&cx().within(Duration::from_millis(300)), next.id(), Expect::Absent, &next).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    assert!(begun.elapsed() < Duration::from_secs(3), "the deadline holds");

    let gone = builder("http://127.0.0.1:1", &fresh_prefix()).retry(Retry::NEVER).open().await.expect("a backend");
    assert_eq!(kind(gone.load_one(&cx(), next.id()).await), ErrorKind::Unavailable);
    let answer = gone.swap(&cx(), next.id(), Expect::Absent, &next).await;
    assert_eq!(kind(answer), ErrorKind::Unavailable, "nothing was sent, so nothing is unknown");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_batch_that_fails_as_a_whole_is_read_one_by_one() {
    let (proxy, store) = behind_proxy().await;
    let keys = [target("a"), target("b"), target("c")];
    for key in &keys[..2] {
        published(&store, key, key.id.as_str().as_bytes()).await;
    }
    for refusal in ["AccessDeniedException", "ResourceNotFoundException"] {
        proxy.plan(Fault::Answer(Answer::aws(400, refusal)).on("BatchGetSecretValue"));
        let items = keys.clone().map(|target| ReadItem { target, select: Select::Current });
        let answers = store.read(&cx(), &items).await;
        assert_eq!(answers.len(), 3);
        for (n, answer) in answers.into_iter().enumerate() {
            match n {
                2 => assert_eq!(kind(answer), ErrorKind::NotFound),
                _ => assert_found(answer, keys[n].id.as_str().as_bytes()),
            }
        }
        proxy.clear();
    }
    // Throttled, it is not: that would only make it worse.
    proxy.plan(Fault::Answer(Answer::aws(400, "ThrottlingException")).on("BatchGetSecretValue"));
    let before = proxy.requests_of("GetSecretValue");
    let items = keys.clone().map(|target| ReadItem { target, select: Select::Current });
    for answer in store.read(&cx(), &items).await {
        assert_eq!(kind(answer), ErrorKind::Throttled);
    }
    assert_eq!(proxy.requests_of("GetSecretValue"), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_stage_whose_reply_was_lost_is_the_same_when_repeated() {
    let (proxy, store) = behind_proxy().await;
    let (key, version) = (target("again"), VersionId::generate());
    proxy.plan(Fault::LoseReply.on("PutSecretValue").times(1));
    proxy.plan(Fault::Refuse.on("DescribeSecret").after(2).times(1));
    assert_eq!(kind(store.stage(&cx(), &key, version, &one(b"value")).await), ErrorKind::Unknown);
    proxy.clear();
    assert_eq!(store.stage(&cx(), &key, version, &one(b"value")).await.expect("a stage"), Stage::AlreadySame);
    assert_eq!(store.stage(&cx(), &key, version, &one(b"other")).await.expect("a stage"), Stage::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn an_answer_that_is_no_http_leaves_the_outcome_open() {
    let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", garbage.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = garbage.accept().await {
            let mut seen = [0; 1024];
            let _ = client.read(&mut seen).await;
            let _ = client.write_all(b"\x00\x01 this is no HTTP\r\n\r\n").await;
        }
    });
    let store = builder(&url, &fresh_prefix()).retry(Retry::NEVER).open().await.expect("a backend");
    let next = record("garbage");
    assert_eq!(kind(store.load_one(&cx(), next.id()).await), ErrorKind::Unavailable);
    assert_eq!(kind(store.swap(&cx(), next.id(), Expect::Absent, &next).await), ErrorKind::Unknown);
}

/// Credentials that can be had once and never again.
#[derive(Debug)]
struct Once(AtomicBool, fn() -> CredentialsError);

impl ProvideCredentials for Once {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let given = self.0.swap(true, Ordering::SeqCst);
        future::ProvideCredentials::ready(if given {
            Err((self.1)())
        } else {
            Ok(Credentials::from_keys("test", "test", None))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn credentials_that_cannot_be_had_are_told_apart() {
    let cases: [(fn() -> CredentialsError, ErrorKind); 2] = [
        (|| CredentialsError::provider_timed_out(Duration::from_secs(1)), ErrorKind::Unavailable),
        (|| CredentialsError::invalid_configuration("a text that must not show"), ErrorKind::Denied),
    ];
    for (error, expected) in cases {
        let provider = SharedCredentialsProvider::new(Once(AtomicBool::new(false), error));
        let config = common::config(&aws_url()).to_builder().credentials_provider(provider).build();
        let store = AwsBackend::builder(&config).prefix(&fresh_prefix()).retry(Retry::NEVER).open().await;
        let (store, next) = (store.expect("a backend"), record("unsigned"));
        let refused = store.swap(&cx(), next.id(), Expect::Absent, &next).await.expect_err("an error");
        assert_eq!(refused.kind(), expected, "nothing was sent, so nothing is unknown: {refused}");
        assert!(!format!("{refused} {refused:?}").contains("must not show"));
    }
}
