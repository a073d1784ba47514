//! Looking, and nothing but looking.

use keyward_core::{
    Context, Issue, IssuerKey, IssuerStatus, KeyId, KeyRecord, SecretBackend, SecretBackendExt, Stamped, VersionId,
    VersionState,
};

use super::super::error::{Answer, RotationError};
use super::super::sweep::{self, Found};
use super::Reconciler;
use super::finding::ReconcileReport;
use super::judge::{Seen, judge};

impl<B: SecretBackend> Reconciler<'_, B> {
    /// Compares record, pointer and issuer of a key. Reads no value and changes nothing.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{Reconciler, RotationError, Rotator};
    /// async fn is_well(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<bool, RotationError> {
    ///     let report = Reconciler::of(rotator).check(key).await?;
    ///     print!("{report}");
    ///     Ok(report.is_clean())
    /// }
    /// ```
    ///
    /// # Errors
    /// No record, no registered issuer, or a store or issuer that fails.
    pub async fn check(&self, key: &KeyId) -> Result<ReconcileReport, RotationError> {
        let cx = self.rotator.context(&"compare record, pointer and issuer".parse()?);
        Ok(self.look(&cx, key).await?.1)
    }

    pub(super) async fn look(&self, cx: &Context, key: &KeyId) -> Answer<(Stamped<KeyRecord>, ReconcileReport)> {
        let read = self.rotator.backend().load_existing(cx, key).await?;
        let record = &read.value;
        if record.retired_at().is_some() {
            let report = ReconcileReport::new(key.clone(), record.revision(), Vec::new());
            return Ok((read, report));
        }
        let survey = self.rotator.backend().survey(cx, &record.target()).await?;
        let status = self.status(cx, record).await?;
        let found = self.found(cx, record).await?;
        let seen = Seen { survey, status, found, now: self.rotator.clock().now() };
        let report = ReconcileReport::new(key.clone(), record.revision(), judge(record, &seen));
        Ok((read, report))
    }

    async fn status(&self, cx: &Context, record: &KeyRecord) -> Answer<Vec<(VersionId, IssuerStatus)>> {
        let issuer = self.rotator.issuer_of(record)?;
        let mut all = Vec::new();
        let in_use = |state| matches!(state, VersionState::Primary | VersionState::Overlap);
        for version in record.versions().iter().filter(|v| in_use(v.state)) {
            all.push((version.id, issuer.status(cx, Issue { record, version }).await?));
        }
        Ok(all)
    }

    async fn found(&self, cx: &Context, record: &KeyRecord) -> Answer<Vec<(IssuerKey, bool)>> {
        let issuer = self.rotator.issuer_of(record)?;
        if !issuer.capabilities().finds_by_label {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for key in issuer.find(cx, record, None).await? {
            let dead = matches!(sweep::judge(record, &key), Found::Dead);
            let works = dead && self.rotator.still_works(cx, record, &key).await?;
            all.push((key, works));
        }
        Ok(all)
    }
}
