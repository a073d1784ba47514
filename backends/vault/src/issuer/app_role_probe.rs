//! Trying a secret-id out: a login, whose token is revoked at once.

use async_trait::async_trait;
use keyward_core::{
    Context, Evidence, Issue, IssuerStatus, KeyIssuer, Material, Operation, Probe, Result, SecretValue, Validator,
};
use keyward_remote::NativeMap;
use serde_json::Value;

use super::app_role::{AppRoleIssuer, ROLE_ID, SECRET_ID, named};
use super::secret_ids::json;
use crate::client::{Answer, Request};
use crate::error::{not_vault, reply};

/// Tries a secret-id out with a login, and revokes the token of that login at once.
///
/// - **Accepted**: the login succeeds.
/// - **Rejected**: it is refused, and the server no longer lists the secret-id.
/// - **Unclear**: it is refused although the server lists it. So is a login from an address the role does not allow, which says
///   nothing about the secret-id.
#[derive(Clone, Debug)]
pub struct AppRoleValidator {
    issuer: AppRoleIssuer,
}

impl AppRoleValidator {
    /// For the keys of an issuer.
    #[must_use]
    pub fn of(issuer: &AppRoleIssuer) -> Self {
        Self { issuer: issuer.clone() }
    }

    async fn logged_in(&self, cx: &Context, mut answer: Answer) -> Result<Probe> {
        let operation = Operation::Probe;
        let auth =
            answer.body.as_mut().and_then(|body| body.take("auth")).ok_or_else(|| not_vault(operation, false))?;
        let token = auth.get("client_token").as_str().ok_or_else(|| not_vault(operation, false))?;
        let policies = auth.get("token_policies").as_array().into_iter().flatten().filter_map(Value::as_str);
        let policies = policies.collect::<Vec<_>>().join(", ");
        let end = Request::post("auth/token/revoke-self", json(&Value::Object(serde_json::Map::new())));
        let ended = self.issuer.ids().client().with_token(cx, operation, &SecretValue::from(token), &end).await;
        let ended = ended.and_then(|answer| answer.acknowledged(operation));
        let left = if ended.is_ok() { "" } else { "; its token was not revoked and ends by itself" };
        Ok(Probe::Accepted(Evidence::lossy(&format!("a login succeeded with the policies {policies}{left}"))))
    }
}

#[async_trait]
impl Validator for AppRoleValidator {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let Some(body) = login(material) else { return Ok(unclear("the material is no secret-id of a role")) };
        let (ids, operation) = (self.issuer.ids(), Operation::Probe);
        let request = Request::post(ids.login_path(), body);
        let answer = ids.client().http().send(cx, operation, &request, None).await.map_err(named(issue.record))?;
        match answer.status {
            200..=299 => self.logged_in(cx, answer).await.map_err(named(issue.record)),
            // The one answer to a wrong role, a wrong secret-id and a wrong place.
            400 if answer.is_refusal() => Ok(match self.issuer.status(cx, issue).await? {
                IssuerStatus::Absent => {
                    Probe::Rejected(Evidence::lossy("the login is refused and the server knows no such secret-id"))
                }
                _ => unclear("the login is refused although the server may still list the secret-id"),
            }),
            _ => match reply(answer, operation, false).and_then(|answer| answer.found(operation)) {
                Err(error) => Err(error.with_key(issue.record.id())),
                Ok(_) => Ok(unclear("the server knows no such login")),
            },
        }
    }
}

/// The body of a login.
fn login(material: &Material) -> Option<SecretValue> {
    let mut body = NativeMap::default();
    for name in [ROLE_ID, SECRET_ID] {
        body.set(name, std::str::from_utf8(material.field(name)?.expose_secret()).ok()?);
    }
    Some(body.to_json())
}

pub(super) fn unclear(why: &str) -> Probe {
    Probe::Unclear(Evidence::lossy(why))
}
