//! Bringing in a key that exists: whole or not at all, also when the importer dies half-way.

#[path = "interleaving/dice.rs"]
mod dice;
mod support;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dice::Dice;

use futures_lite::future::block_on;
use keyward::InventoryKey;
use keyward::core::{ManualClock, Material, NewKey, Read, RunOutcome, SecretBackendExt, SecretValue, Select, Shows};
use keyward::inventory::{Inventory, InventoryError};
use keyward::leak::fingerprint;
use keyward::rotation::{NeedsOperator, RotationError, Rotator};
use keyward_conformance::strict::{FakeIssuer, Fault, FaultPlan, Faulty, Host, StrictFake, run_on_clock};
use support::{CHARGES, charges, cx, key, load};

struct World {
    store: StrictFake,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { store: StrictFake::with_clock(clock.clone()), clock }
    }

    fn inventory(&self, host: &Host) -> Inventory<Faulty<StrictFake>> {
        Inventory::new(host.wrap(self.store.clone())).actor("ada").clock(self.clock.clone())
    }

    /// What readers and native readers get agrees, and is one of the two values.
    async fn serves(&self) -> SecretValue {
        let record = load(&self.store, &key(CHARGES)).await;
        let primary = record.primary().expect("a primary").id;
        let shows = keyward::core::SecretBackend::pointer(&self.store, &cx(), &record.target()).await.expect("pointer");
        assert!(matches!(shows.shows, Shows::Ours { version, .. } if version == primary));
        match self.store.read_one(&cx(), &record.target(), Select::Version(primary)).await.expect("read") {
            Read::Found { material, .. } => material.value().expect("one value").duplicate(),
            Read::Unchanged => panic!("unchanged"),
        }
    }
}

fn value(text: &str) -> NewKey {
    NewKey::new(Material::one(SecretValue::from(text)).expect("material"))
}

#[test]
fn an_imported_key_serves_with_the_value_it_had() {
    block_on(async {
        let world = World::new();
        let inventory = world.inventory(&Host::steady("a"));
        let record = inventory.import(charges(), value("old-place"), "moved").await.expect("import");
        assert!(record.run().is_none() && record.primary().is_some());
        let proof = record.primary().expect("a primary").proof.clone().expect("a proof");
        assert!(proof.evidence.as_str().contains("ada says that it works"), "{}", proof.evidence);
        assert!(world.serves().await.ct_eq(&SecretValue::from("old-place")), "the value");
        let again = inventory.import(charges(), value("other"), "moved").await.expect_err("taken");
        assert!(matches!(again, InventoryError::AlreadyRegistered { .. }), "{again}");
    });
}

#[test]
fn an_imported_key_without_a_reference_is_replaced_and_a_person_signs_for_its_death() {
    block_on(async {
        let world = World::new();
        let old =
            world.inventory(&Host::steady("a")).import(charges(), value("old-place"), "moved").await.expect("import");
        let old = old.primary().expect("a primary").id;
        // The issuer has never heard of it: "absent" must not count as dead.
        let rotator = Rotator::builder(world.store.clone())
            .issuer("acme", FakeIssuer::default())
            .health(support::HEALTHY)
            .clock(world.clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first rotation").await.expect("start");
        let asked = support::finish(&mut run, &world.clock).await.expect_err("asks");
        assert!(matches!(asked, RotationError::NeedsOperator(NeedsOperator::RevokeByHand { .. })), "{asked}");
        rotator.attest_revoked(&key(CHARGES), old, "deleted in the dashboard").await.expect("attest");
        let report = support::finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!(report.outcome, RunOutcome::Completed);
        let record = load(&world.store, &key(CHARGES)).await;
        let death = record.version(old).expect("kept").death.clone().expect("a death");
        assert!(death.as_str().starts_with("attested by"), "{death}");
    });
}

#[test]
fn an_imported_key_has_a_fingerprint_when_the_inventory_has_a_key() {
    block_on(async {
        let world = World::new();
        let inventory = world.inventory(&Host::steady("a")).inventory_key(InventoryKey::from_bytes(&[7; 32]));
        let record = inventory.import(charges(), value("old-place"), "moved").await.expect("import");
        let material = Material::one(SecretValue::from("old-place")).expect("material");
        let expected = fingerprint(&InventoryKey::from_bytes(&[7; 32]), &material);
        assert_eq!(record.primary().expect("a primary").fingerprint, Some(expected));
    });
}

#[test]
fn an_import_that_died_anywhere_is_completed_by_importing_the_same_value_again() {
    let mut cases = 0;
    for_each_death(
        |world, case| async move {
            let retry = world.inventory(&Host::steady("again"));
            match retry.import(charges(), value("the-value"), "moved").await {
                Ok(_) | Err(InventoryError::AlreadyRegistered { .. }) => {}
                Err(error) => panic!("{case}: {error}"),
            }
            assert!(world.serves().await.ct_eq(&SecretValue::from("the-value")), "{case}: the value");
        },
        &mut cases,
    );
    assert!(cases > 30, "only {cases} deaths");
}

#[test]
fn another_value_imported_after_a_death_is_taken_whole_or_refused() {
    let mut cases = 0;
    for_each_death(
        |world, case| async move {
            let retry = world.inventory(&Host::steady("again"));
            let expected = match retry.import(charges(), value("another"), "moved").await {
                Ok(_) => "another",
                Err(InventoryError::AlreadyRegistered { .. }) => "the-value",
                Err(error) => panic!("{case}: {error}"),
            };
            assert!(
                world.serves().await.ct_eq(&SecretValue::from(expected)),
                "{case}: the answer and the store differ"
            );
        },
        &mut cases,
    );
    assert!(cases > 30, "only {cases} deaths");
}

/// Imports `the-value` and dies at every call in every way, then hands the world over.
fn for_each_death<F: Future<Output = ()>>(then: impl Fn(World, String) -> F, cases: &mut u32) {
    let counted = Host::steady("counting");
    block_on(World::new().inventory(&counted).import(charges(), value("the-value"), "moved")).expect("no fault");
    for call in 0..counted.calls() {
        for fault in Fault::CRASHES {
            let (world, case) = (World::new(), format!("call {call}, {fault:?}"));
            let host = Host::new("a", FaultPlan::none().at(call, fault));
            let import = world.inventory(&host);
            let died = run_on_clock(&host, &world.clock, import.import(charges(), value("the-value"), "moved"));
            assert!(died.is_none() || fault == Fault::LostReply, "{case}: it did not die");
            // Going on means to wait until the dead host's turn is over.
            let (clock, alive) = (world.clock.clone(), Host::steady("clock"));
            run_on_clock(&alive, &clock, then(world, case)).expect("alive");
            *cases += 1;
        }
    }
}

#[test]
fn a_value_of_another_shape_is_refused_before_anything_is_registered() {
    block_on(async {
        let world = World::new();
        let inventory = world.inventory(&Host::steady("a"));
        let fields = Material::fields([("id".parse().expect("a name"), SecretValue::from("x"))]).expect("material");
        let refused = inventory.import(charges(), NewKey::new(fields), "moved").await.expect_err("another shape");
        assert!(matches!(refused, InventoryError::Shape { .. }), "{refused}");
        assert!(world.store.record(&key(CHARGES)).is_none(), "something was registered");
    });
}

#[test]
fn two_hosts_that_import_the_same_value_at_once_both_succeed() {
    for seed in 0..200 {
        let world = World::new();
        let (a, b) = (Host::steady("a"), Host::steady("b"));
        let imports = [world.inventory(&a), world.inventory(&b)];
        let mut lives: Vec<_> = imports.iter().map(|i| Box::pin(i.import(charges(), value("one"), "moved"))).collect();
        let (mut dice, mut done) = (Dice::new(seed), 0);
        for _ in 0..5_000 {
            if lives.is_empty() {
                break;
            }
            // Both sleep on the clock now and then.
            if dice.one_in(20) {
                world.clock.advance(Duration::from_millis(500));
            }
            let at = dice.below(lives.len());
            if let Poll::Ready(answer) = lives[at].as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                answer.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                drop(lives.swap_remove(at));
                done += 1;
            }
        }
        assert_eq!(done, 2, "seed {seed}: an import hangs");
        assert!(block_on(world.serves()).ct_eq(&SecretValue::from("one")), "seed {seed}: the value");
    }
}
