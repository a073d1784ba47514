//! The order on scopes: its laws, on scopes of a small world where things often meet.

use keyward_core::{AccessLevel, EndpointPattern, KeyId, Mode, Permission, RecordError, Scope, ScopeError};
use proptest::prelude::*;

const LEVELS: [AccessLevel; 3] = [AccessLevel::ReadOnly, AccessLevel::Write, AccessLevel::Admin];

fn endpoint() -> impl Strategy<Value = EndpointPattern> {
    let method = prop::sample::select(vec!["", "GET ", "POST "]);
    let path = prop::sample::select(vec!["/*", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/a/b/c", "/ab", "/ab/*", "/c/*"]);
    (method, path).prop_map(|(method, path)| format!("{method}{path}").parse().expect("a pattern"))
}

fn scope() -> impl Strategy<Value = Scope> {
    let permissions =
        prop::collection::vec((prop::sample::select(vec!["charges", "reports", "users"]), 0_usize..3), 0..3);
    let endpoints = prop::collection::vec(endpoint(), 0..4);
    let services = prop::collection::vec(prop::sample::select(vec!["api", "worker"]), 0..3);
    let mode = prop::sample::select(vec![None, Some(Mode::Test), Some(Mode::Live), Some(Mode::Live)]);
    (0_usize..3, mode, permissions, endpoints, services).prop_map(|(access, mode, permissions, endpoints, services)| {
        let mut scope = Scope::new(LEVELS[access]);
        if let Some(mode) = mode {
            scope = scope.mode(mode);
        }
        for (resource, level) in permissions {
            scope = scope.permission(&format!("{resource}:{}", LEVELS[level.min(access)])).expect("within access");
        }
        for endpoint in endpoints {
            scope = scope.endpoint(&endpoint.to_string()).expect("a pattern");
        }
        for service in services {
            scope = scope.service(service).expect("a service");
        }
        scope
    })
}

/// The greatest lower bound, where there is one.
fn meet(a: Option<Scope>, b: Option<Scope>) -> Option<Scope> {
    a?.intersect(&b?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn covers_is_a_partial_order(a in scope(), b in scope(), c in scope()) {
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&a)) || a == b);
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        // Independent scopes seldom nest: make chains on purpose.
        if let Some(ab) = a.intersect(&b) {
            prop_assert!(a.covers(&ab) && b.covers(&ab));
            if let Some(abc) = ab.intersect(&c) {
                prop_assert!(a.covers(&abc) && ab.covers(&abc));
                prop_assert!(!abc.covers(&a) || abc == a);
            }
        }
    }

    #[test]
    fn intersect_is_the_greatest_lower_bound(a in scope(), b in scope(), c in scope()) {
        let (x, y, z) = (Some(a.clone()), Some(b.clone()), Some(c.clone()));
        prop_assert_eq!(a.intersect(&a), x.clone());
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        prop_assert_eq!(meet(meet(x.clone(), y.clone()), z.clone()), meet(x, meet(y, z)));
        match a.intersect(&b) {
            Some(both) => {
                prop_assert!(!(a.covers(&c) && b.covers(&c)) || both.covers(&c));
                // A lower bound that is not met by chance.
                if let Some(lower) = both.intersect(&c) {
                    prop_assert!(a.covers(&lower) && b.covers(&lower) && both.covers(&lower));
                }
                prop_assert_eq!(a.covers(&b), both == b);
            }
            None => prop_assert!(!(a.covers(&c) && b.covers(&c)), "nothing lies below both"),
        }
    }

    #[test]
    fn difference_is_empty_exactly_when_covered(a in scope(), b in scope()) {
        let beyond = a.difference(&b);
        prop_assert_eq!(beyond.is_empty(), b.covers(&a));
        prop_assert_eq!(beyond.is_empty(), beyond.to_string() == "nothing");
        prop_assert!(a.difference(&a).is_empty());
        prop_assert!(beyond.permissions.iter().all(|p| a.permissions().any(|q| q == *p)));
        prop_assert!(beyond.endpoints.iter().all(|e| a.endpoints().any(|f| f == e)));
        prop_assert!(beyond.services.iter().all(|s| a.allows_service(s) && !b.allows_service(s)));
    }

    #[test]
    fn serde_keeps_a_scope(a in scope()) {
        let json = serde_json::to_string(&a).expect("json");
        prop_assert_eq!(&serde_json::from_str::<Scope>(&json).expect("the same"), &a);
    }

    #[test]
    fn a_read_only_scope_never_holds_more(a in scope(), b in scope()) {
        for scope in [Some(a.clone()), a.intersect(&b)].into_iter().flatten() {
            prop_assert!(scope.permissions().all(|p| p.level <= scope.access()));
        }
        let access = a.access();
        for level in LEVELS.into_iter().filter(|level| *level > access) {
            let wider = a.clone().permission(&format!("extra:{level}"));
            prop_assert_eq!(wider, Err(ScopeError::Exceeds { permission: level, access }));
            let mut json = serde_json::to_value(&a).expect("json");
            json["permissions"]["extra"] = level.as_str().into();
            prop_assert!(serde_json::from_value::<Scope>(json).is_err(), "not by way of serde either");
        }
    }

    #[test]
    fn endpoint_patterns_are_ordered(a in endpoint(), b in endpoint(), c in endpoint()) {
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&a)) || a == b);
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        match a.intersect(&b) {
            Some(both) => {
                prop_assert!(a.covers(&both) && b.covers(&both));
                prop_assert!(!(a.covers(&c) && b.covers(&c)) || both.covers(&c));
            }
            None => prop_assert!(!(a.covers(&c) && b.covers(&c))),
        }
    }

    /// The order of patterns agrees with the requests they let through.
    #[test]
    fn covering_means_allowing(a in endpoint(), b in endpoint()) {
        let requests = ["GET", "POST"].iter().flat_map(|m| {
            ["/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/ab", "/ab/c", "/c/d", "/x"].iter().map(move |p| (*m, *p))
        });
        for (method, path) in requests {
            let request: EndpointPattern = format!("{method} {path}").parse().expect("a request");
            let (by_a, by_b) = (a.covers(&request), b.covers(&request));
            prop_assert!(!a.covers(&b) || !by_b || by_a);
            let both = a.intersect(&b).is_some_and(|both| both.covers(&request));
            prop_assert_eq!(both, by_a && by_b);
        }
    }
}

fn key(text: &str) -> KeyId {
    text.parse().expect("a key")
}

#[test]
fn a_payment_key_is_test_or_live_and_names_its_endpoints() {
    let payments = key("production/payments/stripe-charges");
    let named = |mode: Option<Mode>, endpoints: &[&str]| {
        let mut scope = Scope::new(AccessLevel::Write);
        if let Some(mode) = mode {
            scope = scope.mode(mode);
        }
        endpoints.iter().fold(scope, |scope, e| scope.endpoint(e).expect("a pattern"))
    };
    for mode in [Mode::Test, Mode::Live] {
        assert!(named(Some(mode), &["POST /v1/charges", "/v1/refunds/*"]).check_for(&payments).is_ok());
        for wide in [&[][..], &["/*"], &["GET /*"], &["POST /v1/charges", "DELETE /*"]] {
            assert!(matches!(named(Some(mode), wide).check_for(&payments), Err(ScopeError::Rule(_))), "{wide:?}");
        }
    }
    assert!(matches!(named(None, &["POST /v1/charges"]).check_for(&payments), Err(ScopeError::Rule(_))));
    assert!(named(None, &[]).check_for(&key("production/analytics/x")).is_ok(), "the rule is about payments");
}

#[test]
fn a_webhook_secret_reaches_nothing() {
    let webhook = key("production/webhook/stripe-events");
    let bare = Scope::new(AccessLevel::ReadOnly).service("hooks").expect("a service");
    assert!(bare.check_for(&webhook).is_ok());
    assert!(bare.clone().mode(Mode::Live).check_for(&webhook).is_ok());
    for reaching in [
        Scope::new(AccessLevel::Write),
        Scope::new(AccessLevel::Admin),
        bare.clone().permission("charges:read-only").expect("a permission"),
        bare.clone().endpoint("/v1/charges").expect("a pattern"),
    ] {
        assert!(matches!(reaching.check_for(&webhook), Err(ScopeError::Rule(_))), "{reaching:?}");
    }
}

#[test]
fn bounds_hold_everywhere() {
    let many = |n: usize| (0..n).try_fold(Scope::new(AccessLevel::Write), |scope, n| scope.service(&format!("s{n}")));
    assert!(many(32).is_ok());
    assert_eq!(many(33), Err(ScopeError::TooMany { what: "services", found: 33 }));
    let many = |n: usize| (0..n).try_fold(Scope::new(AccessLevel::Write), |scope, n| scope.endpoint(&format!("/e{n}")));
    assert_eq!(many(33), Err(ScopeError::TooMany { what: "endpoints", found: 33 }));
    let many =
        |n: usize| (0..n).try_fold(Scope::new(AccessLevel::Write), |scope, n| scope.permission(&format!("r{n}:write")));
    assert_eq!(many(33), Err(ScopeError::TooMany { what: "permissions", found: 33 }));
    let services: Vec<_> = (0..33).map(|n| format!("s{n}")).collect();
    let json = serde_json::json!({ "access": "write", "mode": null, "permissions": {}, "endpoints": [], "services": services });
    assert!(serde_json::from_value::<Scope>(json).is_err());
}

/// An intersection may list more than a scope may: it must not get into a record, which could
/// then not be read again.
#[test]
fn an_intersection_beyond_the_bounds_stays_out_of_records() {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let all =
        methods.iter().fold(Scope::new(AccessLevel::Write), |s, m| s.endpoint(&format!("{m} /*")).expect("a pattern"));
    let some = (0..32).fold(Scope::new(AccessLevel::Write), |s, n| s.endpoint(&format!("/e{n}")).expect("a pattern"));
    let both = all.intersect(&some).expect("they meet");
    assert_eq!(both.endpoints().count(), 192);
    let broken = ScopeError::TooMany { what: "endpoints", found: 192 };
    assert_eq!(both.check_for(&key("dev/analytics/x")), Err(broken));
    let owners = keyward_core::Ownership::new("t", "a", "b", "c").expect("owners");
    let draft = keyward_core::KeyDraft::new(key("dev/analytics/x"), owners, both, "acme".parse().expect("an issuer"));
    assert_eq!(draft.check(), Err(RecordError::Scope(broken)));
}

#[test]
fn the_widest_level_of_a_resource_counts_once() {
    let scope = Scope::new(AccessLevel::Admin)
        .permission("charges:write")
        .and_then(|s| s.permission("charges:read-only"))
        .expect("permissions");
    let all: Vec<Permission> = scope.permissions().collect();
    assert_eq!(all, ["charges:write".parse().expect("a permission")]);
}

#[test]
fn a_difference_reads_like_a_sentence() {
    let wide = Scope::new(AccessLevel::Write)
        .mode(Mode::Live)
        .permission("charges:write")
        .and_then(|s| s.endpoint("POST /v1/charges"))
        .and_then(|s| s.service("billing-api"))
        .expect("a scope");
    let said = wide.difference(&Scope::new(AccessLevel::ReadOnly)).to_string();
    assert_eq!(
        said,
        "access write beyond read-only, live instead of no mode, permission charges:write, endpoint POST /v1/charges, \
         service billing-api"
    );
}
