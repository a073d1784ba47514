//! Issuers, validators and signals that never keep a run waiting beyond its deadline.
//!
//! Stores promise to honour the deadline of a call. What users plug in here may not: a call that
//! outlives it is dropped, and answers what is true of a dropped call.

use async_trait::async_trait;
use futures_lite::future;
use keyward_core::{
    Adoption, AdoptionSignal, Clock, Context, CreateError, Created, Error, ErrorKind, HealthQuery, HealthReport,
    HealthSignal, Issue, IssuerCapabilities, IssuerKey, IssuerStatus, KeyId, KeyIssuer, KeyRecord, LastUse, Material,
    Operation, Probe, Result, Revoke, Scope, SystemClock, UsageSignal, Validator, VersionId,
};

/// Ends each call at the deadline of its context.
#[derive(Debug)]
pub(super) struct Timed<T>(pub(super) T);

/// The answer, or an error of `kind` once the deadline has passed.
async fn within<T>(
    cx: &Context,
    operation: Operation,
    kind: ErrorKind,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    // The machine's own clock: a simulated one does not stop a real call.
    let late = async {
        SystemClock.sleep(cx.remaining()).await;
        Err(Error::new(kind, operation, "keyward").with_detail("no answer before the deadline; it was not waited for"))
    };
    future::or(call, late).await
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<I: KeyIssuer> KeyIssuer for Timed<I> {
    fn capabilities(&self) -> &IssuerCapabilities {
        self.0.capabilities()
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let call = async { Ok(self.0.create(cx, new).await) };
        within(cx, Operation::Create, ErrorKind::Unknown, call).await.map_err(CreateError::Unknown)?
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        within(cx, Operation::Find, ErrorKind::Unavailable, self.0.find(cx, record, version)).await
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        within(cx, Operation::Status, ErrorKind::Unavailable, self.0.status(cx, issue)).await
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        within(cx, Operation::Scope, ErrorKind::Unavailable, self.0.scope(cx, issue)).await
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        within(cx, Operation::Switch, ErrorKind::Unknown, self.0.deactivate(cx, issue)).await
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        within(cx, Operation::Switch, ErrorKind::Unknown, self.0.activate(cx, issue)).await
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        within(cx, Operation::Revoke, ErrorKind::Unknown, self.0.revoke(cx, issue)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<V: Validator> Validator for Timed<V> {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        within(cx, Operation::Probe, ErrorKind::Unavailable, self.0.probe(cx, issue, material)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<H: HealthSignal> HealthSignal for Timed<H> {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        within(cx, Operation::Signal, ErrorKind::Unavailable, self.0.health(cx, query)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<U: UsageSignal> UsageSignal for Timed<U> {
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        within(cx, Operation::Signal, ErrorKind::Unavailable, self.0.last_use(cx, key, version)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<A: AdoptionSignal> AdoptionSignal for Timed<A> {
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        within(cx, Operation::Signal, ErrorKind::Unavailable, self.0.consumers(cx, key)).await
    }
}
