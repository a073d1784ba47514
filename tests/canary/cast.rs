//! Who plays: an issuer whose keys are marked, a clock that never waits, keys of every shape.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward::core::{
    Clock, Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey,
    IssuerStatus, KeyDraft, KeyId, KeyIssuer, KeyRecord, LastUse, ManualClock, Material, NewKey, Operation, Probe,
    Result, Revoke, Scope, SecretBackend, Shape, UsageSignal, Validator, VersionId, async_trait,
};
use keyward::file::InventoryKey;
use keyward::rotation::{Rotator, RotatorBuilder};

use crate::hooks::ON_PURPOSE;
use crate::secret::{Canary, Kind};
use crate::support::{HEALTHY, charges, key, owners};

pub(crate) const PAIR: &str = "production/messaging/twilio-pair";

/// A key of two named fields.
pub(crate) fn pair() -> KeyDraft {
    let scope = charges().scope;
    let names = ["id", "secret"].map(|name| name.parse().expect("a field name"));
    KeyDraft::new(key(PAIR), owners(), scope, "acme".parse().expect("an issuer")).shape(Shape::Fields(names.into()))
}

/// The same key under another name.
pub(crate) fn named(id: &str, mut draft: KeyDraft) -> KeyDraft {
    draft.id = key(id);
    draft
}

/// A clock on which whoever sleeps wakes at once, that much later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hasty(pub(crate) Arc<ManualClock>);

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
    }
}

/// Where a callback panics while it holds the material of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Panics {
    Never,
    Create,
    Find,
    Status,
    Scope,
    Revoke,
    Probe,
}

/// Mints marked keys and tries them out.
#[derive(Clone, Debug)]
pub(crate) struct CanaryIssuer {
    made: Arc<Mutex<Vec<Made>>>,
    capabilities: IssuerCapabilities,
    kind: Kind,
    panics: Panics,
    /// Mints material of this shape, whatever the record says.
    shape: Option<Shape>,
}

#[derive(Debug)]
struct Made {
    of: KeyId,
    label: VersionId,
    material: Material,
    live: bool,
}

impl CanaryIssuer {
    pub(crate) fn of(kind: Kind) -> Self {
        let capabilities = IssuerCapabilities::default();
        Self { made: Arc::default(), capabilities, kind, panics: Panics::Never, shape: None }
    }

    pub(crate) fn panicking(mut self, at: Panics) -> Self {
        self.panics = at;
        self
    }

    pub(crate) fn shaped(mut self, shape: Shape) -> Self {
        self.shape = Some(shape);
        self
    }

    pub(crate) fn capped(mut self, live: u32) -> Self {
        self.capabilities.max_live = Some(live);
        self
    }

    /// Switches every key off, as an outage would.
    pub(crate) fn kill_all(&self) {
        self.made().iter_mut().for_each(|made| made.live = false);
    }

    /// A person made a key by hand and handed it over.
    pub(crate) fn know(&self, of: &KeyId, material: &Material) {
        let made = Made { of: of.clone(), label: VersionId::generate(), material: material.duplicate(), live: true };
        self.made().push(made);
    }

    fn reach(&self, at: Panics) {
        if self.panics == at {
            let held = Canary::shaped(self.kind, &Shape::One);
            assert!(held.value().is_none(), "{ON_PURPOSE}, with {held:?} and {self:?} in its hands");
        }
    }

    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyIssuer for CanaryIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        self.reach(Panics::Create);
        let material = Canary::shaped(self.kind, self.shape.as_ref().unwrap_or(new.record.shape()));
        let made =
            Made { of: new.record.id().clone(), label: new.version.id, material: material.duplicate(), live: true };
        self.made().push(made);
        let text = |text: &str| format!("{text}-{}", new.version.id);
        let key = NewKey::new(material).reference(text("key").parse().expect("a reference"));
        Ok(Created::Key(key.state(text("state").parse().expect("a state"))))
    }

    async fn find(&self, _: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        self.reach(Panics::Find);
        let made = self.made();
        let hits = made.iter().filter(|m| m.live && m.of == *record.id() && version.is_none_or(|v| v == m.label));
        let named =
            |m: &Made| IssuerKey { label: m.label, reference: format!("key-{}", m.label).parse().expect("text") };
        Ok(hits.map(named).collect())
    }

    async fn status(&self, _: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        self.reach(Panics::Status);
        let made = self.made();
        Ok(match made.iter().find(|m| m.label == issue.version.id) {
            None => IssuerStatus::Absent,
            Some(made) if made.live => IssuerStatus::Live,
            Some(_) => IssuerStatus::Revoked(Evidence::lossy("listed as revoked")),
        })
    }

    async fn scope(&self, _: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        self.reach(Panics::Scope);
        Ok(Some(issue.record.scope().clone()))
    }

    async fn deactivate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "canary"))
    }

    async fn activate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, "canary"))
    }

    async fn revoke(&self, _: &Context, issue: Issue<'_>) -> Result<Revoke> {
        self.reach(Panics::Revoke);
        self.made().iter_mut().filter(|m| m.label == issue.version.id).for_each(|m| m.live = false);
        Ok(Revoke::Accepted)
    }
}

#[async_trait]
impl Validator for CanaryIssuer {
    async fn probe(&self, _: &Context, _: Issue<'_>, material: &Material) -> Result<Probe> {
        self.reach(Panics::Probe);
        let live = self.made().iter().any(|m| m.live && m.material.ct_eq(material));
        let seen = Evidence::lossy("an answer of the service");
        Ok(if live { Probe::Accepted(seen) } else { Probe::Rejected(seen) })
    }
}

/// Says that no key was ever used, but fails for one of them.
#[derive(Debug)]
pub(crate) struct Idle;

#[async_trait]
impl UsageSignal for Idle {
    async fn last_use(&self, _: &Context, key: &KeyId, _: VersionId) -> Result<LastUse> {
        match key.name().as_str() {
            "stripe-charges" => Ok(LastUse::Never),
            _ => Err(Error::new(ErrorKind::Unavailable, Operation::Signal, "usage").with_key(key)),
        }
    }
}

pub(crate) fn builder<B, I>(store: B, clock: &Hasty, issuer: I) -> RotatorBuilder<B>
where
    B: SecretBackend,
    I: KeyIssuer + Validator + Clone + 'static,
{
    Rotator::builder(store)
        .actor("rotator")
        .issuer_and_validator("acme", issuer)
        .health(HEALTHY)
        .clock(Arc::new(clock.clone()))
        .inventory_key(InventoryKey::from_bytes(&[7; 32]))
        .takeover_after(Duration::from_secs(10))
        .poll_every(Duration::from_secs(86_400))
}
