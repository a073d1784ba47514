//! When an access key was last used, as far as IAM knows.

use std::sync::Arc;

use async_trait::async_trait;
use keyward_core::{
    Context, Error, ErrorKind, KeyId, LastUse, Operation, Result, SecretBackend, SecretBackendExt, UsageSignal,
    VersionId,
};

use super::NAME;
use super::iam::IamIssuer;

/// When an access key was last used, by IAM's own account.
///
/// That account lags, by minutes and at times by hours, and counts our own probes as use. A use it shows is certain; that
/// it shows none is weak evidence.
#[derive(Clone, Debug)]
pub struct IamUsage {
    issuer: IamIssuer,
    records: Arc<dyn SecretBackend>,
}

impl IamUsage {
    /// For the keys of an issuer; the access key of a version is looked up in `records`.
    #[must_use]
    pub fn of(issuer: &IamIssuer, records: Arc<dyn SecretBackend>) -> Self {
        Self { issuer: issuer.clone(), records }
    }
}

#[async_trait]
impl UsageSignal for IamUsage {
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        let record = self.records.load_existing(cx, key).await?.value;
        let unknown = || Error::new(ErrorKind::NotFound, Operation::Signal, NAME).with_key(key);
        let version = record.version(version).ok_or_else(unknown)?;
        let Some(id) = &version.issuer_ref else { return Ok(LastUse::Unknown) };
        let call = self.issuer.calls().call(cx, Operation::Signal).about(key);
        self.issuer.calls().last_use(call, id).await
    }
}
