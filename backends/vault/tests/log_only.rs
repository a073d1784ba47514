//! An application that uses the `log` crate and sets no `tracing` subscriber: vaultrs would hand it
//! what a server repeats of a login. A program of its own, because a logger is for a whole process.

use std::sync::Mutex;
use std::time::Duration;

use keyward_conformance::servers::{Answer, Stub};
use keyward_core::{Context, SecretValue};
use keyward_vault::{Auth, Connection, Retry};
use log::{LevelFilter, Log, Metadata, Record};

const SECRET_ID: &str = "6ad1f1ce-canary-secret-id-5e3b";

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl Log for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.lock().expect("no panic").push(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn a_login_that_is_repeated_by_the_server_is_not_logged() {
    log::set_logger(&Recorder).expect("the only logger");
    log::set_max_level(LevelFilter::Trace);
    let stub = Stub::start(Duration::ZERO, |_, body| {
        let repeated = String::from_utf8_lossy(body).replace('"', "'");
        Answer::new(400, format!(r#"{{"errors":["cannot parse {repeated}"]}}"#))
            .header("content-type", "application/json")
    })
    .await;
    let cx = Context::new("a test", "log in").expect("a context");
    for auth in [
        Auth::app_role("role", SecretValue::from(SECRET_ID)),
        Auth::wrapped_app_role("role", SecretValue::from(SECRET_ID)),
        Auth::userpass("ada", SecretValue::from(SECRET_ID)),
    ] {
        let refused = Connection::builder(&stub.url(), auth).retry(Retry::NEVER).connect(&cx).await;
        let refused = refused.expect_err("the stub refuses all");
        assert!(!format!("{refused} {refused:?}").contains(SECRET_ID));
    }
    assert!(stub.requests() >= 3, "the logins were tried");
    let lines = LINES.lock().expect("no panic");
    assert!(!lines.is_empty(), "the logger is in use, or this proves nothing");
    for line in lines.iter() {
        assert!(!line.contains(SECRET_ID), "logged by {}", line.split(' ').next().unwrap_or_default());
    }
}
