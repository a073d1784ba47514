//! Nothing blocks for ever, and a leak never waits for what ordinary runs have left behind.

mod support;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Adoption, AdoptionSignal, Context, HealthQuery, HealthReport, HealthSignal, Issue, KeyId, KeyRecord, LastUse,
    ManualClock, Material, MemoryBackend, Operation, Probe, Result, Retry, UsageSignal, Validator, VersionId,
    VersionState, async_trait,
};
use keyward::leak::{LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{RotationError, RotationRun, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Fault, FaultPlan, Host};
use support::{CHARGES, HEALTHY, charges, key, load, register};

/// Never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Validator for Silent {
    async fn probe(&self, _cx: &Context, _issue: Issue<'_>, _material: &Material) -> Result<Probe> {
        pending().await
    }
}

#[async_trait]
impl HealthSignal for Silent {
    async fn health(&self, _cx: &Context, _query: &HealthQuery) -> Result<HealthReport> {
        pending().await
    }
}

#[async_trait]
impl UsageSignal for Silent {
    async fn last_use(&self, _cx: &Context, _key: &KeyId, _version: VersionId) -> Result<LastUse> {
        pending().await
    }
}

#[async_trait]
impl AdoptionSignal for Silent {
    async fn consumers(&self, _cx: &Context, _key: &KeyId) -> Result<Vec<Adoption>> {
        pending().await
    }
}

fn world() -> (MemoryBackend, Arc<ManualClock>, FakeIssuer) {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    block_on(register(&store, &clock, charges()));
    (store, clock, FakeIssuer::default())
}

async fn step_until(
    run: &mut RotationRun<'_, MemoryBackend>,
    clock: &ManualClock,
    stop: impl Fn(&Step) -> bool,
) -> Step {
    for _ in 0..200 {
        match run.step().await {
            Ok(step) if stop(&step) => return step,
            Ok(Step::Wait { at_most, .. }) => clock.advance(at_most),
            Ok(_) => {}
            // A busy machine may be late for a deadline of milliseconds.
            Err(RotationError::Backend(error)) if error.retry() != Retry::No => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the run does not get there");
}

#[test]
fn an_issuer_that_never_answers_a_create_is_given_up_as_unknown() {
    let (store, clock, issuer) = world();
    block_on(async {
        // A host that dies at its first create: the call never returns.
        let dying = Host::new("a", FaultPlan::none().nth(Operation::Create, 0, Fault::CrashAfter));
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", dying.wrap(issuer.clone()))
            .clock(clock.clone())
            .call_limit(Duration::from_millis(50))
            .build()
            .expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        let step = run.step().await.expect("a step");
        let Step::Replanned { abandoned, .. } = step else { panic!("{step}") };
        assert_eq!(issuer.creates(abandoned), 1, "the key was made, and its reply never came");
        let record = load(&store, &key(CHARGES)).await;
        assert_eq!(record.version(abandoned).expect("kept").state, VersionState::RevokePending);
    });
}

#[test]
fn a_validator_that_never_answers_proves_nothing_and_blocks_nothing() {
    let (store, clock, issuer) = world();
    block_on(async {
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", issuer)
            .validator("acme", Silent)
            .clock(clock.clone())
            .call_limit(Duration::from_millis(20))
            .build()
            .expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        let step = step_until(&mut run, &clock, |step| matches!(step, Step::Abandoned { .. })).await;
        assert!(step.to_string().contains("the probe failed"), "{step}");
    });
}

#[test]
fn a_health_signal_that_never_answers_is_insufficient() {
    let (store, clock, issuer) = world();
    block_on(async {
        let build = || Rotator::builder(store.clone()).issuer("acme", issuer.clone()).clock(clock.clone());
        let rotator = build().build().expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        step_until(&mut run, &clock, |step| matches!(step, Step::Finished(_))).await;
        let silent = build()
            .health(Silent)
            .call_limit(Duration::from_millis(20))
            .poll_every(Duration::from_secs(86_400))
            .build()
            .expect("a rotator");
        let mut run = silent.start(&key(CHARGES), "quarterly").await.expect("start");
        let step = step_until(&mut run, &clock, |step| matches!(step, Step::NeedsOperator(_))).await;
        assert!(step.to_string().contains("the health signal failed"), "{step}");
    });
}

/// The old key is off already: the look at the store that comes next has time of its own.
#[test]
fn a_signal_of_usage_that_never_answers_keeps_nobody_from_asking_a_person() {
    let (store, clock, _) = world();
    let issuer = FakeIssuer::reversible();
    block_on(async {
        let daily = Duration::from_secs(86_400);
        let build = || Rotator::builder(store.clone()).issuer("acme", issuer.clone()).clock(clock.clone());
        let build = || build().health(HEALTHY).poll_every(daily);
        let rotator = build().build().expect("a rotator");
        for reason in ["first key", "quarterly"] {
            let mut run = rotator.start(&key(CHARGES), reason).await.expect("start");
            step_until(&mut run, &clock, |step| matches!(step, Step::Finished(_) | Step::SwitchedOff { .. })).await;
        }
        let silent = build().usage(Silent).call_limit(Duration::from_millis(20)).build().expect("a rotator");
        let mut run = silent.resume(&key(CHARGES), "quarterly").await.expect("resume");
        let step = step_until(&mut run, &clock, |step| matches!(step, Step::NeedsOperator(_))).await;
        assert!(step.to_string().contains("usage: the signal failed"), "{step}");
    });
}

#[test]
fn signals_of_usage_and_adoption_that_never_answer_are_insufficient() {
    let (store, clock, issuer) = world();
    block_on(async {
        let build = || Rotator::builder(store.clone()).issuer("acme", issuer.clone()).clock(clock.clone());
        let rotator = build().build().expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        step_until(&mut run, &clock, |step| matches!(step, Step::Finished(_))).await;
        let silent = build()
            .health(HEALTHY)
            .usage(Silent)
            .adoption(Silent)
            .call_limit(Duration::from_millis(20))
            .poll_every(Duration::from_secs(86_400))
            .build()
            .expect("a rotator");
        let mut run = silent.start(&key(CHARGES), "quarterly").await.expect("start");
        let step = step_until(&mut run, &clock, |step| matches!(step, Step::NeedsOperator(_))).await;
        let said = step.to_string();
        assert!(said.contains("usage: the signal failed") && said.contains("adoption: the signal failed"), "{said}");
    });
}

#[test]
fn a_leak_is_answered_though_ordinary_runs_have_used_every_slot_of_the_record() {
    let (store, clock, issuer) = world();
    block_on(async {
        let steady = || {
            Rotator::builder(store.clone())
                .issuer("acme", issuer.clone())
                .validator("acme", FakeValidator::new(&issuer))
                .health(HEALTHY)
                .clock(clock.clone())
                .build()
                .expect("a rotator")
        };
        let rotator = steady();
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        step_until(&mut run, &clock, |step| matches!(step, Step::Finished(_))).await;
        // Creates whose outcome stays unknown, until the record takes no more.
        let lost = Host::new("b", FaultPlan::none().always(Operation::Create, Fault::LostReply));
        let losing = Rotator::builder(store.clone())
            .issuer("acme", lost.wrap(FakeIssuer::default()))
            .clock(clock.clone())
            .build()
            .expect("a rotator");
        for _ in 0..3 {
            let Ok(mut run) = losing.start(&key(CHARGES), "quarterly").await else { break };
            while let Ok(Step::Replanned { .. } | Step::Abandoned { .. }) = run.step().await {}
            let _ = losing.abort(&key(CHARGES), "the issuer is ill").await;
        }
        let working = |record: &KeyRecord| record.versions().iter().filter(|v| v.state.may_work()).count();
        assert_eq!(working(&load(&store, &key(CHARGES)).await), KeyRecord::MAX_WORKING);
        assert!(steady().start(&key(CHARGES), "quarterly").await.is_err(), "an ordinary run is refused");

        let report = LeakReport::of(key(CHARGES), Leaked::Current, "seen in a gist").expect("a report");
        let rotator = steady();
        let mut response = LeakResponse::open(&rotator, &report).await.expect("open");
        for _ in 0..200 {
            match response.step().await.expect("a step") {
                LeakStep::AwaitingReview(_) => return,
                LeakStep::Wait { at_most, .. } => clock.advance(at_most),
                _ => {}
            }
        }
        panic!("the response does not end");
    });
}
