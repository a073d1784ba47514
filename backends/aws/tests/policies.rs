//! The policies of the docs, executed: what each role can do, and what it cannot.

mod common;

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::BehaviorVersion;
use common::{assert_found, builder, config, config_of, cx, fresh_prefix, kind, noted, published, registered, staged};
use common::{strict_url, target};
use keyward_aws::{AwsBackend, Retry};
use keyward_core::{
    ErrorKind, Expect, ListQuery, PublicationId, Publish, ReadItem, Retire, SecretBackend, SecretBackendExt, Select,
    Swap, VersionId, Withdraw,
};

const READER: &str = include_str!("../policies/reader.json");
const ROTATOR: &str = include_str!("../policies/rotator.json");
const INVENTORY: &str = include_str!("../policies/inventory.json");

/// A backend with the permissions of a policy and no others.
async fn role(prefix: &str, policy: &str) -> AwsBackend {
    let url = strict_url();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let root = config(&url).to_builder().behavior_version(BehaviorVersion::latest()).http_client(http).build();
    let iam = Iam::new(&root);
    let user = format!("u-{}", &fresh_prefix()[2..]);
    iam.create_user().user_name(&user).send().await.expect("a user");
    let policy = policy.replace(":secret:keyward/", &format!(":secret:{prefix}/"));
    let put = iam.put_user_policy().user_name(&user).policy_name("role").policy_document(policy);
    put.send().await.expect("a policy");
    let key = iam.create_access_key().user_name(&user).send().await.expect("a key").access_key.expect("a key");
    let config = config_of(&url, key.access_key_id(), key.secret_access_key());
    AwsBackend::builder(&config).prefix(prefix).retry(Retry::NEVER).open().await.expect("a backend")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_inventory_lists_everything_and_is_denied_every_value() {
    let prefix = fresh_prefix();
    let root = builder(&strict_url(), &prefix).open().await.expect("a backend");
    let mut versions = Vec::new();
    for name in ["a", "b", "c"] {
        registered(&root, name).await;
        versions.push(published(&root, &target(name), name.as_bytes()).await);
    }
    let inventory = role(&prefix, INVENTORY).await;
    let listed = inventory.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
    assert_eq!(listed.iter().filter(|item| item.is_ok()).count(), 3, "{listed:?}");
    for (name, version) in ["a", "b", "c"].into_iter().zip(versions) {
        let key = target(name);
        assert!(inventory.load_one(&cx(), &key.id).await.is_ok_and(|found| found.is_some()));
        assert_eq!(inventory.survey(&cx(), &key).await.expect("a survey").versions, [version]);
        for select in [Select::Current, Select::Version(version)] {
            assert_eq!(kind(inventory.read_one(&cx(), &key, select).await), ErrorKind::Denied);
        }
    }
    let items = ["a", "b", "c"].map(|name| ReadItem { target: target(name), select: Select::Current });
    for answer in inventory.read(&cx(), &items).await {
        assert_eq!(kind(answer), ErrorKind::Denied, "in a batch too");
    }
    assert_eq!(kind(write(&inventory).await), ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_reader_reads_its_keys_and_changes_nothing() {
    let prefix = fresh_prefix();
    let root = builder(&strict_url(), &prefix).open().await.expect("a backend");
    for name in ["a", "b"] {
        registered(&root, name).await;
        published(&root, &target(name), name.as_bytes()).await;
    }
    let elsewhere = builder(&strict_url(), &fresh_prefix()).open().await.expect("a backend");
    registered(&elsewhere, "a").await;

    let reader = role(&prefix, READER).await;
    let ids = ["a", "b"].map(|name| target(name).id);
    assert!(reader.load(&cx(), &ids).await.into_iter().all(|answer| answer.is_ok_and(|found| found.is_some())));
    let items = ["a", "b"].map(|name| ReadItem { target: target(name), select: Select::Current });
    for (answer, name) in reader.read(&cx(), &items).await.into_iter().zip(["a", "b"]) {
        assert_found(answer, name.as_bytes());
    }
    assert_found(reader.read_one(&cx(), &target("a"), Select::Current).await, b"a");

    assert_eq!(kind(write(&reader).await), ErrorKind::Denied);
    assert_eq!(kind(reader.list(&cx(), &ListQuery::all(), None).await), ErrorKind::Denied);
    let answer = reader.stage(&cx(), &target("a"), VersionId::generate(), &common::one(b"x")).await;
    assert_eq!(kind(answer), ErrorKind::Denied);
    assert_eq!(kind(reader.retire(&cx(), &target("a"), std::time::Duration::ZERO).await), ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_rotator_goes_through_a_whole_life_in_its_prefix_only() {
    let prefix = fresh_prefix();
    let rotator = role(&prefix, ROTATOR).await;
    let key = target("rotated");
    let stored = registered(&rotator, "rotated").await;
    let old = published(&rotator, &key, b"old").await;
    let next = noted(&stored.value, "next");
    let answer = rotator.swap(&cx(), next.id(), Expect::At(stored.stamp), &next).await;
    assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
    let other = published(&rotator, &key, b"new").await;
    assert_found(rotator.read_one(&cx(), &key, Select::Current).await, b"new");
    let token = rotator.pointer(&cx(), &key).await.expect("a pointer").token;
    let answer = rotator.publish(&cx(), &key, old, PublicationId::generate(), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    assert!(matches!(rotator.withdraw(&cx(), &key, other).await, Ok(Withdraw::Deferred { .. })));
    assert_eq!(rotator.list_all(&cx(), &ListQuery::all()).await.expect("a listing").len(), 1);
    let retired = rotator.retire(&cx(), &key, std::time::Duration::ZERO).await;
    assert_eq!(retired.expect("a retire"), Retire::Retired);

    // Not in the inventory of others.
    let others = fresh_prefix();
    let root = builder(&strict_url(), &others).open().await.expect("a backend");
    registered(&root, "theirs").await;
    staged(&root, &target("theirs"), b"theirs").await;
    let intruder = role_elsewhere(&rotator, &prefix, &others).await;
    assert_eq!(kind(intruder.load_one(&cx(), &target("theirs").id).await), ErrorKind::Denied);
    assert_eq!(kind(write(&intruder).await), ErrorKind::Denied);
    assert_eq!(kind(intruder.survey(&cx(), &target("theirs")).await), ErrorKind::Denied);
}

/// A role for one prefix that looks at another.
async fn role_elsewhere(_: &AwsBackend, own: &str, others: &str) -> AwsBackend {
    let policy = ROTATOR.replace(":secret:keyward/", &format!(":secret:{own}/"));
    role(others, &policy).await
}

async fn write(store: &AwsBackend) -> keyward_core::Result<Swap> {
    let record = common::record("written");
    store.swap(&cx(), record.id(), Expect::Absent, &record).await
}
