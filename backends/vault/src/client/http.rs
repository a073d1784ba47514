//! The hardened HTTP client: redirects off, verification on, bounded in time and size.

use std::fmt;
use std::time::Duration;

use async_compat::Compat;
use keyward_core::{Context, Operation, Result};
use keyward_remote::http::hardened;
use keyward_remote::quiet;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use url::Url;
use vaultrs::api::EndpointMiddleware;
use vaultrs::client::{VaultClient, VaultClientSettings};
use vaultrs::error::ClientError;
use zeroize::Zeroizing;

use super::parts::{Json, Request};
use crate::error::{self, too_late, transport};

/// How to reach the server.
pub(crate) struct Reach {
    pub(crate) address: Url,
    pub(crate) namespace: Option<String>,
    pub(crate) authorities: Vec<reqwest::Certificate>,
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
}

/// One server, reached over one pool of connections.
pub(crate) struct Http {
    pool: reqwest::Client,
    base: Url,
    namespace: Option<HeaderValue>,
    attempt: Duration,
    vaultrs: VaultClient,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body, where it is a JSON object.
    pub(crate) body: Option<Json>,
    /// There was no body at all.
    pub(crate) empty: bool,
    /// Seconds the server asks us to wait.
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    /// True when Vault itself says that the token may not do this, or is none.
    pub(crate) fn is_denied(&self) -> bool {
        self.status == 403 && self.is_refusal()
    }

    /// True for a refusal of Vault itself.
    pub(crate) fn is_refusal(&self) -> bool {
        self.body.as_ref().is_some_and(Json::is_refusal)
    }
}

impl Http {
    /// Puts the client together. `None` when something in it cannot be used.
    pub(crate) fn new(reach: Reach) -> Option<Self> {
        let pool = hardened(&reach.address, reach.authorities, reach.connect, reach.attempt).ok()?;
        let namespace = reach.namespace.as_deref().map(HeaderValue::from_str).transpose().ok()?;
        let vaultrs = vaultrs_client(&reach.address, reach.namespace.as_ref(), &pool)?;
        Some(Self { pool, base: reach.address.join("v1/").ok()?, namespace, attempt: reach.attempt, vaultrs })
    }

    /// Sends a request once.
    pub(crate) async fn send(
        &self,
        cx: &Context,
        operation: Operation,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let limit = self.limit(cx, operation)?;
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(request.path.split('/'));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut call = self.pool.request(request.method.clone(), url).timeout(limit).header("X-Vault-Request", "true");
        if let Some(token) = token {
            call = call.header("X-Vault-Token", token);
        }
        if let Some(namespace) = &self.namespace {
            call = call.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = &request.body {
            call = call.header("Content-Type", "application/json").body(body.expose_secret().to_vec());
        }
        quiet(Compat::new(receive(call))).await.map_err(|error| transport(&error, operation, request.is_write()))
    }

    /// Makes a call of vaultrs, without a token.
    pub(crate) async fn through_vaultrs<'a, T, F>(
        &'a self,
        cx: &Context,
        operation: Operation,
        call: impl FnOnce(&'a VaultClient) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let limit = self.limit(cx, operation)?;
        let answer = Compat::new(async { tokio::time::timeout(limit, quiet(call(&self.vaultrs))).await }).await;
        answer.map_err(|_| too_late(operation))?.map_err(|error| error::through_vaultrs(&error, operation))
    }

    fn limit(&self, cx: &Context, operation: Operation) -> Result<Duration> {
        let left = cx.remaining();
        if left.is_zero() { Err(too_late(operation)) } else { Ok(left.min(self.attempt)) }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("address", &self.base.as_str()).field("namespace", &self.namespace).finish()
    }
}

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 16 << 20;

async fn receive(call: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = call.send().await?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    // Whatever the server announces: only what it sends is allocated, beyond a first piece.
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced.min(MAX_MATERIAL)));
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Ok(Answer { status, body: None, empty: false, retry_after });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, empty: bytes.is_empty(), body: Json::parse(bytes), retry_after })
}

/// An answer with material of the greatest size fits in this without growing.
const MAX_MATERIAL: usize = 256 << 10;

/// A client of vaultrs on our own HTTP client, put together by hand: its builder reads the environment, follows
/// redirects and switches verification off for most values of `VAULT_SKIP_VERIFY`.
fn vaultrs_client(address: &Url, namespace: Option<&String>, pool: &reqwest::Client) -> Option<VaultClient> {
    let settings = VaultClientSettings {
        address: address.clone(),
        ca_certs: Vec::new(),
        identity: None,
        timeout: None,
        token: String::new(),
        verify: true,
        version: 1,
        wrapping: false,
        namespace: namespace.cloned(),
        proxy: None,
    };
    let mut client = VaultClient::new(settings).ok()?;
    client.http.http = pool.clone();
    client.middle = EndpointMiddleware {
        token: String::new(),
        version: "v1".to_owned(),
        wrap: None,
        namespace: namespace.cloned(),
    };
    Some(client)
}
