//! What handles report, as signals for the rotation gates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward_core::{
    Adoption, AdoptionSignal, ArmCounts, ClientMinutes, Context, HealthQuery, HealthReport, HealthSignal, KeyId,
    LastUse, Result, UsageSignal, VersionId, async_trait,
};

use super::arm::Arm;
use super::ring::Settings;

/// What the handles of one or several keyrings reported, counted per version: a health signal, a
/// usage signal and an adoption signal.
///
/// Each keyring is one client; keyrings of one process can share one signal through
/// [`KeyringBuilder::reports_to`](super::KeyringBuilder::reports_to), and signals of several
/// processes are put together with [`Combined`](crate::signal::Combined). Counting starts when a
/// keyring first serves a version, so the `since` of a query changes nothing here.
///
/// It knows what its own keyrings do and nothing of anybody else.
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

#[derive(Debug, Default)]
struct Versions {
    arms: BTreeMap<VersionId, BTreeMap<Box<str>, Arc<Arm>>>,
    /// The newest version whose arms gave way to newer ones.
    forgotten: Option<VersionId>,
}

impl ReportedHealth {
    /// How many versions of a key are remembered; the oldest give way.
    pub const VERSIONS: usize = 8;

    /// What was reported about one version so far.
    #[must_use]
    pub fn counts(&self, key: &KeyId, version: VersionId) -> ArmCounts {
        let mut nothing = ArmCounts::default();
        nothing.minutes = Some(ClientMinutes::default());
        let keys = self.keys();
        let arms = keys.get(key).and_then(|versions| versions.arms.get(&version));
        arms.into_iter().flat_map(BTreeMap::values).fold(nothing, |total, arm| total.plus(&arm.counts()))
    }

    /// The counters of one keyring for one version.
    pub(super) fn arm(&self, key: &KeyId, version: VersionId, settings: &Settings) -> Arc<Arm> {
        let mut keys = self.keys();
        let versions = keys.entry(key.clone()).or_default();
        let clients = versions.arms.entry(version).or_default();
        let arm = clients.entry(settings.client.clone()).or_insert_with(|| Arc::new(Arm::new(settings))).clone();
        while versions.arms.len() > Self::VERSIONS {
            let oldest = versions.arms.pop_first().map(|(version, _)| version);
            versions.forgotten = versions.forgotten.max(oldest);
        }
        arm
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<KeyId, Versions>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
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

#[async_trait]
impl UsageSignal for ReportedHealth {
    /// When a handle last reported about the version.
    ///
    /// Of a version nobody reported about it is only known that this was so since the keyrings
    /// began: that time is the answer, and never `Never`. Where no handle of the key has reported
    /// anything, reports are not made there and nothing is known.
    async fn last_use(&self, _cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        let keys = self.keys();
        let Some(versions) = keys.get(key).filter(|v| v.forgotten.is_none_or(|gone| gone < version)) else {
            return Ok(LastUse::Unknown);
        };
        let arms = || versions.arms.values().flat_map(BTreeMap::values);
        if arms().all(|arm| arm.last_use().is_none()) {
            return Ok(LastUse::Unknown);
        }
        let uses = versions.arms.get(&version).into_iter().flat_map(BTreeMap::values).filter_map(|arm| arm.last_use());
        // A keyring that is younger than the last use knows nothing of before.
        let mut began: BTreeMap<&str, _> = BTreeMap::new();
        for (client, arm) in versions.arms.values().flatten() {
            began.entry(client).and_modify(|at| *at = arm.began.min(*at)).or_insert(arm.began);
        }
        Ok(uses.chain(began.into_values()).max().map_or(LastUse::Unknown, LastUse::At))
    }
}

#[async_trait]
impl AdoptionSignal for ReportedHealth {
    /// The keyrings that serve the key now, and the version each serves. A keyring with a request
    /// under way on the version before is listed with both.
    async fn consumers(&self, _cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        let keys = self.keys();
        let mut consumers = Vec::new();
        for (version, clients) in keys.get(key).into_iter().flat_map(|versions| &versions.arms) {
            for (client, arm) in clients.iter().filter(|(_, arm)| arm.is_served()) {
                let (service, instance) = (arm.service.clone(), client.to_string());
                consumers.push(Adoption { service, instance, version: *version, seen_at: arm.now() });
            }
        }
        Ok(consumers)
    }
}
