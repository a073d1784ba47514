//! A vendor that counts: creates of each version, keys that work, and calls at one time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::future::yield_now;
use keyward::core::{
    Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerStatus,
    KeyIssuer, KeyRecord, KeyUid, Material, NewKey, Operation, Probe, Result, Revoke, Scope, SecretValue, Validator,
    VersionId, async_trait,
};

/// How many calls are under way, and how many were at most.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<(usize, usize)>);

impl Gauge {
    fn enter(self: &Arc<Self>) -> Inside {
        let mut inside = self.lock();
        inside.0 += 1;
        inside.1 = inside.1.max(inside.0);
        Inside(self.clone())
    }

    /// The most at one time so far.
    pub(crate) fn most(&self) -> usize {
        self.lock().1
    }

    fn lock(&self) -> MutexGuard<'_, (usize, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves also when its call is dropped.
struct Inside(Arc<Gauge>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().0 -= 1;
    }
}

/// Clones are the same vendor.
#[derive(Clone, Debug)]
pub(crate) struct Vendor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    here: Arc<Gauge>,
    everywhere: Arc<Gauge>,
    capabilities: IssuerCapabilities,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<VersionId, Key>,
    creates: HashMap<VersionId, u32>,
    of: HashMap<KeyUid, Vec<VersionId>>,
    refuses: bool,
    lies: bool,
}

#[derive(Debug)]
struct Key {
    secret: SecretValue,
    live: bool,
}

impl Vendor {
    pub(crate) fn new(everywhere: &Arc<Gauge>) -> Self {
        let (here, everywhere) = (Arc::default(), everywhere.clone());
        Self(Arc::new(Inner { state: Mutex::default(), here, everywhere, capabilities: IssuerCapabilities::default() }))
    }

    /// From now on every create is refused, or none.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state().refuses = refuses;
    }

    /// From now on new keys do not work, or do.
    pub(crate) fn lie(&self, lies: bool) {
        self.state().lies = lies;
    }

    /// The keys that work, of one of our keys.
    pub(crate) fn live(&self, of: KeyUid) -> Vec<VersionId> {
        let state = self.state();
        let all = state.of.get(&of).into_iter().flatten();
        all.filter(|label| state.keys.get(*label).is_some_and(|key| key.live)).copied().collect()
    }

    /// How many keys work in all.
    pub(crate) fn all_live(&self) -> usize {
        self.state().keys.values().filter(|key| key.live).count()
    }

    /// How many creates were asked for.
    pub(crate) fn creates(&self) -> usize {
        self.state().creates.len()
    }

    /// Versions for which more than one create was asked.
    pub(crate) fn created_twice(&self) -> usize {
        self.state().creates.values().filter(|creates| **creates > 1).count()
    }

    /// The most calls at one time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.0.here.most()
    }

    /// A call takes a while, so that calls of several runs overlap.
    async fn call(&self) -> (Inside, Inside) {
        let inside = (self.0.here.enter(), self.0.everywhere.enter());
        for _ in 0..3 {
            yield_now().await;
        }
        inside
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyIssuer for Vendor {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.0.capabilities
    }

    async fn create(&self, _cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let _inside = self.call().await;
        let (label, mut state) = (new.version.id, self.state());
        if state.refuses {
            let error = Error::new(ErrorKind::Denied, Operation::Create, "vendor");
            return Err(CreateError::NotCreated(error));
        }
        *state.creates.entry(label).or_default() += 1;
        let secret = SecretValue::from(format!("vendor_{label}").as_str());
        let material = Material::one(secret.duplicate()).expect("material");
        let live = !state.lies;
        state.keys.insert(label, Key { secret, live });
        state.of.entry(new.record.uid()).or_default().push(label);
        Ok(Created::Key(NewKey::new(material).reference(label.to_string().parse().expect("a reference"))))
    }

    async fn find(&self, _cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let _inside = self.call().await;
        let live = self.live(record.uid()).into_iter().filter(|label| version.is_none_or(|v| v == *label));
        Ok(live.map(|label| IssuerKey { label, reference: label.to_string().parse().expect("a reference") }).collect())
    }

    async fn status(&self, _cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let _inside = self.call().await;
        Ok(match self.state().keys.get(&issue.version.id) {
            None => IssuerStatus::Absent,
            Some(key) if key.live => IssuerStatus::Live,
            Some(_) => IssuerStatus::Revoked(Evidence::lossy("the vendor lists it as revoked")),
        })
    }

    async fn scope(&self, _cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        let _inside = self.call().await;
        Ok(Some(issue.record.scope().clone()))
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "vendor"))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "vendor"))
    }

    async fn revoke(&self, _cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let _inside = self.call().await;
        if let Some(key) = self.state().keys.get_mut(&issue.version.id) {
            key.live = false;
        }
        Ok(Revoke::Accepted)
    }
}

#[async_trait]
impl Validator for Vendor {
    async fn probe(&self, _cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let _inside = self.call().await;
        let state = self.state();
        let found = state.keys.get(&issue.version.id).filter(|key| key.live);
        Ok(match found.zip(material.value()).is_some_and(|(key, value)| key.secret.ct_eq(value)) {
            true => Probe::Accepted(Evidence::lossy("the vendor accepts it")),
            false => Probe::Rejected(Evidence::lossy("the vendor refuses it")),
        })
    }
}
