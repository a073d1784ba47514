//! Trying a token out: it looks itself up.

use async_trait::async_trait;
use keyward_core::{Context, Evidence, Issue, IssuerStatus, KeyIssuer, Material, Operation, Probe, Result, Validator};
use serde_json::Value;

use super::app_role::named;
use super::app_role_probe::unclear;
use super::token::TokenIssuer;
use crate::client::{Reply, Request};
use crate::error::not_vault;

/// Tries a token out: it looks itself up.
///
/// - **Accepted**: it may, and is the token of the version.
/// - **Rejected**: it may not, and the server knows no such token any more.
/// - **Unclear**: it may not although the server knows it, which a token without the policy `default` would be answered
///   as well; or it is another token.
#[derive(Clone, Debug)]
pub struct TokenValidator {
    issuer: TokenIssuer,
}

impl TokenValidator {
    /// For the keys of an issuer.
    #[must_use]
    pub fn of(issuer: &TokenIssuer) -> Self {
        Self { issuer: issuer.clone() }
    }
}

#[async_trait]
impl Validator for TokenValidator {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let Some(token) = material.value() else { return Ok(unclear("the material is not one value")) };
        let operation = Operation::Probe;
        let question = Request::get("auth/token/lookup-self");
        match self.issuer.tokens().client().with_token(cx, operation, token, &question).await {
            Ok(Reply::Denied(_)) => Ok(match self.issuer.status(cx, issue).await? {
                IssuerStatus::Absent => {
                    Probe::Rejected(Evidence::lossy("the token is refused and the server knows no such token"))
                }
                _ => unclear("the token is refused although the server may still know it"),
            }),
            Ok(answer) => {
                let found = answer.done(operation).and_then(|mut answer| answer.take_data(operation));
                let found = found.map_err(named(issue.record))?;
                let accessor = found.get("accessor").as_str().ok_or_else(|| not_vault(operation, false));
                let accessor = accessor.map_err(named(issue.record))?;
                if issue.version.issuer_ref.as_ref().is_some_and(|known| accessor != known.as_str()) {
                    return Ok(unclear("it works, but is not the token of this version"));
                }
                let policies = found.get("policies").as_array().into_iter().flatten().filter_map(Value::as_str);
                let policies = policies.collect::<Vec<_>>().join(", ");
                Ok(Probe::Accepted(Evidence::lossy(&format!("the token works, with the policies {policies}"))))
            }
            Err(error) => Err(error.with_key(issue.record.id())),
        }
    }
}
