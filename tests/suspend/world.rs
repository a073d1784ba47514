//! A key at an issuer that can switch keys off and on, and does what it is told, or not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward::core::{
    Change, Clock, Context, CreateError, Created, Edit, HealthQuery, HealthReport, HealthSignal, Issue,
    IssuerCapabilities, IssuerKey, IssuerStatus, KeyIssuer, KeyRecord, ManualClock, Read, Result, Revoke,
    RotationPolicy, Scope, SecretBackend, SecretBackendExt, Select, Shows, Swap, Transition, VersionId, VersionState,
    async_trait,
};
use keyward::rotation::{RotationRun, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, StrictFake};

use crate::support::{self, CHARGES, Counts, HEALTHY, charges, cx, finish, key, register, until};

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: StrictFake,
    pub(crate) issuer: Moody,
    pub(crate) health: Switchable,
}

impl World {
    /// A key with a first version in service.
    pub(crate) async fn with_a_key() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        register(&store, &clock, charges()).await;
        let world = Self { clock, store, issuer: Moody::default(), health: Switchable::default() };
        let rotator = world.rotator();
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        finish(&mut run, &world.clock).await.expect("provision");
        world
    }

    pub(crate) fn rotator(&self) -> Rotator<StrictFake> {
        Rotator::builder(self.store.clone())
            .actor("rotator")
            .issuer("acme", self.issuer.clone())
            .validator("acme", FakeValidator::new(&self.issuer.keys))
            .health(self.health.clone())
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    /// A run whose old key was just seen switched off.
    pub(crate) async fn suspended<'a>(&self, rotator: &'a Rotator<StrictFake>) -> RotationRun<'a, StrictFake> {
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &self.clock, |step| matches!(step, Step::SwitchedOff { .. })).await;
        run
    }

    pub(crate) async fn record(&self) -> KeyRecord {
        support::load(&self.store, &key(CHARGES)).await
    }

    pub(crate) async fn primary(&self) -> VersionId {
        self.record().await.primary().expect("a primary").id
    }

    pub(crate) async fn state(&self, version: VersionId) -> VersionState {
        self.record().await.version(version).expect("a version").state
    }

    /// What native readers are shown.
    pub(crate) async fn shown(&self) -> VersionId {
        match self.store.pointer(&cx(), &self.record().await.target()).await.expect("pointer").shows {
            Shows::Ours { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the issuer accepts the stored value of a version.
    pub(crate) async fn accepts(&self, version: VersionId) -> bool {
        let target = self.record().await.target();
        match self.store.read_one(&cx(), &target, Select::Version(version)).await.expect("read") {
            Read::Found { material, .. } => self.issuer.keys.accepts(&material),
            Read::Unchanged => panic!("unchanged"),
        }
    }

    /// Somebody at the issuer's console.
    pub(crate) async fn switch(&self, version: VersionId, on: bool) {
        let record = self.record().await;
        let issue = Issue { record: &record, version: record.version(version).expect("a version") };
        match on {
            true => self.issuer.keys.activate(&cx(), issue).await.expect("on"),
            false => self.issuer.keys.deactivate(&cx(), issue).await.expect("off"),
        }
    }

    pub(crate) async fn edit_policy(&self, policy: RotationPolicy) {
        let read = self.store.load_existing(&cx(), &key(CHARGES)).await.expect("load");
        let change = Change::new("ada".parse().expect("an actor"), self.clock.now());
        let next = read.value.apply(&Transition::Edit(Edit::Policy(policy)), &change).expect("an edit");
        let swap = self.store.swap(&cx(), next.id(), keyward::core::Expect::At(read.stamp), &next).await.expect("swap");
        assert!(matches!(swap, Swap::Applied(_)));
    }
}

/// A health signal that can change its mind.
#[derive(Clone, Debug)]
pub(crate) struct Switchable(Arc<Mutex<Counts>>);

impl Default for Switchable {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(HEALTHY)))
    }
}

impl Switchable {
    pub(crate) fn set(&self, counts: Counts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

#[async_trait]
impl HealthSignal for Switchable {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let counts = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.health(cx, query).await
    }
}

/// Accepts a switch and may do nothing; or says nothing about its keys.
#[derive(Clone, Debug)]
pub(crate) struct Moody {
    pub(crate) keys: FakeIssuer,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mood {
    deaf_to_off: bool,
    deaf_to_on: bool,
    speechless: bool,
}

impl Default for Moody {
    fn default() -> Self {
        Self { keys: FakeIssuer::reversible(), mood: Arc::default() }
    }
}

impl Moody {
    pub(crate) fn deaf_to_off(&self, deaf: bool) {
        self.with(|mood| mood.deaf_to_off = deaf);
    }

    pub(crate) fn deaf_to_on(&self, deaf: bool) {
        self.with(|mood| mood.deaf_to_on = deaf);
    }

    pub(crate) fn speechless(&self, speechless: bool) {
        self.with(|mood| mood.speechless = speechless);
    }

    pub(crate) fn kill(&self, version: VersionId) {
        self.keys.kill(version);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Mood) -> T) -> T {
        look(&mut self.mood.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl KeyIssuer for Moody {
    fn capabilities(&self) -> &IssuerCapabilities {
        self.keys.capabilities()
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        self.keys.create(cx, new).await
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        self.keys.find(cx, record, version).await
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        if self.with(|mood| mood.speechless) {
            return Ok(IssuerStatus::CannotSay);
        }
        self.keys.status(cx, issue).await
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        self.keys.scope(cx, issue).await
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        if self.with(|mood| mood.deaf_to_off) { Ok(()) } else { self.keys.deactivate(cx, issue).await }
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        if self.with(|mood| mood.deaf_to_on) { Ok(()) } else { self.keys.activate(cx, issue).await }
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        self.keys.revoke(cx, issue).await
    }
}
