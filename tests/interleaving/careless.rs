//! The strict fake, with a switch that breaks the one promise everything rests on.

use std::time::Duration;

use keyward::core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, Expect, KeyId, KeyRecord, ListQuery, Material, Page,
    PageToken, Pointer, PointerToken, PublicationId, Publish, Read, ReadItem, Result, Retire, SecretBackend, Stage,
    Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};
use keyward_conformance::strict::StrictFake;

/// Forwards everything; while careless, a publish moves the pointer from wherever it is.
#[derive(Clone, Debug)]
pub(crate) struct Careless {
    pub(crate) store: StrictFake,
    pub(crate) careless: bool,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for Careless {
    fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.store.load(cx, keys).await
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
        let current = self.store.pointer(cx, key).await?.token;
        let expect = if self.careless { &current } else { expect };
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
        self.store.audit()
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.store.adoption()
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.store.adopter()
    }
}
