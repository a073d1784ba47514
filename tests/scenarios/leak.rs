//! A leaked version, with nothing in flight.

use std::sync::Arc;

use chrono::TimeDelta;
use keyward::core::{AuditAction, AuditQuery, Clock, IncidentState, ManualClock, RunKind, VersionId};
use keyward::keyring::Why;
use keyward::leak::{IncidentReport, LeakError, LeakReport, LeakResponse, LeakStep, Leaked};

use crate::support::{CHARGES, cx, key};
use crate::world::{HostRotator, Store, World, soaking};

impl<S: Store> World<S> {
    pub(crate) fn report(&self, leaked: Leaked) -> LeakReport {
        let report = LeakReport::of(key(CHARGES), leaked, "seen in a public gist").expect("a report");
        report.exposed_from(self.clock.now() - TimeDelta::hours(3))
    }

    /// Answers a leak up to its review; the steps that changed something.
    pub(crate) async fn respond(&self, rotator: &HostRotator<S>, leaked: Leaked) -> (IncidentReport, Vec<LeakStep>) {
        let mut response = LeakResponse::open(rotator, &self.report(leaked)).await.expect("open");
        let mut steps = Vec::new();
        for _ in 0..300 {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(report) => return (report, steps),
                LeakStep::Wait { at_most, .. } => self.clock.advance(at_most),
                step => steps.push(step),
            }
        }
        panic!("the response does not end: {steps:?}");
    }

    pub(crate) async fn assert_leak_is_over(&self, leaked: VersionId) {
        let record = self.record().await;
        let version = record.version(leaked).expect("kept");
        assert!(version.state.is_dead() && version.compromised.is_some(), "{version:?}");
        assert!(record.incidents().iter().all(|i| i.state == IncidentState::AwaitingReview));
        assert_ne!(self.primary().await, leaked);
        self.comes_to_rest().await;
    }
}

pub(crate) async fn f44_a_leak_of_the_primary_is_refused_replaced_and_logged(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let leaked = world.primary().await;
    let keys = world.keyring().load().await.expect("keys");
    let handle = keys.handle("payments/stripe-charges").expect("a handle");
    let rotator = world.steady("a");
    let mut response = LeakResponse::open(&rotator, &world.report(Leaked::Current)).await.expect("open");
    keys.refresh().await;
    let refused = handle.live().map(drop).expect_err("refused from the next refresh on");
    assert!(matches!(refused.why(), Why::Compromised { .. }), "{refused}");

    let began = world.clock.now();
    let step = response.step().await.expect("step");
    assert!(matches!(step, LeakStep::Revoked { version } if version == leaked), "the revoke is first: {step}");
    let (report, _) = world.respond(&rotator, Leaked::Version(leaked)).await;
    assert!(world.clock.now() - began < TimeDelta::minutes(5), "no soak");
    assert_eq!(world.record().await.history().last().expect("a run").kind, RunKind::Leak);
    let revoked_at = report.revoked_at.expect("the window has an end");
    assert!(report.exposed_from < revoked_at && !report.exposure_assumed, "{report}");
    keys.refresh().await;
    assert_eq!(Some(handle.live().expect("served again").version()), report.replaced_by);
    world.assert_leak_is_over(leaked).await;
}

pub(crate) async fn f45_a_leak_of_the_old_key_in_the_soak_skips_the_windows(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let leaked = world.primary().await;
    let rotator = world.steady("a");
    world.until(&rotator, soaking).await;
    let (new, began) = (world.primary().await, world.clock.now());
    let (report, _) = world.respond(&rotator, Leaked::Version(leaked)).await;
    assert!(world.clock.now() - began < TimeDelta::minutes(5), "no soak");
    assert_eq!((world.primary().await, report.replaced_by), (new, Some(new)), "the new key stays");
    assert!(rotator.rollback(&key(CHARGES), "no").await.is_err(), "a rollback is forbidden now");
    world.assert_leak_is_over(leaked).await;
}

pub(crate) async fn f47_a_leak_of_both_keys_leaves_no_usable_key_until_the_third(
    store: impl Store,
    clock: Arc<ManualClock>,
) {
    let world = World::in_service(store, clock).await;
    let keys = world.keyring().load().await.expect("keys");
    let handle = keys.handle("payments/stripe-charges").expect("a handle");
    let old = world.primary().await;
    let rotator = world.steady("a");
    world.until(&rotator, soaking).await;
    let new = world.primary().await;
    for leaked in [new, old] {
        LeakResponse::open(&rotator, &world.report(Leaked::Version(leaked))).await.expect("open");
    }
    keys.refresh().await;
    let refused = handle.live().map(drop).expect_err("no usable key");
    assert!(matches!(refused.why(), Why::Compromised { .. }), "a typed refusal, not a dead key: {refused}");
    assert!(world.record().await.primary().is_none());

    for leaked in [old, new] {
        world.respond(&rotator, Leaked::Version(leaked)).await;
    }
    keys.refresh().await;
    let third = handle.live().expect("served again").version();
    assert!(![old, new].contains(&third));
    world.assert_leak_is_over(old).await;
    world.assert_leak_is_over(new).await;
}

pub(crate) async fn f48_a_repeated_report_can_only_widen_the_window(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let leaked = world.primary().await;
    let rotator = world.steady("a");
    let (first, _) = world.respond(&rotator, Leaked::Current).await;
    let replaced = world.primary().await;
    for days in [5, -5, 3] {
        let from = first.exposed_from - TimeDelta::days(days);
        let again = world.report(Leaked::Version(leaked)).exposed_from(from);
        let mut response = LeakResponse::open(&rotator, &again).await.expect("open again");
        assert_eq!(response.incident(), first.incident, "the same incident");
        let LeakStep::AwaitingReview(now) = response.step().await.expect("step") else { panic!("begun anew") };
        assert_eq!(now.exposed_from, first.exposed_from - TimeDelta::days(5), "only ever wider");
        assert_eq!((now.revoked_at, now.replaced_by), (first.revoked_at, Some(replaced)));
    }
    assert_eq!((world.primary().await, world.record().await.incidents().len()), (replaced, 1));
    world.assert_leak_is_over(leaked).await;
}

pub(crate) async fn f49_a_report_that_matches_nothing_rotates_nothing(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let before = world.record().await;
    let stranger = "fp_00000000000000000000000000000000".parse().expect("a fingerprint");
    let rotator = world.steady("a");
    let refused = LeakResponse::open(&rotator, &world.report(Leaked::Fingerprint(stranger))).await.map(drop);
    assert!(matches!(refused, Err(LeakError::Unmatched { .. })), "{refused:?}");
    assert_eq!(world.record().await, before, "no rotation on a guess");
    if let Some(log) = world.store.audit() {
        let notes = log.entries(&cx(), &AuditQuery::default().action(AuditAction::Note), None).await.expect("entries");
        assert_eq!(notes.items.len(), 1, "somebody has seen something: it is on the log");
    }
    world.comes_to_rest().await;
}
