//! What can be chosen when a server is connected and a store in it opened.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use keyward_core::{Context, ErrorKind, Operation, Result, SecretValue, VaultPathText};
use keyward_remote::Retry;
use keyward_remote::http::is_loopback;
use reqwest::Certificate;
use url::Url;

use crate::auth::Auth;
use crate::backend::VaultBackend;
use crate::client::{Client, Http, Reach, Session};
use crate::error::fault;
use crate::kv::Kv;
use crate::names::Names;
use crate::preflight::preflight;

/// A server one is logged in to: shared by the store, the issuers and the wrapper of unlock keys.
///
/// Cheap to clone; clones share connections and token. The token is renewed at about two thirds of its lease, in
/// front of the next call, or by [`Connection::keep_alive`] where calls are rare.
///
/// Works on any executor: where no Tokio runtime is at hand, one in the background is used.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use keyward_core::{Context, SecretValue};
/// use keyward_vault::{Auth, Connection};
/// let cx = Context::new("billing-api", "start")?;
/// let auth = Auth::app_role("2f1b9f7e-role-id", SecretValue::from("secret-id"));
/// let connection = Connection::builder("https://vault.example.com:8200", auth).connect(&cx).await?;
/// let _keeper = tokio::spawn({
///     let connection = connection.clone();
///     async move { connection.keep_alive().await }
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connection(Client);

impl Connection {
    /// Settings for a server at an address such as `https://vault.example.com:8200`. Plain `http://` is taken only
    /// for this very machine.
    pub fn builder(address: &str, auth: Auth) -> ConnectionBuilder {
        ConnectionBuilder {
            address: address.to_owned(),
            auth,
            namespace: None,
            authorities: Vec::new(),
            flaw: None,
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            retry: Retry::default(),
        }
    }

    /// Keeps the token alive for as long as the future is polled; it never ends. Spawn it where calls can be further
    /// apart than the lease of the token, and drop it with the connection.
    pub async fn keep_alive(&self) {
        self.0.keep_alive().await;
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0
    }
}

/// Settings of a [`Connection`].
#[must_use]
pub struct ConnectionBuilder {
    address: String,
    auth: Auth,
    namespace: Option<String>,
    authorities: Vec<Certificate>,
    flaw: Option<&'static str>,
    connect: Duration,
    attempt: Duration,
    retry: Retry,
}

impl ConnectionBuilder {
    /// Address, token, namespace and authority from `VAULT_ADDR`, `VAULT_TOKEN`, `VAULT_NAMESPACE` and
    /// `VAULT_CACERT`. The environment is read here and nowhere else; `VAULT_SKIP_VERIFY` is never obeyed.
    ///
    /// # Errors
    /// `Invalid` when address or token is missing.
    ///
    /// ```no_run
    /// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_core::Context;
    /// use keyward_vault::ConnectionBuilder;
    /// let connection = ConnectionBuilder::from_env()?.connect(&Context::new("tool", "look around")?).await?;
    /// # let _ = connection;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Self> {
        let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (Some(address), Some(token)) = (set("VAULT_ADDR"), set("VAULT_TOKEN")) else {
            return Err(invalid("set VAULT_ADDR and VAULT_TOKEN, or name address and login in code"));
        };
        let mut builder = Connection::builder(&address, Auth::token(SecretValue::new(token.into_bytes())));
        builder.namespace = set("VAULT_NAMESPACE");
        Ok(match set("VAULT_CACERT") {
            Some(path) => builder.ca_file(path),
            None => builder,
        })
    }

    /// The namespace, sent with every call. It is part of what a key is.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Trusts the certificate authorities in this PEM text, and no other.
    pub fn ca_pem(mut self, pem: &[u8]) -> Self {
        match Certificate::from_pem_bundle(pem) {
            Ok(found) if !found.is_empty() => self.authorities.extend(found),
            _ => self.flaw = Some("the certificate authority is not PEM text"),
        }
        self
    }

    /// Trusts the certificate authorities in this PEM file, and no other.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        match std::fs::read(path) {
            Ok(pem) => self.ca_pem(&pem),
            Err(_) => {
                self.flaw = Some("the file of the certificate authority cannot be read");
                self
            }
        }
    }

    /// How long connecting may take; 3 s unless said otherwise.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// How long one attempt of a call may take; 10 s unless said otherwise. The deadline of the call bounds it too.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt = limit;
        self
    }

    /// How calls that may be repeated are repeated.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// `Invalid` for settings that cannot be used; `Denied` when the server refuses the login; `Sealed`,
    /// `Throttled`, `Unavailable`.
    ///
    /// ```no_run
    /// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_core::{Context, SecretValue};
    /// use keyward_vault::{Auth, Connection};
    /// let auth = Auth::token(SecretValue::from("dev-token"));
    /// let connection = Connection::builder("http://127.0.0.1:8200", auth).connect(&Context::new("dev", "try")?).await?;
    /// # let _ = connection;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self, cx: &Context) -> Result<Connection> {
        if let Some(flaw) = self.flaw {
            return Err(invalid(flaw));
        }
        let address = Url::parse(&self.address).map_err(|_| invalid("the address is not one"))?;
        match address.scheme() {
            "https" => {}
            "http" if is_loopback(&address) => {}
            "http" => return Err(invalid("http:// is taken only for this very machine; use https://")),
            _ => return Err(invalid("the address begins with neither https:// nor http://")),
        }
        let bare = address.path() == "/" && address.query().is_none() && address.fragment().is_none();
        if !bare || !address.username().is_empty() || address.password().is_some() {
            return Err(invalid("the address holds more than scheme, host and port"));
        }
        let fit = |name: &String| name.bytes().all(|b| b.is_ascii_graphic());
        if !self.namespace.as_ref().is_none_or(fit) {
            return Err(invalid("the namespace holds characters no namespace has"));
        }
        let Self { auth, namespace, authorities, connect, attempt, retry, .. } = self;
        let http = Http::new(Reach { address, namespace, authorities, connect, attempt })
            .ok_or_else(|| invalid("no HTTP client can be made of these settings"))?;
        let login = auth.into_login().ok_or_else(|| invalid("a name of the login cannot stand in a path"))?;
        let client = Client::new(http, Session::new(login), retry);
        client.log_in(cx).await?;
        Ok(Connection(client))
    }
}

impl fmt::Debug for ConnectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address stays out until it is known to hold no password.
        f.debug_struct("ConnectionBuilder").field("auth", &self.auth).field("namespace", &self.namespace).finish()
    }
}

/// Settings of a store, and the way into it.
#[derive(Clone, Debug)]
#[must_use]
pub struct VaultBuilder {
    connection: Connection,
    mount: String,
    prefix: String,
    at_once: usize,
}

impl VaultBuilder {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, mount: "secret".to_owned(), prefix: "keyward".to_owned(), at_once: 32 }
    }

    /// The KV version 2 mount; `secret` unless said otherwise.
    pub fn mount(mut self, mount: &str) -> Self {
        self.mount = mount.trim_matches('/').to_owned();
        self
    }

    /// The folder in the mount under which everything of this store lies; `keyward` unless said otherwise.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_matches('/').to_owned();
        self
    }

    /// How many requests of one call may be under way at once; 32 unless said otherwise.
    pub fn concurrency(mut self, at_once: usize) -> Self {
        self.at_once = at_once.max(1);
        self
    }

    /// Looks at the mount and opens the store. Writes nothing.
    ///
    /// A role that may not look at the configuration of the mount can open it all the same; each write then still
    /// checks that the server will not delete it by itself.
    ///
    /// # Errors
    /// `Invalid` for a name that cannot stand in a path and for a mount that deletes versions by itself;
    /// `Unsupported` for a mount that is not KV version 2; `NotFound` when there is no such mount; `Denied`,
    /// `Sealed`, `Throttled`, `Unavailable`.
    ///
    /// ```no_run
    /// # async fn doc(connection: keyward_vault::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_core::Context;
    /// use keyward_vault::VaultBackend;
    /// let cx = Context::new("billing-api", "start")?;
    /// let store = VaultBackend::builder(connection).mount("team-secrets").prefix("keyward").open(&cx).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(self, cx: &Context) -> Result<VaultBackend> {
        let unfit = |_| invalid("mount or prefix cannot stand in a path");
        let mount: VaultPathText = self.mount.parse().map_err(unfit)?;
        let prefix: VaultPathText = self.prefix.parse().map_err(unfit)?;
        let kv = Kv::new(self.connection.client().clone(), mount.as_str().to_owned());
        preflight(&kv, cx, Operation::Open).await?;
        Ok(VaultBackend::over(kv, Names::below(prefix), self.at_once))
    }
}

fn invalid(detail: &'static str) -> keyward_core::Error {
    fault(ErrorKind::Invalid, Operation::Open, detail)
}
