//! The policies of the docs, executed: what each role can do, and what it cannot.

mod common;
#[cfg(feature = "iam")]
mod iam_site;

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::BehaviorVersion;
use aws_types::SdkConfig;
use common::{assert_found, builder, config, config_of, cx, fresh_prefix, kind, noted, published, registered, staged};
use common::{stranger, strict_url, target};
use keyward_aws::{AwsBackend, Retry};
use keyward_core::{
    DiscoverQuery, ErrorKind, Expect, ListQuery, Location, PublicationId, Publish, ReadItem, Retire, SecretBackend,
    SecretBackendExt, Select, Shape, Stage, Swap, Target, VersionId, Withdraw,
};

const READER: &str = include_str!("../policies/reader.json");
const ROTATOR: &str = include_str!("../policies/rotator.json");
const INVENTORY: &str = include_str!("../policies/inventory.json");
const ADOPTER: &str = include_str!("../policies/adopter.json");

/// A backend with the permissions of a policy and no others. What is adopted lies under `<prefix>-legacy/`.
async fn role(prefix: &str, policy: &str) -> AwsBackend {
    let policy = policy.replace(":secret:legacy/", &format!(":secret:{prefix}-legacy/"));
    let config = permitted(&policy.replace(":secret:keyward/", &format!(":secret:{prefix}/"))).await;
    AwsBackend::builder(&config).prefix(prefix).retry(Retry::NEVER).open().await.expect("a backend")
}

/// The configuration of a user with these permissions and no others.
async fn permitted(policy: &str) -> SdkConfig {
    let url = strict_url();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let root = config(&url).to_builder().behavior_version(BehaviorVersion::latest()).http_client(http).build();
    let iam = Iam::new(&root);
    let user = format!("u-{}", &fresh_prefix()[2..]);
    iam.create_user().user_name(&user).send().await.expect("a user");
    let put = iam.put_user_policy().user_name(&user).policy_name("role").policy_document(policy);
    put.send().await.expect("a policy");
    let key = iam.create_access_key().user_name(&user).send().await.expect("a key").access_key.expect("a key");
    config_of(&url, key.access_key_id(), key.secret_access_key())
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_adopter_brings_in_what_is_there_and_writes_no_value() {
    let prefix = fresh_prefix();
    let (adopter, client) = (role(&prefix, ADOPTER).await, stranger(&strict_url()));
    let name = format!("{prefix}-legacy/billing");
    client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
    let key = Target::new(target("billing").id, Location::aws_secret(&name).expect("a name"), Shape::One);
    let facet = adopter.adopter().expect("an adopter");

    let found = facet.discover(&cx(), &DiscoverQuery::all().prefix(&prefix), None).await.expect("a page");
    assert_eq!(found.items, std::slice::from_ref(&key.location));
    let found = facet.inspect(&cx(), &key.location).await.expect("a look");
    assert_eq!((found.shape, found.managed_by, found.obstacles), (Some(Shape::One), None, vec![]));
    let record = common::record_at("billing", key.location.clone());
    let Ok(Swap::Applied(stamp)) = adopter.swap(&cx(), record.id(), Expect::Absent, &record).await else {
        panic!("a record")
    };
    let version = VersionId::generate();
    let material = facet.claim(&cx(), &key, version).await.expect("a claim");
    // What an adoption does then: stage and publish what is there already.
    let stage = adopter.stage(&cx(), &key, version, &material).await;
    assert_eq!(stage.expect("a stage"), Stage::AlreadySame);
    let (publication, token) =
        (PublicationId::first(version), adopter.pointer(&cx(), &key).await.expect("a pointer").token);
    let publish = adopter.publish(&cx(), &key, version, publication, &token).await;
    assert!(matches!(publish, Ok(Publish::AlreadyThere(_))), "{publish:?}");
    let live = common::live(&record);
    let swap = adopter.swap(&cx(), live.id(), Expect::At(stamp), &live).await;
    assert!(matches!(swap, Ok(Swap::Applied(_))), "{swap:?}");
    let tags = client.describe_secret().secret_id(&name).send().await.expect("a description").tags;
    let team = tags.unwrap_or_default().into_iter().find(|tag| tag.key() == Some("keyward:team"));
    assert!(team.is_some(), "owner and state are for consoles");

    // No new value, not there nor anywhere, and nothing of others.
    let stage = adopter.stage(&cx(), &key, VersionId::generate(), &common::one(b"x")).await;
    assert_eq!(kind(stage), ErrorKind::Denied);
    let stage = adopter.stage(&cx(), &target("derived"), VersionId::generate(), &common::one(b"x")).await;
    assert_eq!(kind(stage), ErrorKind::Denied);
    let elsewhere = fresh_prefix();
    client.create_secret().name(&elsewhere).secret_string("value").send().await.expect("a secret");
    let theirs = Target::new(target("theirs").id, Location::aws_secret(&elsewhere).expect("a name"), Shape::One);
    assert_eq!(kind(facet.claim(&cx(), &theirs, VersionId::generate()).await), ErrorKind::Denied);

    facet.release(&cx(), &key).await.expect("a release");
    let left = facet.inspect(&cx(), &key.location).await.expect("a look");
    assert_eq!((left.managed_by, left.tags.len()), (None, 0));
}

/// As the docs say: the ARNs of what was adopted, added to the statement on keys, and untagging to let go of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_rotator_goes_on_with_what_was_adopted() {
    let prefix = fresh_prefix();
    let (adopter, client) = (role(&prefix, ADOPTER).await, stranger(&strict_url()));
    let name = format!("{prefix}-legacy/billing");
    client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
    let key = Target::new(target("billing").id, Location::aws_secret(&name).expect("a name"), Shape::One);
    let claim =
        async |store: &AwsBackend| store.adopter().expect("an adopter").claim(&cx(), &key, VersionId::generate()).await;
    let keys = r#""arn:aws:secretsmanager:*:*:secret:keyward/keys/*""#;
    let more = format!(r#"{keys}, "arn:aws:secretsmanager:*:*:secret:legacy/*""#);
    let both = |policy: &str| policy.replacen(keys, &more, 1);
    let untag = r#"{"Effect": "Allow", "Action": "secretsmanager:UntagResource",
        "Resource": "arn:aws:secretsmanager:*:*:secret:legacy/*"}, "#;
    let rotator =
        role(&prefix, &both(ROTATOR).replacen("\"Statement\": [", &format!("\"Statement\": [{untag}"), 1)).await;
    // It may not tag, so it cannot claim, and leaves nothing there that would keep others from it.
    assert_eq!(kind(claim(&rotator).await), ErrorKind::Denied);
    let stages = client.describe_secret().secret_id(&name).send().await.expect("a description").version_ids_to_stages;
    assert_eq!(stages.unwrap_or_default().into_values().flatten().collect::<Vec<_>>(), ["AWSCURRENT"]);
    claim(&adopter).await.expect("a claim");
    published(&rotator, &key, b"next").await;
    let reader = role(&prefix, &both(READER)).await;
    assert_found(reader.read_one(&cx(), &key, Select::Current).await, b"next");
    assert_eq!(rotator.retire(&cx(), &key, std::time::Duration::ZERO).await.expect("a retire"), Retire::Retired);
    let left = client.get_secret_value().secret_id(&name).send().await.expect("a value");
    assert_eq!(left.secret_string(), Some("next"), "it is others' secret too");
}

#[cfg(feature = "iam")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn access_keys_are_made_and_seen_gone_for_the_users_of_keys_only() {
    use keyward_aws::issuer::IamIssuer;
    use keyward_conformance::planned::{Planned, key, not_created};
    use keyward_core::{IssuerStatus, KeyIssuer, Revoke};

    let site = iam_site::IamSite::new(&strict_url()).await.tagged().await;
    let policy =
        include_str!("../policies/access-keys.json").replace(":user/keyward.", &format!(":user/{}", site.user));
    let config = permitted(&policy).await;
    let issuer = site.builder(&config).sole_creator().open().expect("an issuer");
    let mut plan = Planned::new(&site.key, IamIssuer::shape());
    let made = key(issuer.create(&cx(), plan.issue()).await);
    assert!(made.state.as_ref().is_some_and(|state| state.as_str().contains('/')), "with the id of the user");
    plan.stored(&made);
    assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("an answer").len(), 1);
    issuer.deactivate(&cx(), plan.issue()).await.expect("switched off");
    assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Suspended);
    assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("an answer"), Revoke::Accepted);
    assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);

    // Without the last statement, the very same user still proves it.
    let narrow = policy.replace("iam:GetAccessKeyLastUsed", "iam:ListMFADevices");
    let narrow = site.builder(&permitted(&narrow).await).open().expect("an issuer");
    assert_eq!(narrow.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);
    assert_eq!(narrow.revoke(&cx(), plan.issue()).await.expect("an answer"), Revoke::Accepted);

    let other = iam_site::IamSite::new(&strict_url()).await;
    let intruder = IamIssuer::builder(&config).user(&other.key, &other.user).open().expect("an issuer");
    let theirs = Planned::new(&other.key, IamIssuer::shape());
    assert_eq!(not_created(intruder.create(&cx(), theirs.issue()).await).kind(), ErrorKind::Denied);
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
