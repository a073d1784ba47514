//! What native readers see, what other writers do, and where AWS or its test server is peculiar.

mod common;

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use common::{assert_found, aws_url, builder, cx, fresh_prefix, kind, noted, one, open, published, record, registered};
use common::{staged, stranger, strict_url, target};
use keyward_aws::{AwsBackend, AwsError};
use keyward_conformance::servers::{Answer, Fault, Proxy};
use keyward_core::{
    Clock, ErrorKind, Expect, KeyId, ListQuery, Location, Material, PublicationId, Publish, ReadItem, Retire,
    SecretBackend, SecretBackendExt, SecretValue, Select, Shows, Stage, Swap, SystemClock, Target, VersionId, Withdraw,
};

async fn native(client: &Client, secret: &str) -> (String, Option<String>, Option<Vec<u8>>) {
    let answer = client.get_secret_value().secret_id(secret).send().await.expect("a value");
    let binary = answer.secret_binary.map(Blob::into_inner);
    (answer.version_id.expect("a version"), answer.secret_string, binary)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn native_readers_get_the_bare_value_and_nothing_but_published_ones() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let key = target("native");
    let secret = store.secret_name(&key.id);
    staged(&store, &key, b"never published").await;
    let (_, text, _) = native(&client, &secret).await;
    assert!(text.is_some_and(|text| text.contains("placeholder, not a key")), "before the first publication");

    let version = published(&store, &key, b"sk_live_1").await;
    staged(&store, &key, b"staged later").await;
    assert_eq!(native(&client, &secret).await, (version.to_string(), Some("sk_live_1".into()), None));
    published(&store, &key, b"\xff\x00").await;
    assert_eq!(native(&client, &secret).await.2, Some(b"\xff\x00".to_vec()));

    let fields = [("id", "AKIA"), ("secret", "s\"1")].map(|(name, text)| (name.parse().expect("a name"), text.into()));
    let material = Material::fields(fields).expect("material");
    let pair = Target::new("dev/messaging/pair".parse().expect("a key"), Location::Derived, material.shape());
    let version = VersionId::generate();
    assert_eq!(store.stage(&cx(), &pair, version, &material).await.expect("a stage"), Stage::Stored);
    let token = store.pointer(&cx(), &pair).await.expect("a pointer").token;
    let publication = PublicationId::first(version);
    assert!(matches!(store.publish(&cx(), &pair, version, publication, &token).await, Ok(Publish::Moved(_))));
    let text = native(&client, &store.secret_name(&pair.id)).await.1;
    assert_eq!(text.as_deref(), Some(r#"{"id":"AKIA","secret":"s\"1"}"#));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_value_written_behind_our_back_is_never_served_nor_overwritten() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let key = target("foreign");
    let first = published(&store, &key, b"ours").await;
    let next = staged(&store, &key, b"next").await;
    let before = store.pointer(&cx(), &key).await.expect("a pointer");
    let secret = store.secret_name(&key.id);
    client.put_secret_value().secret_id(&secret).secret_string("by hand").send().await.expect("a put");

    let seen = store.pointer(&cx(), &key).await.expect("a pointer");
    assert_eq!(seen.shows, Shows::Foreign);
    for select in [Select::Current, Select::CurrentUnless(PublicationId::first(first))] {
        assert_eq!(kind(store.read_one(&cx(), &key, select).await), ErrorKind::Conflict);
    }
    // In a batch as well.
    let items = [key.clone(), target("other")].map(|target| ReadItem { target, select: Select::Current });
    let answers: Vec<_> = store.read(&cx(), &items).await.into_iter().map(kind).collect();
    assert_eq!(answers, [ErrorKind::Conflict, ErrorKind::NotFound]);
    match store.publish(&cx(), &key, next, PublicationId::first(next), &before.token).await {
        Ok(Publish::Conflict(there)) => assert_eq!(there, seen),
        other => panic!("a conflict was expected, but: {other:?}"),
    }
    assert_eq!(native(&client, &secret).await.1.as_deref(), Some("by hand"));

    // Deleting it can be undone for a while, although no grace was asked for.
    let asked = SystemClock.now();
    match store.retire(&cx(), &key, Duration::ZERO).await {
        Ok(Retire::Scheduled { at }) => assert!((at - asked).num_hours() > 6 * 24),
        other => panic!("a schedule was expected, but: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_foreign_value_is_published_over_once_the_caller_has_seen_it() {
    let (store, client) = (open().await, stranger(&aws_url()));
    let key = target("seen");
    let version = published(&store, &key, b"ours").await;
    let secret = store.secret_name(&key.id);
    client.put_secret_value().secret_id(&secret).secret_string("by hand").send().await.expect("a put");
    let token = store.pointer(&cx(), &key).await.expect("a pointer").token;
    // The server has wiped the labels of the version that was current: AWS keeps them.
    let held = store.survey(&cx(), &key).await.expect("a survey").versions;
    if held.is_empty() {
        let again = store.stage(&cx(), &key, version, &one(b"ours")).await;
        assert_eq!(again.expect("a stage"), Stage::Stored);
    }
    let publication = PublicationId::generate();
    let answer = store.publish(&cx(), &key, version, publication, &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    assert_found(store.read_one(&cx(), &key, Select::Current).await, b"ours");
    let (id, text, _) = native(&client, &secret).await;
    assert_eq!((id.len(), text.as_deref()), (64, Some("ours")), "a copy under an id that says whose it is");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_withdrawn_version_is_not_read_and_comes_back_only_as_it_was() {
    let store = open().await;
    let key = target("withdrawn");
    let version = staged(&store, &key, b"value").await;
    assert!(matches!(store.withdraw(&cx(), &key, version).await, Ok(Withdraw::Deferred { readable_until: None })));
    assert_eq!(kind(store.read_one(&cx(), &key, Select::Version(version)).await), ErrorKind::NotFound);
    assert_eq!(store.stage(&cx(), &key, version, &one(b"other")).await.expect("a stage"), Stage::Conflict);
    assert_eq!(store.stage(&cx(), &key, version, &one(b"value")).await.expect("a stage"), Stage::Stored);
    assert_found(store.read_one(&cx(), &key, Select::Version(version)).await, b"value");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn retiring_with_a_grace_schedules_and_what_is_scheduled_is_left_alone() {
    let store = open().await;
    for (days, expected) in [(1, 7), (10, 10), (400, 30)] {
        let key = target(&format!("grace-{days}"));
        let version = published(&store, &key, b"value").await;
        let asked = SystemClock.now();
        let grace = Duration::from_secs(days * 86_400);
        let Ok(Retire::Scheduled { at }) = store.retire(&cx(), &key, grace).await else { panic!("a schedule") };
        assert_eq!((at - asked + chrono::TimeDelta::minutes(5)).num_days(), expected, "{days} days");
        assert!(matches!(store.retire(&cx(), &key, grace).await, Ok(Retire::Scheduled { .. })));
        let kinds = [
            kind(store.pointer(&cx(), &key).await),
            kind(store.read_one(&cx(), &key, Select::Current).await),
            kind(store.stage(&cx(), &key, VersionId::generate(), &one(b"new")).await),
            kind(store.withdraw(&cx(), &key, VersionId::generate()).await),
        ];
        assert_eq!(kinds, [ErrorKind::PendingDeletion; 4]);
        assert_eq!(store.survey(&cx(), &key).await.expect("a survey").versions, [version], "it is there until then");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_record_that_was_deleted_or_damaged_by_hand_is_told_apart() {
    let prefix = fresh_prefix();
    let store = builder(&aws_url(), &prefix).open().await.expect("a backend");
    let client = stranger(&aws_url());
    let sound = registered(&store, "a-sound").await;
    let (damaged, swapped, going) = (
        registered(&store, "b-damaged").await,
        registered(&store, "c-swapped").await,
        registered(&store, "d-going").await,
    );
    let name = |key: &KeyId| format!("{prefix}/records/{key}.record");
    let put = |key: &KeyId, text: &str| client.put_secret_value().secret_id(name(key)).secret_string(text).send();
    put(damaged.value.id(), "{\"not\": \"a record\"}").await.expect("a put");
    let other = String::from_utf8(sound.value.encode().expect("bytes")).expect("text");
    put(swapped.value.id(), &other).await.expect("a put");

    let listed = store.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
    let kinds: Vec<_> = listed.iter().map(|item| item.as_ref().map_or_else(|e| Some(e.kind()), |_| None)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Tampered), Some(ErrorKind::Tampered), None]);

    client.delete_secret().secret_id(name(going.value.id())).recovery_window_in_days(7).send().await.expect("a delete");
    assert_eq!(kind(store.load_one(&cx(), going.value.id()).await), ErrorKind::PendingDeletion);
    let anew = record("d-going");
    assert_eq!(kind(store.swap(&cx(), anew.id(), Expect::Absent, &anew).await), ErrorKind::PendingDeletion);
    let listed = store.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
    assert_eq!(listed.len(), 3, "what is about to go is not listed");

    // The first server would take a proposal for such a secret; AWS and the second one do not.
    let prefix = fresh_prefix();
    let store = builder(&strict_url(), &prefix).open().await.expect("a backend");
    let going = registered(&store, "going").await;
    let gone = format!("{prefix}/records/{}.record", going.value.id());
    let client = stranger(&strict_url());
    client.delete_secret().secret_id(gone).recovery_window_in_days(7).send().await.expect("a delete");
    let next = noted(&going.value, "next");
    let answer = store.swap(&cx(), next.id(), Expect::At(going.stamp), &next).await;
    assert_eq!(kind(answer), ErrorKind::PendingDeletion);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn many_keys_are_listed_whole_and_read_in_batches() {
    const KEYS: usize = 125;
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).tags(false).open().await.expect("a backend");
    let names: Vec<String> = (0..KEYS).map(|n| format!("k{n:03}")).collect();
    keyward_remote::fan_out(&names, 8, async |name| {
        registered(&store, name).await;
        published(&store, &target(name), name.as_bytes()).await;
    })
    .await;
    let page = store.list(&cx(), &ListQuery::all(), None).await.expect("a page");
    assert_eq!((page.items.len(), page.next), (KEYS, None));
    let ids: Vec<KeyId> = page.items.iter().map(|item| item.as_ref().expect("a record").value.id().clone()).collect();
    assert!(ids.is_sorted());
    assert!(proxy.requests_of("ListSecrets") == 2, "a hundred to a page");

    let before = proxy.requests();
    assert!(store.load(&cx(), &ids).await.into_iter().all(|answer| answer.is_ok_and(|found| found.is_some())));
    let items: Vec<ReadItem> =
        names.iter().map(|name| ReadItem { target: target(name), select: Select::Current }).collect();
    for (answer, name) in store.read(&cx(), &items).await.into_iter().zip(&names) {
        assert_found(answer, name.as_bytes());
    }
    assert_eq!(proxy.requests() - before, 2 * KEYS.div_ceil(20), "twenty to a request, and no other");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn every_call_takes_as_many_requests_as_said() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).tags(false).open().await.expect("a backend");
    let key = target("counted");
    let stored = registered(&store, "counted").await;
    staged(&store, &key, b"first").await;
    let count = async |what: &str, expected: &[&str], call: std::pin::Pin<Box<dyn Future<Output = ()> + '_>>| {
        let before = proxy.log().len();
        call.await;
        let log = proxy.log();
        assert_eq!(log.len() - before, expected.len(), "{what}: {:?}", &log[before..]);
        for (line, operation) in log[before..].iter().zip(expected) {
            assert!(line.contains(operation), "{what}: {line}");
        }
    };
    let next = noted(&stored.value, "next");
    let swap = async {
        let answer = store.swap(&cx(), next.id(), Expect::At(stored.stamp.clone()), &next).await;
        assert!(matches!(answer, Ok(Swap::Applied(_))));
    };
    count("swap", &["PutSecretValue", "UpdateSecretVersionStage"], Box::pin(swap)).await;
    let version = VersionId::generate();
    let stage = async {
        assert_eq!(store.stage(&cx(), &key, version, &one(b"second")).await.expect("a stage"), Stage::Stored);
    };
    count("stage", &["DescribeSecret", "PutSecretValue"], Box::pin(stage)).await;
    let token = store.pointer(&cx(), &key).await.expect("a pointer").token;
    let publish = async {
        let answer = store.publish(&cx(), &key, version, PublicationId::first(version), &token).await;
        assert!(matches!(answer, Ok(Publish::Moved(_))));
    };
    count("publish", &["DescribeSecret", "UpdateSecretVersionStage"], Box::pin(publish)).await;
    let read = async { assert_found(store.read_one(&cx(), &key, Select::Current).await, b"second") };
    count("read", &["GetSecretValue"], Box::pin(read)).await;
    let read = async { assert_found(store.read_one(&cx(), &key, Select::Version(version)).await, b"second") };
    count("read of a version", &["GetSecretValue"], Box::pin(read)).await;
}

/// A description as AWS gives it for a secret that is not ours alone to write.
fn described(extra: &str) -> Answer {
    let body = format!(
        r#"{{"Name":"x","ARN":"arn:aws:secretsmanager:us-east-1:1:secret:x-AbCdEf",{extra},
            "VersionIdsToStages":{{"00000000-0000-4000-8000-000000000001":["AWSCURRENT"]}}}}"#
    );
    Answer::new(200, body).header("content-type", "application/x-amz-json-1.1")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn f18_a_secret_that_aws_rotates_and_a_replica_are_not_written() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).tags(false).open().await.expect("a backend");
    let key = target("co-managed");
    let cases = [r#""RotationEnabled":true"#, r#""OwningService":"rds""#, r#""PrimaryRegion":"eu-west-1""#];
    for case in cases {
        proxy.plan(Fault::Answer(described(case)).on("DescribeSecret"));
        let answer = store.stage(&cx(), &key, VersionId::generate(), &one(b"value")).await;
        assert_eq!(kind(answer), ErrorKind::Unsupported, "{case}");
        let adopter = store.adopter().expect("an adopter");
        let place = Location::aws_secret("x").expect("a name");
        let adopted = Target::new(key.id.clone(), place, key.shape.clone());
        assert_eq!(kind(adopter.claim(&cx(), &adopted, VersionId::generate()).await), ErrorKind::Conflict, "{case}");
        assert_eq!(proxy.requests_of("PutSecretValue") + proxy.requests_of("TagResource"), 0, "nothing was written");
        proxy.clear();
    }
    proxy.plan(Fault::Answer(described(r#""PrimaryRegion":"us-east-1","RotationEnabled":false"#)).on("DescribeSecret"));
    let pointer = store.pointer(&cx(), &key).await.expect("a pointer");
    assert_eq!(pointer.shows, Shows::Foreign);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn tags_follow_the_record_and_cost_a_write_only_when_they_change() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).open().await.expect("a backend");
    let client = stranger(&aws_url());
    let key = target("tagged");
    let stored = registered(&store, "tagged").await;
    published(&store, &key, b"value").await;
    let mut last = stored;
    for note in ["one", "two", "three"] {
        let value = noted(&last.value, note);
        let Ok(Swap::Applied(stamp)) = store.swap(&cx(), value.id(), Expect::At(last.stamp), &value).await else {
            panic!("a swap")
        };
        last = keyward_core::Stamped { value, stamp };
    }
    assert_eq!(proxy.requests_of("TagResource"), 2, "once in vain, once for all three notes");
    let secret = store.secret_name(&key.id);
    let tags =
        client.describe_secret().secret_id(&secret).send().await.expect("a description").tags.unwrap_or_default();
    let tag = |name: &str| tags.iter().find(|t| t.key() == Some(name)).and_then(|t| t.value().map(str::to_owned));
    assert_eq!(tag("keyward:key").as_deref(), Some(key.id.as_str()));
    assert_eq!(tag("keyward:owner").as_deref(), Some("ada@example.com"));
    assert_eq!(tag("keyward:state").as_deref(), Some("empty"));

    // A refusal to tag is no refusal of the swap.
    proxy.plan(Fault::Answer(Answer::aws(400, "AccessDeniedException")).on("TagResource"));
    registered(&store, "untagged").await;
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn bad_settings_are_refused_before_anything_is_sent() {
    let open = async |change: fn(keyward_aws::AwsBuilder) -> keyward_aws::AwsBuilder| {
        change(builder("http://127.0.0.1:1", "p")).open().await.expect_err("a refusal")
    };
    assert!(matches!(open(|b| b.prefix("a//b")).await, AwsError::Prefix { at: 2, .. }));
    assert!(matches!(open(|b| b.endpoint_url("http://example.com")).await, AwsError::Endpoint));
    let config = common::config("http://127.0.0.1:1");
    let mut bare = config.to_builder();
    bare.set_region(None);
    assert!(matches!(AwsBackend::open(&bare.build()).await, Err(AwsError::Region)));
    let mut bare = config.to_builder();
    bare.set_credentials_provider(None);
    assert!(matches!(AwsBackend::open(&bare.build()).await, Err(AwsError::Credentials)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn material_too_large_once_encoded_is_refused_before_anything_is_sent() {
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).open().await.expect("a backend");
    let field = ("quotes".parse().expect("a name"), SecretValue::new(vec![b'"'; Material::MAX_LEN]));
    let material = Material::fields([field]).expect("material");
    let key = Target::new(target("large").id, Location::Derived, material.shape());
    assert_eq!(kind(store.stage(&cx(), &key, VersionId::generate(), &material).await), ErrorKind::Invalid);
    assert_eq!(proxy.requests(), 0);
}
