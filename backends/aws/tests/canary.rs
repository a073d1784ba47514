//! A marked value goes through every call, well and badly, and shows nowhere: not in errors, not in
//! `Debug`, not in what the SDK logs.

mod common;

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{aws_url, builder, cx, fresh_prefix, stranger, target};
use keyward_aws::Retry;
use keyward_conformance::canary::Canary;
use keyward_conformance::servers::{Answer, Fault, Proxy};
use keyward_core::{
    Error, Location, PublicationId, ReadItem, SecretBackend, SecretBackendExt, Select, Shape, Target, VersionId,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Lines>);

#[derive(Default)]
struct Lines {
    kept: Mutex<Vec<String>>,
    spans: AtomicU64,
}

impl Log {
    fn keep(&self, text: Text) {
        self.0.kept.lock().expect("a log").push(text.0);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.kept.lock().expect("a log"))
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        attributes.record(&mut text);
        self.keep(text);
        Id::from_u64(self.0.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        self.keep(text);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.keep(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?} {value:#?}").expect("a string takes everything");
    }
}

/// Nothing of the canary in an answer or its causes.
fn clean<T: Debug>(canary: &Canary, answer: &keyward_core::Result<T>, place: &str) {
    canary.assert_absent(format!("{answer:?} {answer:#?}"), place);
    if let Err(error) = answer {
        let error: &Error = error;
        canary.assert_absent(error.to_string(), place);
        assert!(error.source().is_none(), "an error keeps no foreign cause");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_marked_value_shows_nowhere() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("the only subscriber");
    let canary = Canary::new();
    let proxy = Proxy::start(&aws_url()).await;
    let store = builder(&proxy.url(), &fresh_prefix()).retry(Retry::NEVER).open().await.expect("a backend");

    // When all is well, not even at the level of traces.
    let key = target("marked");
    every_call(&canary, &store, &key).await;
    let place = Location::aws_secret(&fresh_prefix()).expect("a name");
    let adopted = Target::new(target("adopted").id, place, Shape::One);
    let Location::AwsSecret { name } = &adopted.location else { unreachable!("an AWS secret") };
    let text = String::from_utf8(canary.bytes().to_vec()).expect("text");
    stranger(&aws_url()).create_secret().name(name.as_str()).secret_string(text).send().await.expect("a secret");
    let adopter = store.adopter().expect("an adopter");
    clean(&canary, &adopter.inspect(&cx(), &adopted.location).await, "inspect");
    clean(&canary, &adopter.claim(&cx(), &adopted, VersionId::generate()).await, "claim");
    every_call(&canary, &store, &adopted).await;
    canary.assert_absent(format!("{store:?} {store:#?}"), "the backend");
    for line in log.take() {
        canary.assert_absent(line, "a trace");
    }

    // With a server that repeats values wherever it can: what we say and what is logged stays clean, at every level.
    let echo = String::from_utf8(canary.bytes().to_vec()).expect("text").replace('"', "\\\"");
    let hostile = || {
        [
            Answer::new(400, format!(r#"{{"__type":"{echo}","message":"{echo}"}}"#)),
            Answer::new(400, format!(r#"{{"__type":"InvalidParameterException","Message":"{echo}"}}"#)),
            Answer::new(400, format!(r#"{{"__type":"AccessDeniedException","Message":"{echo}"}}"#)),
            Answer::new(200, format!(r#"{{"SecretString":"{echo}""#)),
            Answer::new(200, format!(r#"{{"SecretString":["{echo}"],"VersionId":"{echo}"}}"#)),
            Answer::new(
                200,
                format!(
                    r#"{{"VersionId":"{echo}","Name":"{echo}","SecretString":"{echo}","VersionStages":["{echo}"]}}"#
                ),
            ),
            Answer::new(
                200,
                format!(r#"{{"Errors":[{{"SecretId":"{echo}","ErrorCode":"{echo}","Message":"{echo}"}}]}}"#),
            ),
            Answer::new(200, format!(r#"{{"DeletedDate":"{echo}","VersionIdsToStages":"{echo}"}}"#)),
            Answer::new(500, echo.clone()),
            Answer::new(403, format!("<Error><Code>{echo}</Code></Error>")),
            Answer::new(400, "x").header("x-amzn-requestid", &echo).header("x-amzn-errortype", &echo),
            Answer::new(200, format!(r#"{{"SecretString":"{}{echo}"}}"#, "x".repeat(200_000))),
        ]
    };
    for operation in [
        "GetSecretValue",
        "DescribeSecret",
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "CreateSecret",
        "BatchGetSecretValue",
    ] {
        for (n, answer) in hostile().into_iter().enumerate() {
            proxy.plan(Fault::Answer(answer).on(operation));
            every_call(&canary, &store, &target(&format!("hostile-{n}"))).await;
            proxy.clear();
        }
        proxy.plan(Fault::Truncate.on(operation));
        every_call(&canary, &store, &target("truncated")).await;
        proxy.clear();
    }
    for line in log.take() {
        canary.assert_absent(line, "a trace of a hostile answer");
    }

    // The same SDK left to itself logs such an answer whole: the log above would have held it.
    proxy.plan(Fault::Answer(hostile()[1].clone()).on("PutSecretValue"));
    let put = stranger(&proxy.url()).put_secret_value().secret_id("any").secret_string("any");
    assert!(put.send().await.is_err(), "the hostile answer is an error");
    let told = log.take().iter().any(|line| canary.found_in(line.as_bytes()).is_some());
    assert!(told, "the control: the SDK logs answers, and this log keeps them");
}

async fn every_call(canary: &Canary, store: &impl SecretBackend, key: &Target) {
    let (cx, version) = (cx(), VersionId::generate());
    clean(canary, &store.stage(&cx, key, version, &canary.material()).await, "stage");
    clean(canary, &store.stage(&cx, key, version, &canary.material()).await, "a repeated stage");
    clean(canary, &store.stage(&cx, key, version, &common::one(b"other")).await, "a refused stage");
    let pointer = store.pointer(&cx, key).await;
    clean_token(canary, &pointer);
    if let Ok(pointer) = pointer {
        let publication = PublicationId::first(version);
        clean(canary, &store.publish(&cx, key, version, publication, &pointer.token).await.map(drop), "publish");
        let again = PublicationId::generate();
        clean(canary, &store.publish(&cx, key, version, again, &pointer.token).await.map(drop), "a late publish");
    }
    for select in [Select::Current, Select::Version(version)] {
        clean(canary, &store.read_one(&cx, key, select).await, "read");
    }
    let items = [key.clone(), target("another")].map(|target| ReadItem { target, select: Select::Current });
    for answer in store.read(&cx, &items).await {
        clean(canary, &answer, "a batched read");
    }
    clean(canary, &store.withdraw(&cx, key, version).await, "withdraw");
    clean(canary, &store.survey(&cx, key).await.map(drop), "survey");
    clean(canary, &store.load_one(&cx, &key.id).await.map(drop), "load");
}

/// A token is what the server calls a version: only its errors are ours to keep clean.
fn clean_token<T: Debug>(canary: &Canary, answer: &keyward_core::Result<T>) {
    if answer.is_err() {
        clean(canary, answer, "pointer");
    }
}
