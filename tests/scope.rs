//! A new key has exactly the recorded scope, or it is no good: wider or narrower, F9.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::Rotator;
use keyward::core::{
    AccessLevel, ManualClock, MemoryBackend, Mode, RunOutcome, Scope, SecretBackendExt, Select, VersionState,
};
use keyward::rotation::{RunReport, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator};
use support::{CHARGES, HEALTHY, charges, cx, finish, key, load, register, until};

/// What becomes of a first key to which the issuer gave this scope instead of the recorded one.
fn provisioned_with(scope: &Scope) -> RunReport {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    let issuer = FakeIssuer::default();
    block_on(async {
        register(&store, &clock, charges()).await;
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", issuer.clone())
            .validator("acme", FakeValidator::new(&issuer))
            .health(HEALTHY)
            .clock(clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first value").await.expect("start");
        until(&mut run, &clock, |step| matches!(step, Step::Created { .. })).await;
        let record = load(&store, &key(CHARGES)).await;
        let version = record.run().expect("a run").phase.version();
        issuer.change_scope(version, scope);
        let read = store.read_one(&cx(), &record.target(), Select::Version(version)).await.expect("staged");
        let report = finish(&mut run, &clock).await.expect("the run ends");

        let record = load(&store, &key(CHARGES)).await;
        let state = record.version(version).expect("kept").state;
        match report.outcome {
            RunOutcome::Completed => assert_eq!(state, VersionState::Primary),
            _ => {
                assert!(state >= VersionState::RevokePending, "a key with another scope is still {state:?}");
                assert!(record.primary().is_none() && record.version(version).expect("kept").proof.is_none());
            }
        }
        let keyward::core::Read::Found { material, .. } = read else { panic!("the staged material") };
        let value = material.value().expect("one value").expose_secret();
        let value = std::str::from_utf8(value).expect("the fake issuer makes text");
        assert!(!format!("{report:?}").contains(value), "the evidence holds the value");
        report
    })
}

/// The recorded scope with one thing else.
fn but(change: impl FnOnce(Scope) -> Scope) -> Scope {
    change(charges().scope)
}

#[test]
fn the_recorded_scope_passes() {
    assert_eq!(provisioned_with(&charges().scope).outcome, RunOutcome::Completed);
}

#[test]
fn which_services_load_a_key_is_no_matter_of_the_issuer() {
    let elsewhere = but(|scope| scope.service("mailer").expect("a service"));
    assert_eq!(provisioned_with(&elsewhere).outcome, RunOutcome::Completed);
}

#[test]
fn every_difference_fails_and_is_reported_without_values() {
    let table = [
        (but(|s| s.permission("refunds:write").expect("a permission")), "wider by permission refunds:write"),
        (but(|s| s.endpoint("GET /v1/payouts").expect("an endpoint")), "wider by endpoint GET /v1/payouts"),
        (but(|s| s.mode(Mode::Test)), "wider by test instead of live, narrower by live instead of test"),
        (
            Scope::new(AccessLevel::Admin)
                .mode(Mode::Live)
                .permission("charges:write")
                .and_then(|s| s.endpoint("POST /v1/charges"))
                .expect("a scope"),
            "wider by access admin beyond write",
        ),
        (
            Scope::new(AccessLevel::Write).mode(Mode::Live).endpoint("POST /v1/charges").expect("a scope"),
            "narrower by permission charges:write",
        ),
        (
            Scope::new(AccessLevel::ReadOnly).mode(Mode::Live).endpoint("POST /v1/charges").expect("a scope"),
            "narrower by access write beyond read-only, permission charges:write",
        ),
        (
            Scope::new(AccessLevel::Write)
                .mode(Mode::Live)
                .permission("refunds:write")
                .and_then(|s| s.endpoint("POST /v1/charges"))
                .expect("a scope"),
            "wider by permission refunds:write, narrower by permission charges:write",
        ),
    ];
    for (scope, difference) in table {
        let report = provisioned_with(&scope);
        assert_eq!(report.outcome, RunOutcome::Aborted, "{difference}");
        let wanted = format!("the scope differs: {difference}");
        assert!(report.evidence.contains(&wanted), "{wanted}: {:?}", report.evidence);
    }
}
