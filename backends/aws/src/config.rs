//! What can be chosen when a backend is opened.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_compat::Compat;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_types::SdkConfig;
use futures_util::future::{Either, select};
use keyward_core::{Capabilities, Cas, Clock, Destroy, NativeCurrent, SystemClock};
use keyward_remote::Retry;

use crate::AwsBackend;
use crate::client::{Limits, check_endpoint, check_environment, hardened};
use crate::error::AwsError;
use crate::names::Prefix;
use crate::store::{Absence, Store, Tags};
use crate::wire::Wire;

/// Settings of a backend. Everything has a default but the [`SdkConfig`].
///
/// ```no_run
/// # async fn open(config: aws_types::SdkConfig) -> Result<(), keyward_aws::AwsError> {
/// use std::time::Duration;
/// use keyward_aws::AwsBackend;
/// let store = AwsBackend::builder(&config).prefix("teams/billing").attempt_timeout(Duration::from_secs(5)).open().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AwsBuilder {
    config: SdkConfig,
    prefix: String,
    endpoint: Option<String>,
    limits: Limits,
    concurrency: usize,
    tags: bool,
    staleness: Duration,
}

impl AwsBuilder {
    /// What the names of all secrets begin with unless said otherwise.
    pub const DEFAULT_PREFIX: &str = "keyward";
    /// How many calls are under way at once unless said otherwise.
    pub const DEFAULT_CONCURRENCY: usize = 8;
    /// How far a listing of AWS may lag behind, by its documentation.
    pub const DEFAULT_STALENESS: Duration = Duration::from_secs(300);

    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self {
            config: config.clone(),
            prefix: Self::DEFAULT_PREFIX.to_owned(),
            endpoint: None,
            limits: Limits::default(),
            concurrency: Self::DEFAULT_CONCURRENCY,
            tags: true,
            staleness: Self::DEFAULT_STALENESS,
        }
    }

    /// What the names of all secrets begin with. One inventory has one prefix.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// Sends the calls of this backend elsewhere, and of nothing else made from the same [`SdkConfig`]. Must be https,
    /// or http to a loopback address.
    pub fn endpoint_url(mut self, url: &str) -> Self {
        self.endpoint = Some(url.to_owned());
        self
    }

    /// How long a connection may take to come about. Default 3 seconds.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.limits.connect = limit;
        self
    }

    /// How long one attempt of a call may take. Default 10 seconds. The deadline of the
    /// [`Context`](keyward_core::Context) bounds all attempts together.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.limits.attempt = limit;
        self
    }

    /// How calls are repeated. The retries of the SDK are always off: it takes a used-up quota for throttling.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.limits.retry = retry;
        self
    }

    /// How many calls of one batch are under way at once (at least 1).
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// Whether owner, team, state and due date are written to the secrets as tags, for consoles and cost reports.
    /// Default yes; needs `secretsmanager:TagResource`, and goes without where that is refused.
    pub fn tags(mut self, write: bool) -> Self {
        self.tags = write;
        self
    }

    /// How far listings lag behind, for [`Capabilities::list_staleness`]. Lower it for a server that does not lag.
    pub fn list_staleness(mut self, lag: Duration) -> Self {
        self.staleness = lag;
        self
    }

    /// Opens the backend. Checks that the prefix is acceptable, that a region is set, that values cannot travel in
    /// the clear or into a log, and that credentials can be had. Sends nothing to Secrets Manager: what these
    /// credentials may do there shows with the first call.
    ///
    /// # Errors
    /// [`AwsError`], by what does not hold.
    ///
    /// ```no_run
    /// # async fn open(config: aws_types::SdkConfig) -> Result<(), keyward_aws::AwsError> {
    /// use keyward_aws::{AwsBackend, AwsError};
    /// let refused = AwsBackend::builder(&config).endpoint_url("http://secrets.example.com").open().await;
    /// assert!(matches!(refused, Err(AwsError::Endpoint)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(self) -> Result<AwsBackend, AwsError> {
        check_environment()?;
        let prefix = Prefix::parse(&self.prefix)?;
        let region = self.config.region().ok_or(AwsError::Region)?.to_string();
        check_endpoint(&self.config, "Secrets Manager", self.endpoint.as_deref())?;
        let credentials = self.config.credentials_provider().ok_or(AwsError::Credentials)?;
        let asked = pin!(Compat::new(credentials.provide_credentials()));
        let limit = pin!(SystemClock.sleep(self.limits.connect.saturating_add(self.limits.attempt)));
        let Either::Left((Ok(_), _)) = select(asked, limit).await else {
            return Err(AwsError::Credentials);
        };

        let config = hardened(&self.config, self.limits);
        let mut config = Builder::from(&config);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let store = Store {
            wire: Wire::new(Client::from_conf(config.build()), self.limits.retry, prefix.inventory()),
            prefix,
            region: region.into(),
            concurrency: self.concurrency,
            tags: self.tags.then(Tags::default),
            absence: Absence::new(),
        };
        Ok(AwsBackend::over(Arc::new(store), capabilities(self.staleness)))
    }
}

fn capabilities(staleness: Duration) -> Capabilities {
    let mut capabilities = Capabilities::local();
    capabilities.record_cas = Cas::Unverified;
    capabilities.publish_cas = Cas::Unverified;
    capabilities.destroy = Destroy::Deferred;
    capabilities.native_current = NativeCurrent::AwsCurrent;
    capabilities.multi_host = true;
    capabilities.list_staleness = staleness;
    capabilities.read_after_write = false;
    capabilities.record_writes_per_day = Some(100);
    capabilities.adopts = true;
    capabilities
}
