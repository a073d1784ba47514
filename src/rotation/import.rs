//! Bringing in a key that already exists: an ordinary first run whose create is a hand-over, or
//! waits for one.

use std::sync::Mutex;

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerStatus,
    KeyIssuer, KeyRecord, Material, NewKey, Operation, Probe, Result, Revoke, Scope, Validator, VersionId,
};

const NAME: &str = "import";

/// Gives one key away, once, or asks for one that lies in the store. Its probe is the importer's word: a person says that the key works.
#[derive(Debug)]
pub(crate) struct HandOver {
    key: Mutex<Option<NewKey>>,
    asks: bool,
    capabilities: IssuerCapabilities,
}

impl HandOver {
    pub(crate) fn of(key: NewKey) -> Self {
        Self::new(Some(key))
    }

    /// The key lies in the store and is supplied once it was claimed for its version.
    pub(crate) fn asking() -> Self {
        Self { asks: true, ..Self::new(None) }
    }

    fn new(key: Option<NewKey>) -> Self {
        let mut capabilities = IssuerCapabilities::default();
        capabilities.finds_by_label = false;
        // The key exists whatever the record says, but a version that was given up never got it.
        capabilities.absent_is_final = true;
        Self { key: Mutex::new(key), asks: false, capabilities }
    }

    fn cannot(operation: Operation) -> Error {
        Error::new(ErrorKind::Unsupported, operation, NAME).with_detail("an imported key is managed by its own issuer")
    }
}

#[async_trait]
impl KeyIssuer for HandOver {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _cx: &Context, _: Issue<'_>) -> Result<Created, CreateError> {
        if self.asks {
            let adopt = "adopt the secret again, or release it".parse().map(Created::AskHuman);
            return adopt.map_err(|_| CreateError::NotCreated(Self::cannot(Operation::Create)));
        }
        let key = self.key.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        key.map(Created::Key).ok_or_else(|| CreateError::NotCreated(Self::cannot(Operation::Create)))
    }

    async fn find(&self, _cx: &Context, _: &KeyRecord, _: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        Err(Self::cannot(Operation::Find))
    }

    async fn status(&self, _cx: &Context, _: Issue<'_>) -> Result<IssuerStatus> {
        Ok(IssuerStatus::CannotSay)
    }

    async fn scope(&self, _cx: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn revoke(&self, _cx: &Context, _: Issue<'_>) -> Result<Revoke> {
        Err(Self::cannot(Operation::Revoke))
    }
}

#[async_trait]
impl Validator for HandOver {
    async fn probe(&self, cx: &Context, _: Issue<'_>, _: &Material) -> Result<Probe> {
        Ok(Probe::Accepted(Evidence::lossy(&format!("not tried: {} says that it works", cx.actor))))
    }
}
