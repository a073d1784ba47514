//! The ways to log in.

mod methods;
mod source;

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use keyward_core::{Context, Operation, Result, SecretValue};

pub use source::Jwt;

use crate::client::{Grant, Http};

/// How a [`Connection`](crate::Connection) logs in.
///
/// ```
/// use keyward_core::SecretValue;
/// use keyward_vault::Auth;
/// let auth = Auth::app_role("2f1b9f7e-role-id", SecretValue::from("secret-id")).at("approle-prod");
/// assert_eq!(format!("{auth:?}"), "Auth(AppRole at approle-prod)");
/// ```
#[must_use]
pub struct Auth {
    pub(crate) method: Method,
    pub(crate) mount: Option<String>,
}

/// What a method needs.
pub(crate) enum Method {
    Token(SecretValue),
    AppRole { role_id: String, secret_id: SecretValue },
    WrappedAppRole { role_id: String, wrapping_token: SecretValue },
    Kubernetes { role: String, jwt: Jwt },
    Jwt { role: Option<String>, jwt: Jwt },
    Userpass { user: String, password: SecretValue },
}

impl Auth {
    /// A token that exists already. It is renewed while the server allows that; when it has run out, calls are
    /// `Denied`, because there is nothing to log in with. It must be allowed to look itself up, as the policy `default`
    /// allows.
    pub fn token(token: SecretValue) -> Self {
        Self::by(Method::Token(token))
    }

    /// An AppRole with its secret-id.
    pub fn app_role(role_id: &str, secret_id: SecretValue) -> Self {
        Self::by(Method::AppRole { role_id: role_id.to_owned(), secret_id })
    }

    /// An AppRole whose secret-id was handed over wrapped: the token opens it once. When someone else has opened it
    /// before, logging in is `Denied`, with a detail that says so: treat the secret-id as intercepted.
    pub fn wrapped_app_role(role_id: &str, wrapping_token: SecretValue) -> Self {
        Self::by(Method::WrappedAppRole { role_id: role_id.to_owned(), wrapping_token })
    }

    /// The service account of a Kubernetes pod. Its token is read anew at every login, because Kubernetes replaces it.
    pub fn kubernetes(role: &str) -> Self {
        let jwt = Jwt::file(PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token"));
        Self::by(Method::Kubernetes { role: role.to_owned(), jwt })
    }

    /// The service account of a Kubernetes pod whose token comes from another place.
    pub fn kubernetes_with(role: &str, jwt: Jwt) -> Self {
        Self::by(Method::Kubernetes { role: role.to_owned(), jwt })
    }

    /// A signed identity token. No role: the one the mount takes by default.
    pub fn jwt(role: Option<&str>, jwt: Jwt) -> Self {
        Self::by(Method::Jwt { role: role.map(str::to_owned), jwt })
    }

    /// A user name and a password.
    pub fn userpass(user: &str, password: SecretValue) -> Self {
        Self::by(Method::Userpass { user: user.to_owned(), password })
    }

    /// The mount of the method, where it is not the usual one.
    pub fn at(mut self, mount: &str) -> Self {
        self.mount = Some(mount.to_owned());
        self
    }

    fn by(method: Method) -> Self {
        Self { method, mount: None }
    }

    fn name(&self) -> (&'static str, &'static str) {
        match self.method {
            Method::Token(_) => ("Token", "token"),
            Method::AppRole { .. } => ("AppRole", "approle"),
            Method::WrappedAppRole { .. } => ("wrapped AppRole", "approle"),
            Method::Kubernetes { .. } => ("Kubernetes", "kubernetes"),
            Method::Jwt { .. } => ("JWT", "jwt"),
            Method::Userpass { .. } => ("Userpass", "userpass"),
        }
    }

    fn mount(&self) -> &str {
        self.mount.as_deref().unwrap_or(self.name().1)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({} at {})", self.name().0, self.mount())
    }
}

/// Gets a token. Object-safe, so that a session need not know which way it is.
#[async_trait]
pub(crate) trait Login: fmt::Debug + Send + Sync {
    /// Logs in.
    async fn login(&self, http: &Http, cx: &Context, operation: Operation) -> Result<Grant>;

    /// True when it can log in again.
    fn repeats(&self) -> bool;
}
