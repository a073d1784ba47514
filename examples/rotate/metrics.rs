//! What the processes of the service count, gathered for the health gate.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use keyward::core::{
    ArmCounts, Error, ErrorKind, HealthQuery, HealthReport, HealthSignal, Operation, Result, VersionId,
};
use keyward::{Context, async_trait};
use serde_json::Value;

use crate::Answer;

/// The processes whose counters are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    client: reqwest::Client,
    urls: Arc<Mutex<Vec<String>>>,
}

impl Metrics {
    pub(crate) fn follow(&self, url: String) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).push(url);
    }

    pub(crate) async fn totals(&self) -> Answer<Totals> {
        let mut totals = Totals::default();
        for counts in self.scrape("").await? {
            totals.requests += number(&counts, "requests");
            totals.failed += number(&counts, "failed");
        }
        Ok(totals)
    }

    async fn arm(&self, version: VersionId) -> Result<ArmCounts> {
        let silent = |_| Error::new(ErrorKind::Unavailable, Operation::Signal, "billing");
        let mut arm = ArmCounts::default();
        for counts in self.scrape(&version.to_string()).await.map_err(silent)? {
            arm.clean += number(&counts, "clean");
            arm.auth_rejects += number(&counts, "auth_rejects");
            arm.scope_rejects += number(&counts, "scope_rejects");
            arm.clients += number(&counts, "clients");
        }
        Ok(arm)
    }

    async fn scrape(&self, path: &str) -> reqwest::Result<Vec<Value>> {
        let urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answers = Vec::new();
        for url in urls {
            answers.push(self.client.get(format!("{url}/{path}")).send().await?.json().await?);
        }
        Ok(answers)
    }
}

#[async_trait]
impl HealthSignal for Metrics {
    async fn health(&self, _cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let report = HealthReport::of(self.arm(query.new).await?);
        Ok(match query.old {
            Some(old) => report.against(self.arm(old).await?),
            None => report,
        })
    }
}

/// All requests of all processes so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

impl Totals {
    pub(crate) fn since(self, before: &Self) -> Self {
        Self { requests: self.requests - before.requests, failed: self.failed - before.failed }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests of customers, {} failed", self.requests, self.failed)
    }
}

fn number(counts: &Value, name: &str) -> u64 {
    counts[name].as_u64().unwrap_or_default()
}
