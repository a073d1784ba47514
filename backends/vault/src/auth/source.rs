//! Where a signed identity token comes from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use keyward_core::{ErrorKind, Operation, Result, SecretValue};

use crate::error::fault;

/// Where a signed identity token comes from. It is fetched anew at every login.
#[derive(Clone)]
pub struct Jwt(Source);

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Given(Arc<SecretValue>),
    Made(Arc<dyn Fn() -> Option<SecretValue> + Send + Sync>),
}

impl Jwt {
    /// A file that is read at every login: whoever issues the token replaces it there.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// A fixed one. Once it has run out, logging in again is denied.
    pub fn given(jwt: SecretValue) -> Self {
        Self(Source::Given(Arc::new(jwt)))
    }

    /// What a function gives at every login; `None` when it has none.
    pub fn made_by(make: impl Fn() -> Option<SecretValue> + Send + Sync + 'static) -> Self {
        Self(Source::Made(Arc::new(make)))
    }

    pub(super) fn fetch(&self, operation: Operation) -> Result<SecretValue> {
        let missing = |detail| fault(ErrorKind::Denied, operation, detail);
        let jwt = match &self.0 {
            Source::File(path) => std::fs::read(path)
                .map(SecretValue::new)
                .map_err(|_| missing("the file with the identity token cannot be read; check its path and owner"))?,
            Source::Given(jwt) => jwt.duplicate(),
            Source::Made(make) => make().ok_or_else(|| missing("no identity token was given"))?,
        };
        if jwt.expose_secret().trim_ascii().is_empty() {
            return Err(missing("the identity token is empty"));
        }
        Ok(jwt)
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => write!(f, "Jwt(file {path:?})"),
            Source::Given(_) => f.write_str("Jwt(given)"),
            Source::Made(_) => f.write_str("Jwt(made)"),
        }
    }
}
