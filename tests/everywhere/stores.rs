//! The stores, each empty and of its own.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use keyward::aws::{AwsBackend, Retry};
use keyward::core::{MemoryBackend, RequestId, SecretBackend, SecretValue};
use keyward::file::{FileBackend, KeyFile};
use keyward::vault::{Auth, Connection, VaultBackend};
use keyward_conformance::servers::{server_setting, server_url};

use crate::support::cx;

/// A store under test, and how to get at what is behind it.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) backend: Arc<dyn SecretBackend>,
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Memory,
    File(#[allow(dead_code, reason = "kept alive")] Arc<tempfile::TempDir>),
    Vault { mount: String, prefix: String },
    Aws { prefix: String },
}

pub(crate) async fn memory() -> Store {
    Store { backend: Arc::new(MemoryBackend::default()), kind: Kind::Memory }
}

pub(crate) async fn file() -> Store {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = KeyFile::create(directory.path().join("unlock.key")).expect("a key file");
    let store = FileBackend::create(directory.path().join("keys.keyward"), key).await.expect("a new store");
    Store { backend: Arc::new(store), kind: Kind::File(Arc::new(directory)) }
}

pub(crate) async fn vault() -> Store {
    Kind::Vault { mount: "secret".to_owned(), prefix: unique() }.open(&server_url("VAULT_ADDR")).await
}

pub(crate) async fn aws() -> Store {
    Kind::Aws { prefix: unique() }.open(&server_url("AWS_ENDPOINT_URL_SECRETS_MANAGER")).await
}

/// With the settings a user gets.
pub(crate) async fn aws_as_it_is() -> Store {
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let prefix = unique();
    let store = AwsBackend::builder(&config).prefix(&prefix).open().await.expect("a store");
    Store { backend: Arc::new(store), kind: Kind::Aws { prefix } }
}

/// A name nobody else uses.
pub(crate) fn unique() -> String {
    format!("t{}", RequestId::generate().to_string().replace('-', ""))
}

impl Kind {
    /// The same store through the server at `url`.
    pub(crate) async fn open(&self, url: &str) -> Store {
        let backend: Arc<dyn SecretBackend> = match self {
            Self::Vault { mount, prefix } => {
                let auth = Auth::token(SecretValue::from(server_setting("VAULT_TOKEN").as_str()));
                let connection = Connection::builder(url, auth).retry(impatient()).connect(&cx()).await;
                let store = VaultBackend::builder(connection.expect("a connection")).mount(mount).prefix(prefix);
                Arc::new(store.open(&cx()).await.expect("a store"))
            }
            Self::Aws { prefix } => {
                let config = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(url).load().await;
                let store = AwsBackend::builder(&config).prefix(prefix).list_staleness(Duration::ZERO);
                Arc::new(store.retry(impatient()).open().await.expect("a store"))
            }
            Self::Memory | Self::File(_) => panic!("nothing is behind a server"),
        };
        Store { backend, kind: self.clone() }
    }
}

/// These servers are near, and faults are many.
fn impatient() -> Retry {
    Retry::new(6, Duration::from_millis(10), Duration::from_millis(200))
}
