//! The backend: the contract, handed on to the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use keyward_core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, DiscoverQuery, Existing, Expect, KeyId, KeyRecord,
    ListQuery, Location, Material, Operation, Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read,
    ReadItem, Result, Retire, SecretBackend, Stage, Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};

use crate::config::AwsBuilder;
use crate::error::AwsError;
use crate::store::Store;

/// Records and material in AWS Secrets Manager.
///
/// Clones share one client. Open it once per process.
///
/// ```no_run
/// # async fn example(config: aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// use keyward_aws::AwsBackend;
/// use keyward_core::{Context, ListQuery, SecretBackend};
/// let store = AwsBackend::open(&config).await?;
/// let page = store.list(&Context::new("doc", "example")?, &ListQuery::all(), None).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AwsBackend {
    store: Arc<Store>,
    capabilities: Arc<Capabilities>,
}

impl AwsBackend {
    /// Opens a backend with the default settings, on the credentials and in the region of `config`.
    ///
    /// # Errors
    /// As [`AwsBuilder::open`].
    ///
    /// ```no_run
    /// # async fn example(config: aws_types::SdkConfig) -> Result<(), keyward_aws::AwsError> {
    /// let store = keyward_aws::AwsBackend::open(&config).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(config: &SdkConfig) -> Result<Self, AwsError> {
        Self::builder(config).open().await
    }

    /// Settings other than the default ones.
    pub fn builder(config: &SdkConfig) -> AwsBuilder {
        AwsBuilder::new(config)
    }

    /// The name of the secret native readers read for a key at its derived place.
    pub fn secret_name(&self, key: &KeyId) -> String {
        self.store.prefix.material(key)
    }

    pub(crate) fn over(store: Arc<Store>, capabilities: Capabilities) -> Self {
        Self { store, capabilities: Arc::new(capabilities) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for AwsBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.store.load(cx, Operation::Load, keys).await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        self.store.swap(cx, key, expect, next).await
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        self.store.list(cx, query, page).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        self.store.stage(cx, key, version, material).await
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        self.store.pointer(cx, key).await
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        self.store.publish(cx, key, version, publication, expect).await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        self.store.read(cx, items).await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        self.store.withdraw(cx, key, version).await
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        self.store.survey(cx, key).await
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        self.store.retire(cx, key, grace).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        None
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        None
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        Some(self)
    }
}

#[async_trait]
impl Adopter for AwsBackend {
    async fn discover(&self, cx: &Context, query: &DiscoverQuery, page: Option<PageToken>) -> Result<Page<Location>> {
        self.store.discover(cx, query, page).await
    }

    async fn inspect(&self, cx: &Context, location: &Location) -> Result<Existing> {
        self.store.inspect(cx, location).await
    }

    async fn claim(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Material> {
        self.store.claim(cx, key, version).await
    }

    async fn release(&self, cx: &Context, key: &Target) -> Result<()> {
        self.store.release(cx, key).await
    }
}

impl fmt::Debug for AwsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Store { prefix, region, .. } = &*self.store;
        f.debug_struct("AwsBackend").field("prefix", prefix).field("region", region).finish_non_exhaustive()
    }
}
