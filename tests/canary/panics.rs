//! A callback that panics while values are in hand: neither the panic nor what is left shows one.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_lite::FutureExt;
use futures_lite::future::block_on;
use keyward::core::{
    Clock, Context, Environment, HealthQuery, HealthReport, HealthSignal, KeyId, LastUse, MemoryBackend, NewKey,
    Result, SecretBackend, SecretBackendExt, Select, Stage, UsageSignal, VersionId, async_trait,
};
use keyward::file::{FileBackend, KeyFile};
use keyward::inventory::Inventory;
use keyward::keyring::Keyring;
use keyward::leak::{LeakReport, LeakResponse, Leaked};

use crate::cast::{CanaryIssuer, Hasty, Panics, builder};
use crate::hooks::{ON_PURPOSE, said};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, charges, cx, key, register};
use crate::tour::{Tour, drive};
use crate::witness::{Surface, Witness, overseen};

/// Panics on purpose wherever the engine asks.
#[derive(Debug)]
struct Fuse;

#[async_trait]
impl HealthSignal for Fuse {
    async fn health(&self, _: &Context, _: &HealthQuery) -> Result<HealthReport> {
        panic!("{ON_PURPOSE}: health")
    }
}

#[async_trait]
impl UsageSignal for Fuse {
    async fn last_use(&self, _: &Context, _: &KeyId, _: VersionId) -> Result<LastUse> {
        panic!("{ON_PURPOSE}: usage")
    }
}

/// A clock that panics once it is lit.
#[derive(Debug, Default)]
struct Bomb(AtomicBool);

#[async_trait]
impl Clock for Bomb {
    fn now(&self) -> DateTime<Utc> {
        assert!(!self.0.load(Ordering::SeqCst), "{ON_PURPOSE}: a clock");
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

/// What became of a future whose callback may panic; the payload is looked at.
async fn caught<T>(w: &Witness, future: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(value) => Some(value),
        Err(payload) => {
            payload_of(w, &*payload);
            None
        }
    }
}

fn payload_of(w: &Witness, payload: &(dyn Any + Send)) {
    assert!(said(payload).contains(ON_PURPOSE), "another panic than the one on purpose");
    w.look(Surface::Panic, "a payload", said(payload).as_bytes());
}

#[test]
fn no_issuer_or_validator_that_panics_shows_a_secret() {
    let w = Witness::new();
    for panics in [Panics::Create, Panics::Find, Panics::Status, Panics::Scope, Panics::Revoke, Panics::Probe] {
        for kind in Kind::ALL {
            let before = overseen(Surface::Panic);
            block_on(issuer_that_panics(&w, panics, kind));
            assert!(overseen(Surface::Panic) > before, "{panics:?}: nothing panicked");
        }
    }
    w.finish("issuers that panic", &[Surface::Debug, Surface::Panic]);
}

/// First key with a sound issuer; then a rotation, a leak and a sweep with the one that panics.
async fn issuer_that_panics(w: &Witness, panics: Panics, kind: Kind) {
    let clock = Hasty::default();
    let store = MemoryBackend::with_clock(Arc::new(clock.clone()));
    register(&store, &clock.0, charges()).await;
    let (id, sound) = (key(CHARGES), CanaryIssuer::of(kind));
    let steady = builder(store.clone(), &clock, sound.clone()).build().expect("a rotator");
    drive(w, &clock, &mut steady.start(&id, "first key").await.expect("start")).await.expect("provision");

    let rotator = builder(store.clone(), &clock, sound.panicking(panics)).build().expect("a rotator");
    let mut run = rotator.start(&id, "quarterly").await.expect("start");
    while let Some(step) = caught(w, run.step()).await {
        match w.good("a step", step) {
            keyward::Step::Wait { at_most, .. } => clock.0.advance(at_most),
            keyward::Step::Finished(_) => break,
            _ => {}
        }
    }
    w.debug("a run after a panic", &run);
    // The value goes on working: no lock is poisoned for good.
    drop(caught(w, run.step()).await.map(|step| w.result("a step after a panic", step)));
    let report = LeakReport::of(id.clone(), Leaked::Current, "a gist").expect("a report");
    let mut response = w.good("open", LeakResponse::open(&rotator, &report).await);
    for _ in 0..8 {
        if caught(w, response.step()).await.is_none() {
            break;
        }
    }
    w.debug("a response after a panic", &response);
    drop(caught(w, rotator.sweep(&id, "daily")).await);
    w.debug("the rotator after a panic", &rotator);
    w.debug("the store after a panic", &store);
    w.record("the record after a panic", &store.load_existing(&cx(), &id).await.expect("a record").value);
    Tour { witness: w, store, clock }.read_log().await;
}

#[test]
fn no_signal_that_panics_shows_a_secret() {
    let w = Witness::new();
    block_on(async {
        let clock = Hasty::default();
        let store = MemoryBackend::with_clock(Arc::new(clock.clone()));
        register(&store, &clock.0, charges()).await;
        let id = key(CHARGES);
        let rotator = builder(store.clone(), &clock, CanaryIssuer::of(Kind::Text)).health(Fuse).build();
        let rotator = rotator.expect("a rotator");
        drive(&w, &clock, &mut rotator.start(&id, "first key").await.expect("start")).await.expect("provision");
        let mut run = rotator.start(&id, "quarterly").await.expect("start");
        assert!(caught(&w, drive(&w, &clock, &mut run)).await.is_none(), "health was not asked");
        w.debug("a run after a panic", &run);
        let inventory = Inventory::new(&store).actor("ada");
        assert!(caught(&w, inventory.unused(&Fuse, clock.now())).await.is_none(), "usage was not asked");
        w.debug("an inventory after a panic", &inventory);
    });
    w.finish("signals that panic", &[Surface::Debug, Surface::Panic]);
}

#[test]
fn no_clock_that_panics_in_the_thread_of_the_file_shows_a_secret() {
    let w = Witness::new();
    let directory = tempfile::tempdir().expect("a directory");
    let bomb = Arc::new(Bomb::default());
    block_on(async {
        let unlock = KeyFile::create(directory.path().join("unlock.key")).expect("a key file");
        let path = directory.path().join("keys.keyward");
        let store = FileBackend::builder().clock(bomb.clone()).create(&path, unlock).await.expect("a store");
        let inventory = Inventory::new(store.clone()).actor("ada");
        let kept = NewKey::new(Canary::plant(Kind::Text).material());
        let record = w.good("import", inventory.import(charges(), kept, "moved in").await);
        let before = overseen(Surface::Panic);
        bomb.0.store(true, Ordering::SeqCst);
        let canary = Canary::plant(Kind::Text).material();
        let staged: Result<Stage> = store.stage(&cx(), &record.target(), VersionId::generate(), &canary).await;
        w.refused("a stage in a thread that panicked", staged);
        let brief = cx().within(Duration::from_secs(1));
        w.refused("a call to a thread that is gone", store.load_existing(&brief, record.id()).await);
        w.debug("the store after a panic", &store);
        assert!(overseen(Surface::Panic) > before, "the clock was not asked");
    });
    w.directory(directory.path());
    w.finish("a clock that panics", &[Surface::Chain, Surface::Disk]);
}

/// A store that panics after it has read a value, under whoever reads it.
#[test]
fn no_store_that_panics_under_its_readers_shows_a_secret() {
    let w = Witness::new();
    block_on(async {
        let (clock, bomb, id) = (Hasty::default(), Arc::new(Bomb::default()), key(CHARGES));
        // Its log asks for the time with the value already in hand.
        let store = MemoryBackend::with_clock(bomb.clone());
        register(&store, &clock.0, charges()).await;
        let rotator = builder(store.clone(), &clock, CanaryIssuer::of(Kind::Binary)).build().expect("a rotator");
        drive(&w, &clock, &mut rotator.start(&id, "first key").await.expect("start")).await.expect("provision");
        let ring = Keyring::builder(store.clone()).environment(Environment::Production).service("billing-api");
        let keys = w.good("load", ring.clock(clock.0.clone()).require("payments/stripe-charges").load().await);
        drive(&w, &clock, &mut rotator.start(&id, "quarterly").await.expect("start")).await.expect("rotated");

        let target = w.good("load", store.load_existing(&cx(), &id).await).value.target();
        bomb.0.store(true, Ordering::SeqCst);
        let before = overseen(Surface::Panic);
        assert!(caught(&w, keys.refresh()).await.is_none(), "nothing panicked under the keyring");
        assert!(caught(&w, store.read_one(&cx(), &target, Select::Current)).await.is_none(), "nothing panicked");
        assert!(overseen(Surface::Panic) >= before + 2, "the panics were not seen");
        w.debug("a keyring after a panic", &keys);
        drop(w.result("live after a panic", keys.live("payments/stripe-charges")));
        bomb.0.store(false, Ordering::SeqCst);
        w.debug("a refresh after a panic", &keys.refresh().await);
        w.good("live again", keys.live("payments/stripe-charges"));
        w.debug("the store after a panic", &store);
    });
    w.finish("a store that panics", &[Surface::Debug, Surface::Panic]);
}
