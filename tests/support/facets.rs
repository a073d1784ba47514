//! The strict fake with the facets it does not bring: a ledger of which consumer uses which version,
//! and an adopter.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward::core::{
    Adopter, Adoption, AdoptionLedger, AdoptionSignal, AuditSink, Capabilities, Context, DiscoverQuery, Existing,
    Expect, KeyId, KeyRecord, ListQuery, Location, Material, Page, PageToken, Pointer, PointerToken, PublicationId,
    Publish, Read, ReadItem, Result, Retire, SecretBackend, Stage, Stamped, Survey, Swap, Target, VersionId, Withdraw,
    async_trait,
};
use keyward_conformance::strict::StrictFake;

/// Forwards everything; the facets are its own.
#[derive(Clone, Debug)]
pub(crate) struct Facets {
    pub(crate) store: StrictFake,
    pub(crate) ledger: Ledger,
    adopter: Option<Theirs>,
}

impl Facets {
    pub(crate) fn of(store: StrictFake) -> Self {
        Self { store, ledger: Ledger::default(), adopter: None }
    }

    /// The same store, which can take over what somebody else put there: this value.
    pub(crate) fn adopting(self, theirs: Material) -> Self {
        let adopter = Some(Theirs { store: self.store.clone(), value: Arc::new(theirs) });
        Self { adopter, ..self }
    }
}

/// What somebody else put there.
#[derive(Clone, Debug)]
struct Theirs {
    store: StrictFake,
    value: Arc<Material>,
}

#[async_trait]
impl Adopter for Theirs {
    async fn discover(&self, _: &Context, _: &DiscoverQuery, _: Option<PageToken>) -> Result<Page<Location>> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn inspect(&self, _: &Context, location: &Location) -> Result<Existing> {
        Ok(Existing::at(location.clone()))
    }

    async fn claim(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Material> {
        self.store.stage(cx, key, version, &self.value).await?;
        let token = self.store.pointer(cx, key).await?.token;
        self.store.publish(cx, key, version, PublicationId::first(version), &token).await?;
        Ok(self.value.duplicate())
    }

    async fn release(&self, _: &Context, _: &Target) -> Result<()> {
        Ok(())
    }
}

/// What consumers reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Adoption>>>);

impl Ledger {
    pub(crate) fn set(&self, all: impl IntoIterator<Item = Adoption>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.into_iter().collect();
    }
}

#[async_trait]
impl AdoptionSignal for Ledger {
    async fn consumers(&self, _: &Context, _: &KeyId) -> Result<Vec<Adoption>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[async_trait]
impl AdoptionLedger for Ledger {
    async fn note(&self, _: &Context, _: &KeyId, adoption: &Adoption) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(adoption.clone());
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for Facets {
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
        Some(&self.ledger)
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.adopter.as_ref().map(|theirs| theirs as &dyn Adopter)
    }
}
