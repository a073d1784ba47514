//! Existing secrets, brought under management where they lie: value and readers undisturbed.

mod common;

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::Tag;
use common::{assert_found, aws_url, cx, fresh_prefix, kind, one, open, staged, stranger, target};
use keyward_core::{
    Adopter, DiscoverQuery, ErrorKind, Expect, Location, PageToken, Pointer, PublicationId, Publish, Read, Retire,
    SecretBackend, SecretBackendExt, Select, Shape, Shows, Stage, Swap, Target, VersionId,
};

/// A secret somebody has; answers its ARN.
async fn existing(client: &Client, name: &str, value: &str) -> String {
    let made =
        client.create_secret().name(name).secret_string(value).tags(Tag::builder().key("team").value("a").build());
    made.send().await.expect("a secret").arn.expect("an ARN")
}

fn adopted(name: &str, place: &str) -> Target {
    Target::new(target(name).id, Location::aws_secret(place).expect("a name"), Shape::One)
}

/// What a native reader sees: id and value.
async fn seen(client: &Client, secret: &str) -> (Option<String>, Option<String>) {
    let answer = client.get_secret_value().secret_id(secret).send().await.expect("a value");
    (answer.version_id, answer.secret_string)
}

async fn pointer(store: &impl SecretBackend, key: &Target) -> Pointer {
    store.pointer(&cx(), key).await.expect("a pointer")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_by_name_or_arn_leaves_the_value_where_it_is() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let name = format!("{}/legacy", fresh_prefix());
    let arn = existing(&client, &name, "sk_live_1").await;
    let before = seen(&client, &name).await;
    for (n, place) in [name.as_str(), arn.as_str()].into_iter().enumerate() {
        let (key, version) = (adopted(&format!("legacy-{n}"), place), VersionId::generate());
        let inspected = adopter.inspect(&cx(), &key.location).await.expect("a look");
        assert_eq!((inspected.shape, inspected.managed_by, inspected.obstacles), (Some(Shape::One), None, vec![]));
        assert_eq!(inspected.tags.get("team").map(String::as_str), Some("a"));

        for _ in 0..2 {
            let material = adopter.claim(&cx(), &key, version).await.expect("a claim");
            assert!(material.ct_eq(&one(b"sk_live_1")));
        }
        let publication = PublicationId::first(version);
        assert_eq!(pointer(&store, &key).await.shows, Shows::Ours { publication, version });
        assert_eq!(store.survey(&cx(), &key).await.expect("a survey").versions, [version]);
        for select in [Select::Current, Select::Version(version)] {
            assert_found(store.read_one(&cx(), &key, select).await, b"sk_live_1");
        }
        let again = store.stage(&cx(), &key, version, &one(b"sk_live_1")).await;
        assert_eq!(again.expect("a stage"), Stage::AlreadySame);
        assert_eq!(store.stage(&cx(), &key, version, &one(b"x")).await.expect("a stage"), Stage::Conflict);
        assert_eq!(seen(&client, &name).await, before, "readers are undisturbed");
        let managed = adopter.inspect(&cx(), &key.location).await.expect("a look").managed_by;
        assert_eq!(managed.as_ref(), Some(&key.id));

        // Another key cannot have it, nor take it away.
        let other = adopted("other", place);
        assert_eq!(kind(adopter.claim(&cx(), &other, VersionId::generate()).await), ErrorKind::Conflict);
        assert_eq!(kind(store.stage(&cx(), &other, VersionId::generate(), &one(b"x")).await), ErrorKind::Conflict);
        adopter.release(&cx(), &other).await.expect("nothing of its own");
        assert_eq!(pointer(&store, &key).await.shows, Shows::Ours { publication, version });

        // An earlier claim of the same key gives way.
        let later = VersionId::generate();
        adopter.claim(&cx(), &key, later).await.expect("a claim");
        assert_eq!(store.survey(&cx(), &key).await.expect("a survey").versions, [later]);

        for _ in 0..2 {
            adopter.release(&cx(), &key).await.expect("a release");
        }
        assert_eq!(pointer(&store, &key).await.shows, Shows::Foreign);
        let after = adopter.inspect(&cx(), &key.location).await.expect("a look");
        assert_eq!((after.managed_by, after.tags.len()), (None, 1), "only the owner's tag is left");
        assert_eq!(seen(&client, &name).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn json_and_binary_secrets_are_adopted_in_their_shape() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let prefix = fresh_prefix();
    existing(&client, &format!("{prefix}/json"), r#"{"user":"u","password":"p"}"#).await;
    let binary = Blob::new(b"\xff\x00\xfe");
    client.create_secret().name(format!("{prefix}/bin")).secret_binary(binary).send().await.expect("a secret");

    let mut key = adopted("json", &format!("{prefix}/json"));
    let misshapen = Target::new(key.id.clone(), key.location.clone(), fields(&["user"]));
    assert_eq!(kind(adopter.claim(&cx(), &misshapen, VersionId::generate()).await), ErrorKind::Invalid);
    key.shape = adopter.inspect(&cx(), &key.location).await.expect("a look").shape.expect("a shape");
    assert_eq!(key.shape, fields(&["password", "user"]));
    let version = VersionId::generate();
    let material = adopter.claim(&cx(), &key, version).await.expect("a claim");
    assert!(material.field("password").is_some_and(|value| value.ct_eq(&"p".into())));
    // Its fields are in another order than we would write them, and it is the same material all the same.
    assert_eq!(store.stage(&cx(), &key, version, &material).await.expect("a stage"), Stage::AlreadySame);

    // The whole object as one value is as good, and so is a binary value.
    adopter.release(&cx(), &key).await.expect("a release");
    key.shape = Shape::One;
    assert!(adopter.claim(&cx(), &key, VersionId::generate()).await.is_ok());
    let key = adopted("binary", &format!("{prefix}/bin"));
    let material = adopter.claim(&cx(), &key, VersionId::generate()).await.expect("a claim");
    assert!(material.ct_eq(&one(b"\xff\x00\xfe")));
}

fn fields(names: &[&str]) -> Shape {
    Shape::Fields(names.iter().map(|name| name.parse().expect("a name")).collect())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn an_adopted_secret_is_rotated_where_it_lies_and_let_go_of_alive() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let name = format!("{}/rotated", fresh_prefix());
    existing(&client, &name, "old").await;
    let (key, first) = (adopted("rotated", &name), VersionId::generate());
    adopter.claim(&cx(), &key, first).await.expect("a claim");
    let next = staged(&store, &key, b"new").await;
    assert_eq!(seen(&client, &name).await.1.as_deref(), Some("old"), "staging shows nothing");
    let token = pointer(&store, &key).await.token;
    let answer = store.publish(&cx(), &key, next, PublicationId::first(next), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    assert_eq!(seen(&client, &name).await.1.as_deref(), Some("new"));
    assert_eq!(kind(adopter.release(&cx(), &key).await), ErrorKind::Conflict, "it has moved on");

    // Back to the adopted value, as a copy.
    let (publication, token) = (PublicationId::generate(), pointer(&store, &key).await.token);
    let answer = store.publish(&cx(), &key, first, publication, &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    assert_eq!(seen(&client, &name).await.1.as_deref(), Some("old"));
    match store.read_one(&cx(), &key, Select::Current).await {
        Ok(Read::Found { version, publication: Some(found), .. }) => assert_eq!((version, found), (first, publication)),
        other => panic!("material was expected, but: {other:?}"),
    }

    assert_eq!(store.retire(&cx(), &key, Duration::ZERO).await.expect("a retire"), Retire::Retired);
    assert_eq!(seen(&client, &name).await.1.as_deref(), Some("old"), "it is others' secret too");
    assert_eq!(pointer(&store, &key).await.shows, Shows::Nothing);
    assert!(store.survey(&cx(), &key).await.expect("a survey").versions.is_empty());
    for select in [Select::Current, Select::Version(first), Select::Version(next)] {
        assert_eq!(kind(store.read_one(&cx(), &key, select).await), ErrorKind::NotFound);
    }
    assert_eq!(store.retire(&cx(), &key, Duration::ZERO).await.expect("a retire"), Retire::Absent);

    // It can be adopted anew.
    let anew = VersionId::generate();
    adopter.claim(&cx(), &key, anew).await.expect("a claim");
    let shows = Shows::Ours { publication: PublicationId::first(anew), version: anew };
    assert_eq!(pointer(&store, &key).await.shows, shows);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_cannot_be_adopted_says_why() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let name = format!("{}/going", fresh_prefix());
    let absent = adopted("absent", &name);
    assert_eq!(kind(adopter.inspect(&cx(), &absent.location).await), ErrorKind::NotFound);
    assert_eq!(kind(adopter.claim(&cx(), &absent, VersionId::generate()).await), ErrorKind::NotFound);
    assert_eq!(kind(store.stage(&cx(), &absent, VersionId::generate(), &one(b"x")).await), ErrorKind::NotFound);
    adopter.release(&cx(), &absent).await.expect("nothing claimed");

    client.create_secret().name(&name).send().await.expect("a secret without a value");
    let found = adopter.inspect(&cx(), &absent.location).await.expect("a look");
    assert_eq!((found.shape, found.obstacles.len()), (None, 1));
    assert_eq!(kind(adopter.claim(&cx(), &absent, VersionId::generate()).await), ErrorKind::NotFound);

    client.delete_secret().secret_id(&name).recovery_window_in_days(7).send().await.expect("a delete");
    let found = adopter.inspect(&cx(), &absent.location).await.expect("a look");
    assert!(found.obstacles.iter().any(|why| why.contains("scheduled for deletion")));
    assert_eq!(kind(adopter.claim(&cx(), &absent, VersionId::generate()).await), ErrorKind::PendingDeletion);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn discovery_lists_names_by_prefix_and_tag_without_our_own() {
    let prefix = fresh_prefix();
    let store = common::builder(&aws_url(), &prefix).open().await.expect("a backend");
    let client = stranger(&aws_url());
    let adopter = store.adopter().expect("an adopter");
    common::registered(&store, "own").await;
    staged(&store, &target("own"), b"value").await;
    for name in ["a", "b"] {
        existing(&client, &format!("{prefix}/{name}"), "value").await;
    }
    let plain = client.create_secret().name(format!("{prefix}-plain")).secret_string("value");
    plain.tags(Tag::builder().key("team").value("b").build()).send().await.expect("a secret");

    let all = async |query: DiscoverQuery| {
        let (mut found, mut page) = (Vec::new(), None);
        loop {
            let mut answer = adopter.discover(&cx(), &query, page).await.expect("a page");
            found.append(&mut answer.items);
            match answer.next {
                None => break,
                next => page = next,
            }
        }
        let names = found.into_iter().filter_map(|place| match place {
            Location::AwsSecret { name } => name.as_str().strip_prefix(prefix.as_str()).map(str::to_owned),
            _ => None,
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(all(DiscoverQuery::all().prefix(&prefix)).await, ["-plain", "/a", "/b"]);
    assert_eq!(all(DiscoverQuery::all().prefix(&format!("{prefix}/"))).await, ["/a", "/b"]);
    assert_eq!(all(DiscoverQuery::all().prefix(&prefix).tag("team")).await, ["-plain", "/a", "/b"]);
    assert_eq!(all(DiscoverQuery::all().prefix(&prefix).tag_value("team", "a")).await, ["/a", "/b"]);
    assert_eq!(all(DiscoverQuery::all()).await, ["-plain", "/a", "/b"]);
    let foreign = adopter.discover(&cx(), &DiscoverQuery::all(), Some(PageToken::new("1"))).await;
    assert_eq!(kind(foreign), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn an_adopted_secret_is_tagged_while_it_is_ours_and_its_guard_by_the_claim_alone() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let name = format!("{}/tagged", fresh_prefix());
    existing(&client, &name, "value").await;
    let tags = async || {
        let tags = client.describe_secret().secret_id(&name).send().await.expect("a description").tags;
        let names = tags.unwrap_or_default().into_iter().filter_map(|tag| tag.key);
        names.filter(|name| name.starts_with("keyward:")).collect::<Vec<_>>()
    };
    let place = Location::aws_secret(&name).expect("a name");
    let record = common::record_at("tagged", place);
    let Ok(Swap::Applied(stamp)) = store.swap(&cx(), record.id(), Expect::Absent, &record).await else {
        panic!("a swap")
    };
    assert!(tags().await.is_empty(), "not ours yet");
    let live = common::live(&record);
    let answer = store.swap(&cx(), live.id(), Expect::At(stamp), &live).await;
    assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
    let tagged = tags().await;
    assert!(tagged.contains(&"keyward:state".to_owned()), "{tagged:?}");
    assert!(!tagged.contains(&"keyward:key".to_owned()), "{tagged:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn calls_after_the_deadline_do_nothing() {
    let store = open().await;
    let adopter: &dyn Adopter = store.adopter().expect("an adopter");
    let (late, key) = (cx().within(Duration::ZERO), adopted("late", "late"));
    let kinds = [
        kind(adopter.discover(&late, &DiscoverQuery::all(), None).await),
        kind(adopter.inspect(&late, &key.location).await),
        kind(adopter.claim(&late, &key, VersionId::generate()).await),
        kind(adopter.release(&late, &key).await),
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 4]);
}

/// A key that was let go of has no say in what another one does there later.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn retiring_a_key_that_was_let_go_of_spares_the_next_one() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let name = format!("{}/legacy", fresh_prefix());
    client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
    let of = |key: &str| Target::new(target(key).id, Location::aws_secret(&name).expect("a name"), Shape::One);
    let (first, second) = (of("first"), of("second"));
    adopter.claim(&cx(), &first, VersionId::generate()).await.expect("a claim");
    adopter.release(&cx(), &first).await.expect("released");
    let version = VersionId::generate();
    adopter.claim(&cx(), &second, version).await.expect("a claim");
    let retired = store.retire(&cx(), &first, Duration::ZERO).await.expect("an answer");
    assert_eq!(retired, Retire::Absent);
    let pointer = store.pointer(&cx(), &second).await.expect("a pointer");
    assert!(matches!(pointer.shows, Shows::Ours { version: shown, .. } if shown == version));
}

/// AWS makes the first version current: an unproven one must not be it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn nothing_is_staged_into_a_secret_without_a_value() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let place = target("made-by-a-template");
    client.create_secret().name(store.secret_name(&place.id)).send().await.expect("an empty secret");
    let staged = store.stage(&cx(), &place, VersionId::generate(), &one(b"unproven")).await;
    assert!(staged.is_err_and(|error| error.to_string().contains("shown to readers at once")));
}

/// An adopter that slept through a rotation takes nothing from it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_comes_after_a_rotation_is_refused() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let adopter = store.adopter().expect("an adopter");
    let name = format!("{}/legacy", fresh_prefix());
    client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
    let place = Target::new(target("late").id, Location::aws_secret(&name).expect("a name"), Shape::One);
    let first = VersionId::generate();
    adopter.claim(&cx(), &place, first).await.expect("a claim");
    let second = common::published(&store, &place, b"second").await;
    let late = adopter.claim(&cx(), &place, first).await;
    assert!(late.is_err_and(|error| error.kind() == ErrorKind::Conflict));
    let read = store.read_one(&cx(), &place, Select::Version(second)).await;
    assert!(read.is_ok(), "what the rotation put there is still held");
}

/// What the store keeps itself is nobody's to adopt.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_stores_own_secrets_are_not_adopted() {
    let store = open().await;
    let own = target("own");
    staged(&store, &own, b"value").await;
    let name = store.secret_name(&own.id);
    let arn = format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf");
    let adopter = store.adopter().expect("an adopter");
    for place in [name.as_str(), arn.as_str()] {
        let claim = adopter.claim(&cx(), &adopted("thief", place), VersionId::generate()).await;
        assert!(claim.is_err_and(|error| error.kind() == ErrorKind::Conflict), "{place}");
    }
    // Whoever only looks, before anything is written, is told the same.
    let client = stranger(&aws_url());
    common::registered(&store, "own").await;
    let record = name.replace("/keys/", "/records/").replace(".key", ".record");
    for name in [name, record] {
        let arn = client.describe_secret().secret_id(&name).send().await.expect("a secret").arn.expect("an ARN");
        for place in [&name, &arn] {
            let found = adopter.inspect(&cx(), &Location::aws_secret(place).expect("a name")).await.expect("a look");
            assert!(found.obstacles.iter().any(|why| why.contains("the store's own")), "{place}: {found:?}");
        }
    }
}
