//! What handles report, as a health signal for the rotation gate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use keyward_core::{
    ArmCounts, Context, HealthQuery, HealthReport, HealthSignal, KeyId, Result, VersionId, async_trait,
};

use super::Outcome;

/// What the handles of one or several keyrings reported, counted per version.
///
/// Each keyring is one client; keyrings of one process can share one signal through
/// [`KeyringBuilder::reports_to`](super::KeyringBuilder::reports_to). Counting starts when a
/// keyring first serves a version, so the `since` of a query changes nothing here.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward::core::{Context, HealthQuery, HealthSignal, VersionId};
/// use keyward::keyring::ReportedHealth;
/// let signal = ReportedHealth::default();
/// let query = HealthQuery {
///     key: "production/payments/stripe-charges".parse()?,
///     new: VersionId::generate(),
///     old: None,
///     since: chrono::Utc::now(),
/// };
/// let report = signal.health(&Context::new("rotator", "gate")?, &query).await?;
/// assert_eq!(report.new.clean, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct ReportedHealth {
    keys: Mutex<BTreeMap<KeyId, Versions>>,
}

type Versions = BTreeMap<VersionId, BTreeMap<Box<str>, Arc<Arm>>>;

impl ReportedHealth {
    /// How many versions of a key are remembered; the oldest give way.
    pub const VERSIONS: usize = 8;

    /// What was reported about one version so far.
    #[must_use]
    pub fn counts(&self, key: &KeyId, version: VersionId) -> ArmCounts {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let arms = keys.get(key).and_then(|versions| versions.get(&version));
        let mut total = ArmCounts::default();
        arms.into_iter().flat_map(BTreeMap::values).for_each(|arm| arm.add_to(&mut total));
        total
    }

    /// The counters of one client for one version.
    pub(super) fn arm(&self, key: &KeyId, version: VersionId, client: &str) -> Arc<Arm> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = keys.entry(key.clone()).or_default();
        let arm = versions.entry(version).or_default().entry(client.into()).or_default().clone();
        while versions.len() > Self::VERSIONS {
            versions.pop_first();
        }
        arm
    }
}

#[async_trait]
impl HealthSignal for ReportedHealth {
    async fn health(&self, _cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let report = HealthReport::of(self.counts(&query.key, query.new));
        Ok(match query.old {
            None => report,
            Some(old) => report.against(self.counts(&query.key, old)),
        })
    }
}

/// One client's counters for one version.
#[derive(Debug, Default)]
pub(super) struct Arm {
    clean: AtomicU64,
    auth_rejects: AtomicU64,
    scope_rejects: AtomicU64,
    throttled: AtomicU64,
    other_failures: AtomicU64,
}

impl Arm {
    pub(super) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Ok => &self.clean,
            Outcome::AuthRejected => &self.auth_rejects,
            Outcome::ScopeRejected => &self.scope_rejects,
            Outcome::Throttled => &self.throttled,
            Outcome::RequestError | Outcome::ServerError | Outcome::NetworkError => &self.other_failures,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn add_to(&self, total: &mut ArmCounts) {
        let read = [&self.clean, &self.auth_rejects, &self.scope_rejects, &self.throttled, &self.other_failures]
            .map(|counter| counter.load(Relaxed));
        let [clean, auth_rejects, scope_rejects, throttled, other_failures] = read;
        total.clean += clean;
        total.auth_rejects += auth_rejects;
        total.scope_rejects += scope_rejects;
        total.throttled += throttled;
        total.other_failures += other_failures;
        total.clients += u64::from(read.iter().any(|count| *count > 0));
    }
}
