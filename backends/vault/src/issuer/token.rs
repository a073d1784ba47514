//! The issuer of tokens.

use std::time::Duration;

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, ErrorKind, Issue, IssuerCapabilities, IssuerKey, IssuerStatus, KeyIssuer, KeyRecord,
    Material, NewKey, Operation, Result, Revoke, Scope, Shape, VersionId,
};
use serde_json::Value;

use super::app_role::{by_hand, irreversible, named};
use super::lost_key;
use super::token_calls::Tokens;
use super::token_config::{Scopes, TokenBuilder};
use crate::config::Connection;
use crate::error::fault;

/// Makes and revokes tokens, with the policies the scope of the key stands for.
///
/// A token has no parent, so that it outlives the token that made it; it is not renewable, so that its end is known from
/// the start; and it has the policy `default` of the server besides its own, so that it may look itself up. See
/// [the module](crate::issuer) for labels and permissions.
#[derive(Clone, Debug)]
pub struct TokenIssuer {
    tokens: Tokens,
    scopes: Scopes,
    ttl: Option<Duration>,
    capabilities: IssuerCapabilities,
}

impl TokenIssuer {
    /// Settings, over a connection.
    pub fn builder(connection: &Connection) -> TokenBuilder {
        TokenBuilder::new(connection)
    }

    pub(super) fn new(tokens: Tokens, scopes: Scopes, ttl: Option<Duration>, capabilities: IssuerCapabilities) -> Self {
        Self { tokens, scopes, ttl, capabilities }
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    async fn mint(&self, cx: &Context, new: Issue<'_>) -> Result<NewKey, CreateError> {
        let unfit = |detail| CreateError::NotCreated(fault(ErrorKind::Invalid, Operation::Create, detail));
        if *new.record.shape() != Shape::One {
            return Err(unfit("a token is one value, and the key is registered with fields"));
        }
        let policies = self.scopes.policies(new.record.scope());
        let policies = policies.ok_or_else(|| unfit("no policies are named for the scope of this key"))?;
        let ttl = self.ttl.unwrap_or(new.record.policy().lifetime);
        let made = self.tokens.create(cx, new.record, new.version.id, policies, ttl).await?;
        let key = NewKey::new(Material::one(made.token).map_err(|_| lost_key())?).reference(made.accessor);
        Ok(match made.expires_at {
            Some(end) => key.expires_at(end),
            None => key,
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyIssuer for TokenIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let made = self.mint(cx, new).await.map(Created::Key);
        made.map_err(|error| match error {
            CreateError::NotCreated(error) => CreateError::NotCreated(error.with_key(new.record.id())),
            CreateError::Unknown(error) => CreateError::Unknown(error.with_key(new.record.id())),
        })
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        if !self.capabilities.finds_by_label {
            let detail = "this issuer was told not to list tokens";
            return Err(fault(ErrorKind::Unsupported, Operation::Find, detail).with_key(record.id()));
        }
        let mut found = self.tokens.find(cx, record).await.map_err(named(record))?;
        found.retain(|key| version.is_none_or(|version| key.label == version));
        Ok(found)
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let Some(accessor) = &issue.version.issuer_ref else { return Ok(IssuerStatus::CannotSay) };
        let found = self.tokens.look_up(cx, Operation::Status, accessor).await.map_err(named(issue.record))?;
        Ok(if found.is_some() { IssuerStatus::Live } else { IssuerStatus::Absent })
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        let operation = Operation::Scope;
        let error = |kind, detail| fault(kind, operation, detail).with_key(issue.record.id());
        let Some(accessor) = &issue.version.issuer_ref else { return Ok(None) };
        let found = self.tokens.look_up(cx, operation, accessor).await.map_err(named(issue.record))?;
        let found = found.ok_or_else(|| error(ErrorKind::NotFound, "the server knows no such token"))?;
        let policies = found.get("policies").as_array().into_iter().flatten().filter_map(Value::as_str);
        let scope = self.scopes.scope(policies);
        // Not `None`: the server can tell, and what it tells is not what any key should have.
        let unlike = || error(ErrorKind::Conflict, "the token has policies that stand for no scope");
        scope.cloned().map(Some).ok_or_else(unlike)
    }

    async fn deactivate(&self, _: &Context, issue: Issue<'_>) -> Result<()> {
        Err(irreversible(issue))
    }

    async fn activate(&self, _: &Context, issue: Issue<'_>) -> Result<()> {
        Err(irreversible(issue))
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let Some(accessor) = &issue.version.issuer_ref else { return by_hand(issue) };
        self.tokens.revoke(cx, accessor).await.map_err(named(issue.record))?;
        Ok(Revoke::Accepted)
    }
}
