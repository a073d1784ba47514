//! The minute after a leak, in every phase a run can be in.

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::block_on;
use keyward::core::{
    AuditAction, AuditQuery, Clock, Edit, ErrorKind, IncidentState, KeyRecord, Link, ManualClock, MemoryBackend,
    Operation, PointerToken, PublicationId, RunKind, RunPhase, SecretBackend, Shows, VersionId, VersionState,
};
use keyward::inventory::Inventory;
use keyward::leak::{IncidentReport, LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{NeedsOperator, Rotator, Step};
use keyward_conformance::strict::{
    FakeIssuer, FakeValidator, Fault, FaultPlan, Faulty, Flap, Host, StrictFake, run_on_clock,
};
use support::{CHARGES, HEALTHY, SILENT, charges, cx, finish, key, load, register, rotator, until};

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

/// A first version about to be published, on a strict store with hosts in front.
struct First {
    clock: Arc<ManualClock>,
    store: StrictFake,
    issuer: FakeIssuer,
    validator: FakeValidator,
}

impl First {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        register(&store, &clock, charges()).await;
        let issuer = FakeIssuer::default();
        Self { clock, store, validator: FakeValidator::new(&issuer), issuer }
    }

    fn rotator(&self, host: &Host, health: support::Counts) -> Rotator<Faulty<StrictFake>> {
        Rotator::builder(host.wrap(self.store.clone()))
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(health)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    fn record(&self) -> KeyRecord {
        self.store.record(&key(CHARGES)).expect("a record")
    }

    fn promoting(&self) -> (VersionId, PublicationId, PointerToken) {
        match self.record().run().map(|run| run.phase.clone()) {
            Some(RunPhase::Promoting { version, publication, expect }) => {
                (version, publication, expect.expect("a token"))
            }
            other => panic!("not promoting: {other:?}"),
        }
    }

    async fn open<'r>(
        &self,
        rotator: &'r Rotator<Faulty<StrictFake>>,
        leaked: Leaked,
    ) -> LeakResponse<'r, Faulty<StrictFake>> {
        let report = LeakReport::of(key(CHARGES), leaked, "seen in a public gist").expect("a report");
        LeakResponse::open(rotator, &report).await.expect("open")
    }

    async fn to_review(&self, response: &mut LeakResponse<'_, Faulty<StrictFake>>) -> IncidentReport {
        for _ in 0..100 {
            match response.step().await {
                Ok(LeakStep::AwaitingReview(report)) => return report,
                Ok(LeakStep::Wait { at_most, .. }) => self.clock.advance(at_most),
                Ok(LeakStep::NeedsOperator(what)) => panic!("a person was asked: {what}"),
                Ok(_) => {}
                // A scripted fault: the step is repeated.
                Err(_) => {}
            }
        }
        panic!("the response does not end")
    }
}

#[test]
fn a_leak_of_the_first_version_before_anything_was_published_ends_clean() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Promoting { .. })).await;
        let (leaked, ..) = world.promoting();
        let mut response = world.open(&rotator, Leaked::Version(leaked)).await;
        world.to_review(&mut response).await;
        assert_ne!(world.record().primary().expect("a primary").id, leaked);
    });
}

#[test]
fn a_sleeper_that_publishes_a_leaked_first_version_does_not_stop_its_replacement() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Promoting { .. })).await;
        let (leaked, publication, expect) = world.promoting();
        world.open(&rotator, Leaked::Version(leaked)).await;
        let mut run = rotator.start(&key(CHARGES), "replace").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Promoting { .. })).await;
        // Nothing clean was left to fence the sleeper with.
        let target = world.record().target();
        world.store.publish(&cx(), &target, leaked, publication, &expect).await.expect("publish");
        finish(&mut run, &world.clock).await.expect("the replacement goes on from there");
        let replaced = world.record().primary().expect("a primary").id;
        let shows = world.store.pointer(&cx(), &target).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == replaced), "{shows:?}");
    });
}

#[test]
fn a_response_does_not_end_while_native_readers_may_still_be_shown_the_leaked_version() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        let old = world.record().primary().expect("a primary").id;
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Promoting { .. })).await;
        let (leaked, publication, expect) = world.promoting();
        // Published, and the host died before it could say so.
        let target = world.record().target();
        world.store.publish(&cx(), &target, leaked, publication, &expect).await.expect("publish");
        let host = Host::new("b", FaultPlan::none().nth(Operation::Publish, 0, Fault::Fail(ErrorKind::Unavailable)));
        let responder = world.rotator(&host, HEALTHY);
        let mut response = world.open(&responder, Leaked::Version(leaked)).await;
        let report = world.to_review(&mut response).await;
        assert_eq!(report.replaced_by, Some(old));
        let shows = world.store.pointer(&cx(), &target).await.expect("pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == old), "{shows:?}");
    });
}

#[test]
fn the_current_version_is_what_native_readers_are_shown_while_the_pointer_moves() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Promoting { .. })).await;
        let (new, publication, expect) = world.promoting();
        let target = world.record().target();
        world.store.publish(&cx(), &target, new, publication, &expect).await.expect("publish");
        let mut response = world.open(&rotator, Leaked::Current).await;
        assert_eq!(world.to_review(&mut response).await.version, new);
    });
}

#[test]
fn an_unconfirmed_revoke_is_tried_again_also_when_the_replacement_fails() {
    block_on(async {
        let mut world = First::new().await;
        world.issuer = FakeIssuer::capped(1);
        world.validator = FakeValidator::new(&world.issuer);
        let steady = world.rotator(&Host::steady("a"), HEALTHY);
        finish(&mut steady.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        // The first revoke fails, so there is no room for the replacement until the second.
        let host = Host::new("b", FaultPlan::none().nth(Operation::Revoke, 0, Fault::Fail(ErrorKind::Unavailable)));
        let rotator = world.rotator(&host, HEALTHY);
        let mut response = world.open(&rotator, Leaked::Current).await;
        let report = world.to_review(&mut response).await;
        assert_eq!(world.issuer.live(&key(CHARGES)), [report.replaced_by.expect("replaced")]);
    });
}

#[test]
fn a_leak_of_a_key_that_is_given_up_waits_for_the_revoke_only() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        let leaked = world.record().primary().expect("a primary").id;
        world.issuer.revokes_linger(2);
        rotator.decommission(&key(CHARGES), "no longer used").await.expect("decommission");
        let mut response = world.open(&rotator, Leaked::Version(leaked)).await;
        for _ in 0..20 {
            match response.step().await.expect("no replacement is tried") {
                LeakStep::AwaitingReview(report) => return assert_eq!(report.replaced_by, None),
                LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                _ => {}
            }
        }
        panic!("the response does not end");
    });
}

#[test]
fn a_leak_of_a_given_up_version_does_not_wait_for_the_soak_of_another() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), SILENT);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Created { .. })).await;
        let leaked = world.record().run().expect("a run").phase.version();
        rotator.abort(&key(CHARGES), "not now").await.expect("abort");
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        world.issuer.revokes_linger(2);
        let began = world.clock.now();
        let mut response = world.open(&rotator, Leaked::Version(leaked)).await;
        world.to_review(&mut response).await;
        assert!(world.clock.now() - began < TimeDelta::minutes(2), "the response waited for the soak");
    });
}

#[test]
fn a_replacement_that_never_passes_ends_with_a_person_and_not_in_a_loop() {
    block_on(async {
        let world = First::new().await;
        let rotator = world.rotator(&Host::steady("a"), HEALTHY);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
        let before = world.issuer.all_creates().len();
        let mut response = world.open(&rotator, Leaked::Current).await;
        world.validator.flap(std::iter::repeat_n(Flap::Rejected, 10_000));
        for _ in 0..1_000 {
            match response.step().await.expect("step") {
                LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                LeakStep::NeedsOperator(what) => {
                    assert!(matches!(what, NeedsOperator::NotReplaced { .. }), "{what}");
                    assert!(what.to_string().contains("refused"), "{what}");
                    assert_eq!(world.issuer.all_creates().len() - before, 3);
                    return;
                }
                _ => {}
            }
        }
        panic!("{} keys were made and nobody was asked", world.issuer.all_creates().len());
    });
}

#[test]
fn a_response_run_to_review_lives_through_throttling() {
    let world = block_on(First::new());
    let steady = world.rotator(&Host::steady("a"), HEALTHY);
    block_on(async {
        finish(&mut steady.start(&key(CHARGES), "first key").await.expect("start"), &world.clock).await.expect("run");
    });
    let plan =
        (2..6).fold(FaultPlan::none(), |plan, n| plan.nth(Operation::Load, n, Fault::Fail(ErrorKind::Throttled)));
    let host = Host::new("b", plan);
    let rotator = world.rotator(&host, HEALTHY);
    let answered =
        run_on_clock(&host, &world.clock, async { world.open(&rotator, Leaked::Current).await.run_to_review().await });
    answered.expect("alive").expect("not given up at the first refusal");
}

#[test]
fn an_exposure_cannot_begin_after_it_was_seen() {
    block_on(async {
        let world = world().await;
        let report = LeakReport::of(key(CHARGES), Leaked::Current, "a clock ahead").expect("a report");
        let report = report.exposed_from(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        let mut response = LeakResponse::open(&world.rotator, &report).await.expect("open");
        let done = loop {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(done) => break done,
                LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                _ => {}
            }
        };
        assert!(done.exposed_from <= done.revoked_at.expect("an end"), "{done}");
    });
}

#[test]
fn a_record_full_of_notes_still_takes_a_leak_and_its_answer() {
    block_on(async {
        let world = world().await;
        // Every quote takes two bytes in the stored form.
        let (long, name) = ("\"".repeat(512), "\"".repeat(128));
        let inventory = Inventory::new(world.store.clone()).actor(&name).clock(world.clock.clone());
        let record = load(&world.store, &key(CHARGES)).await;
        let scope = (0..31).fold(record.scope().clone(), |scope, n| {
            let scope = scope.endpoint(&format!("POST /v1/{n}/{}", "x".repeat(100))).expect("an endpoint");
            scope.service(&format!("s{n}-{}", "x".repeat(56))).expect("a service")
        });
        let approval = Some("everybody needs it".parse().expect("a reason"));
        inventory.update(&key(CHARGES), Edit::Scope { scope, approval }, "fill").await.expect("scope");
        let links = (0..16).map(|_| Link::runbook(&name, &format!("https://example.com/{}", "x".repeat(480))));
        let links: Vec<_> = links.map(|link| link.expect("a link")).collect();
        inventory.update(&key(CHARGES), Edit::Links(links), "fill").await.expect("links");
        let mut refused = None;
        for n in 0..64 {
            let labels = (0..16).map(|l| (format!("l{l}").parse().expect("a name"), name.parse().expect("a value")));
            let filled = match n % 2 {
                0 => inventory.annotate(&key(CHARGES), &long).await,
                _ => inventory.update(&key(CHARGES), Edit::Labels(labels.collect()), &name).await,
            };
            refused = filled.err().or(refused);
        }
        let refused = refused.expect("at some point the record is full").to_string();
        assert!(refused.contains("shorten notes, labels or links") && !refused.contains("registered"), "{refused}");
        let leaked = world.primary().await;
        world.respond(Leaked::Current).await;
        world.assert_clean(leaked).await;
    });
}
