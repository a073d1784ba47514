//! A key on a store, an issuer in memory, a clock moved by hand, and what must always hold.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{
    Environment, ErrorKind, KeyDraft, KeyRecord, ManualClock, Read, Retry, RunPhase, SecretBackend, SecretBackendExt,
    Select, Shape, Shows,
};
use keyward::keyring::Keyring;
use keyward::rotation::{RotationError, Rotator, RunReport, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Faulty, Host};

use crate::stores::Store;
use crate::support::{self, CHARGES, Counts, HEALTHY, charges, cx, key};

pub(crate) type HostRotator = Rotator<Faulty<Arc<dyn SecretBackend>>>;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: FakeIssuer,
    pub(crate) validator: FakeValidator,
}

impl World {
    /// A registered key without a version.
    pub(crate) async fn registered(store: Store) -> Self {
        Self::of(store, charges()).await
    }

    pub(crate) async fn of(store: Store, draft: KeyDraft) -> Self {
        let world = Self::bare(store);
        support::register(&world.store.backend, &world.clock, draft).await;
        world
    }

    /// No key yet.
    pub(crate) fn bare(store: Store) -> Self {
        let issuer = FakeIssuer::default();
        let validator = FakeValidator::new(&issuer);
        Self { store, clock: Arc::default(), issuer, validator }
    }

    /// A key that serves its first version.
    pub(crate) async fn provisioned(store: Store) -> Self {
        let world = Self::registered(store).await;
        world.finish(&world.rotator(&Host::steady("setup"), HEALTHY), "first key").await.expect("provision");
        world
    }

    pub(crate) fn rotator(&self, host: &Host, health: Counts) -> HostRotator {
        self.rotator_on(&self.store, host, health)
    }

    /// The same world, with the store reached another way.
    pub(crate) fn rotator_on(&self, store: &Store, host: &Host, health: Counts) -> HostRotator {
        Rotator::builder(host.wrap(store.backend.clone()))
            .actor(host.name())
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(health)
            .clock(self.clock.clone())
            .takeover_after(Duration::from_secs(10))
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    pub(crate) async fn record(&self) -> KeyRecord {
        support::load(&self.store.backend, &key(CHARGES)).await
    }

    pub(crate) async fn shows(&self) -> Shows {
        let target = self.record().await.target();
        self.store.backend.pointer(&cx(), &target).await.expect("pointer").shows
    }

    /// A run from start, or from wherever it is, to its end.
    pub(crate) async fn finish(&self, rotator: &HostRotator, reason: &str) -> Result<RunReport, RotationError> {
        let mut run = rotator.start_or_resume(&key(CHARGES), reason).await?;
        support::finish(&mut run, &self.clock).await
    }

    /// Steps a run until the record is in a phase.
    pub(crate) async fn rotate_until(&self, rotator: &HostRotator, at: fn(&RunPhase) -> bool) {
        let mut run = rotator.start_or_resume(&key(CHARGES), "rotate").await.expect("start");
        for _ in 0..100 {
            if self.record().await.run().is_some_and(|run| at(&run.phase)) {
                return;
            }
            if let Step::Wait { at_most, .. } = run.step().await.expect("step") {
                self.clock.advance(at_most);
            }
        }
        panic!("the run does not get there");
    }

    /// Runs a process until it is done or dead, while time goes by: a second every few milliseconds.
    pub(crate) async fn until_death<T>(&self, host: &Host, work: impl Future<Output = T>) -> Option<T> {
        let death = async {
            while !host.crashed() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.clock.advance(Duration::from_secs(1));
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = death => None,
        }
    }

    /// What holds at every moment, whatever has failed.
    pub(crate) async fn check(&self, case: &str) {
        for (version, creates) in self.issuer.all_creates() {
            assert!(creates <= 1, "{case}: version {version} was created {creates} times");
        }
        let record = self.record().await;
        let Shows::Ours { version, publication } = self.shows().await else {
            assert!(record.primary().is_none(), "{case}: a key serves and nothing is shown");
            return;
        };
        assert_eq!(record.publication(publication), Some(version), "{case}: an unjournalled publication");
        let shown = record.version(version).unwrap_or_else(|| panic!("{case}: an unknown version is shown"));
        assert!(shown.proof.is_some(), "{case}: an unproven version is shown");
        if shown.compromised.is_some() {
            return;
        }
        let found = self.store.backend.read_one(&cx(), &record.target(), Select::Current).await;
        let Ok(Read::Found { material, version: read, .. }) = found else { panic!("{case}: nothing to read") };
        assert_eq!(read, version, "{case}: pointer and read disagree");
        assert!(self.issuer.accepts(&material), "{case}: what is shown is refused by the issuer");
    }

    /// Another host goes on until nothing is left to do; then the world is clean.
    pub(crate) async fn settle(&self, case: &str) {
        let rotator = self.rotator(&Host::steady("resumer"), HEALTHY);
        for _ in 0..60 {
            self.check(case).await;
            if self.record().await.run().is_none() {
                return self.clean_up(case, &rotator).await;
            }
            let mut run = match rotator.resume(&key(CHARGES), "resume").await {
                Ok(run) => run,
                Err(error) => panic!("{case}: {error}"),
            };
            for _ in 0..20 {
                match run.step().await {
                    Ok(Step::Wait { at_most, .. }) => self.clock.advance(at_most),
                    Ok(Step::Finished(_)) => break,
                    Ok(Step::NeedsOperator(what)) => panic!("{case}: {what}"),
                    Ok(_) => {}
                    Err(RotationError::Backend(error)) if error.retry() != Retry::No => {}
                    Err(error) => panic!("{case}: {error}"),
                }
            }
        }
        panic!("{case}: not steady: {:?}", self.record().await.run());
    }

    /// Sweeps until every given-up version is dead, which takes the zombie horizon at most.
    pub(crate) async fn clean_up(&self, case: &str, rotator: &HostRotator) {
        for _ in 0..4 {
            let swept = rotator.sweep(&key(CHARGES), "daily").await.unwrap_or_else(|e| panic!("{case}: {e}"));
            if swept.pending.is_empty() {
                break;
            }
            self.clock.advance(Duration::from_secs(3_600));
        }
        self.check(case).await;
        let record = self.record().await;
        let primary = record.primary().unwrap_or_else(|| panic!("{case}: no primary")).id;
        assert_eq!(self.issuer.working(record.id()), vec![primary], "{case}: keys at the issuer");
        let alive: Vec<_> = record.versions().iter().filter(|v| v.state.may_work()).map(|v| v.id).collect();
        assert_eq!(alive, vec![primary], "{case}: versions of the record");
        let survey = self.store.backend.survey(&cx(), &record.target()).await.expect("survey");
        assert!(survey.versions.contains(&primary), "{case}: the primary has no material");
        assert!(matches!(survey.pointer.shows, Shows::Ours { version, .. } if version == primary), "{case}: pointer");
        let keys = self.keyring().await.unwrap_or_else(|e| panic!("{case}: {e}"));
        let handle = keys.handle("payments/stripe-charges").expect("a handle");
        assert_eq!(handle.live().expect("live").version(), primary, "{case}: reader");
    }

    /// What the service that owns the key loads.
    pub(crate) async fn keyring(&self) -> Result<Keyring, keyward::keyring::LoadError> {
        Keyring::builder(self.store.backend.clone())
            .environment(Environment::Production)
            .service("billing-api")
            .clock(self.clock.clone())
            .require("payments/stripe-charges")
            .load()
            .await
    }

    /// The material of the key's current version is gone, or refused.
    pub(crate) async fn assert_not_served(&self, case: &str) {
        let record = self.record().await;
        let read = self.store.backend.read_one(&cx(), &record.target(), Select::Current).await;
        let kind = read.map(|_| ()).expect_err(case).kind();
        assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::PendingDeletion), "{case}: {kind}");
    }
}

/// The fields of a key pair.
pub(crate) fn pair() -> Shape {
    Shape::Fields(vec!["access_key_id".parse().expect("a name"), "secret".parse().expect("a name")])
}
