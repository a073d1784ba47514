//! Loading: everything, or one error with every problem.

use std::time::Duration;

use futures_lite::future::block_on;
use keyward::audit::AuditLog;
use keyward::core::{
    AuditAction, AuditQuery, ErrorKind, FieldName, Material, RotationPolicy, SecretBackend, SecretValue, Shape,
    Transition,
};
use keyward::keyring::{HandleError, KeyHandle, Keyring, LiveKey, NotLive, NotText, Problem, RefreshGuard, Why};

use crate::flaky::Flaky;
use crate::setup::{cx, draft, leak, provision, record, register, rotate, rotate_to, step};
use crate::{CHARGES, NAME, billing, load, refused, text, why, world};

#[test]
fn a_service_gets_its_keys_by_name() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "sk_live_1");
    let keys = load(store, &clock);

    let handle = keys.handle(NAME).expect("a handle");
    let key = handle.live().expect("a live key");
    assert!(key.expose_secret() == b"sk_live_1");
    assert_eq!((key.version(), key.key().as_str()), (version, CHARGES));

    assert!(keys.handle(CHARGES).is_ok(), "the full id of the same environment is accepted");
    assert!(keys.live(NAME).expect("a live key").expose_secret() == b"sk_live_1");
}

#[test]
fn all_keys_come_in_one_batch_of_records_and_one_of_values() {
    let (clock, store) = world();
    let names: Vec<_> = (0..100).map(|n| format!("production/payments/key-{n}")).collect();
    for name in &names {
        provision(&store, &*clock, name, name);
    }
    let counted = Flaky::over(&store);

    let builder = names.iter().fold(billing(counted.clone(), &clock), |b, name| b.require(name));
    let keys = block_on(builder.load()).expect("the keyring loads");

    assert_eq!((counted.loads(), counted.reads()), (1, 100));
    assert!(names.iter().all(|name| text(&keys.handle(name).expect("a handle")) == *name));
}

#[test]
fn every_problem_is_in_one_error() {
    let (clock, store) = world();
    let key = |name: &str| format!("production/payments/{name}");
    register(&store, &*clock, &draft(&key("empty")));
    let short = RotationPolicy::default()
        .with_windows(Duration::ZERO, Duration::ZERO, Duration::ZERO)
        .with_interval(Duration::from_secs(3_600))
        .with_lifetime(Duration::from_secs(7_200));
    register(&store, &*clock, &draft(&key("expired")).policy(short));
    rotate(&store, &*clock, &key("expired"), "old-value");
    clock.advance(Duration::from_secs(7_201));
    let leaked = provision(&store, &*clock, &key("leaked"), "leaked-value");
    leak(&store, &*clock, &key("leaked"), leaked);
    let mut foreign = draft(&key("foreign"));
    foreign.scope =
        draft(CHARGES).scope.difference(&draft(CHARGES).scope).is_empty().then(other_service).expect("same");
    register(&store, &*clock, &foreign);
    rotate(&store, &*clock, &key("foreign"), "foreign-value");
    provision(&store, &*clock, &key("retired"), "retired-value");
    let reason = "no longer needed".parse().expect("a reason");
    step(&store, &*clock, &key("retired"), &Transition::Decommission { reason });
    provision(&store, &*clock, &key("lost"), "lost-value");
    let target = record(&store, &key("lost")).target();
    block_on(store.retire(&cx(), &target, Duration::ZERO)).expect("material is given up");
    let faulty = Flaky::over(&store);
    for (name, kind) in [("denied", ErrorKind::Denied), ("tampered", ErrorKind::Tampered)] {
        provision(&store, &*clock, &key(name), "unread-value");
        faulty.fail_load(&key(name), Some(kind));
    }
    provision(&store, &*clock, &key("undecryptable"), "unread-value");
    faulty.fail_read(&key("undecryptable"), Some(ErrorKind::Undecryptable));
    provision(&store, &*clock, &key("fine"), "fine-value");

    let names = [
        "payments/missing",
        "payments/empty",
        "payments/expired",
        "payments/leaked",
        "payments/foreign",
        "payments/retired",
        "payments/lost",
        "payments/denied",
        "payments/tampered",
        "payments/undecryptable",
        "payments/fine",
        "Payments/Bad Name",
        "staging/payments/other",
    ];
    let builder = names.iter().fold(billing(faulty, &clock), |builder, name| builder.require(name));
    let error = refused(builder.optional("payments/not-there-and-not-needed"));

    let found: Vec<_> = error.problems().iter().map(|p| (p.place, &p.problem)).collect();
    assert!(
        matches!(
            found[..],
            [
                (Some(1), Problem::Missing),
                (Some(2), Problem::NotProvisioned),
                (Some(3), Problem::Expired { .. }),
                (Some(4), Problem::Compromised { .. }),
                (Some(5), Problem::NotInScope { .. }),
                (Some(6), Problem::Retired),
                (Some(7), Problem::MaterialMissing { .. }),
                (Some(8), Problem::Store(_)),
                (Some(9), Problem::Store(_)),
                (Some(10), Problem::Store(_)),
                (Some(12), Problem::BadName(_)),
                (Some(13), Problem::OtherEnvironment { .. }),
            ]
        ),
        "{error}"
    );
    let kinds: Vec<_> = error.problems().iter().filter_map(|p| p.problem.store_kind()).collect();
    assert_eq!(kinds, [ErrorKind::Denied, ErrorKind::Tampered, ErrorKind::Undecryptable]);

    let text = format!("{error}\n{error:?}");
    for wanted in ["12 problems", "ada@example.com", "grace@example.com", "#payments-oncall", "runbooks.example.com"] {
        assert!(text.contains(wanted), "{wanted} is missing in:\n{text}");
    }
    assert!(!text.contains("-value"), "a value is in the error");
    assert!(!text.contains("Bad Name"), "the text of a bad name is in the error: it may be anything");
}

fn other_service() -> keyward::core::Scope {
    use keyward::core::{AccessLevel, Mode, Scope};
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write");
    scope.and_then(|s| s.endpoint("POST /v1/charges")?.service("reporting")).expect("a scope")
}

#[test]
fn a_key_can_have_two_problems() {
    let (clock, store) = world();
    let mut other = draft(CHARGES);
    other.scope = other_service();
    register(&store, &*clock, &other);
    let version = rotate(&store, &*clock, CHARGES, "v");
    leak(&store, &*clock, CHARGES, version);

    let error = refused(billing(store, &clock).require(NAME));
    assert!(
        matches!(
            error.problems()[..],
            [
                keyward::keyring::KeyProblem { problem: Problem::Compromised { .. }, .. },
                keyward::keyring::KeyProblem { problem: Problem::NotInScope { .. }, .. },
            ]
        ),
        "{error}"
    );
}

#[test]
fn settings_are_checked_together() {
    let (_, store) = world();
    let builder = Keyring::builder(store).actor("").soft_ttl(Duration::from_secs(60)).hard_ttl(Duration::from_secs(60));
    let error = refused(builder.require(NAME));
    assert_eq!(error.problems().len(), 4, "{error}");

    let (clock, store) = world();
    let error = refused(billing(store, &clock).service("Not A Service"));
    assert!(matches!(error.problems()[0].problem, Problem::BadService(_)), "{error}");
}

#[test]
fn another_environments_key_is_refused_and_on_the_audit_log() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "sk_live_1");
    provision(&store, &*clock, "staging/payments/stripe-charges", "sk_test_1");

    let error = refused(billing(store.clone(), &clock).require(NAME).optional("staging/payments/stripe-charges"));
    assert!(matches!(
        error.problems()[..],
        [keyward::keyring::KeyProblem { problem: Problem::OtherEnvironment { .. }, .. }]
    ));
    assert_eq!(refusals(&store), ["staging/payments/stripe-charges"]);

    let keys = load(store.clone(), &clock);
    let refused = keys.handle("staging/payments/stripe-charges");
    assert!(matches!(refused, Err(HandleError::OtherEnvironment { .. })));
    assert!(keys.live("staging/payments/stripe-charges").is_err());
    block_on(keys.refresh());
    assert_eq!(refusals(&store).len(), 3);
}

fn refusals(store: &keyward::core::MemoryBackend) -> Vec<String> {
    let log = AuditLog::of(store).expect("a log");
    let entries = block_on(log.entries(&cx(), &AuditQuery::default().action(AuditAction::Refuse))).expect("entries");
    entries.iter().filter_map(|e| e.event.key.as_ref().map(ToString::to_string)).collect()
}

#[test]
fn handles_exist_only_for_declared_keys() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v");
    provision(&store, &*clock, "production/payments/undeclared", "v");
    let keys = load(store, &clock);
    assert!(matches!(keys.handle("payments/undeclared"), Err(HandleError::NotDeclared { .. })));
    assert!(matches!(keys.handle("no-key"), Err(HandleError::BadName(_))));
    assert!(matches!(keys.handle(&format!("{CHARGES}.h1")), Err(HandleError::BadName(_))));
}

#[test]
fn an_optional_key_may_be_absent_and_may_come_later() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v");
    let twilio = "production/messaging/twilio-send";
    let builder = billing(store.clone(), &clock).require(NAME).optional("messaging/twilio-send");
    let keys = block_on(builder.load()).expect("absence is fine");
    assert!(keys.warnings().is_empty());
    assert!(matches!(keys.handle(twilio), Err(HandleError::Absent { .. })));

    provision(&store, &*clock, twilio, "twilio-1");
    let refreshed = block_on(keys.refresh());
    assert_eq!(refreshed.changed.len(), 1);
    assert_eq!(text(&keys.handle(twilio).expect("it is there now")), "twilio-1");
}

#[test]
fn a_damaged_optional_key_is_a_warning_and_never_served() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v");
    provision(&store, &*clock, "production/messaging/twilio-send", "v");
    let faulty = Flaky::over(&store);
    faulty.fail_read("production/messaging/twilio-send", Some(ErrorKind::Tampered));
    let builder = billing(faulty, &clock).require(NAME).optional("messaging/twilio-send");
    let keys = block_on(builder.load()).expect("only an optional key is damaged");

    assert_eq!(keys.warnings()[0].problem.store_kind(), Some(ErrorKind::Tampered));
    let handle = keys.handle("messaging/twilio-send").expect("a handle");
    assert!(matches!(why(&handle), Why::Withheld(_)));
}

#[test]
fn material_of_fields_is_read_by_field() {
    let (clock, store) = world();
    let field = |name: &str| name.parse::<FieldName>().expect("a field name");
    let shape = Shape::Fields(vec![field("id"), field("secret")]);
    register(&store, &*clock, &draft(CHARGES).shape(shape));
    let pair = [(field("id"), SecretValue::from("AKIA")), (field("secret"), SecretValue::from("hush"))];
    rotate_to(&store, &*clock, CHARGES, &Material::fields(pair).expect("fields"));
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let key = handle.live().expect("a live key");
    assert!(key.expose_field("secret").is_some_and(|value| value == b"hush"));
    assert!(key.expose_field("other").is_none());
    assert!(key.expose_str().is_err_and(|e| e == NotText::Fields));
    assert!(key.expose_secret().is_empty());
}

#[test]
fn nothing_shows_a_value() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "canary-7d1f");
    let keys = load(store, &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let key = handle.live().expect("a live key");
    let text = format!("{keys:?} {handle:?} {key:?} {:?} {:?} {:?}", handle.watch(), keys.health(), keys.warnings());
    assert!(!text.contains("canary") && !text.contains("99, 97, 110"));
}

#[test]
fn keyring_types_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Keyring>();
    check::<KeyHandle>();
    check::<LiveKey<'static>>();
    check::<NotLive>();
    check::<RefreshGuard>();
    check::<keyward::keyring::Watch>();
    assert!(size_of::<Result<LiveKey<'_>, NotLive>>() == size_of::<LiveKey<'_>>());
}
