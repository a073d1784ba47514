//! The policies in the documentation, as a real server applies them.

mod common;

use common::{Operator, alone, current, cx, key, kind, noted, one, record, shown, staged, target};
use keyward_core::{
    Adopter, DiscoverQuery, ErrorKind, Expect, ListQuery, Location, PublicationId, Publish, ReadItem, SecretBackend,
    SecretBackendExt, Select, Shape, Swap, Target, VersionId, Withdraw,
};
use keyward_vault::{Auth, VaultBackend};
use serde_json::json;

const READER: &str = include_str!("../policies/reader.hcl");
const INVENTORY: &str = include_str!("../policies/inventory.hcl");
const ROTATOR: &str = include_str!("../policies/rotator.hcl");
const ADOPTER: &str = include_str!("../policies/adopter.hcl");
const ADOPTED_READER: &str = include_str!("../policies/adopted-reader.hcl");

async fn as_role(operator: &Operator, mount: &str, policy: &str) -> VaultBackend {
    let policy = policy.replace("\"secret/", &format!("\"{mount}/")).replace("/secret/", &format!("/{mount}/"));
    let connection = operator.connect_with(Auth::token(operator.token_for(&policy).await)).await;
    VaultBackend::builder(connection).mount(mount).open(&cx()).await.expect("a store")
}

async fn registered(store: &VaultBackend, name: &str) {
    let first = record(name);
    assert!(matches!(store.swap(&cx(), first.id(), Expect::Absent, &first).await, Ok(Swap::Applied(_))));
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn the_inventory_lists_everything_and_is_denied_every_value() {
    let (operator, mount, store) = alone().await;
    let mut versions = Vec::new();
    for name in ["one", "two", "three"] {
        registered(&store, name).await;
        versions.push((target(name), shown(&store, &target(name), "value").await));
    }
    let inventory = as_role(&operator, &mount, INVENTORY).await;
    let listed = inventory.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
    let ids: Vec<_> = listed.into_iter().map(|item| item.expect("a record").value.id().clone()).collect();
    assert_eq!(ids, ["one", "three", "two"].map(key));
    for (target, version) in versions {
        for select in [Select::Current, Select::Version(version)] {
            let items = [ReadItem { target: target.clone(), select }];
            for answer in inventory.read(&cx(), &items).await {
                assert_eq!(kind(answer), ErrorKind::Denied);
            }
        }
        assert_eq!(kind(inventory.pointer(&cx(), &target).await), ErrorKind::Denied);
        assert_eq!(kind(inventory.stage(&cx(), &target, version, &one("x")).await), ErrorKind::Denied);
    }
    let next = record("four");
    assert_eq!(kind(inventory.swap(&cx(), next.id(), Expect::Absent, &next).await), ErrorKind::Denied);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_reader_reads_its_values_and_writes_nothing() {
    let (operator, mount, store) = alone().await;
    registered(&store, "mine").await;
    let target = target("mine");
    let version = shown(&store, &target, "value").await;
    let other = staged(&store, &target, "not yet validated").await;
    let reader = as_role(&operator, &mount, READER).await;
    assert_eq!(current(&reader, &target).await.expect("its value"), "value");
    let stored = reader.load_existing(&cx(), &target.id).await.expect("its record");
    assert_eq!(kind(reader.read_one(&cx(), &target, Select::Version(other)).await), ErrorKind::Denied);
    let next = noted(&stored.value, "by a reader");
    assert_eq!(kind(reader.swap(&cx(), &target.id, Expect::At(stored.stamp), &next).await), ErrorKind::Denied);
    assert_eq!(kind(reader.stage(&cx(), &target, VersionId::generate(), &one("x")).await), ErrorKind::Denied);
    assert_eq!(kind(reader.withdraw(&cx(), &target, version).await), ErrorKind::Denied);
    assert_eq!(kind(reader.list(&cx(), &ListQuery::all(), None).await), ErrorKind::Denied);
    let elsewhere = "production/analytics/theirs".parse().expect("a key id");
    assert_eq!(kind(reader.load_one(&cx(), &elsewhere).await), ErrorKind::Denied);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_rotator_does_everything_a_rotation_needs() {
    let (operator, mount, _) = alone().await;
    let rotator = as_role(&operator, &mount, ROTATOR).await;
    registered(&rotator, "rotated").await;
    let target = target("rotated");
    let old = shown(&rotator, &target, "old").await;
    let new = shown(&rotator, &target, "new").await;
    let stored = rotator.load_existing(&cx(), &target.id).await.expect("a record");
    let next = noted(&stored.value, "rotated");
    assert!(matches!(rotator.swap(&cx(), &target.id, Expect::At(stored.stamp), &next).await, Ok(Swap::Applied(_))));
    assert_eq!(rotator.withdraw(&cx(), &target, old).await.expect("a withdraw"), Withdraw::Destroyed);
    assert_eq!(rotator.survey(&cx(), &target).await.expect("a survey").versions, [new]);
    let token = rotator.pointer(&cx(), &target).await.expect("a pointer").token;
    let again = rotator.publish(&cx(), &target, new, PublicationId::generate(), &token).await;
    assert!(matches!(again, Ok(Publish::Moved(_))), "{again:?}");
    rotator.retire(&cx(), &target, std::time::Duration::ZERO).await.expect("a retire");
    assert_eq!(kind(current(&rotator, &target).await), ErrorKind::NotFound);
    assert_eq!(rotator.list_all(&cx(), &ListQuery::all()).await.expect("a listing").len(), 1);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn an_adopter_finds_claims_rotates_and_lets_go() {
    let (operator, mount, _) = alone().await;
    for path in ["legacy/app", "legacy/deep/other", "closed/app"] {
        let body = json!({ "data": { "api_key": "old", "port": 5432 } });
        operator.must("POST", &format!("{mount}/data/{path}"), body).await;
    }
    let adopter = as_role(&operator, &mount, &format!("{ROTATOR}{ADOPTER}")).await;
    let found = adopter.discover(&cx(), &DiscoverQuery::all().prefix("legacy"), None).await.expect("a page");
    assert_eq!(found.items.len(), 2);
    let at = |name: &str, path: &str| {
        let field = Some("api_key".parse().expect("a field"));
        Target::new(key(name), Location::vault_path(&mount, path, field).expect("a location"), Shape::One)
    };
    let target = at("adopted", "legacy/app");
    let seen = adopter.inspect(&cx(), &target.location).await.expect("there");
    assert_eq!((seen.shape, seen.obstacles.len()), (Some(Shape::One), 0));
    let old = VersionId::generate();
    adopter.claim(&cx(), &target, old).await.expect("a claim");
    adopter.release(&cx(), &target).await.expect("a release");
    adopter.claim(&cx(), &target, old).await.expect("a claim");
    shown(&adopter, &target, "new").await;
    assert_eq!(current(&adopter, &target).await.expect("its value"), "new");
    assert!(matches!(adopter.withdraw(&cx(), &target, old).await.expect("a withdraw"), Withdraw::Deferred { .. }));

    let reader = as_role(&operator, &mount, &format!("{READER}{ADOPTED_READER}")).await;
    assert_eq!(current(&reader, &target).await.expect("its value"), "new");
    assert_eq!(kind(reader.stage(&cx(), &target, VersionId::generate(), &one("x")).await), ErrorKind::Denied);
    assert_eq!(kind(current(&reader, &at("other", "legacy/deep/other")).await), ErrorKind::Denied);
    assert_eq!(kind(reader.retire(&cx(), &target, std::time::Duration::ZERO).await), ErrorKind::Denied);
    assert_eq!(kind(adopter.claim(&cx(), &at("closed", "closed/app"), old).await), ErrorKind::Denied);
    // A rotator alone adopts nothing.
    let rotator = as_role(&operator, &mount, ROTATOR).await;
    assert_eq!(kind(rotator.claim(&cx(), &at("deep", "legacy/deep/other"), old).await), ErrorKind::Denied);
    adopter.retire(&cx(), &target, std::time::Duration::ZERO).await.expect("a retire");
}
