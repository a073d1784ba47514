//! An issuer and a validator seen from one host.

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, ErrorKind, Issue, IssuerCapabilities, IssuerKey, IssuerStatus, KeyIssuer, KeyRecord,
    Material, Operation, Probe, Result, Revoke, Scope, Validator, VersionId,
};

use super::Faulty;
use super::faulty::error;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<I: KeyIssuer> KeyIssuer for Faulty<I> {
    fn capabilities(&self) -> &IssuerCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        // Only a lost reply leaves a doubt; a scripted refusal is a refusal, unless it says `Unknown`.
        let fail = |kind| {
            let error = error(kind, Operation::Create);
            Err(if kind == ErrorKind::Unknown { CreateError::Unknown(error) } else { CreateError::NotCreated(error) })
        };
        self.host.call(Operation::Create, ErrorKind::Unknown, self.inner.create(cx, new), fail).await
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        self.ask(Operation::Find, self.inner.find(cx, record, version)).await
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        self.ask(Operation::Status, self.inner.status(cx, issue)).await
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        self.ask(Operation::Scope, self.inner.scope(cx, issue)).await
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.change(Operation::Switch, self.inner.deactivate(cx, issue)).await
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.change(Operation::Switch, self.inner.activate(cx, issue)).await
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        self.change(Operation::Revoke, self.inner.revoke(cx, issue)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<V: Validator> Validator for Faulty<V> {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        self.ask(Operation::Probe, self.inner.probe(cx, issue, material)).await
    }
}
