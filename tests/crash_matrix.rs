//! Every scenario, killed before, after or with a lost reply at every call it makes, then resumed
//! by the same host, by another, or by both at once: it always ends clean, and the invariants of
//! the specification hold after every step on the way.
//!
//! The cases are generated: each scenario first runs without faults, which counts its calls. Which
//! invariant is checked where stands in `crash_matrix/after.rs`.

#[path = "crash_matrix/after.rs"]
mod after;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Context, Environment, Error, HealthQuery, HealthReport, HealthSignal, IncidentState, KeyId, KeyRecord, ManualClock,
    Material, Retry, RunPhase, SecretBackend, SecretBackendExt, SecretValue, Select, Shows, Stage, VersionId,
    VersionState, async_trait,
};
use keyward::keyring::Keyring;
use keyward::leak::{LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{RotationError, Rotator, Step};
use keyward_conformance::strict::{
    FakeIssuer, FakeValidator, Fault, FaultPlan, Faulty, Host, StrictFake, run_until_crash,
};
use support::{CHARGES, FAILING, HEALTHY, charges, cx, key, register};

type HostRotator = Rotator<Faulty<StrictFake>>;

/// What is done to the key, from its registration on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Scenario {
    Provision,
    Rotate,
    GateFails,
    ScopeDiffers,
    AbortBeforePublish,
    AbortWhilePromoting,
    RollBack,
    LeakIdle,
    LeakOfOldInSoak,
    LeakOfNewInSoak,
    LeakOfNewWhilePromoting,
    Suspend,
    GateFailsWhileSuspended,
    ReactivateWhileSuspended,
    AbortWhileSuspended,
    OldDiesOnTheWayBack,
    LeakOfOldWhileSuspended,
    LeakOfNewWhileSuspended,
}

impl Scenario {
    /// The issuer can switch keys off and on.
    fn suspends(self) -> bool {
        self >= Self::Suspend
    }
}

const SCENARIOS: [Scenario; 18] = [
    Scenario::Provision,
    Scenario::Rotate,
    Scenario::GateFails,
    Scenario::ScopeDiffers,
    Scenario::AbortBeforePublish,
    Scenario::AbortWhilePromoting,
    Scenario::RollBack,
    Scenario::LeakIdle,
    Scenario::LeakOfOldInSoak,
    Scenario::LeakOfNewInSoak,
    Scenario::LeakOfNewWhilePromoting,
    Scenario::Suspend,
    Scenario::GateFailsWhileSuspended,
    Scenario::ReactivateWhileSuspended,
    Scenario::AbortWhileSuspended,
    Scenario::OldDiesOnTheWayBack,
    Scenario::LeakOfOldWhileSuspended,
    Scenario::LeakOfNewWhileSuspended,
];

/// Who goes on after the crash.
#[derive(Clone, Copy, Debug)]
enum Resumer {
    SameHost,
    OtherHost,
    Both,
}

#[test]
fn every_crash_at_every_call_ends_in_a_steady_state() {
    let mut cases = 0;
    for scenario in SCENARIOS {
        let calls = calls_without_faults(scenario);
        for call in 0..calls {
            for fault in Fault::CRASHES {
                for resumer in [Resumer::SameHost, Resumer::OtherHost, Resumer::Both] {
                    crash_and_resume(scenario, call, fault, resumer);
                    cases += 1;
                }
            }
        }
        println!("{scenario:?}: {calls} calls");
    }
    println!("crash matrix: {cases} cases");
    assert!(cases > 500, "only {cases} cases were generated");
}

/// A harness that cannot fail proves nothing: the same checks must refuse a double create, an
/// unfenced pointer and a live orphan.
#[test]
fn the_checks_of_the_matrix_find_what_they_should() {
    block_on(async {
        let world = World::new(Scenario::Rotate).await;
        world.check("a clean world");
        let record = world.record();
        let old = record.primary().expect("a primary").id;
        world.issuer.kill(old);
        assert!(caught(|| world.check("a dead primary")), "a dead primary went unnoticed");
    });
    block_on(async {
        let world = World::new(Scenario::Rotate).await;
        let stray = VersionId::generate();
        let (store, target) = (&world.store, world.record().target());
        let other = Material::one(SecretValue::from("never validated")).expect("material");
        assert_eq!(store.stage(&cx(), &target, stray, &other).await.expect("stage"), Stage::Stored);
        let token = store.pointer(&cx(), &target).await.expect("pointer").token;
        let publication = keyward::core::PublicationId::generate();
        store.publish(&cx(), &target, stray, publication, &token).await.expect("publish");
        assert!(caught(|| world.check("an unvalidated version at the pointer")), "it went unnoticed");
    });
    block_on(async {
        let world = World::new(Scenario::LeakIdle).await;
        after::check("a clean world", &world.store);
        let rotator = world.rotator(&Host::steady("a"));
        let report = LeakReport::of(key(CHARGES), Leaked::Current, "seen in a gist").expect("a report");
        LeakResponse::open(&rotator, &report).await.expect("open");
        assert!(caught_as("I22", || after::check("a window without an end", &world.store)), "it went unnoticed");
        let talkative = keyward::inventory::Inventory::new(world.store.clone()).actor("ada");
        talkative.annotate(&key(CHARGES), "it was fake_0_1").await.expect("a note");
        assert!(caught_as("I20", || after::check("a value in a note", &world.store)), "it went unnoticed");
    });
}

fn caught(check: impl FnOnce()) -> bool {
    caught_as("", check)
}

fn caught_as(invariant: &str, check: impl FnOnce()) -> bool {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).err();
    caught.is_some_and(|what| what.downcast_ref::<String>().is_some_and(|text| text.contains(invariant)))
}

fn calls_without_faults(scenario: Scenario) -> usize {
    block_on(async {
        let world = World::new(scenario).await;
        let host = Host::steady("counting");
        world.play(&world.rotator(&host)).await.expect("no fault, no error");
        world.settle("without faults", &[world.rotator(&Host::steady("sweeper"))]).await;
        host.calls()
    })
}

fn crash_and_resume(scenario: Scenario, call: usize, fault: Fault, resumer: Resumer) {
    let case = format!("{scenario:?}, call {call}, {fault:?}, resumed by {resumer:?}");
    block_on(async {
        let world = World::new(scenario).await;
        let host = Host::new("a", FaultPlan::none().at(call, fault));
        let rotator = world.rotator(&host);
        let played = run_until_crash(&host, world.play(&rotator));
        world.check(&case);
        if let Some(Err(error)) = played {
            // A lost reply surfaces as an error; the process lives and the caller repeats.
            assert!(matches!(fault, Fault::LostReply), "{case}: {error}");
        }
        let resumers: Vec<_> = match resumer {
            Resumer::SameHost => vec![world.rotator(&Host::steady("a again"))],
            Resumer::OtherHost => vec![world.rotator(&Host::steady("b"))],
            Resumer::Both => vec![world.rotator(&Host::steady("a again")), world.rotator(&Host::steady("b"))],
        };
        world.settle(&case, &resumers).await;
    });
}

fn switched_off(phase: &RunPhase) -> bool {
    matches!(phase, RunPhase::Suspended { off_since: Some(_), .. })
}

/// How requests fare, as the scenario has it.
#[derive(Debug)]
struct Weather {
    scenario: Scenario,
    store: StrictFake,
}

#[async_trait]
impl HealthSignal for Weather {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport, Error> {
        // Also once the old key is on again: the history of the run remembers.
        let suspended = || {
            let record = self.store.record(&query.key).expect("a record");
            record.run().is_some_and(|run| run.evidence.iter().any(|e| e.as_str().contains("old key switched off")))
        };
        let fails = match self.scenario {
            Scenario::GateFails => true,
            Scenario::GateFailsWhileSuspended => suspended(),
            _ => false,
        };
        if fails { FAILING.health(cx, query).await } else { HEALTHY.health(cx, query).await }
    }
}

struct World {
    scenario: Scenario,
    clock: Arc<ManualClock>,
    store: StrictFake,
    issuer: FakeIssuer,
    validator: FakeValidator,
    leaked: Option<VersionId>,
    /// The version the issuer gave another scope than asked for.
    odd: Cell<Option<VersionId>>,
    /// Keys of another record at the same issuer.
    bystanders: Vec<VersionId>,
    /// How many revisions were checked, and what they had given up.
    checked: Cell<u64>,
    ended: RefCell<BTreeSet<VersionId>>,
}

impl World {
    /// The world at the moment the scenario begins.
    async fn new(scenario: Scenario) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        let issuer = if scenario.suspends() { FakeIssuer::reversible() } else { FakeIssuer::default() };
        register(&store, &clock, charges()).await;
        register(&store, &clock, support::reports()).await;
        let validator = FakeValidator::new(&issuer);
        let mut world = Self {
            scenario,
            clock,
            store,
            issuer,
            validator,
            leaked: None,
            odd: Cell::new(None),
            bystanders: Vec::new(),
            checked: Cell::new(1),
            ended: RefCell::default(),
        };
        let bystander = key(support::REPORTS);
        world.finish_key(&world.rotator(&Host::steady("setup")), &bystander, "first key").await.expect("provision");
        world.bystanders = world.issuer.live(&bystander);
        assert_eq!(world.bystanders.len(), 1);
        if scenario == Scenario::Provision {
            return world;
        }
        let steady = world.rotator(&Host::steady("setup"));
        world.finish(&steady, "first key").await.expect("provision");
        let primary = world.record().primary().map(|v| v.id);
        match scenario {
            Scenario::LeakIdle => world.leaked = primary,
            Scenario::LeakOfOldInSoak => {
                world.rotate_until(&steady, |phase| matches!(phase, RunPhase::Soaking { .. })).await;
                world.leaked = primary;
            }
            Scenario::LeakOfNewInSoak => {
                world.rotate_until(&steady, |phase| matches!(phase, RunPhase::Soaking { .. })).await;
                world.leaked = world.record().primary().map(|v| v.id);
            }
            Scenario::LeakOfOldWhileSuspended => {
                world.rotate_until(&steady, switched_off).await;
                world.leaked = primary;
            }
            Scenario::LeakOfNewWhileSuspended => {
                world.rotate_until(&steady, switched_off).await;
                world.leaked = world.record().primary().map(|v| v.id);
            }
            Scenario::LeakOfNewWhilePromoting => {
                world.rotate_until(&steady, |phase| matches!(phase, RunPhase::Promoting { .. })).await;
                world.leaked = world.record().run().map(|run| run.phase.version());
            }
            _ => {}
        }
        world
    }

    fn rotator(&self, host: &Host) -> HostRotator {
        let health = Weather { scenario: self.scenario, store: self.store.clone() };
        let poll = if self.scenario.suspends() { 6 * 3_600 } else { 3_600 };
        Rotator::builder(host.wrap(self.store.clone()))
            .actor(host.name())
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(health)
            .clock(self.clock.clone())
            .takeover_after(Duration::from_secs(10))
            .poll_every(Duration::from_secs(poll))
            .build()
            .expect("a rotator")
    }

    fn record(&self) -> KeyRecord {
        self.store.record(&key(CHARGES)).expect("a record")
    }

    /// What the first host does, until its end or its death.
    async fn play(&self, rotator: &HostRotator) -> Result<(), RotationError> {
        match self.scenario {
            Scenario::Provision
            | Scenario::Rotate
            | Scenario::GateFails
            | Scenario::Suspend
            | Scenario::GateFailsWhileSuspended => self.finish(rotator, "rotate").await,
            Scenario::AbortWhileSuspended => self.abort_at(rotator, switched_off).await,
            Scenario::ReactivateWhileSuspended => {
                self.step_until(rotator, switched_off).await?;
                rotator.reactivate(&key(CHARGES), "still needed").await?;
                self.finish(rotator, "rotate").await
            }
            Scenario::OldDiesOnTheWayBack => {
                self.step_until(rotator, |p| matches!(p, RunPhase::Soaking { .. })).await?;
                let old = self.record().run().and_then(|run| run.previous).expect("an old version");
                rotator.rollback(&key(CHARGES), "errors").await?;
                self.issuer.kill(old);
                self.finish(rotator, "rotate").await
            }
            Scenario::ScopeDiffers => {
                let mut run = rotator.start_or_resume(&key(CHARGES), "rotate").await?;
                if let Step::Created { version } = run.step().await? {
                    self.issuer.change_scope(version, &support::reports().scope);
                    self.odd.set(Some(version));
                }
                self.finish(rotator, "rotate").await
            }
            Scenario::AbortBeforePublish => self.abort_at(rotator, |p| matches!(p, RunPhase::Validated { .. })).await,
            Scenario::AbortWhilePromoting => self.abort_at(rotator, |p| matches!(p, RunPhase::Promoting { .. })).await,
            Scenario::RollBack => self.abort_at(rotator, |p| matches!(p, RunPhase::Soaking { .. })).await,
            _ => self.respond(rotator).await,
        }
    }

    async fn abort_at(&self, rotator: &HostRotator, at: fn(&RunPhase) -> bool) -> Result<(), RotationError> {
        self.step_until(rotator, at).await?;
        rotator.abort(&key(CHARGES), "changed our minds").await?;
        self.finish(rotator, "abort").await
    }

    async fn step_until(&self, rotator: &HostRotator, at: fn(&RunPhase) -> bool) -> Result<(), RotationError> {
        let mut run = rotator.start_or_resume(&key(CHARGES), "rotate").await?;
        for _ in 0..100 {
            if self.record().run().is_some_and(|run| at(&run.phase)) {
                return Ok(());
            }
            if let Step::Wait { at_most, .. } = run.step().await? {
                self.clock.advance(at_most);
            }
        }
        panic!("the run does not get there");
    }

    async fn respond(&self, rotator: &HostRotator) -> Result<(), RotationError> {
        let leaked = self.leaked.expect("a leaked version");
        let report = LeakReport::of(key(CHARGES), Leaked::Version(leaked), "seen in a gist").expect("a report");
        let plain = |error| match error {
            LeakError::Rotation(error) => error,
            other => panic!("{other}"),
        };
        let mut response = LeakResponse::open(rotator, &report).await.map_err(plain)?;
        for _ in 0..300 {
            match response.step().await.map_err(plain)? {
                LeakStep::AwaitingReview(_) => return Ok(()),
                LeakStep::Wait { at_most, .. } => self.clock.advance(at_most),
                _ => {}
            }
        }
        panic!("the response does not end");
    }

    /// A run from start, or from wherever it is, to its end.
    async fn finish(&self, rotator: &HostRotator, reason: &str) -> Result<(), RotationError> {
        self.finish_key(rotator, &key(CHARGES), reason).await
    }

    async fn finish_key(&self, rotator: &HostRotator, key: &KeyId, reason: &str) -> Result<(), RotationError> {
        let mut run = rotator.start_or_resume(key, reason).await?;
        for _ in 0..300 {
            match run.step().await? {
                Step::Finished(_) => return Ok(()),
                Step::Wait { at_most, .. } => self.clock.advance(at_most),
                Step::NeedsOperator(what) => return Err(what.into()),
                _ => {}
            }
        }
        panic!("the run does not end");
    }

    async fn rotate_until(&self, rotator: &HostRotator, at: fn(&RunPhase) -> bool) {
        let mut run = rotator.start_or_resume(&key(CHARGES), "rotate").await.expect("start");
        while !self.record().run().is_some_and(|run| at(&run.phase)) {
            if let Step::Wait { at_most, .. } = run.step().await.expect("step") {
                self.clock.advance(at_most);
            }
        }
    }

    /// Resumers take turns, a step each, until nothing is left to do; then the world is clean.
    async fn settle(&self, case: &str, resumers: &[HostRotator]) {
        for _ in 0..120 {
            let mut busy = false;
            for rotator in resumers {
                busy |= self.take_turn(case, rotator).await;
                self.check(case);
            }
            if !busy && self.record().run().is_none() {
                return self.clean_up(case, &resumers[0]).await;
            }
        }
        panic!("{case}: not steady after 120 turns: {:?}", self.record().run());
    }

    /// A few steps of whatever is under way. False when there is nothing to do.
    async fn take_turn(&self, case: &str, rotator: &HostRotator) -> bool {
        let record = self.record();
        let open = record.incidents().iter().find(|i| i.state != IncidentState::AwaitingReview);
        if let Some(incident) = open {
            let mut response =
                LeakResponse::resume(rotator, record.id(), incident.id).await.unwrap_or_else(|e| panic!("{case}: {e}"));
            for _ in 0..4 {
                match response.step().await {
                    Ok(LeakStep::Wait { at_most, .. }) => self.clock.advance(at_most),
                    Ok(LeakStep::AwaitingReview(_)) => break,
                    Ok(_) => {}
                    Err(LeakError::Rotation(error)) => self.tolerate(case, &error),
                    Err(error) => panic!("{case}: {error}"),
                }
            }
            return true;
        }
        let leak_unreported = self.leaked.is_some_and(|v| record.version(v).is_some_and(|v| v.compromised.is_none()));
        if leak_unreported {
            self.respond(rotator).await.unwrap_or_else(|e| panic!("{case}: {e}"));
            return true;
        }
        if record.run().is_none() && record.primary().is_some() {
            return false;
        }
        let mut run = match rotator.start_or_resume(record.id(), "resume").await {
            Ok(run) => run,
            Err(error) => panic!("{case}: {error}"),
        };
        // Long enough for validations in a row, short enough to interleave with the other host.
        for _ in 0..5 {
            match run.step().await {
                Ok(Step::Wait { at_most, .. }) => self.clock.advance(at_most),
                Ok(Step::Finished(_)) => break,
                Ok(Step::NeedsOperator(what)) => panic!("{case}: {what}"),
                Ok(_) => {}
                Err(error) => self.tolerate(case, &error),
            }
            self.check(case);
        }
        true
    }

    fn tolerate(&self, case: &str, error: &RotationError) {
        match error {
            RotationError::Backend(error) if error.retry() != Retry::No => {}
            // The other host ended the run between our look and our step.
            RotationError::Refused(_) | RotationError::RunVanished { .. } => {}
            other => panic!("{case}: {other}"),
        }
    }

    /// Sweeps until every given-up version is dead, which takes the zombie horizon at most.
    async fn clean_up(&self, case: &str, rotator: &HostRotator) {
        for _ in 0..4 {
            let swept = rotator.sweep(&key(CHARGES), "daily").await.unwrap_or_else(|e| panic!("{case}: {e}"));
            if swept.pending.is_empty() {
                break;
            }
            self.clock.advance(Duration::from_secs(3_600));
        }
        self.check(case);
        let record = self.record();
        let primary = record.primary().unwrap_or_else(|| panic!("{case}: no primary")).id;
        // I12: the keys at the issuer are exactly the ones the record says work.
        assert_eq!(self.issuer.working(record.id()), vec![primary], "{case}: keys at the issuer");
        let alive: Vec<_> = record.versions().iter().filter(|v| v.state.may_work()).map(|v| v.id).collect();
        assert_eq!(alive, vec![primary], "{case}: versions of the record");
        let survey = self.store.survey(&cx(), &record.target()).await.expect("survey");
        assert!(survey.versions.contains(&primary), "{case}: the primary has no material");
        assert!(matches!(survey.pointer.shows, Shows::Ours { version, .. } if version == primary), "{case}: pointer");
        assert!(record.incidents().iter().all(|i| i.state == IncidentState::AwaitingReview), "{case}: incidents");
        // I15: a reader of the library gets the primary and nothing else.
        let keys = Keyring::builder(self.store.clone())
            .environment(Environment::Production)
            .service("billing-api")
            .clock(self.clock.clone())
            .require("payments/stripe-charges")
            .load()
            .await
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        let handle = keys.handle("payments/stripe-charges").expect("a handle");
        assert_eq!(handle.live().expect("live").version(), primary, "{case}: reader");
        after::check(case, &self.store);
        rotator.sweep(&key(CHARGES), "again").await.unwrap_or_else(|e| panic!("{case}: {e}"));
        after::doing_it_again_changes_nothing(case, &record, &self.store);
    }

    /// What holds at every moment, whatever has failed.
    fn check(&self, case: &str) {
        let id = key(CHARGES);
        let record = self.record();
        // I3, I4, I6, I8 as far as a store can see them.
        assert_eq!(self.store.misuse(), vec![], "{case}");
        // I11
        for (version, creates) in self.issuer.all_creates() {
            assert!(creates <= 1, "{case}: version {version} was created {creates} times");
        }
        // I13: a key of another record is never touched.
        assert_eq!(self.issuer.live(&key(support::REPORTS)), self.bystanders, "{case}: a bystander was touched");
        // I14: another scope is a failed validation.
        let odd = self.odd.get().and_then(|odd| record.version(odd));
        assert!(odd.is_none_or(|odd| odd.proof.is_none()), "{case}: another scope passed validation");
        self.check_revisions(case);
        let pointer = block_on(self.store.pointer(&cx(), &record.target())).expect("pointer").shows;
        let Shows::Ours { version, publication } = pointer else { return };
        // I3: published, so journalled and proven.
        assert_eq!(record.publication(publication), Some(version), "{case}: an unjournalled publication");
        let shown = record.version(version).unwrap_or_else(|| panic!("{case}: an unknown version is shown"));
        assert!(shown.proof.is_some(), "{case}: an unproven version is shown");
        // I2: what is shown is what was staged for it.
        let found = block_on(self.store.read_one(&cx(), &record.target(), Select::Current));
        let Ok(keyward::core::Read::Found { material, .. }) = found else { panic!("{case}: nothing to read") };
        if shown.compromised.is_some() {
            return;
        }
        // I5: what native readers are shown works, but for a leak.
        assert!(self.issuer.live(&id).contains(&version), "{case}: a dead version is shown");
        assert!(self.issuer.accepts(&material), "{case}: the shown material is refused");
    }

    /// What holds from each revision to the next: I1, I4, I6, I7, I8.
    fn check_revisions(&self, case: &str) {
        let last = self.record().revision();
        let seen = usize::try_from(self.checked.replace(last)).expect("few revisions");
        if u64::try_from(seen) == Ok(last) {
            return;
        }
        let revisions = self.store.revisions(&key(CHARGES));
        let mut ended = self.ended.borrow_mut();
        for pair in revisions[seen.saturating_sub(1)..].windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            assert_eq!(after.revision(), before.revision() + 1, "{case}: I8");
            let primaries = after.versions().iter().filter(|v| v.state == VersionState::Primary).count();
            assert!(primaries <= 1, "{case}: I1");
            for old in before.versions() {
                let new = after.version(old.id).unwrap_or_else(|| panic!("{case}: a version was lost"));
                let back = new.state < old.state;
                let rolled_back = old.state == VersionState::Overlap && new.state == VersionState::Primary;
                let switched_on = old.state == VersionState::Suspended && new.state == VersionState::Overlap;
                let hunted_again = old.state == VersionState::Revoked && new.state == VersionState::RevokePending;
                assert!(
                    !back || rolled_back || switched_on || hunted_again,
                    "{case}: I7 {:?} to {:?}",
                    old.state,
                    new.state
                );
                if old.state >= VersionState::RevokePending {
                    ended.insert(old.id);
                }
            }
            assert!(after.primary().is_none_or(|p| !ended.contains(&p.id)), "{case}: I4");
        }
    }
}
