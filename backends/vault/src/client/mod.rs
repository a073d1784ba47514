//! The one way to the server: authenticated requests with retry, deadline and mapped errors.
//!
//! vaultrs makes the calls that log in. The rest goes through requests of our own on the same hardened HTTP client,
//! because vaultrs drops what the contract needs: KV version numbers, the body of a 404, `Retry-After`, a bound on
//! the size of an answer.

mod http;
mod parts;
mod session;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{Context, Error, ErrorKind, Operation, Result, SecretValue};
use keyward_remote::Retry;

pub(crate) use http::{Answer, Http, Reach};
pub(crate) use parts::{Json, Reply, Request};
pub(crate) use session::Session;
pub(crate) use token::{Grant, Token};

use crate::error::{fault, reply, too_late};

/// A logged-in client. Cheap to clone; clones share connections and token.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    http: Http,
    session: Session,
    retry: Retry,
}

impl Client {
    pub(crate) fn new(http: Http, session: Session, retry: Retry) -> Self {
        Self(Arc::new(Inner { http, session, retry }))
    }

    /// Makes a request that may be repeated: again while that may help, within the deadline; once more with a new
    /// token when the old one has died.
    pub(crate) async fn call(&self, cx: &Context, operation: Operation, request: &Request) -> Result<Reply> {
        let answer = self.0.retry.run(cx, || self.once(cx, operation, request)).await;
        self.told(cx, operation, answer).await
    }

    /// Makes a request exactly once, for what must never be repeated. Only a request that was refused for its dead
    /// token, and so did nothing, is made again with a new one.
    pub(crate) async fn once(&self, cx: &Context, operation: Operation, request: &Request) -> Result<Reply> {
        if cx.is_expired() {
            return Err(too_late(operation));
        }
        let inner = &*self.0;
        let token = inner.session.token(&inner.http, cx, operation).await?;
        let answer = inner.http.send(cx, operation, request, Some(token.header())).await?;
        let passes = !answer.is_denied() || inner.session.is_barred(&token);
        if passes || inner.is_alive(cx, operation, token.header()).await? {
            return reply(answer, operation, request.is_write());
        }
        // Policy denial and a dead token look the same; the token was dead, or may not look itself up.
        let fresh = inner.session.replace(&inner.http, cx, operation, &token).await?;
        let answer = inner.http.send(cx, operation, request, Some(fresh.header())).await?;
        if answer.is_denied() && !inner.is_alive(cx, operation, fresh.header()).await.unwrap_or(true) {
            // A new one is no better: nothing is gained by yet another for each request that is denied.
            inner.session.bar(&fresh);
        }
        reply(answer, operation, request.is_write())
    }

    /// Makes a request once under another token than ours, to probe that one.
    pub(crate) async fn with_token(
        &self,
        cx: &Context,
        operation: Operation,
        token: &SecretValue,
        request: &Request,
    ) -> Result<Reply> {
        let header = Token::header_of(token, operation)?;
        let answer = self.0.http.send(cx, operation, request, Some(&header)).await?;
        reply(answer, operation, request.is_write())
    }

    /// The HTTP client under it, for calls that carry no token of ours.
    pub(crate) fn http(&self) -> &Http {
        &self.0.http
    }

    /// Gets a token if there is none yet.
    pub(crate) async fn log_in(&self, cx: &Context) -> Result<()> {
        let operation = Operation::Open;
        let answer = self.0.retry.run(cx, || self.0.session.token(&self.0.http, cx, operation)).await;
        self.told(cx, operation, answer.map(drop)).await
    }

    /// Keeps the token alive for as long as the future is polled.
    pub(crate) async fn keep_alive(&self) {
        self.0.session.keep_alive(&self.0.http).await;
    }

    /// After a 503 that repeating did not cure: is the server sealed?
    async fn told<T>(&self, cx: &Context, operation: Operation, answer: Result<T>) -> Result<T> {
        let away = |error: &Error| error.code() == Some(503) && error.kind() != ErrorKind::Unknown;
        if !answer.as_ref().is_err_and(away) {
            return answer;
        }
        let question = Request::get("sys/seal-status");
        let status = self.0.http.send(cx, operation, &question, None).await;
        if status.is_ok_and(|s| s.body.is_some_and(|body| body.get("sealed").as_bool() == Some(true))) {
            let detail = "the server is sealed; an operator must unseal it";
            return Err(fault(ErrorKind::Sealed, operation, detail).with_code(503));
        }
        answer
    }
}

impl Inner {
    /// Whether a token is one the server knows. Only the server's own denial says that it is not.
    async fn is_alive(
        &self,
        cx: &Context,
        operation: Operation,
        header: &reqwest::header::HeaderValue,
    ) -> Result<bool> {
        let question = Request::get("auth/token/lookup-self");
        Ok(!self.http.send(cx, operation, &question, Some(header)).await?.is_denied())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("http", &self.0.http).field("session", &self.0.session).finish()
    }
}

/// How long a pause between two tries to renew a token lasts, when the first did not succeed.
const PAUSE: Duration = Duration::from_secs(15);
/// How long a token that may not look itself up, and was denied when it was new, is not replaced for being denied.
const BARRED: Duration = Duration::from_secs(60);
