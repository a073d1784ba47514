//! A store seen from one host.

use std::time::Duration;

use async_trait::async_trait;
use keyward_core::{
    Adopter, Adoption, AdoptionLedger, AdoptionSignal, AuditEntry, AuditEvent, AuditQuery, AuditReport, AuditSink,
    Capabilities, Context, Error, ErrorKind, Expect, KeyId, KeyRecord, ListQuery, Material, Operation, Page, PageToken,
    Pointer, PointerToken, PublicationId, Publish, Read, ReadItem, Result, Retire, SecretBackend, Stage, Stamped,
    Survey, Swap, Target, VersionId, Withdraw,
};

use super::Host;

/// A store, an issuer or a validator as one [`Host`] sees it: every call counts, may fail as
/// scripted, and never returns once the host has died.
///
/// Made by [`Host::wrap`]. Calls of the audit log and the adoption ledger count as well.
#[derive(Clone, Debug)]
pub struct Faulty<T> {
    pub(super) inner: T,
    pub(super) host: Host,
}

impl<T> Faulty<T> {
    pub(super) fn new(inner: T, host: Host) -> Self {
        Self { inner, host }
    }

    /// What is behind it.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// The process in front of it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// A call that changes something: when its reply is lost nobody knows.
    pub(super) async fn change<R>(
        &self,
        operation: Operation,
        effect: impl Future<Output = Result<R>> + Send,
    ) -> Result<R> {
        self.host.call(operation, ErrorKind::Unknown, effect, |kind| Err(error(kind, operation))).await
    }

    /// A call that only asks: when its reply is lost nothing was done.
    pub(super) async fn ask<R>(
        &self,
        operation: Operation,
        effect: impl Future<Output = Result<R>> + Send,
    ) -> Result<R> {
        self.host.call(operation, ErrorKind::Unavailable, effect, |kind| Err(error(kind, operation))).await
    }

    async fn ask_batch<R>(
        &self,
        operation: Operation,
        len: usize,
        effect: impl Future<Output = Vec<Result<R>>> + Send,
    ) -> Vec<Result<R>> {
        let fail = |kind| (0..len).map(|_| Err(error(kind, operation))).collect();
        self.host.call(operation, ErrorKind::Unavailable, effect, fail).await
    }
}

pub(super) fn error(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, operation, "faulty").with_detail("a scripted fault")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> SecretBackend for Faulty<B> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.ask_batch(Operation::Load, keys.len(), self.inner.load(cx, keys)).await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        self.change(Operation::Swap, self.inner.swap(cx, key, expect, next)).await
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        self.ask(Operation::List, self.inner.list(cx, query, page)).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        self.change(Operation::Stage, self.inner.stage(cx, key, version, material)).await
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        self.ask(Operation::Pointer, self.inner.pointer(cx, key)).await
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        self.change(Operation::Publish, self.inner.publish(cx, key, version, publication, expect)).await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        self.ask_batch(Operation::Read, items.len(), self.inner.read(cx, items)).await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        self.change(Operation::Withdraw, self.inner.withdraw(cx, key, version)).await
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        self.ask(Operation::Survey, self.inner.survey(cx, key)).await
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        self.change(Operation::Retire, self.inner.retire(cx, key, grace)).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.inner.audit().map(|_| self as &dyn AuditSink)
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.inner.adoption().map(|_| self as &dyn AdoptionLedger)
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.inner.adopter()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> AuditSink for Faulty<B> {
    async fn append(&self, cx: &Context, event: &AuditEvent) -> Result<u64> {
        let sink = self.inner.audit().ok_or_else(|| error(ErrorKind::Unsupported, Operation::Audit))?;
        self.change(Operation::Audit, sink.append(cx, event)).await
    }

    async fn entries(&self, cx: &Context, query: &AuditQuery, page: Option<PageToken>) -> Result<Page<AuditEntry>> {
        let sink = self.inner.audit().ok_or_else(|| error(ErrorKind::Unsupported, Operation::Audit))?;
        self.ask(Operation::Audit, sink.entries(cx, query, page)).await
    }

    async fn verify(&self, cx: &Context) -> Result<AuditReport> {
        let sink = self.inner.audit().ok_or_else(|| error(ErrorKind::Unsupported, Operation::Audit))?;
        self.ask(Operation::Audit, sink.verify(cx)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> AdoptionSignal for Faulty<B> {
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        let ledger = self.inner.adoption().ok_or_else(|| error(ErrorKind::Unsupported, Operation::Adoption))?;
        self.ask(Operation::Adoption, ledger.consumers(cx, key)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> AdoptionLedger for Faulty<B> {
    async fn note(&self, cx: &Context, key: &KeyId, adoption: &Adoption) -> Result<()> {
        let ledger = self.inner.adoption().ok_or_else(|| error(ErrorKind::Unsupported, Operation::Adoption))?;
        self.change(Operation::Adoption, ledger.note(cx, key, adoption)).await
    }
}
