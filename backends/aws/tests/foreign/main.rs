//! Answers that are not the service's own: of a proxy, a gateway, a login page. Nothing follows from them: no operation
//! is called done, and nothing is called absent, unless the service itself says so in another answer.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "iam")]
mod iam;
#[cfg(feature = "iam")]
#[path = "../iam_site/mod.rs"]
mod iam_site;
#[cfg(feature = "kms")]
mod kms;
mod store;

use keyward_conformance::servers::Answer;
use keyward_core::{Error, ErrorKind, Result};

/// What proxies, gateways and login pages say.
pub(crate) fn answers() -> Vec<(&'static str, Answer)> {
    let json = |status, body: &'static str| Answer::new(status, body).header("content-type", "application/json");
    let html = |status| {
        Answer::new(status, "<html><body>sign in, or go away</body></html>").header("content-type", "text/html")
    };
    vec![
        ("404 JSON", json(404, r#"{"message":"no Route matched"}"#)),
        ("404 HTML", html(404)),
        ("400 JSON", json(400, r#"{"message":"bad"}"#)),
        ("409 JSON", json(409, r#"{"message":"busy"}"#)),
        ("410 HTML", html(410)),
        ("412 HTML", html(412)),
        ("503 JSON", json(503, r#"{"message":"no healthy upstream"}"#)),
        ("200 HTML", html(200)),
        ("200 JSON", json(200, "{}")),
        ("200 XML", Answer::new(200, "<?xml version=\"1.0\"?><status>ok</status>").header("content-type", "text/xml")),
        ("200 empty", Answer::new(200, "")),
        ("204 empty", Answer::new(204, "")),
    ]
}

/// An error that says nothing about the state of anything.
#[track_caller]
pub(crate) fn undecided(error: &Error, what: &str) {
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown), "{what}: {error}");
}

/// An error that decides nothing, or a success to be checked.
#[track_caller]
pub(crate) fn or_undecided<T>(answer: Result<T>, what: &str) -> Option<T> {
    answer.inspect_err(|error| undecided(error, what)).ok()
}
