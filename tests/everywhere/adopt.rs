//! Existing secrets come under management where they lie, value and readers undisturbed.

use keyward::core::{
    DiscoverQuery, Existing, KeyDraft, Location, Ownership, RunOutcome, SecretBackend, SecretBackendExt, Select, Shows,
};
use keyward::inventory::{AdoptionOutcome, Inventory, InventoryError};
use keyward_conformance::strict::{Fault, FaultPlan, Host};
use serde_json::{Value, json};

use crate::raw::Raw;
use crate::stores::{Kind, Store};
use crate::support::{self, CHARGES, HEALTHY, charges, cx, key};
use crate::world::World;

const OLD: &str = "sk_live_from_before";

/// A secret of somebody else: one text on AWS; on Vault a map of which one field is the key.
fn legacy(store: &Store) -> (Value, Option<&'static str>) {
    match &store.kind {
        Kind::Vault { .. } => (json!({"api_key": OLD, "owner": "ada", "port": 8443}), Some("api_key")),
        _ => (json!(OLD), None),
    }
}

fn inventory(world: &World) -> Inventory<std::sync::Arc<dyn SecretBackend>> {
    Inventory::new(world.store.backend.clone()).actor("ada").clock(world.clock.clone())
}

pub(crate) async fn an_existing_secret_is_adopted_rotated_and_undisturbed(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (path, (value, field)) = (raw.legacy("stripe"), legacy(&world.store));
    raw.put(&path, &value).await;
    let before = raw.get(&path).await.expect("there");

    let draft = charges().location(raw.location(&path, field));
    let record = inventory(&world).adopt(draft.clone(), None, "brownfield").await.expect("adopt");
    let old = record.primary().expect("a primary").id;
    assert!(record.run().is_none());
    assert_eq!(raw.get(&path).await.expect("there"), before, "value, siblings and version are as they were");
    let keys = world.keyring().await.expect("keys");
    let handle = keys.handle("payments/stripe-charges").expect("a handle");
    assert_eq!(handle.live().expect("live").expose_str().expect("text"), OLD, "the library serves it");
    let again = inventory(&world).adopt(draft, None, "twice").await;
    assert!(matches!(again, Err(InventoryError::AlreadyRegistered { .. })), "{again:?}");

    // The first rotation goes through the whole playbook, to the probe that sees the old key refused.
    let rotator = world.rotator(&Host::steady("a"), HEALTHY);
    let report = world.finish(&rotator, "first rotation").await.expect("rotate");
    assert_eq!((report.outcome, report.from), (RunOutcome::Completed, Some(old)));

    let after = raw.get(&path).await.expect("there");
    assert_ne!(after.mark, before.mark, "a new version, where it always lay");
    let shown = field.map_or(&after.value, |field| &after.value[field]);
    keys.refresh().await;
    let live = handle.live().expect("live");
    assert_eq!(shown.as_str(), Some(live.expose_str().expect("text")), "native readers and ours agree");
    assert_ne!(shown.as_str(), Some(OLD));
    if field.is_some() {
        assert_eq!((&after.value["owner"], &after.value["port"]), (&json!("ada"), &json!(8443)), "siblings stay");
        assert_eq!(after.value.as_object().map(serde_json::Map::len), Some(3), "none of our fields");
    }
    world.settle("adopted and rotated").await;
    // It was used since: not an adoption any more.
    let release = inventory(&world).release(&key(CHARGES), "too late").await;
    assert!(matches!(release, Err(InventoryError::Refused { .. })), "{release:?}");
}

pub(crate) async fn an_adoption_is_shown_first_and_taken_back(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (path, (value, field)) = (raw.legacy("stripe"), legacy(&world.store));
    raw.put(&path, &value).await;
    let before = raw.get(&path).await.expect("there");
    let location = raw.location(&path, field);
    let (inventory, draft) = (inventory(&world), charges().location(location.clone()));

    let existing = inventory.inspect(&location).await.expect("inspect");
    assert_eq!((existing.managed_by, existing.obstacles), (None, vec![]));
    let query = DiscoverQuery::all().prefix(&raw.legacy(""));
    let plan = inventory.plan_adoption(&query, |_| Some(draft.clone())).await.expect("a plan");
    assert!(matches!(plan.rows[..], [ref row] if matches!(row.outcome, AdoptionOutcome::Ready)), "{plan}");
    let unread = inventory.get(&key(CHARGES)).await;
    assert!(matches!(unread, Err(InventoryError::NotRegistered { .. })), "a plan writes nothing: {unread:?}");

    for round in 0..2 {
        inventory.adopt(draft.clone(), None, "brownfield").await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        let other = support::reports().location(location.clone());
        let taken = inventory.adopt(other, None, "somebody else").await.expect_err("managed");
        assert!(matches!(&taken, InventoryError::NotAdoptable { managed_by: Some(by), .. } if *by == key(CHARGES)));
        assert!(!format!("{taken}{taken:?}").contains(OLD));

        let record = inventory.release(&key(CHARGES), "the wrong secret").await.expect("release");
        assert!(record.primary().is_none() && record.versions().is_empty());
        inventory.release(&key(CHARGES), "again").await.expect("repeating is safe");
        let target = record.target();
        let pointer = world.store.backend.pointer(&cx(), &target).await.expect("pointer");
        assert_eq!(pointer.shows, Shows::Foreign, "what lies there is nobody's here");
        let read = world.store.backend.read_one(&cx(), &target, Select::Current).await;
        assert!(read.is_err(), "and is not served");
        assert_eq!(inventory.inspect(&location).await.expect("inspect").managed_by, None);
        assert_eq!(raw.get(&path).await.expect("there"), before, "round {round}: as it was");
    }
    // The record can be retired; the secret is not ours to delete.
    inventory.retire(&key(CHARGES), "never mind").await.expect("retire");
    assert_eq!(raw.get(&path).await.expect("there"), before, "a retired record leaves the secret alone");
}

pub(crate) async fn many_are_adopted_with_a_report(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (value, field) = legacy(&world.store);
    let names = ["alpha", "beta", "gamma", "deleted", "unwanted"];
    for name in names {
        raw.put(&raw.legacy(name), &value).await;
    }
    raw.delete(&raw.legacy("deleted")).await;
    let of = |name: &str| -> KeyDraft { named_draft(&format!("production/payments/{name}")) };
    let named = |found: &Existing| match &found.location {
        Location::AwsSecret { name } => name.to_string(),
        Location::VaultPath { path, .. } => path.to_string(),
        other => panic!("{other:?}"),
    };
    let draft = |found: &Existing| {
        let path = named(found);
        let name = path.rsplit('/').next().filter(|name| *name != "unwanted")?;
        Some(of(name).location(raw.location(&path, field)))
    };
    let (inventory, query) = (inventory(&world), DiscoverQuery::all().prefix(&raw.legacy("")));
    let plan = inventory.plan_adoption(&query, draft).await.expect("a plan");
    let ready = plan.rows.iter().filter(|row| matches!(row.outcome, AdoptionOutcome::Ready)).count();
    assert_eq!(ready, 3, "{plan}");

    let report = inventory.adopt_all(&query, "wave 1", draft).await.expect("a report");
    assert_eq!(report.adopted(), 3, "{report}");
    assert!(report.rows.iter().any(|row| matches!(row.outcome, AdoptionOutcome::Skipped)), "{report}");
    // A store may leave out what is scheduled for deletion; where it is listed, it says why not.
    for failed in report.failed() {
        assert!(failed.key.as_ref().is_none_or(|key| key.name().as_str() == "deleted"), "{report}");
    }
    assert!(!format!("{report}{report:?}").contains(OLD), "no value in a report");
    for name in ["alpha", "beta", "gamma"] {
        let record = inventory.get(&of(name).id).await.expect("registered");
        assert!(record.primary().is_some(), "{name} serves");
    }
    let again = inventory.adopt_all(&query, "wave 1 again", draft).await.expect("a report");
    let managed = again.rows.iter().filter(|row| matches!(row.outcome, AdoptionOutcome::Managed(_))).count();
    assert_eq!((again.adopted(), managed), (0, 3), "{again}");
}

pub(crate) async fn a_death_at_every_call_of_an_adoption_is_finished_by_adopting_again(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (value, field) = legacy(&world.store);
    let inventory_on =
        |host: &Host| Inventory::new(host.wrap(world.store.backend.clone())).actor("ada").clock(world.clock.clone());
    let draft = |n: usize| {
        named_draft(&format!("production/payments/adopted-{n}"))
            .location(raw.location(&raw.legacy(&format!("n{n}")), field))
    };
    raw.put(&raw.legacy("n0"), &value).await;
    let counting = Host::steady("counting");
    inventory_on(&counting).adopt(draft(0), None, "count").await.expect("no fault, no error");
    let mut case = 0;
    for call in 0..counting.calls() {
        for fault in Fault::CRASHES {
            case += 1;
            let path = raw.legacy(&format!("n{case}"));
            raw.put(&path, &value).await;
            let before = raw.get(&path).await;
            let host = Host::new("a", FaultPlan::none().at(call, fault));
            world.until_death(&host, inventory_on(&host).adopt(draft(case), None, "first")).await;
            world.clock.advance(std::time::Duration::from_secs(600));
            let again = inventory_on(&Host::steady("b"));
            match world.until_death(&Host::steady("b"), again.adopt(draft(case), None, "again")).await {
                Some(Ok(_) | Err(InventoryError::AlreadyRegistered { .. })) => {}
                other => panic!("call {call}, {fault:?}: {other:?}"),
            }
            let record = again.get(&draft(case).id).await.expect("registered");
            let primary = record.primary().unwrap_or_else(|| panic!("call {call}, {fault:?}: no primary")).id;
            let pointer = world.store.backend.pointer(&cx(), &record.target()).await.expect("pointer");
            assert!(
                matches!(pointer.shows, Shows::Ours { version, .. } if version == primary),
                "call {call}, {fault:?}: {:?}",
                pointer.shows
            );
            assert_eq!(raw.get(&path).await, before, "call {call}, {fault:?}: undisturbed");
        }
    }
    assert!(case > 15, "only {case} cases");
}

/// A first adoption that went to the wrong place costs nothing: the same key goes to the right one.
pub(crate) async fn a_wrong_first_adoption_is_put_right(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (inventory, (value, field)) = (inventory(&world), legacy(&world.store));
    let (wrong, right) = (raw.legacy("wrong"), raw.legacy("right"));
    raw.put(&wrong, &value).await;
    raw.put(&right, &value).await;
    let at = |path: &str, field| charges().location(raw.location(path, field));
    if field.is_some() {
        // A whole path of fields is not one value: nothing is written, not even the record.
        let refused = inventory.adopt(at(&right, None), None, "no field named").await;
        assert!(
            matches!(refused, Err(InventoryError::Shape { .. } | InventoryError::NotAdoptable { .. })),
            "{refused:?}"
        );
        assert!(matches!(inventory.get(&key(CHARGES)).await, Err(InventoryError::NotRegistered { .. })));
    }
    inventory.adopt(at(&wrong, field), None, "the wrong one").await.expect("adopt");
    let moved = inventory.adopt(at(&right, field), None, "not while it has a version").await;
    assert!(matches!(moved, Err(InventoryError::AlreadyRegistered { .. })), "{moved:?}");
    inventory.release(&key(CHARGES), "the wrong one").await.expect("release");
    let mut said = at(&right, field);
    said.ownership = Ownership::new("growth", "alan@example.com", "ada@example.com", "#growth").expect("owners");
    let plan = inventory.plan_adoption(&DiscoverQuery::all().prefix(&right), |_| Some(said.clone())).await;
    assert!(plan.as_ref().is_ok_and(|plan| matches!(plan.rows[0].outcome, AdoptionOutcome::Ready)), "{plan:?}");
    let record = inventory.adopt(said.clone(), None, "the right one").await.expect("adopt");
    assert_eq!((record.location(), record.primary().is_some()), (&raw.location(&right, field), true));
    assert_eq!(record.ownership(), &said.ownership, "the draft is followed in everything");
    assert!(record.notes().iter().any(|note| note.text.as_str().contains(&wrong)), "and where it lay is noted");
    // What a plan says is what adopting does: the key has its place now.
    let elsewhere = inventory.plan_adoption(&DiscoverQuery::all().prefix(&wrong), |_| Some(at(&wrong, field))).await;
    let outcome = &elsewhere.as_ref().expect("a plan").rows[0].outcome;
    assert!(matches!(outcome, AdoptionOutcome::Failed(InventoryError::AlreadyRegistered { .. })), "{elsewhere:?}");
    let left = inventory.inspect(&raw.location(&wrong, field)).await.expect("inspect");
    assert_eq!(left.managed_by, None, "nothing is left at the wrong one");
}

/// On Vault each field of a path may be a key of its own; a plan looks at the field, not at the path.
pub(crate) async fn a_second_field_of_a_path_is_planned_for_itself(store: Store) {
    let world = World::bare(store);
    let raw = Raw(&world.store);
    let (inventory, path) = (inventory(&world), raw.legacy("pair"));
    raw.put(&path, &json!({"live": OLD, "test": "sk_test_from_before", "plain": "x"})).await;
    inventory.adopt(charges().location(raw.location(&path, Some("live"))), None, "first").await.expect("adopt");
    let query = DiscoverQuery::all().prefix(&raw.legacy(""));
    let second = named_draft("production/payments/second").location(raw.location(&path, Some("test")));
    let plan = inventory.plan_adoption(&query, |_| Some(second.clone())).await.expect("a plan");
    assert!(matches!(plan.rows[..], [ref row] if matches!(row.outcome, AdoptionOutcome::Ready)), "{plan}");
    let done = inventory.adopt_all(&query, "second", |_| Some(second.clone())).await.expect("a report");
    assert_eq!(done.adopted(), 1, "{done}");
}

/// A draft like the usual one, under another name.
fn named_draft(name: &str) -> KeyDraft {
    let mut draft = charges();
    draft.id = name.parse().expect("an id");
    draft
}
