//! A store with a clock and everything the mission needs around it.

use std::sync::Arc;

use futures_lite::future::block_on;
use keyward::core::{
    HealthSignal, KeyDraft, KeyId, KeyRecord, ManualClock, MemoryBackend, Read, SecretBackend, SecretBackendExt,
    SecretValue, Select, VersionId,
};
use keyward::file::{FileBackend, KeyFile};
use keyward::inventory::Inventory;
use keyward::keyring::LoadError;
use keyward::leak::{IncidentReport, LeakReport, LeakResponse, LeakStep};
use keyward::rotation::{GatePolicy, Rotator, RunReport};
use keyward::{Environment, Keyring};

use crate::support::{self, Counts, HEALTHY, charges, cx, key, owners, reports};

pub(crate) type Store = Arc<dyn SecretBackend>;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    directory: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) fn on_memory() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { store: Arc::new(MemoryBackend::with_clock(clock.clone())), clock, directory: None }
    }

    pub(crate) fn on_file() -> Self {
        let clock = Arc::new(ManualClock::default());
        let directory = tempfile::tempdir().expect("a directory");
        let unlock = KeyFile::create(directory.path().join("unlock.key")).expect("a key file");
        let create = FileBackend::builder().clock(clock.clone()).create(directory.path().join("keys.keyward"), unlock);
        Self { store: Arc::new(block_on(create).expect("a store")), clock, directory: Some(directory) }
    }

    /// On a store behind a server.
    #[cfg(all(feature = "aws", feature = "vault"))]
    pub(crate) fn on(store: impl Future<Output = crate::opened::Store>) -> Self {
        Self { store: block_on(store).backend, clock: Arc::default(), directory: None }
    }

    pub(crate) fn inventory(&self) -> Inventory<Store> {
        Inventory::new(self.store.clone()).actor("ada@example.com").clock(self.clock.clone())
    }

    pub(crate) fn rotator(&self, health: Counts) -> Rotator<Store> {
        support::builder(self.store.clone(), &self.clock).health(health).build().expect("a rotator")
    }

    /// A rotator whose gate hears one consumer.
    pub(crate) fn rotator_hearing(&self, health: impl HealthSignal + 'static) -> Rotator<Store> {
        let gate = GatePolicy::default().with_clients(1);
        support::builder(self.store.clone(), &self.clock).health(health).gate(gate).build().expect("a rotator")
    }

    /// Registers a key and gives it its first value.
    pub(crate) async fn in_service(&self, draft: KeyDraft) {
        let id = draft.id.clone();
        self.inventory().register(draft).await.expect("register");
        self.rotate_for(&id, "first value").await;
    }

    /// Four keys over two environments and three functions.
    pub(crate) async fn populate(&self) {
        let acme = || "acme".parse().expect("an issuer");
        let messages = keyward::Scope::new(keyward::AccessLevel::Write).service("mailer").expect("a scope");
        let staging = KeyDraft::new(key("staging/payments/stripe-charges"), owners(), charges().scope, acme());
        let twilio = KeyDraft::new(key("production/messaging/twilio-send"), owners(), messages, acme());
        for draft in [charges(), reports(), staging, twilio] {
            self.in_service(draft).await;
        }
    }

    pub(crate) async fn rotate(&self, id: &KeyId) -> RunReport {
        self.rotate_for(id, "quarterly").await
    }

    async fn rotate_for(&self, id: &KeyId, reason: &str) -> RunReport {
        let rotator = self.rotator(HEALTHY);
        let mut run = rotator.start(id, reason).await.expect("start");
        let report = support::finish(&mut run, &self.clock).await.expect("rotate");
        // As the daily housekeeping does.
        rotator.sweep(id, "daily").await.expect("sweep");
        report
    }

    pub(crate) async fn record(&self, id: &KeyId) -> KeyRecord {
        support::load(&self.store, id).await
    }

    pub(crate) async fn primary(&self, id: &KeyId) -> VersionId {
        self.record(id).await.primary().expect("a primary").id
    }

    /// The current value, as somebody with permission to read it.
    pub(crate) async fn secret(&self, id: &KeyId) -> SecretValue {
        let target = self.record(id).await.target();
        match self.store.read_one(&cx(), &target, Select::Current).await.expect("read") {
            Read::Found { material, .. } => material.value().expect("one value").duplicate(),
            Read::Unchanged => panic!("unchanged"),
        }
    }

    pub(crate) async fn value(&self, id: &KeyId) -> Vec<u8> {
        self.secret(id).await.expose_secret().to_vec()
    }

    /// Starts as a service of production does.
    pub(crate) async fn load(&self, service: &str, name: &str) -> Result<Keyring, LoadError> {
        Keyring::builder(self.store.clone())
            .environment(Environment::Production)
            .service(service)
            .clock(self.clock.clone())
            .require(name)
            .load()
            .await
    }

    pub(crate) async fn open_leak(&self, report: &LeakReport) {
        LeakResponse::open(&self.rotator(HEALTHY), report).await.expect("open");
    }

    pub(crate) async fn respond(&self, report: &LeakReport) -> IncidentReport {
        let rotator = self.rotator(HEALTHY);
        let mut response = LeakResponse::open(&rotator, report).await.expect("open");
        for _ in 0..200 {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(report) => return report,
                LeakStep::Wait { at_most, .. } => self.clock.advance(at_most),
                _ => {}
            }
        }
        panic!("the response does not end");
    }

    /// Every file of the store's directory but the key file.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        let directory = self.directory.as_ref().expect("a store on disk").path();
        let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        let sealed = entries.filter(|path| path.extension().is_none_or(|e| e != "key"));
        sealed.map(|path| std::fs::read(path).expect("a file")).collect()
    }
}
