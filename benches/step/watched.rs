//! Whatever a rotator calls, with the time its calls take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward::core::*;

/// The time this thread has worked: what else the machine does is not counted.
pub(crate) fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.try_into().expect("time since the thread began")
}

/// The time spent in everything it watches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopwatch(Arc<AtomicU64>);

/// Something watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched<T> {
    inner: T,
    stopwatch: Stopwatch,
}

impl Stopwatch {
    pub(crate) fn watch<T>(&self, inner: T) -> Watched<T> {
        Watched { inner, stopwatch: self.clone() }
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    async fn time<R>(&self, call: impl Future<Output = R>) -> R {
        let began = cpu();
        let answer = call.await;
        let taken = u64::try_from((cpu() - began).as_nanos()).expect("a short call");
        self.0.fetch_add(taken, Ordering::Relaxed);
        answer
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> SecretBackend for Watched<B> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.stopwatch.time(self.inner.load(cx, keys)).await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        self.stopwatch.time(self.inner.swap(cx, key, expect, next)).await
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        self.stopwatch.time(self.inner.list(cx, query, page)).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        self.stopwatch.time(self.inner.stage(cx, key, version, material)).await
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        self.stopwatch.time(self.inner.pointer(cx, key)).await
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        self.stopwatch.time(self.inner.publish(cx, key, version, publication, expect)).await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        self.stopwatch.time(self.inner.read(cx, items)).await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        self.stopwatch.time(self.inner.withdraw(cx, key, version)).await
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        self.stopwatch.time(self.inner.survey(cx, key)).await
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        self.stopwatch.time(self.inner.retire(cx, key, grace)).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.inner.audit()
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.inner.adoption()
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.inner.adopter()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<I: KeyIssuer> KeyIssuer for Watched<I> {
    fn capabilities(&self) -> &IssuerCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> std::result::Result<Created, CreateError> {
        self.stopwatch.time(self.inner.create(cx, new)).await
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        self.stopwatch.time(self.inner.find(cx, record, version)).await
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        self.stopwatch.time(self.inner.status(cx, issue)).await
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        self.stopwatch.time(self.inner.scope(cx, issue)).await
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.stopwatch.time(self.inner.deactivate(cx, issue)).await
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.stopwatch.time(self.inner.activate(cx, issue)).await
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        self.stopwatch.time(self.inner.revoke(cx, issue)).await
    }
}

#[async_trait]
impl<V: Validator> Validator for Watched<V> {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        self.stopwatch.time(self.inner.probe(cx, issue, material)).await
    }
}

#[async_trait]
impl<H: HealthSignal> HealthSignal for Watched<H> {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        self.stopwatch.time(self.inner.health(cx, query)).await
    }
}
