//! Each way to log in, as vaultrs makes the call.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use keyward_core::{Context, Error, ErrorKind, Operation, Result, SecretValue};
use tokio::sync::Mutex;
use vaultrs::auth;

use super::source::Jwt;
use super::{Auth, Login, Method};
use crate::client::{Grant, Http, Request, Token};
use crate::error::{fault, not_vault, reply};

impl Auth {
    /// The login behind it. `None` when a name cannot stand in a path.
    pub(crate) fn into_login(self) -> Option<Box<dyn Login>> {
        let mount = plain(self.mount())?.to_owned();
        Some(match self.method {
            Method::Token(token) => Box::new(Given(token)),
            Method::AppRole { role_id, secret_id } => Box::new(AppRole { mount, role_id, secret_id }),
            Method::WrappedAppRole { role_id, wrapping_token } => {
                Box::new(Wrapped { mount, role_id, wrapping_token, opened: Mutex::new(None) })
            }
            Method::Kubernetes { role, jwt } => Box::new(Kubernetes { mount, role, jwt }),
            Method::Jwt { role, jwt } => Box::new(Identity { mount, role, jwt }),
            Method::Userpass { user, password } => {
                Box::new(Userpass { mount, user: plain(&user).filter(|u| !u.contains('/'))?.to_owned(), password })
            }
        })
    }
}

struct Given(SecretValue);

#[async_trait]
impl Login for Given {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let header = Token::header_of(&self.0, operation)?;
        let question = Request::get("auth/token/lookup-self");
        let answer = http.send(cx, operation, &question, Some(&header)).await?;
        if answer.is_denied() {
            let detail =
                "the token has run out, was revoked or never was one, or may not look itself up; give a new one";
            return Err(fault(ErrorKind::Denied, operation, detail).with_code(answer.status.into()));
        }
        let data = reply(answer, operation, false)?.done(operation)?.take_data(operation)?;
        Ok(Grant {
            token: self.0.duplicate(),
            lease: Duration::from_secs(data.get("ttl").as_u64().ok_or_else(|| not_vault(operation, false))?),
            renewable: data.get("renewable").as_bool().unwrap_or(false),
        })
    }

    fn repeats(&self) -> bool {
        false
    }
}

struct AppRole {
    mount: String,
    role_id: String,
    secret_id: SecretValue,
}

#[async_trait]
impl Login for AppRole {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let secret_id = text(&self.secret_id, operation)?;
        let call = http.through_vaultrs(cx, operation, |client| {
            auth::approle::login(client, &self.mount, &self.role_id, secret_id)
        });
        call.await.map(Grant::of).map_err(|error| refused(error, operation))
    }

    fn repeats(&self) -> bool {
        true
    }
}

/// The secret-id is opened once, at the first login, and kept for the next ones.
struct Wrapped {
    mount: String,
    role_id: String,
    wrapping_token: SecretValue,
    opened: Mutex<Option<SecretValue>>,
}

#[async_trait]
impl Login for Wrapped {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let mut opened = self.opened.lock().await;
        let secret_id = match opened.take() {
            Some(secret_id) => secret_id,
            None => unwrap(http, cx, operation, &self.wrapping_token).await?,
        };
        let secret_id = opened.insert(secret_id);
        let secret_id = text(secret_id, operation)?;
        let call = http.through_vaultrs(cx, operation, |client| {
            auth::approle::login(client, &self.mount, &self.role_id, secret_id)
        });
        call.await.map(Grant::of).map_err(|error| refused(error, operation))
    }

    fn repeats(&self) -> bool {
        true
    }
}

/// Opens a wrapped secret-id. The answer of a lost reply is lost with it: a wrapping token opens once.
async fn unwrap(http: &Http, cx: &Context, operation: Operation, token: &SecretValue) -> Result<SecretValue> {
    let header = Token::header_of(token, operation)?;
    let request = Request::post("sys/wrapping/unwrap", b"{}".as_slice().into());
    let answer = http.send(cx, operation, &request, Some(&header)).await?;
    if answer.is_refusal() && matches!(answer.status, 400 | 403 | 404) {
        let detail = "the wrapped secret-id was opened before, or its time is over; unless this process opened it \
                      itself, treat it as intercepted: revoke it and issue a new one";
        return Err(fault(ErrorKind::Denied, operation, detail).with_code(answer.status.into()));
    }
    let mut opened = reply(answer, operation, true)?.done(operation)?;
    if !opened.is_envelope() {
        return Err(not_vault(operation, true));
    }
    let data = opened.take_data(operation)?;
    let secret_id = data.get("secret_id").as_str().map(SecretValue::from);
    let detail = "what was wrapped is no secret-id; treat the wrapping token as forged";
    secret_id.ok_or_else(|| fault(ErrorKind::Denied, operation, detail))
}

struct Kubernetes {
    mount: String,
    role: String,
    jwt: Jwt,
}

#[async_trait]
impl Login for Kubernetes {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let jwt = self.jwt.fetch(operation)?;
        let jwt = text(&jwt, operation)?;
        let call =
            http.through_vaultrs(cx, operation, |client| auth::kubernetes::login(client, &self.mount, &self.role, jwt));
        call.await.map(Grant::of).map_err(|error| refused(error, operation))
    }

    fn repeats(&self) -> bool {
        true
    }
}

struct Identity {
    mount: String,
    role: Option<String>,
    jwt: Jwt,
}

#[async_trait]
impl Login for Identity {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let jwt = self.jwt.fetch(operation)?;
        let jwt = text(&jwt, operation)?;
        let call = http
            .through_vaultrs(cx, operation, |client| auth::oidc::login(client, &self.mount, jwt, self.role.clone()));
        call.await.map(Grant::of).map_err(|error| refused(error, operation))
    }

    fn repeats(&self) -> bool {
        true
    }
}

struct Userpass {
    mount: String,
    user: String,
    password: SecretValue,
}

#[async_trait]
impl Login for Userpass {
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant> {
        let password = text(&self.password, operation)?;
        let call = http
            .through_vaultrs(cx, operation, |client| auth::userpass::login(client, &self.mount, &self.user, password));
        call.await.map(Grant::of).map_err(|error| refused(error, operation))
    }

    fn repeats(&self) -> bool {
        true
    }
}

macro_rules! names_only {
    ($($login:ident)*) => {
        $(impl fmt::Debug for $login {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($login))
            }
        })*
    };
}

names_only!(Given AppRole Wrapped Kubernetes Identity Userpass);

/// A name that may stand in a path.
fn plain(name: &str) -> Option<&str> {
    name.parse::<keyward_core::VaultPathText>().is_ok().then_some(name)
}

/// What vaultrs takes: text. It copies what it is given; those copies are not wiped.
fn text(secret: &SecretValue, operation: Operation) -> Result<&str> {
    let text = std::str::from_utf8(secret.expose_secret()).map(str::trim);
    text.map_err(|_| fault(ErrorKind::Denied, operation, "what should be logged in with is not text"))
}

/// A login the server refused is a matter of credentials, whatever status it chose.
fn refused(error: Error, operation: Operation) -> Error {
    match (error.kind(), error.code()) {
        (ErrorKind::Invalid | ErrorKind::Denied, Some(code)) => {
            let detail = "the server refused the login; check role, credentials and the mount of the method";
            fault(ErrorKind::Denied, operation, detail).with_code(code)
        }
        _ => error,
    }
}
