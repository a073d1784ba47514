//! Putting the signal together.

use std::fmt;
use std::sync::Arc;

use keyward_core::{Clock, SecretValue, SystemClock};

use super::super::HttpError;
use super::super::client::{Client, address};
use super::Prometheus;
use super::query::{Queries, What, is_metric, of_counter};

/// Settings of [`Prometheus`]. Nothing is checked before [`PrometheusBuilder::build`].
///
/// [`counter`](Self::counter) sets all queries for a metric of the usual shape; each can be set by
/// hand. Every query gives one number and holds `{version}`: counts that are not about one version
/// say nothing about the new key.
#[must_use = "nothing happens before build()"]
pub struct PrometheusBuilder {
    url: String,
    queries: Queries,
    metric: bool,
    token: Option<SecretValue>,
    authorities: Vec<u8>,
    clock: Arc<dyn Clock>,
}

impl PrometheusBuilder {
    pub(super) fn new(url: &str) -> Self {
        let clock = Arc::new(SystemClock);
        let (queries, authorities) = (Queries::default(), Vec::new());
        Self { url: url.to_owned(), queries, metric: true, token: None, authorities, clock }
    }

    /// All counts from one counter with these labels:
    ///
    /// | label | holds |
    /// | --- | --- |
    /// | `key` | the key, such as `production/payments/stripe-charges` |
    /// | `version` | the version that was used |
    /// | `instance` | the process (Prometheus sets it by itself) |
    /// | `outcome` | `ok`, `auth_rejected`, `scope_rejected`, `throttled`, `failed` |
    ///
    /// Client-minutes need a scrape interval of 30 s or less. Queries given after it replace its own.
    pub fn counter(mut self, metric: &str) -> Self {
        self.metric = is_metric(metric);
        self.queries = of_counter(metric);
        self
    }

    /// Requests that succeeded. Required.
    pub fn clean(self, query: &str) -> Self {
        self.set(What::Clean, query)
    }

    /// Requests refused because of the key. Required.
    pub fn auth_rejected(self, query: &str) -> Self {
        self.set(What::AuthRejected, query)
    }

    /// Requests refused because the key lacks a permission.
    pub fn scope_rejected(self, query: &str) -> Self {
        self.set(What::ScopeRejected, query)
    }

    /// Throttled requests.
    pub fn throttled(self, query: &str) -> Self {
        self.set(What::Throttled, query)
    }

    /// Failures that say nothing about the key.
    pub fn other_failures(self, query: &str) -> Self {
        self.set(What::OtherFailures, query)
    }

    /// How many consumers made requests. Required.
    pub fn clients(self, query: &str) -> Self {
        self.set(What::Clients, query)
    }

    /// How many consumers had a request refused.
    pub fn rejected_clients(self, query: &str) -> Self {
        self.set(What::RejectedClients, query)
    }

    /// How many client-minutes had requests that speak about the key, and the sum over them of the
    /// share that was refused.
    pub fn client_minutes(self, seen: &str, refused: &str) -> Self {
        self.set(What::Minutes, seen).set(What::RefusedMinutes, refused)
    }

    /// How many consumers the key has. `{key}` is enough here.
    pub fn known_clients(self, query: &str) -> Self {
        self.set(What::KnownClients, query)
    }

    /// When the version was last used, in seconds since 1970. For the counter above, to the minute:
    ///
    /// ```text
    /// max(max_over_time(timestamp(increase(calls_total{version="{version}"}[1m]) > 0)[7d:1m]))
    /// ```
    pub fn last_use(self, query: &str) -> Self {
        self.set(What::LastUse, query)
    }

    /// The consumers of a key: one series each, with the labels `service`, `instance` and `version`,
    /// whose value is when it was seen, in seconds since 1970. `{key}` is enough here.
    ///
    /// ```text
    /// timestamp(sum by (service, instance, version) (calls_total{key="{key}"}))
    /// ```
    pub fn consumers(self, query: &str) -> Self {
        self.set(What::Consumers, query)
    }

    /// A bearer token.
    pub fn bearer(mut self, token: SecretValue) -> Self {
        self.token = Some(token);
        self
    }

    /// A certificate authority in PEM. With one of your own, no public one can vouch for the server.
    pub fn authority(mut self, pem: &[u8]) -> Self {
        self.authorities.extend_from_slice(pem);
        self.authorities.push(b'\n');
        self
    }

    /// Where the time of the queries comes from. Default: this machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings together. Contacts nobody.
    ///
    /// ```
    /// use keyward::http::{HttpError, Prometheus};
    /// let signal = Prometheus::new("https://prometheus.example.com")
    ///     .clean(r#"sum(max_over_time(calls{version="{version}",code=~"2.."}[{since}]))"#)
    ///     .auth_rejected(r#"sum(max_over_time(calls{version="{version}",code="401"}[{since}]))"#)
    ///     .clients(r#"count(count by (pod) (calls{version="{version}"}))"#);
    /// assert!(signal.build().is_ok());
    /// let all_versions = Prometheus::new("https://prometheus.example.com").counter("calls").clean("sum(calls)");
    /// assert!(matches!(all_versions.build().err(), Some(HttpError::NotAboutVersion { .. })));
    /// ```
    ///
    /// # Errors
    /// [`HttpError`] naming the first setting that does not hold.
    pub fn build(self) -> Result<Prometheus, HttpError> {
        let mut endpoint = address(&self.url)?;
        if endpoint.query().is_some() {
            return Err(HttpError::Extra);
        }
        if !self.metric {
            return Err(HttpError::Metric);
        }
        self.queries.check()?;
        let client = Client::new(&endpoint, &self.authorities)?;
        endpoint.path_segments_mut().map_err(|()| HttpError::Address)?.pop_if_empty().extend(["api", "v1", "query"]);
        Ok(Prometheus { client, endpoint, token: self.token, queries: self.queries, clock: self.clock })
    }

    fn set(mut self, what: What, query: &str) -> Self {
        self.queries.set(what, query.to_owned());
        self
    }
}

impl fmt::Debug for PrometheusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address stays out until it is known to hold no password.
        f.debug_struct("PrometheusBuilder").field("queries", &self.queries).finish_non_exhaustive()
    }
}
