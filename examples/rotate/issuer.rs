//! How the rotator talks to Acme: mint, list, revoke, and try a key out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyward::core::{
    CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerStatus, KeyIssuer,
    NewKey, Operation, Probe, Result, Revoke, Validator, VersionId,
};
use keyward::{Context, KeyRecord, Material, Scope, SecretValue, async_trait};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Answer;

#[derive(Clone, Debug)]
pub(crate) struct Acme(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: String,
    admin: SecretValue,
    client: reqwest::Client,
    next_is_bad: AtomicBool,
    capabilities: IssuerCapabilities,
}

impl Acme {
    pub(crate) fn at(url: &str, admin: SecretValue) -> Self {
        Self(Arc::new(Inner {
            url: url.to_owned(),
            admin,
            client: reqwest::Client::new(),
            next_is_bad: AtomicBool::new(false),
            capabilities: IssuerCapabilities::default(), // keys can be found by their label
        }))
    }

    /// What the story needs: the next key Acme makes is no good.
    pub(crate) fn next_key_is_bad(&self) {
        self.0.next_is_bad.store(true, Ordering::Relaxed);
    }

    /// How many keys it has made, and how many work.
    pub(crate) async fn census(&self) -> Answer<String> {
        let keys = self.list(Operation::Find).await?;
        let working = keys.iter().filter(|key| key["revoked"] == false).count();
        Ok(format!("{} keys made, {working} of them works", keys.len()))
    }

    async fn ask(&self, method: Method, path: &str, operation: Operation) -> Result<Value> {
        let token = String::from_utf8_lossy(self.0.admin.expose_secret()).into_owned();
        let request = self.0.client.request(method, format!("{}/admin/{path}", self.0.url)).bearer_auth(token);
        let failed = |kind| Error::new(kind, operation, "acme");
        let answer = request.send().await.map_err(|_| failed(ErrorKind::Unknown))?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(|_| failed(ErrorKind::Unknown)),
            StatusCode::NOT_FOUND => Err(failed(ErrorKind::NotFound)),
            _ => Err(failed(ErrorKind::Denied)),
        }
    }

    async fn list(&self, operation: Operation) -> Result<Vec<Value>> {
        let listed = self.ask(Method::GET, "keys", operation).await?;
        Ok(listed.as_array().cloned().unwrap_or_default())
    }

    async fn entry(&self, version: VersionId, operation: Operation) -> Result<Option<Value>> {
        let label = version.to_string();
        Ok(self.list(operation).await?.into_iter().find(|key| key["label"] == label.as_str()))
    }
}

#[async_trait]
impl KeyIssuer for Acme {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.0.capabilities
    }

    async fn create(&self, _cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let kind = if self.0.next_is_bad.swap(false, Ordering::Relaxed) { "bad-keys" } else { "keys" };
        let path = format!("{kind}/{}", new.version.id);
        // Whatever goes wrong here: a key may have been made.
        let made = self.ask(Method::POST, &path, Operation::Create).await.map_err(CreateError::Unknown)?;
        let unclear = || CreateError::Unknown(Error::new(ErrorKind::Unknown, Operation::Create, "acme"));
        let (Some(id), Some(token)) = (made["id"].as_str(), made["token"].as_str()) else { return Err(unclear()) };
        let material = Material::one(SecretValue::from(token)).map_err(|_| unclear())?;
        Ok(Created::Key(NewKey::new(material).reference(id.parse().map_err(|_| unclear())?)))
    }

    async fn find(&self, _cx: &Context, _: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let keys = self.list(Operation::Find).await?;
        let ours = keys.iter().filter(|key| key["revoked"] == false).filter_map(|key| {
            let label = key["label"].as_str()?.parse().ok()?;
            Some(IssuerKey { label, reference: key["id"].as_str()?.parse().ok()? })
        });
        Ok(ours.filter(|key| version.is_none_or(|wanted| wanted == key.label)).collect())
    }

    async fn status(&self, _cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        Ok(match self.entry(issue.version.id, Operation::Status).await? {
            None => IssuerStatus::Absent,
            Some(key) if key["revoked"] == true => IssuerStatus::Revoked(Evidence::lossy("Acme lists it as revoked")),
            Some(_) => IssuerStatus::Live,
        })
    }

    async fn scope(&self, _cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        Ok(Some(issue.record.scope().clone())) // Acme sells one thing
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "acme"))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "acme"))
    }

    async fn revoke(&self, _cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        if let Some(id) = issue.version.issuer_ref.as_ref() {
            self.ask(Method::DELETE, &format!("keys/{id}"), Operation::Revoke).await?;
        }
        Ok(Revoke::Accepted)
    }
}

/// Tries a key where every server of Acme knows it; that is why a bad one gets as far as it does.
#[async_trait]
impl Validator for Acme {
    async fn probe(&self, _cx: &Context, _: Issue<'_>, material: &Material) -> Result<Probe> {
        let token = material.value().map(|value| String::from_utf8_lossy(value.expose_secret()).into_owned());
        let request = self.0.client.get(format!("{}/v1/me", self.0.url)).bearer_auth(token.unwrap_or_default());
        Ok(match request.send().await.map(|answer| answer.status()) {
            Ok(StatusCode::OK) => Probe::Accepted(Evidence::lossy("/v1/me accepts it")),
            Ok(StatusCode::UNAUTHORIZED) => Probe::Rejected(Evidence::lossy("/v1/me refuses it")),
            _ => Probe::Unclear(Evidence::lossy("/v1/me gave no clear answer")),
        })
    }
}
