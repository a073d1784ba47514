//! A network that fails between us and a real server: lost replies, throttling, nodes that lag, broken answers.

mod common;

use std::time::{Duration, Instant};

use common::{Operator, cx, kind, noted, one, open_at, published, record, shown, staged, target};
use keyward_conformance::servers::{Answer, Call, Fault, Proxy};
use keyward_core::{
    Context, ErrorKind, Expect, PublicationId, Publish, Retire, SecretBackend, SecretBackendExt, Select, Stage, Swap,
    VersionId, Withdraw,
};
use keyward_vault::{Retry, VaultBackend};

/// A store behind a proxy; it repeats nothing, so what settles a lost reply is reading back.
async fn behind() -> (Proxy, VaultBackend) {
    with(Retry::NEVER).await
}

/// A store behind a proxy that repeats quickly.
async fn patient() -> (Proxy, VaultBackend) {
    with(Retry::new(4, Duration::from_millis(5), Duration::from_millis(20))).await
}

async fn with(retry: Retry) -> (Proxy, VaultBackend) {
    let proxy = Proxy::start(&Operator::of_tests().address).await;
    let store = open_at(&proxy.url(), retry).await;
    (proxy, store)
}

fn write(verb: &'static str, folder: &'static str) -> impl Fn(&Call) -> bool + Send + Sync + 'static {
    move |call| call.method == "POST" && call.path.contains(&format!("/{verb}/keyward/{folder}/"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_lost_reply_is_settled_by_reading_back() {
    let (proxy, store) = behind().await;
    let target = target("lost");
    proxy.plan(Fault::LoseReply.when(write("data", "records")).times(1));
    let first = record("lost");
    let answer = store.swap(&cx(), first.id(), Expect::Absent, &first).await;
    let Ok(Swap::Applied(stamp)) = answer else { panic!("{answer:?}") };
    let next = noted(&first, "next");
    proxy.plan(Fault::LoseReply.when(write("data", "records")).times(1));
    let answer = store.swap(&cx(), next.id(), Expect::At(stamp), &next).await;
    assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
    assert_eq!(store.load_existing(&cx(), next.id()).await.expect("a record").value, next);

    let version = VersionId::generate();
    proxy.plan(Fault::LoseReply.when(write("data", "pending")).times(1));
    let answer = store.stage(&cx(), &target, version, &one("value")).await;
    assert!(matches!(answer, Ok(Stage::AlreadySame | Stage::Stored)), "{answer:?}");
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    proxy.plan(Fault::LoseReply.when(write("data", "keys")).times(1));
    let answer = store.publish(&cx(), &target, version, PublicationId::first(version), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    assert_eq!(common::current(&store, &target).await.expect("ours"), "value");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_was_not_done_is_not_called_done() {
    let (proxy, store) = behind().await;
    let target = target("refused");
    let first = record("refused");
    let Ok(Swap::Applied(stamp)) = store.swap(&cx(), first.id(), Expect::Absent, &first).await else {
        panic!("stored")
    };
    let version = staged(&store, &target, "value").await;
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    let next = noted(&first, "next");
    // The server never sees the writes; reading back shows that nothing moved.
    proxy.plan(Fault::Refuse.when(|call| call.method == "POST" && call.path.contains("/data/")));
    assert_eq!(kind(store.swap(&cx(), next.id(), Expect::At(stamp.clone()), &next).await), ErrorKind::Unknown);
    assert_eq!(kind(store.stage(&cx(), &target, VersionId::generate(), &one("x")).await), ErrorKind::Unknown);
    let answer = store.publish(&cx(), &target, version, PublicationId::first(version), &token).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    proxy.clear();
    let answer = store.swap(&cx(), next.id(), Expect::At(stamp), &next).await;
    assert!(matches!(answer, Ok(Swap::Applied(_))), "{answer:?}");
    let answer = store.publish(&cx(), &target, version, PublicationId::first(version), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn destroying_is_completed_by_repeating() {
    let (proxy, store) = behind().await;
    let target = target("destroyed");
    let (old, _) = (shown(&store, &target, "old").await, shown(&store, &target, "new").await);
    for lost in ["/destroy/", "/metadata/"] {
        proxy.plan(Fault::LoseReply.when(move |call| call.method != "GET" && call.path.contains(lost)).times(1));
        assert_eq!(kind(store.withdraw(&cx(), &target, old).await), ErrorKind::Unknown, "{lost}");
    }
    let answer = store.withdraw(&cx(), &target, old).await.expect("repeating is safe");
    assert!(matches!(answer, Withdraw::Destroyed | Withdraw::Absent), "{answer:?}");
    assert_eq!(kind(store.read_one(&cx(), &target, Select::Version(old)).await), ErrorKind::NotFound);
    for _ in 0..4 {
        // Whichever write of a retire is lost, the next one goes on from there.
        proxy.plan(Fault::LoseReply.when(|call| call.method != "GET").times(1));
        let _ = store.retire(&cx(), &target, Duration::ZERO).await;
    }
    proxy.clear();
    let answer = store.retire(&cx(), &target, Duration::ZERO).await.expect("repeating is safe");
    assert!(matches!(answer, Retire::Retired | Retire::Absent), "{answer:?}");
    assert_eq!(kind(common::current(&store, &target).await), ErrorKind::NotFound);
    assert!(store.survey(&cx(), &target).await.expect("a survey").versions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let (proxy, store) = patient().await;
    let slow_down = Answer::new(429, r#"{"errors":["slow down"]}"#).header("retry-after", "1");
    proxy.plan(Fault::Answer(slow_down.clone()).always().times(1));
    let begun = Instant::now();
    assert!(store.load_one(&cx(), &target("waited").id).await.expect("after a second").is_none());
    assert!(begun.elapsed() >= Duration::from_secs(1), "the server asked for a second");
    for status in [412, 429, 500, 502, 503] {
        proxy.plan(Fault::Answer(Answer::new(status, r#"{"errors":[]}"#)).always().times(2));
        assert!(store.load_one(&cx(), &target("waited").id).await.is_ok(), "{status} passes");
        proxy.plan(
            Fault::Answer(Answer::new(status, "<html>bad gateway</html>")).when(write("data", "pending")).times(2),
        );
        let answer = store.stage(&cx(), &target("waited"), VersionId::generate(), &one("value")).await;
        assert_eq!(answer.expect("the third attempt succeeds"), Stage::Stored, "{status}");
    }
    proxy.plan(Fault::Answer(slow_down).always());
    let short = cx().within(Duration::from_millis(500));
    let refused = store.load_one(&short, &target("waited").id).await.expect_err("no time to wait");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Throttled, Some(429)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn every_status_has_its_kind() {
    let (proxy, store) = behind().await;
    let id = target("status").id;
    for (status, on_read, on_write) in [
        (400, ErrorKind::Invalid, ErrorKind::Invalid),
        (405, ErrorKind::Invalid, ErrorKind::Invalid),
        (412, ErrorKind::Unavailable, ErrorKind::Unavailable),
        (413, ErrorKind::Invalid, ErrorKind::Invalid),
        (429, ErrorKind::Throttled, ErrorKind::Throttled),
        (500, ErrorKind::Unavailable, ErrorKind::Unknown),
        (503, ErrorKind::Unavailable, ErrorKind::Unknown),
        (504, ErrorKind::Unavailable, ErrorKind::Unknown),
    ] {
        let faulty = || Fault::Answer(Answer::new(status, r#"{"errors":["made for a test"]}"#));
        proxy.plan(faulty().when(|call| call.method == "GET" && call.path.contains("/data/keyward/")).times(1));
        assert_eq!(kind(store.load_one(&cx(), &id).await), on_read, "read, {status}");
        proxy.clear();
        proxy.plan(faulty().when(|call| call.method == "POST").times(1));
        let first = record("status");
        let answer = store.swap(&cx(), first.id(), Expect::Absent, &first).await;
        assert_eq!(kind(answer), on_write, "write, {status}");
        proxy.clear();
    }
}

/// Sealed, or a standby without an active node: the server says itself that it did nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_server_that_is_away_did_nothing() {
    let (proxy, store) = behind().await;
    let first = record("away");
    for why in
        ["Vault is sealed", "Vault is in standby mode", "local node not active but active cluster node not found"]
    {
        let away = Answer::new(503, format!(r#"{{"errors":["{why}"]}}"#));
        proxy.plan(Fault::Answer(away).when(|call| call.method == "POST").times(1));
        let refused = store.swap(&cx(), first.id(), Expect::Absent, &first).await;
        assert_eq!(kind(refused), ErrorKind::Unavailable, "{why}");
    }
}

/// A mount that was made a moment ago refuses everything for a while, with the status of a malformed request.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_mount_that_is_being_upgraded_is_waited_for() {
    let (proxy, store) = patient().await;
    let upgrading = r#"{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}"#;
    let (target, version) = (target("upgraded"), VersionId::generate());
    proxy.plan(Fault::Answer(Answer::new(400, upgrading)).always().times(2));
    assert!(store.load_one(&cx(), &target.id).await.expect("the third attempt succeeds").is_none());
    proxy.plan(Fault::Answer(Answer::new(400, upgrading)).always().times(2));
    let answer = store.stage(&cx(), &target, version, &one("value")).await;
    assert_eq!(answer.expect("the third attempt succeeds"), Stage::Stored);
    proxy.plan(Fault::Answer(Answer::new(400, upgrading)).always());
    assert_eq!(kind(store.stage(&cx(), &target, version, &one("value")).await), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_call_outlives_its_deadline() {
    let (proxy, store) = patient().await;
    let target = target("slow");
    let version = staged(&store, &target, "value").await;
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    proxy.plan(Fault::Delay(Duration::from_secs(5)).always());
    let begun = Instant::now();
    let short = || -> Context { cx().within(Duration::from_millis(300)) };
    assert_eq!(kind(store.load_one(&short(), &target.id).await), ErrorKind::Unavailable);
    let answer = store.stage(&short(), &target, VersionId::generate(), &one("x")).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    let answer = store.publish(&short(), &target, version, PublicationId::first(version), &token).await;
    assert!(matches!(kind(answer), ErrorKind::Unavailable | ErrorKind::Unknown));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// The number of requests of each call, as the documentation says.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn calls_make_as_many_requests_as_they_should() {
    let (proxy, store) = behind().await;
    let target = target("counted");
    let asked = || proxy.requests();
    let mut before = asked();
    let mut count = |what: &str, expected: usize| {
        let now = asked();
        assert_eq!(now - before, expected, "{what}");
        before = now;
    };
    let first = record("counted");
    let Ok(Swap::Applied(stamp)) = store.swap(&cx(), first.id(), Expect::Absent, &first).await else {
        panic!("stored")
    };
    count("registering", 2);
    store.swap(&cx(), first.id(), Expect::At(stamp), &noted(&first, "next")).await.expect("a swap");
    count("swap", 2);
    store.load_one(&cx(), first.id()).await.expect("a record");
    count("load", 1);
    let version = staged(&store, &target, "value").await;
    count("stage", 1);
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    count("pointer", 1);
    store.publish(&cx(), &target, version, PublicationId::first(version), &token).await.expect("a publish");
    count("first publish", 4);
    let next = staged(&store, &target, "next").await;
    published(&store, &target, next).await;
    count("stage, pointer, publish", 1 + 1 + 3);
    store.read_one(&cx(), &target, Select::Current).await.expect("a value");
    count("read", 1);
    store.survey(&cx(), &target).await.expect("a survey");
    count("survey", 2);
    store.withdraw(&cx(), &target, version).await.expect("a withdraw");
    count("withdraw", 2 + 1 + 1 + 2);
    store.retire(&cx(), &target, Duration::ZERO).await.expect("a retire");
    count("retire", 2 + 3);
}
