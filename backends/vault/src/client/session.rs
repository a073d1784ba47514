//! Which token is in use, and how it is kept alive.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_compat::Compat;
use keyward_core::{Actor, Clock, Context, ErrorKind, Operation, Reason, Result, SystemClock};
use reqwest::header::HeaderValue;
use tokio::sync::{Mutex, MutexGuard};

use super::http::Http;
use super::parts::{Reply, Request};
use super::token::Token;
use super::{Answer, BARRED, PAUSE};
use crate::auth::Login;
use crate::error::{fault, reply, too_late};

/// A way to log in, and the token it gave.
///
/// The token is swapped whole. Of several callers that need a new one, one logs in and the others wait for it; while
/// the old one still works, nobody waits.
#[derive(Debug)]
pub(crate) struct Session {
    login: Box<dyn Login>,
    token: ArcSwapOption<Token>,
    flight: Mutex<()>,
    barred: ArcSwapOption<Barred>,
}

/// A token that may not look itself up and was denied when it was new. Whether it died cannot be told from a denial.
struct Barred {
    header: HeaderValue,
    until: Instant,
}

impl Session {
    pub(crate) fn new(login: Box<dyn Login>) -> Self {
        Self { login, token: ArcSwapOption::empty(), flight: Mutex::new(()), barred: ArcSwapOption::empty() }
    }

    /// The token to use now. Renews it when it is due, logs in when there is none.
    pub(crate) async fn token(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Arc<Token>> {
        let usable = match self.token.load_full() {
            Some(token) if !token.is_due() => return Ok(token),
            token => token.filter(|token| !token.is_over()),
        };
        if let Some(token) = usable {
            // One caller looks after it; the others go on with the token that still works.
            let Ok(_flight) = self.flight.try_lock() else { return Ok(token) };
            return Ok(self.look_after(http, cx, operation, token).await);
        }
        let _flight = self.wait(cx, operation).await?;
        match self.token.load_full() {
            Some(token) if !token.is_over() => Ok(token),
            _ => self.log_in(http, cx, operation).await,
        }
    }

    /// A token in place of one the server no longer knows.
    pub(crate) async fn replace(
        &self,
        http: &Http,
        cx: &Context,
        operation: Operation,
        dead: &Arc<Token>,
    ) -> Result<Arc<Token>> {
        let _flight = self.wait(cx, operation).await?;
        match self.token.load_full() {
            Some(token) if token.header() != dead.header() => Ok(token),
            _ => self.log_in(http, cx, operation).await,
        }
    }

    /// From now on, for a while, a denial is no reason to replace this token.
    pub(crate) fn bar(&self, token: &Token) {
        let barred = Barred { header: token.header().clone(), until: Instant::now() + BARRED };
        self.barred.store(Some(Arc::new(barred)));
    }

    /// Whether a denial is no reason to replace this token.
    pub(crate) fn is_barred(&self, token: &Token) -> bool {
        let barred = self.barred.load();
        barred.as_ref().is_some_and(|barred| barred.header == *token.header() && Instant::now() < barred.until)
    }

    /// Renews the token whenever it is due, for as long as the future is polled.
    pub(crate) async fn keep_alive(&self, http: &Http) {
        loop {
            let due = self.token.load().as_ref().and_then(|token| token.due());
            let wait = due.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()).min(IDLE));
            SystemClock.sleep(wait.max(BREATH)).await;
            if let Some(cx) = own_context() {
                // What failed is tried again, here or in front of the next call, which tells its caller.
                let _ = self.token(http, &cx, Operation::Open).await;
            }
        }
    }

    async fn wait(&self, cx: &Context, operation: Operation) -> Result<MutexGuard<'_, ()>> {
        // On the runtime of the caller, or on any when there is none, as each request is.
        let turn = Compat::new(async { tokio::time::timeout(cx.remaining(), self.flight.lock()).await });
        turn.await.map_err(|_| too_late(operation))
    }

    /// A token that is due but works: renewed, or replaced, or kept for another while.
    async fn look_after(&self, http: &Http, cx: &Context, operation: Operation, token: Arc<Token>) -> Arc<Token> {
        match self.token.load_full() {
            Some(current) if current.header() != token.header() || !current.is_due() => return current,
            _ => {}
        }
        if token.is_renewable()
            && let Ok(renewed) = renew(http, cx, operation, &token).await
        {
            return self.keep(renewed);
        }
        if self.login.repeats()
            && let Ok(fresh) = self.log_in(http, cx, operation).await
        {
            return fresh;
        }
        self.keep(token.postponed(PAUSE))
    }

    async fn log_in(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Arc<Token>> {
        let grant = self.login.login(http, cx, operation).await?;
        Ok(self.keep(Token::granted(&grant, operation)?))
    }

    fn keep(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        self.token.store(Some(token.clone()));
        token
    }
}

impl fmt::Debug for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barred").field("until", &self.until).finish_non_exhaustive()
    }
}

/// How long the keeper sleeps at most; a token may be swapped meanwhile.
const IDLE: Duration = Duration::from_secs(30);
/// How long it sleeps at least.
const BREATH: Duration = Duration::from_millis(200);

/// Renews a token. An answer that grants far less than the first lease is an error: better log in anew.
async fn renew(http: &Http, cx: &Context, operation: Operation, token: &Token) -> Result<Token> {
    let request = Request::post("auth/token/renew-self", b"{}".as_slice().into());
    let answer: Answer = http.send(cx, operation, &request, Some(token.header())).await?;
    let Reply::Done(mut json) = reply(answer, operation, true)? else {
        return Err(fault(ErrorKind::Denied, operation, "the token cannot be renewed"));
    };
    let auth = json.take("auth").unwrap_or_default();
    let (Some(lease), Some(renewable)) = (auth.get("lease_duration").as_u64(), auth.get("renewable").as_bool()) else {
        return Err(crate::error::not_vault(operation, true));
    };
    let lease = Duration::from_secs(lease);
    if token.is_nearly_spent(lease) {
        return Err(fault(ErrorKind::Denied, operation, "the token nears its greatest lifetime"));
    }
    Ok(token.renewed(lease, renewable))
}

/// The keeper acts for nobody but the connection.
fn own_context() -> Option<Context> {
    let (actor, reason) = ("keyward-vault".parse::<Actor>().ok()?, "keep the token alive".parse::<Reason>().ok()?);
    Some(Context::by(actor, reason))
}
