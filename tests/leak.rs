//! The minute after a leak, in every phase a run can be in.

mod support;

use std::sync::Arc;

use chrono::TimeDelta;
use futures_lite::future::block_on;
use keyward::core::{
    AuditAction, AuditQuery, Clock, IncidentState, ManualClock, MemoryBackend, RunKind, SecretBackend, Shows,
    VersionId, VersionState,
};
use keyward::leak::{IncidentReport, LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{Rotator, Step};
use support::{CHARGES, HEALTHY, charges, cx, finish, key, load, register, rotator, until};

struct World {
    store: MemoryBackend,
    clock: Arc<ManualClock>,
    rotator: Rotator<MemoryBackend>,
}

/// A key in service.
async fn world() -> World {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    register(&store, &clock, charges()).await;
    let rotator = rotator(&store, &clock, HEALTHY);
    let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
    finish(&mut run, &clock).await.expect("provision");
    World { store, clock, rotator }
}

impl World {
    async fn primary(&self) -> VersionId {
        load(&self.store, &key(CHARGES)).await.primary().expect("a primary").id
    }

    async fn respond(&self, leaked: Leaked) -> (IncidentReport, Vec<LeakStep>) {
        let report = LeakReport::of(key(CHARGES), leaked, "seen in a public gist")
            .expect("a report")
            .exposed_from(self.clock.now() - TimeDelta::hours(3));
        let mut response = LeakResponse::open(&self.rotator, &report).await.expect("open");
        let mut steps = Vec::new();
        for _ in 0..200 {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(report) => return (report, steps),
                LeakStep::Wait { at_most, .. } => self.clock.advance(at_most),
                step => steps.push(step),
            }
        }
        panic!("the response does not end: {steps:?}");
    }

    /// Clean steady state: one working version, shown to native readers, and it is not the leaked one.
    async fn assert_clean(&self, leaked: VersionId) {
        let record = load(&self.store, &key(CHARGES)).await;
        let primary = record.primary().expect("a primary").id;
        assert_ne!(primary, leaked);
        let leaked = record.version(leaked).expect("kept");
        assert!(leaked.state.is_dead() && leaked.compromised.is_some());
        let shows = self.store.pointer(&cx(), &record.target()).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == primary), "{shows:?}");
        assert_eq!(record.incidents()[0].state, IncidentState::AwaitingReview);
    }
}

#[test]
fn the_leaked_key_is_revoked_first_and_replaced_without_a_soak() {
    block_on(async {
        let world = world().await;
        let leaked = world.primary().await;
        let before = world.clock.now();
        let (report, steps) = world.respond(Leaked::Current).await;
        assert!(matches!(steps[0], LeakStep::Revoked { version } if version == leaked), "{steps:?}");
        assert!(world.clock.now() - before < TimeDelta::minutes(5), "no soak");
        assert_eq!(report.version, leaked);
        assert!(!report.exposure_assumed && report.revoked_at.expect("an end") >= report.exposed_from);
        world.assert_clean(leaked).await;
        let record = load(&world.store, &key(CHARGES)).await;
        assert_eq!(record.history().last().expect("a run").kind, RunKind::Leak);
        let replaced = record.primary().expect("a primary");
        assert_eq!(replaced.proof.as_ref().expect("a proof").checks, 3, "validated in full");
    });
}

#[test]
fn a_leak_of_the_new_version_while_it_soaks_brings_the_old_one_back() {
    block_on(async {
        let world = world().await;
        let old = world.primary().await;
        let mut run = world.rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let leaked = world.primary().await;
        let (report, steps) = world.respond(Leaked::Current).await;
        assert!(matches!(steps[0], LeakStep::Fenced { .. }), "{steps:?}");
        assert_eq!(report.replaced_by, Some(old));
        world.assert_clean(leaked).await;
        assert_eq!(world.primary().await, old);
    });
}

#[test]
fn a_leak_of_the_old_version_while_the_new_one_soaks_skips_the_windows_and_keeps_the_new_one() {
    block_on(async {
        let world = world().await;
        let leaked = world.primary().await;
        let mut run = world.rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary().await;
        let before = world.clock.now();
        world.respond(Leaked::Version(leaked)).await;
        assert!(world.clock.now() - before < TimeDelta::minutes(5), "no soak");
        world.assert_clean(leaked).await;
        assert_eq!(world.primary().await, new);
        assert!(world.rotator.rollback(&key(CHARGES), "no").await.is_err(), "nothing to roll back to");
    });
}

#[test]
fn a_leak_in_every_phase_before_publication_ends_clean() {
    type Stop = fn(&Step) -> bool;
    let stops: [Stop; 3] = [
        |s| matches!(s, Step::Created { .. }),
        |s| matches!(s, Step::Validated { .. }),
        |s| matches!(s, Step::Promoting { .. }),
    ];
    for stop in stops {
        for new_leaks in [false, true] {
            block_on(async {
                let world = world().await;
                let old = world.primary().await;
                let mut run = world.rotator.start(&key(CHARGES), "quarterly").await.expect("start");
                until(&mut run, &world.clock, stop).await;
                let phase = load(&world.store, &key(CHARGES)).await.run().expect("a run").phase.version();
                let leaked = if new_leaks { phase } else { old };
                world.respond(Leaked::Version(leaked)).await;
                world.assert_clean(leaked).await;
            });
        }
    }
}

#[test]
fn a_leak_of_the_version_a_rollback_goes_back_to_turns_it_round() {
    block_on(async {
        let world = world().await;
        let leaked = world.primary().await;
        let mut run = world.rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary().await;
        world.rotator.rollback(&key(CHARGES), "we think it is bad").await.expect("rollback");
        world.respond(Leaked::Version(leaked)).await;
        world.assert_clean(leaked).await;
        assert_eq!(world.primary().await, new);
    });
}

#[test]
fn a_leak_of_both_versions_revokes_both_and_provisions_a_third() {
    block_on(async {
        let world = world().await;
        let old = world.primary().await;
        let mut run = world.rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary().await;
        let report = |v| LeakReport::of(key(CHARGES), Leaked::Version(v), "both on one laptop").expect("a report");
        LeakResponse::open(&world.rotator, &report(new)).await.expect("open");
        world.respond(Leaked::Version(old)).await;
        world.respond(Leaked::Version(new)).await;
        let record = load(&world.store, &key(CHARGES)).await;
        for leaked in [old, new] {
            assert!(record.version(leaked).expect("kept").state == VersionState::Revoked);
            assert_ne!(record.primary().expect("a primary").id, leaked);
        }
        assert!(record.incidents().iter().all(|i| i.state == IncidentState::AwaitingReview));
    });
}

#[test]
fn a_repeated_report_finds_the_same_incident_and_can_only_widen_the_window() {
    block_on(async {
        let world = world().await;
        let leaked = world.primary().await;
        let (first, _) = world.respond(Leaked::Current).await;
        let earlier = first.exposed_from - TimeDelta::days(2);
        let again = LeakReport::of(key(CHARGES), Leaked::Version(leaked), "older copy").expect("a report");
        let mut response = LeakResponse::open(&world.rotator, &again.exposed_from(earlier)).await.expect("open again");
        assert_eq!(response.incident(), first.incident);
        let LeakStep::AwaitingReview(widened) = response.step().await.expect("step") else { panic!("not at its end") };
        assert_eq!((widened.exposed_from, widened.replaced_by), (earlier, first.replaced_by));
        let mut resumed = LeakResponse::resume(&world.rotator, &key(CHARGES), first.incident).await.expect("resume");
        assert!(matches!(resumed.step().await, Ok(LeakStep::AwaitingReview(_))), "it does not close");
    });
}

#[test]
fn the_same_report_opened_twice_never_condemns_the_replacement() {
    block_on(async {
        let world = world().await;
        let report = LeakReport::of(key(CHARGES), Leaked::Current, "seen in a public gist").expect("a report");
        let mut response = LeakResponse::open(&world.rotator, &report).await.expect("open");
        for _ in 0..200 {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(_) => break,
                LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                _ => {}
            }
        }
        let replacement = world.primary().await;
        // The first reply was lost, so the caller opens the same report again.
        let again = LeakResponse::open(&world.rotator, &report).await.expect("open again");
        assert_eq!(again.incident(), report.incident);
        assert_eq!(world.primary().await, replacement);
    });
}

#[test]
fn a_report_that_matches_nothing_is_noted_and_changes_nothing() {
    block_on(async {
        let world = world().await;
        let before = load(&world.store, &key(CHARGES)).await;
        let stranger = "fp_00000000000000000000000000000000".parse().expect("a fingerprint");
        let report = LeakReport::of(key(CHARGES), Leaked::Fingerprint(stranger), "somewhere").expect("a report");
        let refused = LeakResponse::open(&world.rotator, &report).await.map(|_| ()).expect_err("unmatched");
        assert!(matches!(refused, LeakError::Unmatched { .. }), "{refused}");
        assert_eq!(load(&world.store, &key(CHARGES)).await, before);
        let log = world.store.audit().expect("a log");
        let notes = log.entries(&cx(), &AuditQuery::default().action(AuditAction::Note), None).await.expect("entries");
        assert_eq!(notes.items.len(), 1);
    });
}
