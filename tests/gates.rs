//! Usage and adoption: asked before the old key is switched off, and again before it is revoked.

#[path = "support/facets.rs"]
mod facets;
mod support;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use facets::{Facets, Ledger};
use futures_lite::future::block_on;
use keyward::core::{
    Adoption, Clock, Context, Error, ErrorKind, KeyId, LastUse, ManualClock, Operation, Result, RunOutcome,
    UsageSignal, VersionId, async_trait,
};
use keyward::rotation::{NeedsOperator, RotationError, Rotator, RotatorBuilder, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, StrictFake};
use support::{CHARGES, HEALTHY, charges, finish, key, load, register, until};

/// Says what it is told to say.
#[derive(Clone, Debug, Default)]
struct Used(Arc<Mutex<Option<LastUse>>>);

impl Used {
    fn set(&self, last: LastUse) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

#[async_trait]
impl UsageSignal for Used {
    async fn last_use(&self, _: &Context, key: &KeyId, _: VersionId) -> Result<LastUse> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.ok_or_else(|| Error::new(ErrorKind::Denied, Operation::Signal, "test").with_key(key))
    }
}

struct World {
    clock: Arc<ManualClock>,
    store: Facets,
    issuer: FakeIssuer,
}

impl World {
    async fn new(issuer: FakeIssuer) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Facets::of(StrictFake::with_clock(clock.clone()));
        register(&store, &clock, charges()).await;
        let world = Self { clock, store, issuer };
        let rotator = world.builder().build().expect("a rotator");
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock)
            .await
            .expect("a key");
        world
    }

    fn builder(&self) -> RotatorBuilder<Facets> {
        Rotator::builder(self.store.clone())
            .actor("rotator")
            .issuer("acme", self.issuer.clone())
            .validator("acme", FakeValidator::new(&self.issuer))
            .health(HEALTHY)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(3_600))
    }

    fn seen(&self, instance: &str, version: VersionId) -> Adoption {
        let service = "billing-api".parse().expect("a service");
        Adoption { service, instance: instance.to_owned(), version, seen_at: self.clock.now() }
    }

    async fn primary(&self) -> VersionId {
        load(&self.store, &key(CHARGES)).await.primary().expect("a primary").id
    }

    fn days(&self, days: i64) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::days(days)
    }
}

fn stuck(error: &RotationError, says: &str) {
    let RotationError::NeedsOperator(NeedsOperator::GateInsufficient { why, .. }) = error else { panic!("{error}") };
    assert!(why.contains(says), "{why}");
}

#[test]
fn an_old_key_in_use_is_not_given_up_and_the_new_one_is_not_taken_back() {
    block_on(async {
        let (world, used) = (World::new(FakeIssuer::default()).await, Used::default());
        let rotator = world.builder().usage(used.clone()).build().expect("a rotator");
        let last = world.days(7);
        used.set(LastUse::At(last));
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        let held = finish(&mut run, &world.clock).await.expect_err("it is used");
        stuck(&held, &format!("usage: the old version was last used at {last}"));
        // Silent since: half the overlap is enough.
        world.clock.advance(Duration::from_secs(86_400));
        let report = finish(&mut run, &world.clock).await.expect("rotate");
        assert_eq!(report.outcome, RunOutcome::Completed);
        assert!(report.evidence.iter().any(|e| e.starts_with("usage gate passed")), "{:?}", report.evidence);
    });
}

#[test]
fn a_signal_that_fails_or_cannot_say_is_no_silence() {
    block_on(async {
        let (world, used) = (World::new(FakeIssuer::default()).await, Used::default());
        let rotator = world.builder().usage(used.clone()).build().expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        stuck(&finish(&mut run, &world.clock).await.expect_err("denied"), "usage: the signal failed: denied");
        used.set(LastUse::Unknown);
        stuck(&finish(&mut run, &world.clock).await.expect_err("unknown"), "cannot say");
        rotator.override_gate(&key(CHARGES), "no call with it in the access log of a week").await.expect("override");
        let report = finish(&mut run, &world.clock).await.expect("rotate");
        let said = report.evidence.join("\n");
        assert!(said.contains("override by rotator: no call with it in the access log of a week"), "{said}");
    });
}

#[test]
fn without_signals_the_history_says_that_nobody_looked() {
    block_on(async {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        register(&store, &clock, charges()).await;
        let rotator = support::builder(store, &clock).health(HEALTHY).build().expect("a rotator");
        let mut last = None;
        for reason in ["first key", "quarterly"] {
            let mut run = rotator.start(&key(CHARGES), reason).await.expect("start");
            last = Some(finish(&mut run, &clock).await.expect("rotate"));
        }
        let said = last.expect("a report").evidence.join("\n");
        assert!(said.contains("not looked at, for want of a signal: usage and adoption"), "{said}");
    });
}

#[test]
fn the_ledger_of_the_store_is_asked_and_a_consumer_behind_holds_the_run_back() {
    block_on(async {
        let world = World::new(FakeIssuer::default()).await;
        let (rotator, old) = (world.builder().build().expect("a rotator"), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary().await;
        for _ in 0..200 {
            world.store.ledger.set([world.seen("a", new), world.seen("b", old)]);
            let step = run.step().await.expect("a step");
            let Step::Wait { at_most, why } = step else {
                let Step::NeedsOperator(NeedsOperator::GateInsufficient { why, .. }) = step else { panic!("{step}") };
                assert!(why.contains("adoption: 1 of 2 consumers") && why.contains("billing-api (b)"), "{why}");
                break;
            };
            assert!(!why.contains("passed"), "{why}");
            world.clock.advance(at_most);
        }
        world.store.ledger.set([world.seen("a", new), world.seen("b", new)]);
        let report = finish(&mut run, &world.clock).await.expect("rotate");
        let said = report.evidence.join("\n");
        assert!(said.contains("adoption gate passed: all 2 known consumers use the new version"), "{said}");
    });
}

#[test]
fn a_registered_signal_is_asked_in_place_of_the_ledger() {
    block_on(async {
        let (world, fleet) = (World::new(FakeIssuer::default()).await, Ledger::default());
        let (rotator, old) =
            (world.builder().adoption(fleet.clone()).build().expect("a rotator"), world.primary().await);
        let mut behind = world.seen("a", old);
        behind.seen_at = world.days(30);
        fleet.set([behind]);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        stuck(&finish(&mut run, &world.clock).await.expect_err("behind"), "adoption: 1 of 1 consumers");
    });
}

#[test]
fn the_gates_are_asked_again_before_the_old_key_is_revoked() {
    block_on(async {
        let world = World::new(FakeIssuer::reversible()).await;
        let (rotator, old) = (world.builder().build().expect("a rotator"), world.primary().await);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::SwitchedOff { .. })).await;
        // Somebody turns up late, with the old key.
        let mut late = world.seen("late", old);
        late.seen_at = world.days(1);
        world.store.ledger.set([late]);
        let held = std::cell::Cell::new(false);
        until(&mut run, &world.clock, |step| {
            held.set(held.get() || step.to_string().contains("adoption: 1 of 1 consumers"));
            matches!(step, Step::Retiring { .. })
        })
        .await;
        assert!(held.get(), "nobody asked");
    });
}

#[test]
fn who_uses_the_old_key_while_it_is_off_gets_it_back() {
    block_on(async {
        let (world, used) = (World::new(FakeIssuer::reversible()).await, Used::default());
        used.set(LastUse::Never);
        let rotator = world.builder().usage(used.clone()).build().expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::SwitchedOff { .. })).await;
        used.set(LastUse::At(world.clock.now()));
        let step = run.step().await.expect("a step");
        assert!(matches!(step, Step::Wait { .. }), "what was used before it was off is no scream: {step}");
        used.set(LastUse::At(world.clock.now() + TimeDelta::seconds(1)));
        let step = run.step().await.expect("a step");
        assert!(matches!(&step, Step::Reactivated { evidence, .. } if evidence.contains("still used")), "{step}");
    });
}
