//! Counts from a metrics server, in the very words of its API.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use keyward::core::{
    AdoptionSignal, Clock, Error, ErrorKind, HealthQuery, HealthReport, HealthSignal, KeyId, LastUse, ManualClock,
    Retry, SecretValue, UsageSignal, VersionId,
};
use keyward::http::{HttpError, Prometheus, PrometheusBuilder};
use keyward::rotation::{GatePolicy, Verdict};
use keyward_conformance::servers::Answer;

use crate::log::{everything_logged, listen};
use crate::world::{Log, Seen, Server, cx, wait};

fn json(body: &str) -> Answer {
    Answer::new(200, body.to_owned()).header("content-type", "application/json")
}

/// One number, as the server writes it.
fn vector(number: &str) -> Answer {
    json(&format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1767225600.123,"{number}"]}}]}}}}"#
    ))
}

/// Nothing found, as the server writes it.
fn empty() -> Answer {
    json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#)
}

fn key() -> KeyId {
    "production/payments/stripe-charges".parse().expect("a key")
}

fn query(new: VersionId, old: Option<VersionId>) -> HealthQuery {
    let since = ManualClock::default().now() - TimeDelta::hours(2);
    HealthQuery { key: key(), new, old, since }
}

fn of_counter(server: &Server) -> PrometheusBuilder {
    Prometheus::new(&server.url()).counter("calls_total").clock(Arc::new(ManualClock::default()))
}

fn health(builder: PrometheusBuilder) -> Result<HealthReport, Error> {
    wait(builder.build().expect("a signal").health(&cx(), &query(VersionId::generate(), None)))
}

/// What every query is answered alike gives.
fn answered(answer: Answer) -> Result<HealthReport, Error> {
    health(of_counter(&Server::start(move |_| answer.clone())))
}

#[test]
fn every_count_comes_from_its_own_query_about_the_version() {
    let (new, old) = (VersionId::generate(), VersionId::generate());
    let log = Log::default();
    let server = Server::start({
        let log = log.clone();
        move |seen| {
            log.add(seen);
            let query = seen.query("query");
            let about_old = query.contains(&old.to_string());
            let number = match query {
                q if q.starts_with("sum(sum_over_time") => "1.25",
                q if q.starts_with("sum(count_over_time") => "96",
                q if q.starts_with("count(") && q.contains("\".+\"") => "3",
                q if q.starts_with("count(") => "2",
                q if q.contains("\"ok\"") => "1200",
                q if q.contains("\"auth_rejected\"") => "4",
                q if q.contains("\"scope_rejected\"") => "3",
                q if q.contains("\"throttled\"") => "7",
                _ => "11",
            };
            if about_old { empty() } else { vector(number) }
        }
    });
    let signal = of_counter(&server).bearer(SecretValue::from("t0ken")).build().expect("a signal");
    let report = wait(signal.health(&cx(), &query(new, Some(old)))).expect("a report");
    let counts = report.new;
    assert_eq!((counts.clean, counts.auth_rejects, counts.scope_rejects, counts.throttled), (1_200, 4, 3, 7));
    assert_eq!((counts.other_failures, counts.clients, counts.rejected_clients), (11, 3, 2));
    let minutes = counts.minutes.expect("client-minutes");
    assert_eq!((minutes.seen(), minutes.refused()), (96, 1.25));
    assert_eq!(report.old.expect("the old version").telling(), 0);
    assert_eq!(report.known_clients, None);

    let all = log.all();
    assert_eq!(all.len(), 18);
    for seen in &all {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/api/v1/query"));
        assert_eq!((seen.query("time"), seen.header("authorization")), ("1767225600", "Bearer t0ken"));
        let query = seen.query("query");
        let version = if query.contains(&new.to_string()) { new } else { old };
        let labels = format!(r#"{{key="production/payments/stripe-charges",version="{version}",outcome=~""#);
        assert!(query.contains(&format!("calls_total{labels}")), "{query}");
        assert!(query.contains("[7200s]") || query.contains("[7200s:1m]"), "{query}");
    }
}

#[test]
fn queries_of_ones_own_replace_those_of_the_counter() {
    let server = Server::start(|seen| match seen.query("query") {
        "clean" | "" => empty(),
        q if q.starts_with("mine{v=") => vector("42"),
        q if q.starts_with("all consumers of production/payments/stripe-charges") => vector("1"),
        _ => empty(),
    });
    let own = of_counter(&server).clean(r#"mine{v="{version}"}"#).known_clients("all consumers of {key}");
    let report = health(own).expect("a report");
    assert_eq!((report.new.clean, report.known_clients), (42, Some(1)));

    let requests =
        Prometheus::new(&server.url()).clean("mine{v={version}}").auth_rejected("a{version}").clients("b{version}");
    assert_eq!(health(requests).expect("a report").new.minutes, None, "not asked for, so not known");
    assert_eq!(server.requests(), 10 + 3);
}

#[test]
fn silence_is_zero_and_never_passes() {
    let report = answered(empty()).expect("a report");
    assert_eq!((report.new.telling(), report.new.clients), (0, 0));
    assert!(matches!(GatePolicy::default().judge(&report, true), Verdict::Insufficient(_)));
}

#[test]
fn numbers_come_in_every_form_the_server_writes() {
    for (text, clean, rejects) in
        [("0", 0, 0), ("1.5e3", 1_500, 1_500), ("7.4", 7, 8), ("0.000001", 0, 1), ("1e300", u64::MAX, u64::MAX)]
    {
        let counts = answered(vector(text)).expect(text).new;
        assert_eq!((counts.clean, counts.auth_rejects), (clean, rejects), "{text}");
    }
    let scalar = json(r#"{"status":"success","data":{"resultType":"scalar","result":[1767225600,"5"]}}"#);
    assert_eq!(answered(scalar).expect("a report").new.clean, 5);
    let hint = r#"{"status":"success","infos":["metric might not be a counter"],"data":{"resultType":"vector","result":[{"metric":{"job":"x"},"value":[1,"5"]}]},"warnings":[]}"#;
    assert_eq!(answered(json(hint)).expect("a report").new.clean, 5);
}

#[test]
fn what_is_not_one_count_is_an_error() {
    let success = |data: &str| json(&format!(r#"{{"status":"success","data":{data}}}"#));
    let table = [
        (vector("NaN"), ErrorKind::Invalid, "no number that can be a count"),
        (vector("+Inf"), ErrorKind::Invalid, "no number that can be a count"),
        (vector("-Inf"), ErrorKind::Invalid, "no number that can be a count"),
        (vector("-1"), ErrorKind::Invalid, "no number that can be a count"),
        (vector("many"), ErrorKind::Invalid, "no number that can be a count"),
        (vector(""), ErrorKind::Invalid, "no number that can be a count"),
        (
            success(
                r#"{"resultType":"vector","result":[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"1"]}]}"#,
            ),
            ErrorKind::Invalid,
            "several series",
        ),
        (
            success(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#),
            ErrorKind::Invalid,
            "no number",
        ),
        (success(r#"{"resultType":"string","result":[1,"canary"]}"#), ErrorKind::Invalid, "text or a range"),
        (
            success(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#),
            ErrorKind::Invalid,
            "text or a range",
        ),
        (success(r#"{"resultType":"other","result":[]}"#), ErrorKind::Unavailable, "not one of Prometheus"),
        (success("null"), ErrorKind::Unavailable, "not one of Prometheus"),
        (json(r#"{"status":"success"}"#), ErrorKind::Unavailable, "not one of Prometheus"),
        (
            json(r#"{"status":"error","errorType":"execution","error":"canary"}"#),
            ErrorKind::Unavailable,
            "not one of Prometheus",
        ),
        (json("<html>canary</html>"), ErrorKind::Unavailable, "not one of Prometheus"),
        (json(""), ErrorKind::Unavailable, "not one of Prometheus"),
        (
            json(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["x","1"]}]}}"#),
            ErrorKind::Unavailable,
            "not one of",
        ),
        (
            json(
                r#"{"status":"success","warnings":["canary: 1 of 3 stores is away"],"data":{"resultType":"vector","result":[]}}"#,
            ),
            ErrorKind::Unavailable,
            "may not be complete",
        ),
        (json(&"[".repeat(500_000)), ErrorKind::Unavailable, "not one of Prometheus"),
        (json(&" ".repeat(Prometheus::MAX_ANSWER + 1)), ErrorKind::Invalid, "too long"),
    ];
    for (at, (answer, kind, detail)) in table.into_iter().enumerate() {
        let error = answered(answer).expect_err("no count");
        assert_eq!(error.kind(), kind, "case {at}: {error}");
        assert!(error.to_string().contains(detail), "case {at}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "case {at}");
    }
}

#[test]
fn a_status_is_told_and_what_came_with_it_is_not() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"canary"}"#;
    let table = [
        (400, ErrorKind::Invalid, "a query was refused"),
        (401, ErrorKind::Denied, "bearer token"),
        (403, ErrorKind::Denied, "bearer token"),
        (404, ErrorKind::Invalid, "/api/v1"),
        (422, ErrorKind::Invalid, "a query was refused"),
        (429, ErrorKind::Throttled, "rate of requests"),
        (500, ErrorKind::Unavailable, "the server failed"),
        (503, ErrorKind::Unavailable, "the server failed"),
        (302, ErrorKind::Unavailable, "redirects are never followed"),
    ];
    for (status, kind, detail) in table {
        let error =
            answered(Answer::new(status, body).header("location", "http://127.0.0.1:1/canary")).expect_err("an error");
        assert_eq!((error.kind(), error.code(), error.backend()), (kind, Some(u32::from(status)), "prometheus"));
        assert!(error.to_string().contains(detail), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    let redirect = answered(Answer::new(302, "")).expect_err("an error");
    assert_eq!(redirect.retry(), Retry::No);
}

#[test]
fn no_answer_is_unavailable() {
    let gone = Server::start(|_| empty());
    let builder = of_counter(&gone);
    drop(gone);
    let error = health(builder).expect_err("nobody is there");
    assert_eq!(
        (error.kind(), error.detail().expect("a detail").contains("cannot be reached")),
        (ErrorKind::Unavailable, true)
    );

    let slow = Server::slow(Duration::from_secs(60), |_| empty());
    let signal = of_counter(&slow).build().expect("a signal");
    let hasty = cx().within(Duration::from_millis(200));
    let error = wait(signal.health(&hasty, &query(VersionId::generate(), None))).expect_err("too slow");
    assert!(error.to_string().contains("no answer came in time"), "{error}");
}

#[test]
fn last_use_and_consumers_come_from_queries_of_their_own() {
    let (version, seen_at) =
        (VersionId::generate(), DateTime::from_timestamp_millis(1_767_225_500_500).expect("a time"));
    let server = Server::start(move |seen: &Seen| match seen.query("query") {
        q if q == format!("max(used{{v=\"{version}\"}})") => vector("1767225500.5"),
        "who{key=\"production/payments/stripe-charges\"}" => json(&format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[
                {{"metric":{{"service":"billing-api","instance":"host-1:9100","version":"{version}"}},"value":[1,"1767225500.5"]}},
                {{"metric":{{"service":"mailer","instance":"host-2:9100","version":"{version}"}},"value":[1,"1767225500.5"]}}]}}}}"#
        )),
        _ => empty(),
    });
    let builder = || of_counter(&server).last_use("max(used{v=\"{version}\"})").consumers("who{key=\"{key}\"}");
    let signal = builder().build().expect("a signal");
    let last_use = |version| wait(signal.last_use(&cx(), &key(), version)).expect("an answer");
    assert_eq!(last_use(version), LastUse::At(seen_at));
    assert_eq!(last_use(VersionId::generate()), LastUse::Unknown, "nothing found is not never");
    let consumers = wait(signal.consumers(&cx(), &key())).expect("an answer");
    let names: Vec<_> = consumers.iter().map(|c| (c.service.as_str(), c.instance.as_str())).collect();
    assert_eq!(names, [("billing-api", "host-1:9100"), ("mailer", "host-2:9100")]);
    assert!(consumers.iter().all(|c| c.version == version && c.seen_at == seen_at));

    let plain = of_counter(&server).build().expect("a signal");
    assert_eq!(wait(plain.last_use(&cx(), &key(), version)).expect("an answer"), LastUse::Unknown);
    assert!(wait(plain.consumers(&cx(), &key())).expect("an answer").is_empty());
}

#[test]
fn a_consumer_without_a_name_or_a_moment_is_an_error() {
    let who = |labels: &str, value: &str| {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{{labels}}},"value":[1,"{value}"]}}]}}}}"#
        );
        let server = Server::start(move |_| json(&body));
        let signal = of_counter(&server).consumers("{key}").last_use("{version}").build().expect("a signal");
        (wait(signal.consumers(&cx(), &key())), wait(signal.last_use(&cx(), &key(), VersionId::generate())))
    };
    let version = VersionId::generate();
    let good = format!(r#""service":"mailer","instance":"a","version":"{version}""#);
    assert!(who(&good, "1767225500").0.is_ok());
    for labels in [
        String::new(),
        good.replace("mailer", "Not A Name"),
        good.replace("service", "job"),
        good.replace(&version.to_string(), "v1"),
    ] {
        assert_eq!(who(&labels, "1767225500").0.expect_err("no consumer").kind(), ErrorKind::Invalid, "{labels}");
    }
    let (consumers, last_use) = who(&good, "1e300");
    assert_eq!(
        (consumers.expect_err("no moment").kind(), last_use.expect_err("no moment").kind()),
        (ErrorKind::Invalid, ErrorKind::Invalid)
    );
}

#[test]
fn what_cannot_work_is_refused_when_it_is_built() {
    let new = Prometheus::new;
    let url = "https://prometheus.example.com";
    let table = [
        (new("http://prometheus.example.com").counter("m"), HttpError::Plain),
        (new("https://a:b@prometheus.example.com").counter("m"), HttpError::Extra),
        (new("https://prometheus.example.com/?tenant=1").counter("m"), HttpError::Extra),
        (new("prometheus").counter("m"), HttpError::Address),
        (new(url), HttpError::NoQuery { what: "clean" }),
        (new(url).clean("{version}").auth_rejected("{version}"), HttpError::NoQuery { what: "clients" }),
        (
            new(url).counter("m").scope_rejected("m"),
            HttpError::NotAboutVersion { what: "scope_rejected", placeholder: "{version}" },
        ),
        (new(url).counter("m").consumers("m"), HttpError::NotAboutVersion { what: "consumers", placeholder: "{key}" }),
        (new(url).counter("m{a=\"b\"}"), HttpError::Metric),
        (new(url).counter("m").authority(b"none"), HttpError::Authority),
    ];
    for (at, (builder, wanted)) in table.into_iter().enumerate() {
        assert_eq!(builder.build().err(), Some(wanted), "case {at}");
    }
    assert!(new("https://gateway.example.com/tenants/7/").counter("m").build().is_ok());
}

#[test]
fn the_token_stands_nowhere() {
    const TOKEN: &str = "canary-token-0123456789";
    listen();
    let mut said = String::new();
    for status in [200, 302, 400, 401, 500] {
        let server = Server::start(move |seen| {
            let sent = seen.header("authorization").replace(' ', "");
            Answer::new(status, sent.clone()).header("location", &format!("http://127.0.0.1:1/{sent}"))
        });
        let builder = of_counter(&server).bearer(SecretValue::from(TOKEN));
        said += &format!("{builder:?}");
        let signal = builder.build().expect("a signal");
        let error = wait(signal.health(&cx(), &query(VersionId::generate(), None))).expect_err("no counts");
        said += &format!("{signal:?} {error} {error:?}");
    }
    let bad = of_counter(&Server::start(|_| empty())).bearer(SecretValue::from("canary\ntoken-0123456789"));
    said += &format!("{:?}", health(bad).expect_err("no header"));
    assert!(!said.contains("token-0123456789"), "the token was said");
    assert!(!everything_logged().contains("token-0123456789"), "a log line holds the token");
}

#[test]
fn the_gate_judges_what_the_server_counted() {
    let of = |rejected: &'static str| {
        let server = Server::start(move |seen| match seen.query("query") {
            q if q.starts_with("sum(sum_over_time") => vector(rejected),
            q if q.starts_with("sum(count_over_time") => vector("200"),
            q if q.starts_with("count(") && q.contains("\".+\"") => vector("2"),
            q if q.contains("\"ok\"") => vector("5000"),
            q if q.contains("\"auth_rejected\"") => vector(rejected),
            _ => empty(),
        });
        GatePolicy::default().judge(&health(of_counter(&server)).expect("a report"), false)
    };
    assert!(matches!(of("0"), Verdict::Pass(_)));
    assert!(matches!(of("40"), Verdict::Fail(_)));
}
