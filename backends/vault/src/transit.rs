//! Unlock slots that the transit engine wraps.

use data_encoding::BASE64;
use keyward_core::{Context, Error, ErrorKind, Operation, Result, SecretValue, VaultPathText};
use keyward_remote::NativeMap;
use keyward_seal::{KeyWrapper, WrapError, WrapKey, Wrapping, async_trait};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::{Client, Json, Reply, Request};
use crate::config::Connection;
use crate::error::{fault, is_no_such_path};

/// Wraps the key of a store under a transit key of type `aes256-gcm96` (the default), `aes128-gcm96` or
/// `chacha20-poly1305`.
///
/// Creating a store needs `update` on `MOUNT/encrypt/KEY` and `read` on `MOUNT/keys/KEY`, opening it `update` on
/// `MOUNT/decrypt/KEY`. The id of the store goes along as associated data. Rotating the transit key keeps old stores
/// open until its `min_decryption_version` passes theirs.
///
/// ```no_run
/// # fn example(connection: &keyward_vault::Connection) -> keyward_core::Result<()> {
/// use keyward_vault::transit::TransitWrapper;
/// let wrapper = TransitWrapper::new(connection, "transit", "keyward")?;
/// // keyward_file::FileBackend::builder().open_wrapped("keys.keyward", &wrapper).await?
/// # let _ = wrapper;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TransitWrapper {
    client: Client,
    mount: VaultPathText,
    key: VaultPathText,
}

impl TransitWrapper {
    /// For one key of a transit mount. Sends nothing.
    ///
    /// # Errors
    /// `Invalid` when a name cannot stand in a path.
    ///
    /// ```no_run
    /// # fn example(connection: &keyward_vault::Connection) {
    /// use keyward_vault::transit::TransitWrapper;
    /// assert!(TransitWrapper::new(connection, "transit", "../sys/seal").is_err());
    /// # }
    /// ```
    pub fn new(connection: &Connection, mount: &str, key: &str) -> Result<Self> {
        let unfit = |_| fault(ErrorKind::Invalid, Operation::Open, "the mount or the key cannot stand in a path");
        let mount = mount.trim_matches('/').parse().map_err(unfit)?;
        let key: VaultPathText = key.parse().map_err(unfit)?;
        if key.as_str().contains('/') {
            return Err(fault(ErrorKind::Invalid, Operation::Open, "the name of a transit key has no slash"));
        }
        Ok(Self { client: connection.client().clone(), mount, key })
    }

    /// Encrypting with a key that is not there would create it, for whoever may; and some types bind no context.
    async fn check_key(&self, cx: &Context) -> Result<(), WrapError> {
        let request = Request::get(self.path("keys"));
        let found = self.client.call(cx, OPERATION, &request).await.and_then(|answer| answer.found(OPERATION));
        let mut found = found.map_err(|error| problem(&error))?.ok_or(WrapError::KeyUnusable)?;
        let key = found.take("data").ok_or(WrapError::Unexpected)?;
        let binds = matches!(key.get("type").as_str(), Some("aes256-gcm96" | "aes128-gcm96" | "chacha20-poly1305"));
        let soft_deleted = key.get("soft_deleted").as_bool() == Some(true);
        match (binds && key.get("derived").as_bool() != Some(true), soft_deleted) {
            (_, true) => Err(WrapError::KeyUnusable),
            (true, false) => Ok(()),
            (false, false) => Err(WrapError::Unexpected),
        }
    }

    async fn ask(&self, cx: &Context, what: &str, body: SecretValue) -> Result<Option<Json>, WrapError> {
        let request = Request::post(self.path(what), body);
        match self.client.call(cx, OPERATION, &request).await {
            Ok(Reply::Done(mut answer)) => answer.take("data").ok_or(WrapError::Unexpected).map(Some),
            Ok(Reply::Refused(_)) => Ok(None),
            Ok(other) => Err(other.done(OPERATION).map_or_else(|error| problem(&error), |_| WrapError::Unexpected)),
            Err(error) => Err(problem(&error)),
        }
    }

    fn path(&self, what: &str) -> String {
        format!("{}/{what}/{}", self.mount, self.key)
    }
}

#[async_trait]
impl KeyWrapper for TransitWrapper {
    fn service(&self) -> &'static str {
        "vault-transit"
    }

    async fn wrap(&self, store: &[u8; 16], key: &WrapKey) -> Result<Wrapping, WrapError> {
        let cx = context()?;
        self.check_key(&cx).await?;
        let mut body = bound_to(store);
        body.set("plaintext", &Zeroizing::new(BASE64.encode(key.expose_secret())));
        let made = self.ask(&cx, "encrypt", body.to_json()).await?.ok_or(WrapError::Unexpected)?;
        let blob = made.get("ciphertext").as_str().ok_or(WrapError::Unexpected)?;
        Wrapping::new(&format!("{}/{}", self.mount, self.key), blob.as_bytes())
    }

    async fn unwrap(&self, store: &[u8; 16], wrapping: &Wrapping) -> Result<WrapKey, WrapError> {
        let cx = context()?;
        let mut body = bound_to(store);
        body.set("ciphertext", std::str::from_utf8(wrapping.blob()).map_err(|_| WrapError::Rejected)?);
        let Some(made) = self.ask(&cx, "decrypt", body.to_json()).await? else {
            // The one answer to a key that is gone and to bytes it did not encrypt.
            return Err(match self.check_key(&cx).await {
                Err(WrapError::KeyUnusable) => WrapError::KeyUnusable,
                _ => WrapError::Rejected,
            });
        };
        let plain = made.get("plaintext").as_str().ok_or(WrapError::Unexpected)?;
        let plain = Zeroizing::new(BASE64.decode(plain.as_bytes()).map_err(|_| WrapError::Unexpected)?);
        WrapKey::from_bytes(&plain)
    }
}

fn bound_to(store: &[u8; 16]) -> NativeMap {
    let mut body = NativeMap::from_map(serde_json::Map::<String, Value>::new());
    body.set("associated_data", &BASE64.encode(store));
    body
}

fn context() -> Result<Context, WrapError> {
    Context::new("keyward", "unlock a store").map_err(|_| WrapError::Unexpected)
}

fn problem(error: &Error) -> WrapError {
    match error.kind() {
        ErrorKind::Denied => WrapError::Denied,
        ErrorKind::NotFound => WrapError::KeyUnusable,
        _ if is_no_such_path(error) => WrapError::KeyUnusable,
        ErrorKind::Sealed | ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Unknown => {
            WrapError::Unavailable
        }
        _ => WrapError::Unexpected,
    }
}

const OPERATION: Operation = Operation::Open;
