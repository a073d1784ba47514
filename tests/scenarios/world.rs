//! A key on a store, an issuer in memory, a clock moved by hand.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{
    Environment, HealthSignal, KeyRecord, ManualClock, RunPhase, SecretBackend, Shows, VersionId, VersionState,
};
use keyward::keyring::{Keyring, KeyringBuilder};
use keyward::rotation::{RotationError, RotationRun, Rotator, RunReport, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, FaultPlan, Faulty, Host, run_until_crash};

use crate::support::{self, CHARGES, HEALTHY, charges, cx, key};

/// A store under test; clones share it.
pub(crate) trait Store: SecretBackend + Clone + 'static {}

impl<S: SecretBackend + Clone + 'static> Store for S {}

pub(crate) type HostRotator<S> = Rotator<Faulty<S>>;

pub(crate) struct World<S> {
    pub(crate) store: S,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: FakeIssuer,
    pub(crate) validator: FakeValidator,
}

impl<S: Store> World<S> {
    /// A registered key without a version.
    pub(crate) async fn registered(store: S, clock: Arc<ManualClock>) -> Self {
        Self::with_issuer(store, clock, FakeIssuer::default()).await
    }

    pub(crate) async fn with_issuer(store: S, clock: Arc<ManualClock>, issuer: FakeIssuer) -> Self {
        support::register(&store, &clock, charges()).await;
        let validator = FakeValidator::new(&issuer);
        Self { store, clock, issuer, validator }
    }

    /// A key that serves its first version.
    pub(crate) async fn in_service(store: S, clock: Arc<ManualClock>) -> Self {
        Self::registered(store, clock).await.provisioned().await
    }

    pub(crate) async fn provisioned(self) -> Self {
        self.finish(&self.steady("setup"), "first key").await.expect("provision");
        self
    }

    /// A rotator of a process without faults.
    pub(crate) fn steady(&self, name: &str) -> HostRotator<S> {
        self.rotator(&Host::steady(name))
    }

    pub(crate) fn rotator(&self, host: &Host) -> HostRotator<S> {
        self.rotator_with(host, HEALTHY)
    }

    pub(crate) fn rotator_with(&self, host: &Host, health: impl HealthSignal + 'static) -> HostRotator<S> {
        self.rotator_at(host, health, &self.clock)
    }

    /// A rotator whose process has a clock of its own.
    pub(crate) fn rotator_at(
        &self,
        host: &Host,
        health: impl HealthSignal + 'static,
        clock: &Arc<ManualClock>,
    ) -> HostRotator<S> {
        Rotator::builder(host.wrap(self.store.clone()))
            .actor(host.name())
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(health)
            .clock(clock.clone())
            .takeover_after(Duration::from_secs(10))
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    /// A process that follows a script rotates until its end or its death.
    pub(crate) fn play(&self, plan: FaultPlan) -> Option<Result<RunReport, RotationError>> {
        let host = Host::new("a", plan);
        let rotator = self.rotator(&host);
        run_until_crash(&host, self.finish(&rotator, "rotate"))
    }

    /// A run from start, or from wherever it is, to its end.
    pub(crate) async fn finish(&self, rotator: &HostRotator<S>, reason: &str) -> Result<RunReport, RotationError> {
        let mut run = rotator.start_or_resume(&key(CHARGES), reason).await?;
        support::finish(&mut run, &self.clock).await
    }

    pub(crate) async fn start<'r>(&self, rotator: &'r HostRotator<S>) -> RotationRun<'r, Faulty<S>> {
        rotator.start(&key(CHARGES), "rotate").await.expect("start")
    }

    /// Starts or resumes a run and steps until the record is in a phase.
    pub(crate) async fn until<'r>(
        &self,
        rotator: &'r HostRotator<S>,
        at: impl Fn(&RunPhase) -> bool,
    ) -> RotationRun<'r, Faulty<S>> {
        let mut run = rotator.start_or_resume(&key(CHARGES), "rotate").await.expect("start");
        for _ in 0..300 {
            if self.phase().await.is_some_and(|phase| at(&phase)) {
                return run;
            }
            if let Step::Wait { at_most, .. } = run.step().await.expect("step") {
                self.clock.advance(at_most);
            }
        }
        panic!("the run does not get there: {:?}", self.phase().await);
    }

    pub(crate) async fn record(&self) -> KeyRecord {
        support::load(&self.store, &key(CHARGES)).await
    }

    pub(crate) async fn phase(&self) -> Option<RunPhase> {
        self.record().await.run().map(|run| run.phase.clone())
    }

    pub(crate) async fn primary(&self) -> VersionId {
        self.record().await.primary().expect("a primary").id
    }

    /// The new version of the run under way.
    pub(crate) async fn new_version(&self) -> VersionId {
        self.phase().await.expect("a run").version()
    }

    pub(crate) async fn state(&self, version: VersionId) -> VersionState {
        self.record().await.version(version).expect("a version of the record").state
    }

    pub(crate) async fn shown(&self) -> Option<VersionId> {
        let target = self.record().await.target();
        match self.store.pointer(&cx(), &target).await.expect("pointer").shows {
            Shows::Ours { version, .. } => Some(version),
            _ => None,
        }
    }

    /// What the service that owns the key would load.
    pub(crate) fn keyring(&self) -> KeyringBuilder {
        Keyring::builder(self.store.clone())
            .environment(Environment::Production)
            .service("billing-api")
            .clock(self.clock.clone())
            .require("payments/stripe-charges")
    }

    /// Sweeps until nothing is pending, waiting out the horizon.
    pub(crate) async fn sweep(&self, rotator: &HostRotator<S>) {
        for _ in 0..4 {
            let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
            if swept.pending.is_empty() {
                return;
            }
            self.clock.advance(Duration::from_secs(3_600));
        }
        panic!("something stays pending");
    }

    /// Another process ends what is under way, if anything; then one working key is left: the
    /// primary, known to the record, held by the store and shown to native readers.
    pub(crate) async fn comes_to_rest(&self) {
        let rotator = self.steady("resumer");
        if self.record().await.run().is_some() || self.record().await.primary().is_none() {
            self.finish(&rotator, "resume").await.expect("an end");
        }
        self.sweep(&rotator).await;
        let record = self.record().await;
        let primary = record.primary().expect("a primary").id;
        assert!(record.run().is_none(), "a run is left: {:?}", record.run());
        assert_eq!(self.issuer.working(record.id()), [primary], "keys at the issuer");
        let alive: Vec<_> = record.versions().iter().filter(|v| v.state.may_work()).map(|v| v.id).collect();
        assert_eq!(alive, [primary], "versions of the record");
        assert!(self.issuer.most_creates() <= 1, "a version was created twice");
        let survey = self.store.survey(&cx(), &record.target()).await.expect("survey");
        assert!(survey.versions.contains(&primary), "the primary has no material");
        assert_eq!(self.shown().await, Some(primary), "the pointer");
    }
}

pub(crate) fn promoting(phase: &RunPhase) -> bool {
    matches!(phase, RunPhase::Promoting { .. })
}

pub(crate) fn soaking(phase: &RunPhase) -> bool {
    matches!(phase, RunPhase::Soaking { .. })
}

pub(crate) fn validated(phase: &RunPhase) -> bool {
    matches!(phase, RunPhase::Validated { .. })
}
