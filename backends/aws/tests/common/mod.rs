//! Backends on the test servers, each in an inventory of its own.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use aws_types::SdkConfig;
use keyward_aws::{AwsBackend, AwsBuilder, Retry};
use keyward_conformance::servers::{server_setting, server_url};
use keyward_core::{
    AccessLevel, Change, Clock, Context, Edit, ErrorKind, Evidence, Expect, HolderId, KeyDraft, KeyRecord, Location,
    Material, Ownership, PointerToken, Proof, PublicationId, Publish, Read, RequestId, RunId, RunKind, Scope,
    SecretBackend, Shape, Stage, Stamped, Swap, SystemClock, Target, Transition, VersionId,
};
use tokio::runtime::Runtime;

/// Runs a future on the one runtime of this test process: connections live as long as it does.
pub(crate) fn on_runtime<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(|| build().expect("a runtime")).block_on(future)
}

/// The AWS server most tests use.
pub(crate) fn aws_url() -> String {
    server_url("AWS_ENDPOINT_URL_SECRETS_MANAGER")
}

/// The AWS server that checks permissions.
pub(crate) fn strict_url() -> String {
    server_url("KEYWARD_TEST_MINISTACK_URL")
}

pub(crate) fn config(url: &str) -> SdkConfig {
    config_of(url, &server_setting("AWS_ACCESS_KEY_ID"), &server_setting("AWS_SECRET_ACCESS_KEY"))
}

pub(crate) fn config_of(url: &str, id: &str, secret: &str) -> SdkConfig {
    SdkConfig::builder()
        .endpoint_url(url)
        .region(Region::new(server_setting("AWS_REGION")))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::from_keys(id, secret, None)))
        .build()
}

/// Names nobody else uses.
pub(crate) fn fresh_prefix() -> String {
    format!("t-{}", RequestId::generate())
}

/// Settings for a server that does not lag.
pub(crate) fn builder(url: &str, prefix: &str) -> AwsBuilder {
    let quick = Retry::new(4, Duration::from_millis(20), Duration::from_millis(200));
    AwsBackend::builder(&config(url)).prefix(prefix).retry(quick).list_staleness(Duration::ZERO)
}

pub(crate) async fn open() -> AwsBackend {
    builder(&aws_url(), &fresh_prefix()).open().await.expect("a backend")
}

/// The client of another writer.
pub(crate) fn stranger(url: &str) -> Client {
    let config = config(url).to_builder().behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest());
    let http = aws_smithy_http_client::Builder::new();
    Client::new(&config.http_client(http.build_http()).build())
}

pub(crate) fn cx() -> Context {
    Context::new("tester", "a test").expect("a context")
}

/// A key of this test.
pub(crate) fn target(name: &str) -> Target {
    Target::new(format!("dev/messaging/{name}").parse().expect("a key"), Location::Derived, Shape::One)
}

pub(crate) fn one(bytes: &[u8]) -> Material {
    Material::one(bytes.into()).expect("material")
}

/// The first record of a key.
pub(crate) fn record(name: &str) -> KeyRecord {
    record_at(name, Location::Derived)
}

/// The same, for a key that lies elsewhere.
pub(crate) fn record_at(name: &str, location: Location) -> KeyRecord {
    let ownership = Ownership::new("platform", "ada@example.com", "grace@example.com", "#platform");
    let scope = Scope::new(AccessLevel::ReadOnly).permission("messages:read-only").expect("a permission");
    let scope = scope.service("reporting").expect("a service");
    let issuer = "acme".parse().expect("an issuer");
    let draft = KeyDraft::new(target(name).id, ownership.expect("an ownership"), scope, issuer).location(location);
    KeyRecord::register(&draft, &change()).expect("a record")
}

/// The record with one more note.
pub(crate) fn noted(record: &KeyRecord, note: &str) -> KeyRecord {
    let note = Edit::Note(note.parse().expect("a note"));
    record.apply(&Transition::Edit(note), &change()).expect("an edit")
}

/// The record with a version readers get.
pub(crate) fn live(record: &KeyRecord) -> KeyRecord {
    let version = VersionId::generate();
    let reason = "a test".parse().expect("a reason");
    let (run, holder) = (RunId::generate(), HolderId::generate());
    let proof = Proof::new(change().at, 3, Evidence::lossy("three answers in a row"));
    [
        Transition::Begin { run, kind: RunKind::Manual, version, holder, reason },
        Transition::Store { version, issuer_ref: None, issuer_state: None, fingerprint: None, expires_at: None },
        Transition::Validate { proof },
        Transition::Promote { publication: PublicationId::first(version), expect: PointerToken::new("some token") },
        Transition::Confirm,
    ]
    .iter()
    .fold(record.clone(), |record, step| record.apply(step, &change()).expect("a legal step"))
}

fn change() -> Change {
    Change::new(cx().actor, SystemClock.now())
}

/// Stores the first record of a key.
pub(crate) async fn registered(store: &AwsBackend, name: &str) -> Stamped<KeyRecord> {
    let value = record(name);
    match store.swap(&cx(), value.id(), Expect::Absent, &value).await {
        Ok(Swap::Applied(stamp)) => Stamped { value, stamp },
        other => panic!("a registration must be applied, but: {other:?}"),
    }
}

pub(crate) async fn staged(store: &AwsBackend, target: &Target, bytes: &[u8]) -> VersionId {
    let version = VersionId::generate();
    let answer = store.stage(&cx(), target, version, &one(bytes)).await;
    assert_eq!(answer.expect("a stage"), Stage::Stored);
    version
}

pub(crate) async fn published(store: &AwsBackend, target: &Target, bytes: &[u8]) -> VersionId {
    let version = staged(store, target, bytes).await;
    let token = store.pointer(&cx(), target).await.expect("a pointer").token;
    let answer = store.publish(&cx(), target, version, PublicationId::first(version), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "published, but: {answer:?}");
    version
}

/// The material the answer holds is this.
pub(crate) fn assert_found(answer: keyward_core::Result<Read>, bytes: &[u8]) {
    match answer {
        Ok(Read::Found { material, .. }) => assert!(material.ct_eq(&one(bytes)), "other material"),
        other => panic!("material was expected, but: {other:?}"),
    }
}

pub(crate) fn kind<T: std::fmt::Debug>(answer: keyward_core::Result<T>) -> ErrorKind {
    answer.expect_err("an error was expected").kind()
}
