//! Counts from Prometheus, or whatever speaks its query API.

mod answer;
mod builder;
mod query;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use keyward_core::{
    Adoption, AdoptionSignal, ArmCounts, ClientMinutes, Clock, Context, ErrorKind, HealthQuery, HealthReport,
    HealthSignal, KeyId, LastUse, Result, SecretValue, UsageSignal, VersionId, async_trait,
};
use keyward_remote::fan_out;
use reqwest::Method;
use reqwest::header::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use super::client::Client;
use answer::{Samples, fault, instant, lost};
use query::{Queries, Subject, What};

pub use builder::PrometheusBuilder;

/// Counts from Prometheus, or whatever speaks its query API (Thanos, Mimir, VictoriaMetrics): a
/// health signal, and with the queries for it a usage and an adoption signal.
///
/// Each number is one instant query (`/api/v1/query`), all of a report at the same moment. In a
/// query `{key}` stands for the key's name, `{version}` for the version, and `{since}` for the
/// seconds since the version began to serve, such as `7200s`. So the application must label its
/// metric with the version it used: [`LiveKey::version`](crate::keyring::LiveKey::version).
///
/// An empty answer counts as 0. Not a number, several series, warnings (an answer that may not be
/// complete) and everything else are errors, which never pass a gate.
///
/// ```
/// use keyward::http::Prometheus;
/// // A counter with the labels key, version, instance, and outcome: ok, auth_rejected,
/// // scope_rejected, throttled or failed.
/// let signal = Prometheus::new("http://127.0.0.1:9090").counter("api_requests_total").build()?;
/// # let _ = signal;
/// # Ok::<(), keyward::http::HttpError>(())
/// ```
pub struct Prometheus {
    client: Client,
    endpoint: Url,
    token: Option<SecretValue>,
    queries: Queries,
    clock: Arc<dyn Clock>,
}

impl Prometheus {
    /// The most bytes of an answer that are read.
    pub const MAX_ANSWER: usize = 1024 * 1024;

    /// A server at this address: what comes before `/api/v1`.
    #[expect(clippy::new_ret_no_self, reason = "settings come first, as for any client")]
    pub fn new(url: &str) -> PrometheusBuilder {
        PrometheusBuilder::new(url)
    }

    async fn arm(&self, cx: &Context, subject: &Subject<'_>) -> Result<ArmCounts> {
        let mut numbers = fan_out(COUNTS, AT_ONCE, |what| self.number(cx, subject, what)).await.into_iter();
        let mut next = || numbers.next().unwrap_or(Ok(None));
        let mut counts = ArmCounts::default();
        // What an extrapolation adds or takes away must not hide a refusal or invent a success.
        counts.clean = whole(next()?, f64::floor);
        counts.auth_rejects = whole(next()?, f64::ceil);
        counts.scope_rejects = whole(next()?, f64::ceil);
        counts.throttled = whole(next()?, f64::round);
        counts.other_failures = whole(next()?, f64::round);
        counts.clients = whole(next()?, f64::floor);
        counts.rejected_clients = whole(next()?, f64::ceil);
        let (seen, refused) = (whole(next()?, f64::floor), next()?.unwrap_or(0.0));
        let asked = self.queries.get(What::Minutes).is_some();
        counts.minutes = asked.then(|| ClientMinutes::new(seen, refused));
        Ok(counts)
    }

    /// The answer to one query; nothing when it was not given, or nothing was found.
    async fn number(&self, cx: &Context, subject: &Subject<'_>, what: What) -> Result<Option<f64>> {
        match self.queries.get(what) {
            Some(query) => self.ask(cx, &subject.fill(query), subject.now).await?.number(),
            None => Ok(None),
        }
    }

    async fn ask(&self, cx: &Context, query: &str, at: DateTime<Utc>) -> Result<Samples> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("query", query).append_pair("time", &at.timestamp().to_string());
        let mut request = self.client.request(Method::GET, url);
        if let Some(token) = &self.token {
            let mut header = Zeroizing::new(Vec::with_capacity(BEARER.len() + token.len()));
            header.extend_from_slice(BEARER);
            header.extend_from_slice(token.expose_secret());
            let mut header = HeaderValue::from_bytes(&header)
                .map_err(|_| fault(ErrorKind::Invalid, "the bearer token cannot stand in a header"))?;
            header.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, header);
        }
        Samples::of(&self.client.send(cx, request, Self::MAX_ANSWER).await.map_err(lost)?)
    }
}

#[async_trait]
impl HealthSignal for Prometheus {
    /// # Errors
    /// `Invalid` for a query that is refused or gives no single count; `Denied`, `Throttled`;
    /// `Unavailable` when the server fails, cannot be reached, or something else answers.
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let (key, since, now) = (&query.key, query.since, self.clock.now());
        let about = |version| Subject { key, version: Some(version), since, now };
        let mut report = HealthReport::of(self.arm(cx, &about(query.new)).await?);
        if let Some(old) = query.old {
            report = report.against(self.arm(cx, &about(old)).await?);
        }
        report.known_clients = match self.number(cx, &about(query.new), What::KnownClients).await? {
            // A query that finds nobody does not know them.
            Some(known) if known >= 1.0 => Some(whole(Some(known), f64::ceil)),
            _ => None,
        };
        Ok(report)
    }
}

#[async_trait]
impl UsageSignal for Prometheus {
    /// Unknown without a query for it, and when it finds nothing: the server may not look back so
    /// far.
    ///
    /// # Errors
    /// As of the health.
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        let now = self.clock.now();
        let subject = Subject { key, version: Some(version), since: now, now };
        Ok(match self.number(cx, &subject, What::LastUse).await? {
            Some(seconds) => LastUse::At(instant(seconds)?),
            None => LastUse::Unknown,
        })
    }
}

#[async_trait]
impl AdoptionSignal for Prometheus {
    /// Nobody without a query for it.
    ///
    /// # Errors
    /// As of the health; `Invalid` when a series lacks a label.
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        let now = self.clock.now();
        match self.queries.get(What::Consumers) {
            Some(query) => {
                let query = Subject { key, version: None, since: now, now }.fill(query);
                self.ask(cx, &query, now).await?.consumers()
            }
            None => Ok(Vec::new()),
        }
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.endpoint.host_str().unwrap_or_default();
        f.debug_struct("Prometheus").field("host", &host).finish_non_exhaustive()
    }
}

/// A count that is finite and not negative, as a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; never negative")]
fn whole(number: Option<f64>, round: fn(f64) -> f64) -> u64 {
    number.map_or(0, |number| round(number) as u64)
}

/// In the order in which they are taken up again.
const COUNTS: [What; 9] = [
    What::Clean,
    What::AuthRejected,
    What::ScopeRejected,
    What::Throttled,
    What::OtherFailures,
    What::Clients,
    What::RejectedClients,
    What::Minutes,
    What::RefusedMinutes,
];
const AT_ONCE: usize = 4;
const BEARER: &[u8] = b"Bearer ";
