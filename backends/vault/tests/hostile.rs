//! Answers no server should give: malformed, huge, redirecting, of wrong types, repeating what they were sent. With a
//! marked secret in every request and every answer, and every log line of every library looked at.

mod common;

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{cx, key, target};
use keyward_conformance::canary::Canary;
use keyward_conformance::servers::{Answer, Stub};
use keyward_core::{
    Adopter, DiscoverQuery, Error, Expect, ListQuery, Location, PointerToken, PublicationId, ReadItem, Result,
    SecretBackend, SecretValue, Select, Shape, Target, VersionId,
};
use keyward_vault::{Auth, Connection, Retry, VaultBackend};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LOG: Mutex<String> = Mutex::new(String::new());

/// Takes every span and every event, at every level.
#[derive(Debug, Default)]
struct Recorder(AtomicU64);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes everything");
    }
}

impl Recorder {
    fn note(line: &Line) {
        let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line.0);
        log.push('\n');
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line(attributes.metadata().name().to_owned());
        attributes.record(&mut line);
        Self::note(&line);
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        Self::note(&line);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        Self::note(&line);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn watch() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder::default()).expect("the only subscriber"));
}

fn logged() -> String {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What a call said, looked through.
fn look<T: Debug>(canary: &Canary, what: &str, answer: Result<T, Error>) {
    match answer {
        Ok(answer) => canary.assert_absent(format!("{answer:?} {answer:#?}"), what),
        Err(error) => {
            canary.assert_absent(format!("{error:?} {error:#?} {error}"), what);
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                canary.assert_absent(format!("{inner:?} {inner}"), what);
                cause = inner.source();
            }
        }
    }
}

/// Every call there is.
async fn tour(store: &VaultBackend, canary: &Canary, what: &str) {
    let (target, version) = (target("hostile"), VersionId::generate());
    let adopted = Location::vault_path("secret", "legacy/app", None).expect("a location");
    let adopted = Target::new(key("adopted"), adopted, Shape::One);
    for target in [&target, &adopted] {
        let token = PointerToken::new("0");
        look(canary, what, store.stage(&cx(), target, version, &canary.material()).await);
        look(canary, what, store.pointer(&cx(), target).await);
        look(canary, what, store.publish(&cx(), target, version, PublicationId::first(version), &token).await);
        let items =
            [Select::Current, Select::Version(version)].map(|select| ReadItem { target: target.clone(), select });
        for answer in store.read(&cx(), &items).await {
            look(canary, what, answer);
        }
        look(canary, what, store.withdraw(&cx(), target, version).await);
        look(canary, what, store.survey(&cx(), target).await);
        look(canary, what, store.retire(&cx(), target, Duration::ZERO).await);
    }
    for answer in store.load(&cx(), &[key("hostile")]).await {
        look(canary, what, answer);
    }
    let record = common::record("hostile");
    look(canary, what, store.swap(&cx(), record.id(), Expect::Absent, &record).await);
    look(canary, what, store.list(&cx(), &ListQuery::all(), None).await);
    look(canary, what, store.discover(&cx(), &DiscoverQuery::all(), None).await);
    look(canary, what, store.inspect(&cx(), &adopted.location).await);
    look(canary, what, store.claim(&cx(), &adopted, version).await.map(drop));
    look(canary, what, store.release(&cx(), &adopted).await);
}

fn good(path: &str) -> Answer {
    let body = match path {
        "/v1/auth/token/lookup-self" => r#"{"data":{"ttl":0,"renewable":false}}"#,
        "/v1/sys/internal/ui/mounts/secret" => r#"{"data":{"type":"kv","options":{"version":"2"}}}"#,
        _ => r#"{"data":{"max_versions":0,"delete_version_after":"0s"}}"#,
    };
    Answer::new(200, body).header("content-type", "application/json")
}

async fn open(url: &str) -> VaultBackend {
    let connection = Connection::builder(url, Auth::token("s.token".into()))
        .retry(Retry::NEVER)
        .connect(&cx())
        .await
        .expect("a connection");
    VaultBackend::open(&cx(), connection).await.expect("a store")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_makes_a_secret_appear_where_it_must_not() {
    watch();
    let canary = Arc::new(Canary::new());
    let secret = String::from_utf8(canary.bytes().to_vec()).expect("text");
    let quoted = serde_json::to_string(&secret).expect("JSON");
    let time = r#""created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false"#;
    let bodies = [
        ("empty", String::new()),
        ("HTML", format!("<html>{secret}</html>")),
        ("cut", format!(r#"{{"data":{{"data":{{"value":{quoted}"#)),
        ("a list", format!("[{quoted}]")),
        ("a text", quoted.clone()),
        ("no data", format!(r#"{{"oops":{quoted}}}"#)),
        ("errors that repeat it", format!(r#"{{"errors":[{quoted}]}}"#)),
        ("data of another type", format!(r#"{{"data":{quoted}}}"#)),
        (
            "inner data of another type",
            format!(r#"{{"data":{{"data":{quoted},"metadata":{quoted},"keys":[5,{quoted}]}}}}"#),
        ),
        (
            "a number of another type",
            format!(r#"{{"data":{{"data":{{"value":{quoted}}},"metadata":{{"version":{quoted},{time}}}}}}}"#),
        ),
        (
            "a nested value",
            format!(
                r#"{{"data":{{"data":{{"value":{{"x":{quoted}}},"record":[{quoted}]}},"metadata":{{"version":1,{time}}}}}}}"#
            ),
        ),
        (
            "a record that is none",
            format!(
                r#"{{"data":{{"data":{{"record":{quoted},"value":{quoted},"keyward_version":{quoted}}},"metadata":{{"version":1,{time}}}}}}}"#
            ),
        ),
        ("names that climb", format!(r#"{{"data":{{"keys":["../","..","a/../","%2e%2e/",{quoted}]}}}}"#)),
        ("huge", format!(r#"{{"data":{{"data":{{"value":{quoted},"more":"{}"}}}}}}"#, "x".repeat(20 << 20))),
        ("deep", format!("{}{quoted}{}", r#"{"a":"#.repeat(500), "}".repeat(500))),
    ];
    for status in [200, 204, 307, 400, 403, 404, 429, 500, 503] {
        for (what, body) in &bodies {
            if *what == "huge" && status != 200 {
                continue;
            }
            let calm = Arc::new(AtomicUsize::new(3));
            let (left, body, canary_here) = (calm.clone(), body.clone(), canary.clone());
            let stub = Stub::start(Duration::ZERO, move |request, _| {
                // The first three requests open the store.
                if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    return good(request.uri.path());
                }
                let echo = String::from_utf8_lossy(canary_here.bytes()).replace(['"', '\n'], "");
                Answer::new(status, if status == 204 { String::new() } else { body.clone() })
                    .header("content-type", "application/json")
                    .header("x-echo", &echo)
            });
            let stub = stub.await;
            let store = open(&stub.url()).await;
            tour(&store, &canary, &format!("{what}, {status}")).await;
        }
    }
    let log = logged();
    canary.assert_absent(&log, "the log");
    assert!(!log.is_empty(), "the recorder sees what the libraries log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed() {
    let elsewhere = Stub::start(Duration::ZERO, |_, _| Answer::new(200, r#"{"data":{}}"#)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v1/secret", elsewhere.url());
        let stub = Stub::start(Duration::ZERO, move |_, _| Answer::new(status, "").header("location", &location)).await;
        for auth in
            [Auth::token("root".into()), Auth::app_role("role", "secret".into()), Auth::userpass("ada", "p".into())]
        {
            let connection = Connection::builder(&stub.url(), auth).retry(Retry::NEVER).connect(&cx()).await;
            assert!(connection.is_err(), "{status}");
        }
        assert!(stub.requests() >= 3);
    }
    assert_eq!(elsewhere.requests(), 0, "no request, and so no token, came here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_repeated_in_the_answer_is_on_no_log() {
    watch();
    let canary = Canary::new();
    let secret = String::from_utf8(canary.bytes().to_vec()).expect("text");
    let plain = secret.replace(['"', '/', '+', '%', '='], "");
    let plain_canary = Canary::of(plain.clone().into_bytes());
    for (status, key) in [(400, "errors"), (200, "warnings"), (500, "errors"), (403, "errors")] {
        let body = format!(r#"{{"{key}":[{}],"data":null,"auth":5}}"#, serde_json::to_string(&plain).expect("JSON"));
        let stub = Stub::start(Duration::ZERO, move |_, _| {
            Answer::new(status, body.clone()).header("content-type", "application/json")
        })
        .await;
        let value = || SecretValue::from(plain.as_str());
        let jwt = || keyward_vault::Jwt::given(value());
        for auth in [
            Auth::token(value()),
            Auth::app_role("role", value()),
            Auth::wrapped_app_role("role", value()),
            Auth::userpass("ada", value()),
            Auth::jwt(None, jwt()),
            Auth::kubernetes_with("role", jwt()),
        ] {
            let what = format!("{auth:?}, {status}");
            plain_canary.assert_absent(&what, "Debug of a login");
            let builder = Connection::builder(&stub.url(), auth).retry(Retry::NEVER);
            plain_canary.assert_absent(format!("{builder:?}"), "Debug of a builder");
            look(&plain_canary, &what, builder.connect(&cx()).await);
        }
    }
    plain_canary.assert_absent(logged(), "the log");
}
