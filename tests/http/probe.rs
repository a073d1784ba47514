//! One request that tells whether a key works, and fails with a wrong one first.

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{
    ErrorKind, Issue, KeyRecord, ManualClock, Material, MemoryBackend, Probe, RunOutcome, SecretBackendExt,
    SecretValue, Validator, Version, VersionId,
};
use keyward::http::{HttpError, HttpProbe, HttpProbeBuilder};
use keyward::issuer::GeneratedIssuer;
use keyward::rotation::{Rotator, Step};
use keyward_conformance::servers::Answer;

use crate::log::{everything_logged, listen};
use crate::world::{Log, Seen, Server, cx, fields, one, record, wait};

const KEY: &str = "sk_live_51HabcDEF0123456789";

/// Accepts the key as a bearer token and refuses any other.
fn strict(seen: &Seen) -> Answer {
    match seen.header("authorization") {
        header if header == format!("Bearer {KEY}") => {
            Answer::new(200, r#"{"account":{"id":"acct_1"},"livemode":true}"#)
        }
        _ => Answer::new(401, "no"),
    }
}

fn bearer(server: &Server) -> HttpProbeBuilder {
    HttpProbe::get(&format!("{}/v1/account", server.url())).header("Authorization", "Bearer {value}")
}

/// A key with a version, for probes.
struct Subject(KeyRecord, Version);

impl Subject {
    fn new() -> Self {
        let (record, version) = record();
        Self(record, version)
    }

    fn try_out(&self, probe: &HttpProbe, material: &Material) -> Probe {
        let issue = Issue { record: &self.0, version: &self.1 };
        wait(probe.probe(&cx(), issue, material)).expect("an answer")
    }
}

fn try_out(probe: &HttpProbe, material: &Material) -> Probe {
    Subject::new().try_out(probe, material)
}

#[track_caller]
fn unclear(probe: &Probe, why: &str) {
    let Probe::Unclear(evidence) = probe else { panic!("{probe:?}") };
    assert!(evidence.as_str().contains(why), "{evidence}");
}

#[test]
fn a_key_counts_once_a_wrong_one_was_refused() {
    let log = Log::default();
    let server = Server::start({
        let log = log.clone();
        move |seen| {
            log.add(seen);
            strict(seen)
        }
    });
    let probe = bearer(&server).build().expect("a probe");
    let subject = Subject::new();
    let accepted = subject.try_out(&probe, &one(KEY));
    let Probe::Accepted(evidence) = &accepted else { panic!("{accepted:?}") };
    assert_eq!(evidence.as_str(), "GET 127.0.0.1 answered 200, and refused a wrong key");

    let sent: Vec<_> = log.all().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert!(sent[0] == format!("Bearer {KEY}") && sent.len() == 2, "the key, then a wrong one");
    assert!(sent[1] != sent[0] && sent[1].len() == sent[0].len() && sent[1].starts_with("Bearer sk_live_"));

    assert_eq!(subject.try_out(&probe, &one(KEY)), accepted);
    assert_eq!(server.requests(), 3, "once for each version");
    assert_eq!(try_out(&probe, &one(KEY)), accepted);
    assert_eq!(server.requests(), 5, "another version");
}

#[test]
fn a_wrong_key_is_rejected_with_one_request() {
    let server = Server::start(strict);
    let probe = bearer(&server).build().expect("a probe");
    let rejected = try_out(&probe, &one("sk_live_wrong00000000000000"));
    let Probe::Rejected(evidence) = rejected else { panic!("{rejected:?}") };
    assert_eq!((evidence.as_str(), server.requests()), ("GET 127.0.0.1 answered 401", 1));
}

#[test]
fn an_endpoint_that_takes_any_key_proves_nothing() {
    let server = Server::start(|_| Answer::new(200, "welcome"));
    let probe = bearer(&server).build().expect("a probe");
    let subject = Subject::new();
    for _ in 0..2 {
        unclear(
            &subject.try_out(&probe, &one(KEY)),
            "this endpoint does not check the key: GET 127.0.0.1 answered 200",
        );
    }
    assert_eq!(server.requests(), 4, "asked again each time");
}

#[test]
fn a_wrong_key_must_be_clearly_refused() {
    let server = Server::start(|seen| match strict(seen) {
        _ if seen.header("authorization").ends_with(KEY) => Answer::new(200, ""),
        _ => Answer::new(403, "no such key"),
    });
    let probe = bearer(&server).build().expect("a probe");
    unclear(&try_out(&probe, &one(KEY)), "a wrong value for the key was not clearly refused");
    // A service that answers so says so.
    let probe = bearer(&server).rejected_status([401, 403]).build().expect("a probe");
    assert!(matches!(try_out(&probe, &one(KEY)), Probe::Accepted(_)));
}

#[test]
fn only_a_refusal_of_the_key_is_a_rejection() {
    for (status, why) in [
        (403, "it lacks a permission"),
        (400, "if that refuses the key, say so with rejected_status()"),
        (404, "if that refuses the key"),
        (429, "answered 429"),
        (500, "answered 500"),
        (503, "answered 503"),
        (302, "redirects are never followed"),
        (304, "redirects are never followed"),
    ] {
        let server = Server::start(move |_| Answer::new(status, "").header("location", "/elsewhere"));
        unclear(&try_out(&bearer(&server).build().expect("a probe"), &one(KEY)), why);
        assert_eq!(server.requests(), 1, "{status}");
    }
}

#[test]
fn a_redirect_takes_the_key_nowhere() {
    let elsewhere = Server::start(|_| Answer::new(200, ""));
    let to = elsewhere.url();
    for status in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let server = Server::start(move |_| Answer::new(status, "").header("location", &to));
        unclear(&try_out(&bearer(&server).build().expect("a probe"), &one(KEY)), "never followed");
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[test]
fn the_body_is_compared_where_that_is_wanted() {
    let server = Server::start(strict);
    let ask = |build: fn(HttpProbeBuilder) -> HttpProbeBuilder| {
        try_out(&build(bearer(&server)).build().expect("a probe"), &one(KEY))
    };
    let good: [fn(HttpProbeBuilder) -> HttpProbeBuilder; 4] = [
        |p| p.expect_text("acct_1"),
        |p| p.expect_json("/account/id", "acct_1"),
        |p| p.expect_json("/livemode", "true").expect_json("/account/id", "acct_1").expect_text("{"),
        |p| p.expect_status([200, 204]).expect_text(""),
    ];
    for build in good {
        assert!(matches!(ask(build), Probe::Accepted(_)));
    }
    let bad: [fn(HttpProbeBuilder) -> HttpProbeBuilder; 5] = [
        |p| p.expect_text("acct_2"),
        |p| p.expect_json("/account/id", "acct_2"),
        |p| p.expect_json("/account", "acct_1"),
        |p| p.expect_json("/livemode", "false"),
        |p| p.expect_json("/livemode", "true").expect_text("acct_2"),
    ];
    for build in bad {
        unclear(&ask(build), "another body than expected");
    }
    unclear(&ask(|p| p.expect_status([204])), "answered 200");
}

#[test]
fn a_body_beyond_the_limit_or_that_is_no_json_is_unclear() {
    let server = Server::start(|_| Answer::new(200, "x".repeat(HttpProbe::MAX_BODY + 1)));
    unclear(&try_out(&bearer(&server).expect_text("x").build().expect("a probe"), &one(KEY)), "more than 65536 bytes");
    for body in ["{\"ok\":tru", "", "[[[[", "\u{0}"] {
        let server = Server::start(move |_| Answer::new(200, body));
        let probe = bearer(&server).expect_json("/ok", "true").build().expect("a probe");
        unclear(&try_out(&probe, &one(KEY)), "another body");
    }
    let nested = "[".repeat(60_000);
    let server = Server::start(move |_| Answer::new(200, nested.clone()));
    let probe = bearer(&server).expect_json("/ok", "true").build().expect("a probe");
    unclear(&try_out(&probe, &one(KEY)), "another body");
}

#[test]
fn a_refusal_may_stand_in_the_body_of_a_success() {
    let server = Server::start(|seen| match seen.header("authorization").ends_with(KEY) {
        true => Answer::new(200, r#"{"ok":true}"#),
        false => Answer::new(200, r#"{"ok":false,"error":"invalid_auth"}"#),
    });
    let probe = bearer(&server).expect_json("/ok", "true").rejected_json("/error", "invalid_auth");
    let probe = probe.build().expect("a probe");
    assert!(matches!(try_out(&probe, &one(KEY)), Probe::Accepted(_)));
    assert!(matches!(try_out(&probe, &one("sk_live_wrong00000000000000")), Probe::Rejected(_)));
}

#[test]
fn every_field_the_request_carries_must_matter() {
    let pair = fields(&[("id", "AC1234567890"), ("secret", "s3cr3t-s3cr3t")]);
    let basic = |seen: &Seen| {
        use data_encoding::BASE64;
        let encoded = seen.header("authorization").strip_prefix("Basic ").unwrap_or_default().to_owned();
        let text = String::from_utf8(BASE64.decode(encoded.as_bytes()).expect("base64")).expect("text");
        let (user, password) = text.split_once(':').expect("a pair");
        (user.to_owned(), password.to_owned())
    };
    let probe = |server: &Server| {
        HttpProbe::get(&server.url()).basic_auth("{field:id}", "{field:secret}").build().expect("a probe")
    };
    let log = Log::default();
    let server = Server::start({
        let log = log.clone();
        move |seen| {
            log.add(seen);
            let (user, password) = basic(seen);
            let known = user == "AC1234567890" && password == "s3cr3t-s3cr3t";
            Answer::new(if known { 204 } else { 401 }, "")
        }
    });
    assert!(matches!(try_out(&probe(&server), &pair), Probe::Accepted(_)));
    let sent: Vec<_> = log.all().iter().map(basic).collect();
    assert_eq!(sent.len(), 3, "the pair, a wrong id, a wrong secret");
    assert!(sent[1].0 != sent[0].0 && sent[1].1 == sent[0].1 && sent[2].0 == sent[0].0 && sent[2].1 != sent[0].1);

    let careless = Server::start(move |seen| Answer::new(if basic(seen).0 == "AC1234567890" { 204 } else { 401 }, ""));
    unclear(&try_out(&probe(&careless), &pair), "this endpoint does not check the field secret");
}

#[test]
fn the_key_may_stand_in_the_query_and_a_fixed_body_goes_with_it() {
    let strange = "a&b=c d/%#?+\u{e9}0123456789";
    let log = Log::default();
    let server = Server::start({
        let log = log.clone();
        move |seen| {
            log.add(seen);
            Answer::new(if seen.query("api_key") == strange { 200 } else { 401 }, "")
        }
    });
    let probe = HttpProbe::post(&format!("{}/graphql?v=1", server.url()))
        .query("api_key", "{value}")
        .body("application/json", r#"{"query":"{ me { id } }"}"#)
        .build()
        .expect("a probe");
    assert!(matches!(try_out(&probe, &one(strange)), Probe::Accepted(_)));
    let first = log.all().remove(0);
    assert_eq!((first.method.as_str(), first.path.as_str(), first.query("v")), ("POST", "/graphql", "1"));
    assert_eq!(
        (first.header("content-type"), first.body.as_str()),
        ("application/json", r#"{"query":"{ me { id } }"}"#)
    );
}

#[test]
fn material_that_does_not_fit_the_request_is_unclear() {
    let server = Server::start(strict);
    let value = bearer(&server).build().expect("a probe");
    unclear(&try_out(&value, &fields(&[("id", "a")])), "the key has named fields");
    let field = HttpProbe::get(&server.url()).header("X-Key", "{field:secret}").build().expect("a probe");
    unclear(&try_out(&field, &one(KEY)), "the key lacks a field");
    unclear(&try_out(&value, &one("line\nbreak")), "cannot stand in a header");
    let query = HttpProbe::get(&server.url()).query("key", "{value}").build().expect("a probe");
    let bytes = Material::one(SecretValue::from(&[0xff_u8, 0xfe][..])).expect("material");
    unclear(&try_out(&query, &bytes), "the key is not text");
    assert_eq!(server.requests(), 0);
}

#[test]
fn no_answer_is_unclear() {
    let gone = Server::start(strict).url();
    let probe = HttpProbe::get(&gone).header("X-Key", "{value}").build().expect("a probe");
    unclear(&try_out(&probe, &one(KEY)), "it cannot be reached");

    let slow = Server::slow(Duration::from_secs(60), strict);
    let probe = bearer(&slow).build().expect("a probe");
    let Subject(record, version) = Subject::new();
    let issue = Issue { record: &record, version: &version };
    let hasty = cx().within(Duration::from_millis(200));
    unclear(&wait(probe.probe(&hasty, issue, &one(KEY))).expect("an answer"), "no answer came in time");
    let late = wait(probe.probe(&cx().within(Duration::ZERO), issue, &one(KEY))).expect_err("too late");
    assert_eq!(late.kind(), ErrorKind::Unavailable);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_built() {
    let url = "https://api.example.com/me";
    let probe = |url: &str| HttpProbe::get(url).header("Authorization", "Bearer {value}");
    let table: Vec<(HttpProbeBuilder, HttpError)> = vec![
        (HttpProbe::get(url), HttpError::NoKey),
        (HttpProbe::get(url).header("Authorization", "Bearer abc"), HttpError::NoKey),
        (
            HttpProbe::get("https://api.example.com/{value}").header("X-A", "b"),
            HttpError::KeyOutOfPlace { part: "address" },
        ),
        (probe("https://api.example.com/?k={field:id}"), HttpError::KeyOutOfPlace { part: "address" }),
        (probe(url).body("text/plain", "{value}"), HttpError::KeyOutOfPlace { part: "body" }),
        (probe(url).header("X-Other", "{token}"), HttpError::Placeholder),
        (probe(url).header("X Other", "a"), HttpError::Malformed { part: "header name" }),
        (probe(url).header("X-Other", "a\nb"), HttpError::Malformed { part: "header value" }),
        (probe(url).body("text\n", ""), HttpError::Malformed { part: "content type" }),
        (HttpProbe::request("GET IT", url).header("A", "{value}"), HttpError::Malformed { part: "method" }),
        (probe("http://api.example.com/me"), HttpError::Plain),
        (probe("https://u:p@api.example.com/me"), HttpError::Extra),
        (probe("api.example.com"), HttpError::Address),
        (probe(url).expect_json("account", "1"), HttpError::Pointer),
        (probe(url).authority(b"none"), HttpError::Authority),
        (probe(url).expect_status([]), HttpError::Status),
        (probe(url).expect_status([200, 99]), HttpError::Status),
        (probe(url).expect_status([401]), HttpError::Status),
        (probe(url).rejected_status([204]), HttpError::Status),
        (probe(url).rejected_status([403]).scope_rejected_status([403]), HttpError::Status),
    ];
    for (at, (builder, wanted)) in table.into_iter().enumerate() {
        assert_eq!(builder.build().err(), Some(wanted), "case {at}");
    }
}

#[test]
fn values_stand_nowhere() {
    listen();
    // Whatever is sent comes back: in the body, in headers, in the address of a redirect.
    let mut said = String::new();
    for status in [200, 302, 400, 401, 403, 500] {
        let server = Server::start(move |seen| {
            let sent = format!("{} {}", seen.header("authorization"), seen.query("key"));
            let plain = sent.replace(' ', "");
            Answer::new(status, sent)
                .header("x-echo", &plain)
                .header("location", &format!("http://127.0.0.1:1/{plain}"))
        });
        let builder = bearer(&server).query("key", "{value}").expect_text("Bearer");
        said += &format!("{builder:?}");
        let probe = builder.build().expect("a probe");
        said += &format!("{:?} {probe:?}", try_out(&probe, &one(KEY)));
        let misfit = HttpProbe::get(&server.url()).header("X-Key", "{field:secret}").build().expect("a probe");
        said += &format!("{:?}", try_out(&misfit, &fields(&[("other", KEY)])));
    }
    let broken = HttpProbe::get(&format!("https://{KEY}:{KEY}@example.com/{KEY}")).header("A", KEY);
    said += &format!("{broken:?}");
    said += &format!("{:?}", broken.build().expect_err("refused"));
    let marker = "51HabcDEF0123456789";
    assert!(!said.contains(marker), "{}", said.replace(marker, "<the key>"));
    let logged = everything_logged();
    assert!(!logged.contains(marker), "a log line holds the key");
    // What runs on after a call, such as the upkeep of idle connections, knows hosts and nothing else.
    let of_a_call = ["target=reqwest", "target=hyper_util::client::legacy::connect"];
    assert!(!of_a_call.iter().any(|target| logged.contains(target)), "the client library logs: {logged}");
}

#[test]
fn a_rotation_is_validated_and_a_revoked_key_seen_dead_over_http() {
    use crate::support::{CHARGES, charges, finish, key, register, until};
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    let issuer = GeneratedIssuer::new("acme_live").expect("a prefix");
    let server = Server::start({
        let (store, issuer) = (store.clone(), issuer.clone());
        move |seen| {
            let token = SecretValue::from(seen.header("x-api-key"));
            let record = wait(store.load_existing(&cx(), &key(CHARGES))).expect("a record").value;
            Answer::new(if issuer.verify(&record, &token).is_some() { 200 } else { 401 }, "")
        }
    });
    let probe = HttpProbe::get(&server.url()).header("X-API-Key", "{value}").build().expect("a probe");
    wait(async {
        register(&store, &clock, charges()).await;
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", issuer)
            .validator("acme", probe)
            .health(crate::support::HEALTHY)
            .clock(clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first value").await.expect("start");
        assert_eq!(finish(&mut run, &clock).await.expect("finish").outcome, RunOutcome::Completed);
        let old: VersionId = crate::support::load(&store, &key(CHARGES)).await.primary().expect("one serves").id;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Revoked { version } if *version == old)).await;
        let record = crate::support::load(&store, &key(CHARGES)).await;
        let proof = record.primary().expect("one serves").proof.clone().expect("a proof");
        assert!(proof.evidence.as_str().contains("answered 200, and refused a wrong key"), "{}", proof.evidence);
        let death = record.version(old).expect("kept").death.clone().expect("seen dead");
        assert!(death.as_str().contains("answered 401"), "{death}");
    });
}
