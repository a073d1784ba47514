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
use keyward_core::{Context, RequestId};
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
