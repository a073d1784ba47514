//! What the gates say before the old version is given up.

use chrono::{DateTime, Utc};
use keyward_core::{Context, HealthQuery, KeyRecord, SecretBackend, VersionId};

use super::super::builder::Rotator;
use super::super::gate::Verdict;

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn ask_health(
        &self,
        cx: &Context,
        record: &KeyRecord,
        new: VersionId,
        old: Option<VersionId>,
        since: DateTime<Utc>,
        soaked: bool,
    ) -> Verdict {
        let Some(signal) = &self.health else {
            return Verdict::Insufficient("no health signal is registered".to_owned());
        };
        let query = HealthQuery { key: record.id().clone(), new, old, since };
        match signal.health(cx, &query).await {
            Ok(report) => self.gate.judge(&report, soaked),
            Err(error) => Verdict::Insufficient(format!("the health signal failed: {}", error.kind())),
        }
    }
}
