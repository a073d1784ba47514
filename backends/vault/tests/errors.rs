//! What a real server refuses, and what becomes of a store that others write to.

mod common;

use std::time::Duration;

use common::{
    Operator, OwnServer, alone, current, cx, kind, noted, one, published, record, shown, staged, target, unique,
};
use keyward_core::{
    ErrorKind, Expect, PublicationId, Publish, ReadItem, SecretBackend, SecretBackendExt, Select, Shows, Stage, Swap,
    VersionId,
};
use keyward_vault::{Auth, Connection, Retry, VaultBackend};
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_role_without_a_right_is_denied() {
    let (operator, mount, store) = alone().await;
    let target = target("denied");
    shown(&store, &target, "value").await;
    let policy = format!("path \"{mount}/data/keyward/records/*\" {{ capabilities = [\"read\"] }}");
    let connection = operator.connect_with(Auth::token(operator.token_for(&policy).await)).await;
    let weak = VaultBackend::builder(connection).mount(&mount).open(&cx()).await.expect("a store");
    assert!(weak.load_one(&cx(), &target.id).await.expect("may read records").is_none());
    assert_eq!(kind(current(&weak, &target).await), ErrorKind::Denied);
    assert_eq!(kind(weak.pointer(&cx(), &target).await), ErrorKind::Denied);
    assert_eq!(kind(weak.stage(&cx(), &target, VersionId::generate(), &one("new")).await), ErrorKind::Denied);
    let next = record("denied");
    assert_eq!(kind(weak.swap(&cx(), next.id(), Expect::Absent, &next).await), ErrorKind::Denied);
    let denied = weak.pointer(&cx(), &target).await.expect_err("a refusal");
    assert_eq!((denied.code(), denied.key()), (Some(403), Some(&target.id)));
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_token_that_is_over_is_denied_and_says_so() {
    let (operator, mount, _) = alone().await;
    let body = json!({ "policies": ["root"], "ttl": "2s", "explicit_max_ttl": "2s" });
    let answer = operator.must("POST", "auth/token/create", body).await;
    let token = answer["auth"]["client_token"].as_str().expect("a token").into();
    let connection = operator.connect_with(Auth::token(token)).await;
    let store = VaultBackend::builder(connection).mount(&mount).open(&cx()).await.expect("a store");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let refused = store.load_one(&cx(), &target("any").id).await.expect_err("the token is over");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.detail().is_some_and(|detail| detail.contains("run out")), "{refused}");
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn f29_a_sealed_server_is_sealed() {
    let (server, _) = OwnServer::start(false).await;
    let operator = Operator::at(&server.address, "root");
    let quick = Retry::new(2, Duration::from_millis(10), Duration::from_millis(20));
    let connection = Connection::builder(&server.address, operator.root()).retry(quick).connect(&cx()).await;
    let store = VaultBackend::open(&cx(), connection.expect("a connection")).await.expect("a store");
    let target = target("sealed");
    let version = staged(&store, &target, "value").await;
    operator.must("PUT", "sys/seal", Value::Null).await;
    assert_eq!(kind(store.load_one(&cx(), &target.id).await), ErrorKind::Sealed);
    assert_eq!(kind(store.stage(&cx(), &target, version, &one("value")).await), ErrorKind::Sealed);
    let items = [ReadItem { target: target.clone(), select: Select::Current }];
    for answer in store.read(&cx(), &items).await {
        assert_eq!(kind(answer), ErrorKind::Sealed);
    }
    let again = Connection::builder(&server.address, operator.root()).retry(quick).connect(&cx()).await;
    assert_eq!(kind(again), ErrorKind::Sealed);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_server_that_is_not_there_is_unavailable() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let builder = Connection::builder(&format!("http://{gone}"), Auth::token("root".into())).retry(Retry::NEVER);
    assert_eq!(kind(builder.connect(&cx()).await), ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn only_a_mount_that_keeps_versions_is_opened() {
    let operator = Operator::of_tests();
    let connection = operator.connect().await;
    let one = operator.mount(1).await;
    assert_eq!(kind(VaultBackend::builder(connection.clone()).mount(&one).open(&cx()).await), ErrorKind::Unsupported);
    let none = unique("no-such-mount");
    assert_eq!(kind(VaultBackend::builder(connection.clone()).mount(&none).open(&cx()).await), ErrorKind::NotFound);
    let forgetful = operator.mount(2).await;
    operator.must("POST", &format!("{forgetful}/config"), json!({ "delete_version_after": "1h" })).await;
    let refused = VaultBackend::builder(connection.clone()).mount(&forgetful).open(&cx()).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.detail().is_some_and(|detail| detail.contains("delete_version_after")), "{refused}");
    for mount in ["", "a/../b", "a b?"] {
        assert_eq!(kind(VaultBackend::builder(connection.clone()).mount(mount).open(&cx()).await), ErrorKind::Invalid);
    }
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn f38_a_write_that_would_vanish_by_itself_is_refused() {
    let (operator, mount, store) = alone().await;
    let target = target("vanishing");
    let version = staged(&store, &target, "value").await;
    operator.must("POST", &format!("{mount}/config"), json!({ "delete_version_after": "1h" })).await;
    let next = VersionId::generate();
    let refused = store.stage(&cx(), &target, next, &one("next")).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.detail().is_some_and(|detail| detail.contains("delete_version_after")), "{refused}");
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    let first = record("vanishing");
    for _ in 0..2 {
        // Repeated, it is not taken for done.
        let answer = store.publish(&cx(), &target, version, PublicationId::first(version), &token).await;
        assert_eq!(kind(answer), ErrorKind::Invalid);
        assert_eq!(kind(store.swap(&cx(), first.id(), Expect::Absent, &first).await), ErrorKind::Invalid);
    }
    operator.must("POST", &format!("{mount}/config"), json!({ "delete_version_after": "0s" })).await;
    assert_eq!(store.stage(&cx(), &target, next, &one("next")).await.expect("nothing was left"), Stage::Stored);
    published(&store, &target, version).await;
    let stored = store.load_existing(&cx(), first.id()).await.expect("the record that was written");
    let answer = store.swap(&cx(), first.id(), Expect::At(stored.stamp), &noted(&first, "healed")).await;
    assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
    let path = format!("{mount}/data/keyward/records/{}", first.id());
    assert_eq!(operator.get(&path).await["data"]["metadata"]["deletion_time"], "");
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn what_someone_writes_by_hand_is_foreign_and_never_served() {
    let (operator, mount, store) = alone().await;
    let target = target("by-hand");
    let version = shown(&store, &target, "ours").await;
    let before = store.pointer(&cx(), &target).await.expect("a pointer");
    let path = format!("{mount}/data/keyward/keys/{}", target.id);
    operator.must("POST", &path, json!({ "options": { "cas": 1 }, "data": { "value": "theirs" } })).await;
    let pointer = store.pointer(&cx(), &target).await.expect("a pointer");
    assert_eq!(pointer.shows, Shows::Foreign);
    assert_eq!(kind(current(&store, &target).await), ErrorKind::Conflict);
    let next = staged(&store, &target, "next").await;
    let answer = store.publish(&cx(), &target, next, PublicationId::first(next), &before.token).await;
    assert!(matches!(&answer, Ok(Publish::Conflict(there)) if *there == pointer), "{answer:?}");
    assert_eq!(operator.get(&path).await["data"]["data"]["value"], "theirs", "it was left alone");
    // Publishing again is one decision away, and the way back to ours.
    let again = store.publish(&cx(), &target, version, PublicationId::generate(), &pointer.token).await;
    assert!(matches!(again, Ok(Publish::Moved(_))), "{again:?}");
    assert_eq!(current(&store, &target).await.expect("ours"), "ours");
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_copy_of_our_write_with_another_value_is_foreign() {
    let (operator, mount, store) = alone().await;
    let target = target("patched");
    shown(&store, &target, "ours").await;
    let path = format!("{mount}/data/keyward/keys/{}", target.id);
    let mut data = operator.get(&path).await["data"]["data"].clone();
    data["value"] = json!("theirs");
    operator.must("POST", &path, json!({ "options": { "cas": 1 }, "data": data })).await;
    assert_eq!(store.pointer(&cx(), &target).await.expect("a pointer").shows, Shows::Foreign);
    assert_eq!(kind(current(&store, &target).await), ErrorKind::Conflict);
    // Also what `kv rollback` does: an old version of ours written anew.
    shown(&store, &target, "newer").await;
    let old = operator.get(&format!("{path}?version=1")).await["data"]["data"].clone();
    operator.must("POST", &path, json!({ "options": { "cas": 3 }, "data": old })).await;
    assert_eq!(store.pointer(&cx(), &target).await.expect("a pointer").shows, Shows::Foreign);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn what_someone_deletes_by_hand_is_noticed() {
    let (operator, mount, store) = alone().await;
    let target = target("deleted");
    let version = shown(&store, &target, "ours").await;
    let before = store.pointer(&cx(), &target).await.expect("a pointer").token;
    operator.must("DELETE", &format!("{mount}/data/keyward/keys/{}", target.id), Value::Null).await;
    let pointer = store.pointer(&cx(), &target).await.expect("a pointer");
    assert_eq!(pointer.shows, Shows::Foreign);
    assert_eq!(kind(current(&store, &target).await), ErrorKind::Conflict);
    let answer = store.publish(&cx(), &target, version, PublicationId::generate(), &before).await;
    assert!(matches!(answer, Ok(Publish::Conflict(_))), "{answer:?}");

    let first = record("deleted");
    assert!(matches!(store.swap(&cx(), first.id(), Expect::Absent, &first).await, Ok(Swap::Applied(_))));
    operator.must("DELETE", &format!("{mount}/data/keyward/records/{}", target.id), Value::Null).await;
    assert_eq!(kind(store.load_one(&cx(), &target.id).await), ErrorKind::Conflict);
    let other = record("deleted");
    assert_eq!(kind(store.swap(&cx(), other.id(), Expect::Absent, &other).await), ErrorKind::Conflict);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn f41_a_stamp_of_before_the_numbers_began_anew_is_dead() {
    let (operator, mount, store) = alone().await;
    let target = target("reborn");
    let old = record("reborn");
    let Ok(Swap::Applied(stamp)) = store.swap(&cx(), old.id(), Expect::Absent, &old).await else {
        panic!("registered")
    };
    let version = staged(&store, &target, "old").await;
    let token = published(&store, &target, version).await;
    for path in [format!("records/{}", target.id), format!("keys/{}", target.id)] {
        operator.must("DELETE", &format!("{mount}/metadata/keyward/{path}"), Value::Null).await;
    }
    // Another key under the same name, with the same numbers.
    let new = record("reborn");
    assert!(matches!(store.swap(&cx(), new.id(), Expect::Absent, &new).await, Ok(Swap::Applied(_))));
    let fresh = shown(&store, &target, "new").await;
    match store.swap(&cx(), old.id(), Expect::At(stamp), &noted(&old, "late")).await {
        Ok(Swap::Conflict(Some(there))) => assert_eq!(there.value, new),
        other => panic!("a conflict was expected, but: {other:?}"),
    }
    let answer = store.publish(&cx(), &target, version, PublicationId::generate(), &token).await;
    assert!(matches!(answer, Ok(Publish::Conflict(_))), "{answer:?}");
    assert!(
        matches!(store.pointer(&cx(), &target).await.expect("a pointer").shows, Shows::Ours { version, .. } if version == fresh)
    );
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn withdrawn_material_is_in_no_version_of_any_path() {
    let (operator, mount, store) = alone().await;
    let target = target("destroyed");
    let old = shown(&store, &target, "the old value").await;
    published(&store, &target, old).await;
    shown(&store, &target, "the new value").await;
    store.withdraw(&cx(), &target, old).await.expect("a withdraw");
    for number in 1..=3 {
        let (status, answer) = operator
            .ask("GET", &format!("{mount}/data/keyward/keys/{}?version={number}", target.id), Value::Null)
            .await;
        assert_eq!(status == 200, number == 3, "version {number}");
        assert!(!answer.to_string().contains("the old value"), "version {number}");
    }
    let (status, _) =
        operator.ask("GET", &format!("{mount}/metadata/keyward/pending/{}/{old}", target.id), Value::Null).await;
    assert_eq!(status, 404);
}
