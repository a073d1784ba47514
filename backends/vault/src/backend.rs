//! The backend: the contract on top of a KV version 2 mount.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, Error, ErrorKind, Expect, KeyId, KeyRecord, ListQuery,
    Location, Material, NativeCurrent, Operation, Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read,
    ReadItem, Result, Retire, SecretBackend, Stage, Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};
use keyward_remote::{NativeMap, fan_out};

use crate::adopted::Place;
use crate::config::{Connection, VaultBuilder};
use crate::error::{fault, too_late};
use crate::kv::Kv;
use crate::names::Names;

/// Records and material in a KV version 2 mount of Vault or OpenBao.
///
/// Cheap to clone; clones share connections and token.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use keyward_core::{Context, SecretBackendExt, SecretValue};
/// use keyward_vault::{Auth, Connection, VaultBackend};
/// let cx = Context::new("billing-api", "start")?;
/// let auth = Auth::kubernetes("billing-api");
/// let connection = Connection::builder("https://vault.example.com:8200", auth).connect(&cx).await?;
/// let store = VaultBackend::open(&cx, connection).await?;
/// let record = store.load_one(&cx, &"production/payments/stripe-charges".parse()?).await?;
/// # let _ = record;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct VaultBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kv: Kv,
    names: Names,
    at_once: usize,
    capabilities: Capabilities,
}

impl VaultBackend {
    /// Opens the store under `keyward` in the mount `secret`. Writes nothing.
    ///
    /// # Errors
    /// As [`VaultBuilder::open`].
    ///
    /// ```no_run
    /// # async fn doc(connection: keyward_vault::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_core::Context;
    /// use keyward_vault::VaultBackend;
    /// let store = VaultBackend::open(&Context::new("billing-api", "start")?, connection).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(cx: &Context, connection: Connection) -> Result<Self> {
        Self::builder(connection).open(cx).await
    }

    /// Settings other than the default ones.
    pub fn builder(connection: Connection) -> VaultBuilder {
        VaultBuilder::new(connection)
    }

    pub(crate) fn over(kv: Kv, names: Names, at_once: usize) -> Self {
        Self(Arc::new(Inner { kv, names, at_once, capabilities: capabilities() }))
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.0.kv
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// What holds for every call about material; the place of an adopted key.
    fn enter<'a>(&self, cx: &Context, operation: Operation, key: &'a Target) -> Result<Option<Place<'a>>> {
        in_time(cx, operation).map_err(|error| error.with_key(&key.id))?;
        if key.location == Location::Derived {
            return Ok(None);
        }
        let elsewhere = || fault(ErrorKind::Unsupported, operation, "the location belongs to another kind of store");
        let place = Place::of(self, &key.location).ok_or_else(|| elsewhere().with_key(&key.id))?;
        self.check_adopted(operation, &place, &key.shape).map_err(|error| error.with_key(&key.id))?;
        Ok(Some(place))
    }

    pub(crate) fn at_once(&self) -> usize {
        self.0.at_once
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for VaultBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        let one = |key: KeyId| async move {
            let record = match in_time(cx, Operation::Load) {
                Ok(()) => self.record(cx, Operation::Load, &key).await,
                Err(late) => Err(late),
            };
            record.map_err(|error| error.with_key(&key))
        };
        fan_out(keys.iter().cloned(), self.at_once(), one).await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        in_time(cx, Operation::Swap).map_err(|error| error.with_key(key))?;
        self.replace_record(cx, key, &expect, next).await.map_err(|error| error.with_key(key))
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        in_time(cx, Operation::List)?;
        self.list_records(cx, query, page).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        let named = |error: Error| error.with_key(&key.id);
        let place = self.enter(cx, Operation::Stage, key)?;
        let invalid = |detail| named(fault(ErrorKind::Invalid, Operation::Stage, detail));
        if material.shape() != key.shape {
            return Err(invalid("the material has another shape than the key"));
        }
        if NativeMap::reserves(&key.shape) {
            return Err(invalid("fields whose names begin with keyward_ are kept for this library"));
        }
        if place.is_some() {
            self.check_text(Operation::Stage, material).map_err(named)?;
        }
        self.stage_material(cx, key, version, material).await.map_err(named)
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        let answer = match self.enter(cx, Operation::Pointer, key)? {
            None => self.shown(cx, Operation::Pointer, &key.id).await.map(|shown| shown.pointer),
            Some(place) => self.adopted_pointer(cx, &place, key).await,
        };
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let answer = match self.enter(cx, Operation::Publish, key)? {
            None => self.publish_derived(cx, key, version, publication, expect).await,
            Some(place) => self.publish_adopted(cx, &place, key, (version, publication), expect).await,
        };
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let one = |item: ReadItem| async move {
            let key = &item.target;
            let answer = match self.enter(cx, Operation::Read, key)? {
                None => self.read_derived(cx, key, item.select).await,
                Some(place) => self.read_adopted(cx, &place, key, item.select).await,
            };
            answer.map_err(|error| error.with_key(&key.id))
        };
        fan_out(items.iter().cloned(), self.at_once(), one).await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let answer = match self.enter(cx, Operation::Withdraw, key)? {
            None => self.withdraw_derived(cx, key, version).await,
            Some(place) => self.withdraw_adopted(cx, &place, key, version).await,
        };
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let answer = match self.enter(cx, Operation::Survey, key)? {
            None => self.survey_derived(cx, key).await,
            Some(place) => self.survey_adopted(cx, &place, key).await,
        };
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        let answer = match self.enter(cx, Operation::Retire, key)? {
            None => self.retire_derived(cx, key).await,
            Some(place) => self.retire_adopted(cx, &place, key).await,
        };
        answer.map_err(|error| error.with_key(&key.id))
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        None
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        None
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        Some(self)
    }
}

fn capabilities() -> Capabilities {
    let mut able = Capabilities::local();
    able.native_current = NativeCurrent::KvLatest;
    able.multi_host = true;
    able.adopts = true;
    // Standbys may answer reads, and lag behind: Vault Enterprise always, OpenBao since 2.5.
    able.read_after_write = false;
    able
}

pub(crate) fn in_time(cx: &Context, operation: Operation) -> Result<()> {
    if cx.is_expired() { Err(too_late(operation)) } else { Ok(()) }
}
