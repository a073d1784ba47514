//! What every client of this crate has in common: no retries of the SDK's own, time limits, one TLS
//! stack, and no plain text over a network.

use std::net::IpAddr;
use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use keyward_remote::Retry;
use url::{Host, Url};

use crate::AwsError;

/// How long things may take, and how calls are repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until a connection has come about.
    pub(crate) connect: Duration,
    /// One attempt of a call.
    pub(crate) attempt: Duration,
    pub(crate) retry: Retry,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), attempt: Duration::from_secs(10), retry: Retry::default() }
    }
}

/// The same configuration, hardened: the SDK retries nothing, and nothing waits for ever.
pub(crate) fn hardened(config: &SdkConfig, limits: Limits) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits.connect)
        .read_timeout(limits.attempt)
        .operation_attempt_timeout(limits.attempt)
        .operation_timeout(limits.attempt);
    let mut hardened = config.to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts.build());
    hardened.set_behavior_version(Some(config.behavior_version().unwrap_or_else(BehaviorVersion::latest)));
    hardened.set_http_client(Some(config.http_client().unwrap_or_else(http_client)));
    hardened.build()
}

/// Checks where requests of a service (by its id, `Secrets Manager`) will go, whoever said so: the
/// caller, the configuration or the environment.
pub(crate) fn check_endpoint(config: &SdkConfig, service: &str, own: Option<&str>) -> Result<(), AwsError> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let from_environment = || config.service_config()?.load_config(key.ok()?);
    let mut endpoints = match own {
        Some(own) => vec![own.to_owned()],
        // Which of the two wins depends on how the configuration came about.
        None => from_environment().into_iter().chain(config.endpoint_url().map(str::to_owned)).collect(),
    };
    endpoints.retain(|endpoint| !confidential(endpoint));
    if endpoints.is_empty() { Ok(()) } else { Err(AwsError::Endpoint) }
}

/// The SDK prints whole answers, values among them, while this is set.
pub(crate) fn check_environment() -> Result<(), AwsError> {
    match std::env::var_os("LOG_SENSITIVE_BODIES") {
        Some(value) if !value.eq_ignore_ascii_case("false") && !value.is_empty() => Err(AwsError::BodiesLogged),
        _ => Ok(()),
    }
}

fn confidential(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => IpAddr::V4(address).is_loopback(),
        ("http", Some(Host::Ipv6(address))) => IpAddr::V6(address).is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for endpoint in
            ["https://secretsmanager.eu-central-1.amazonaws.com", "http://127.0.0.1:5000", "http://[::1]:1/"]
        {
            assert!(confidential(endpoint), "{endpoint} is fine");
        }
        for endpoint in
            ["http://10.0.0.1", "http://127.0.0.1.example.com", "http://localhost.example.com", "ftp://a", "", "x"]
        {
            assert!(!confidential(endpoint), "{endpoint} is refused");
        }
    }

    #[test]
    fn an_endpoint_of_the_configuration_is_checked_too() {
        let config = SdkConfig::builder().endpoint_url("http://10.0.0.1").build();
        assert!(matches!(check_endpoint(&config, "Secrets Manager", None), Err(AwsError::Endpoint)));
        assert!(check_endpoint(&config, "Secrets Manager", Some("http://127.0.0.1:1")).is_ok());
    }
}
