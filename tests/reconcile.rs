//! Record, pointer and issuer compared: what is found, what is put right, and what waits for a
//! person's word.

#[path = "support/facets.rs"]
mod facets;
mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Context, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, KeyIssuer, KeyRecord, ManualClock, Material,
    Operation, Probe, PublicationId, Read, RunKind, RunOutcome, RunPhase, SecretBackend, SecretBackendExt, SecretValue,
    Select, Shows, TransitionError, Validator, VersionId, VersionState, async_trait,
};
use keyward::rotation::{Finding, NeedsOperator, Reconciler, RotationError, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Fault, FaultPlan, Faulty, Host, Late, StrictFake};
use support::{CHARGES, HEALTHY, charges, cx, finish, key, register, until};

type HostRotator = Rotator<Faulty<StrictFake>>;

struct World {
    clock: Arc<ManualClock>,
    store: StrictFake,
    issuer: FakeIssuer,
}

impl World {
    /// A key with a first version in service.
    async fn new() -> Self {
        Self::at(FakeIssuer::reversible()).await
    }

    async fn at(issuer: FakeIssuer) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        register(&store, &clock, charges()).await;
        let world = Self { clock, store, issuer };
        world.rotate(&world.rotator()).await;
        world
    }

    fn rotator(&self) -> HostRotator {
        self.rotator_on(&Host::steady("a"))
    }

    fn rotator_on(&self, host: &Host) -> HostRotator {
        Rotator::builder(host.wrap(self.store.clone()))
            .actor("rotator")
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", FakeValidator::new(&self.issuer))
            .health(HEALTHY)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(6 * 3_600))
            .build()
            .expect("a rotator")
    }

    async fn rotate(&self, rotator: &HostRotator) {
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        assert_eq!(finish(&mut run, &self.clock).await.expect("rotate").outcome, RunOutcome::Completed);
    }

    fn record(&self) -> KeyRecord {
        self.store.record(&key(CHARGES)).expect("a record")
    }

    fn primary(&self) -> VersionId {
        self.record().primary().expect("a primary").id
    }

    async fn shows(&self) -> Shows {
        self.store.pointer(&cx(), &self.record().target()).await.expect("pointer").shows
    }

    async fn shown(&self) -> VersionId {
        match self.shows().await {
            Shows::Ours { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    async fn switch_off(&self, version: VersionId) {
        let record = self.record();
        let issue = Issue { record: &record, version: record.version(version).expect("a version") };
        self.issuer.deactivate(&cx(), issue).await.expect("off");
    }

    /// What a check finds; it must change nothing.
    async fn found(&self) -> Vec<Finding> {
        let (record, moves) = (self.record(), self.store.moves());
        let rotator = self.rotator();
        let report = Reconciler::of(&rotator).check(&key(CHARGES)).await.expect("check");
        assert_eq!((self.record(), self.store.moves()), (record, moves), "a check changes nothing");
        assert_eq!(report.is_clean(), report.findings.is_empty());
        let said = report.to_string();
        for finding in &report.findings {
            assert!(said.contains(&finding.to_string()) && said.contains(finding.advice()), "{said}");
        }
        report.findings
    }

    async fn repair(&self) -> keyward::rotation::RepairReport {
        let rotator = self.rotator();
        Reconciler::of(&rotator).repair(&key(CHARGES), "reconcile").await.expect("repair")
    }
}

#[test]
fn all_is_well_before_during_and_after_a_rotation() {
    block_on(async {
        let world = World::new().await;
        let rotator = world.rotator();
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        for _ in 0..200 {
            let found = world.found().await;
            assert_eq!(found, vec![], "in {:?}", world.record().run().map(|run| run.phase.name()));
            match run.step().await.expect("a step") {
                Step::Finished(_) => break,
                Step::Wait { at_most, .. } => world.clock.advance(at_most),
                _ => {}
            }
        }
        let repaired = world.repair().await;
        assert!(repaired.left.is_empty() && repaired.switched_on.is_empty() && repaired.republished.is_none());
    });
}

#[test]
fn a_serving_key_found_switched_off_is_switched_on() {
    block_on(async {
        let world = World::new().await;
        let serving = world.primary();
        world.switch_off(serving).await;
        assert_eq!(world.found().await, vec![Finding::PrimaryOff { version: serving }]);
        let repaired = world.repair().await;
        assert_eq!((repaired.switched_on, repaired.left), (vec![serving], vec![]));
        assert_eq!(world.issuer.live(&key(CHARGES)), vec![serving]);
    });
}

/// Nothing fences an issuer: the protocol's own example of what only a reconciler can answer.
#[test]
fn a_sleeper_that_switches_off_what_serves_again_is_found_and_put_right() {
    block_on(async {
        let world = World::new().await;
        let (host, old) = (Host::steady("sleeper"), world.primary());
        let sleeper = world.rotator_on(&host);
        let mut run = sleeper.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Suspending { .. })).await;
        // It has looked, decided, and falls asleep over the call.
        let mut step = Box::pin(run.step());
        let waker = &mut std::task::Context::from_waker(std::task::Waker::noop());
        while host.trace().last().is_none_or(|call| call.operation != Operation::Switch) {
            assert!(step.as_mut().poll(waker).is_pending());
        }
        let other = world.rotator();
        other.abort(&key(CHARGES), "not today").await.expect("abort");
        let mut back = other.start_or_resume(&key(CHARGES), "abort").await.expect("resume");
        finish(&mut back, &world.clock).await.expect("back");
        assert_eq!((world.primary(), world.shown().await), (old, old));

        assert!(matches!(step.await, Ok(Step::Overtaken)));
        assert_eq!(world.found().await, vec![Finding::PrimaryOff { version: old }], "it woke up");
        assert_eq!(world.repair().await.switched_on, vec![old]);
        assert_eq!((world.issuer.live(&key(CHARGES)), world.found().await), (vec![old], vec![]));
    });
}

#[test]
fn a_dead_serving_key_is_reported_and_nothing_is_made_up() {
    block_on(async {
        let world = World::new().await;
        let serving = world.primary();
        world.issuer.kill(serving);
        let found = world.found().await;
        assert!(matches!(found[..], [Finding::PrimaryDead { version, .. }] if version == serving), "{found:?}");
        assert_eq!(world.repair().await.left, found);
        world.store.lose(&key(CHARGES), serving);
        assert!(world.found().await.contains(&Finding::MaterialLost { version: serving }));
    });
}

#[test]
fn an_old_key_found_off_in_its_overlap_is_reported() {
    block_on(async {
        let world = World::new().await;
        let (rotator, old) = (world.rotator(), world.primary());
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        world.switch_off(old).await;
        assert_eq!(world.found().await, vec![Finding::OldOff { version: old }]);
    });
}

/// Somebody moves the label back to what it was before the rotation.
async fn move_back(world: &World, old: VersionId) {
    let target = world.record().target();
    let token = world.store.pointer(&cx(), &target).await.expect("pointer").token;
    world.store.publish(&cx(), &target, old, PublicationId::first(old), &token).await.expect("publish");
}

#[test]
fn an_older_publication_of_ours_is_put_right_in_a_run_of_its_own() {
    block_on(async {
        let world = World::new().await;
        let old = world.primary();
        world.rotate(&world.rotator()).await;
        let serving = world.primary();
        move_back(&world, old).await;
        assert_eq!(world.found().await, vec![Finding::PointerBehind { shown: old, serving }]);
        let repaired = world.repair().await;
        assert_eq!((repaired.republished, repaired.left), (Some(serving), vec![]));
        assert_eq!(world.shown().await, serving);
        let run = world.record().history().last().expect("a run").clone();
        assert_eq!((run.kind, run.reason.as_str(), run.started_by.as_str()), (RunKind::Repair, "reconcile", "rotator"));
    });
}

#[test]
fn a_repair_that_dies_at_any_call_is_finished_by_the_next() {
    for fault in Fault::CRASHES {
        for call in 0..30 {
            block_on(async {
                let world = World::new().await;
                let old = world.primary();
                world.rotate(&world.rotator()).await;
                let serving = world.primary();
                world.switch_off(serving).await;
                move_back(&world, old).await;
                let host = Host::new("dying", FaultPlan::none().at(call, fault));
                let rotator = world.rotator_on(&host);
                let key = key(CHARGES);
                let repair = Reconciler::of(&rotator);
                drop(keyward_conformance::strict::run_until_crash(&host, repair.repair(&key, "reconcile")));
                world.repair().await;
                assert_eq!(world.found().await, vec![], "{fault:?} at call {call}");
                assert_eq!((world.shown().await, world.issuer.live(&key)), (serving, vec![serving]));
            });
        }
    }
}

#[test]
fn a_dead_key_is_not_published_again() {
    block_on(async {
        let world = World::new().await;
        let old = world.primary();
        world.rotate(&world.rotator()).await;
        let serving = world.primary();
        move_back(&world, old).await;
        world.issuer.kill(serving);
        let rotator = world.rotator();
        let refused = Reconciler::of(&rotator).repair(&key(CHARGES), "reconcile").await.expect_err("dead");
        assert!(matches!(refused, RotationError::CannotComeBack { version, .. } if version == serving), "{refused}");
        assert_eq!(world.shown().await, old);
    });
}

#[test]
fn f17_what_somebody_else_wrote_is_overwritten_by_a_persons_word_only() {
    block_on(async {
        let world = World::new().await;
        world.store.write_by_hand(&key(CHARGES));
        assert_eq!(world.found().await, vec![Finding::ForeignPublication]);
        assert_eq!(world.repair().await.left, vec![Finding::ForeignPublication]);
        assert_eq!(world.shows().await, Shows::Foreign, "left alone");

        let rotator = world.rotator();
        let reconciler = Reconciler::of(&rotator);
        let why = "an old pipeline wrote it; it is switched off now";
        let mut run = reconciler.overwrite_foreign(&key(CHARGES), why).await.expect("overwrite");
        // It changes again before the run gets there: seen, and left alone again.
        world.store.write_by_hand(&key(CHARGES));
        let step = run.step().await.expect("a step");
        assert!(matches!(step, Step::NeedsOperator(NeedsOperator::ForeignPublication { .. })), "{step}");
        let mut run = reconciler.overwrite_foreign(&key(CHARGES), why).await.expect("overwrite");
        let report = finish(&mut run, &world.clock).await.expect("overwritten");
        assert_eq!((report.kind, report.outcome), (RunKind::Repair, RunOutcome::Completed));
        assert_eq!(world.shown().await, world.primary());
        assert_eq!(world.record().history().last().expect("a run").reason.as_str(), why);
        let ours = reconciler.overwrite_foreign(&key(CHARGES), why).await.expect_err("nothing to overwrite");
        assert!(matches!(ours, RotationError::NotForeign { .. }), "{ours}");
        assert_eq!(world.store.misuse(), vec![]);
    });
}

#[test]
fn f17_a_run_goes_on_over_what_somebody_else_wrote_by_a_persons_word_only() {
    for phase in ["promoting", "soaking", "retiring", "rolling-back"] {
        block_on(async {
            let world = World::at(FakeIssuer::default()).await;
            let (rotator, old) = (world.rotator(), world.primary());
            let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
            let at = if phase == "rolling-back" { "soaking" } else { phase };
            for _ in 0..200 {
                if world.record().run().is_some_and(|run| run.phase.name() == at) {
                    break;
                }
                if let Step::Wait { at_most, .. } = run.step().await.expect("a step") {
                    world.clock.advance(at_most);
                }
            }
            if phase == "rolling-back" {
                rotator.rollback(&key(CHARGES), "errors").await.expect("roll back");
            }
            world.store.write_by_hand(&key(CHARGES));
            let mut run = rotator.resume(&key(CHARGES), "go on").await.expect("resume");
            let stuck = finish(&mut run, &world.clock).await.expect_err("a person must decide");
            let asked = matches!(stuck, RotationError::NeedsOperator(NeedsOperator::ForeignPublication { .. }));
            assert!(asked, "{phase}: {stuck}");
            assert!(world.issuer.live(&key(CHARGES)).contains(&old), "{phase}: revoked though it may be what is shown");
            assert_eq!(world.shows().await, Shows::Foreign, "{phase}: left alone");

            let mut run = Reconciler::of(&rotator).overwrite_foreign(&key(CHARGES), "ours").await.expect("overwrite");
            finish(&mut run, &world.clock).await.unwrap_or_else(|e| panic!("{phase}: {e}"));
            assert_eq!(world.shown().await, world.primary(), "{phase}");
            assert_eq!(world.issuer.working(&key(CHARGES)), vec![world.primary()], "{phase}");
            assert_eq!(world.primary() == old, phase == "rolling-back");
        });
    }
}

#[test]
fn f17_a_run_that_publishes_nothing_yet_must_be_aborted_first() {
    block_on(async {
        let world = World::new().await;
        let rotator = world.rotator();
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Validated { .. })).await;
        world.store.write_by_hand(&key(CHARGES));
        let refused = Reconciler::of(&rotator).overwrite_foreign(&key(CHARGES), "ours").await.expect_err("in a run");
        assert!(matches!(refused, RotationError::Refused(TransitionError::WrongPhase { .. })), "{refused}");
        rotator.abort(&key(CHARGES), "clear this up first").await.expect("abort");
        finish(&mut run, &world.clock).await.expect("abort");
        let mut run = Reconciler::of(&rotator).overwrite_foreign(&key(CHARGES), "ours").await.expect("overwrite");
        finish(&mut run, &world.clock).await.expect("overwritten");
        assert_eq!(world.found().await, vec![]);
    });
}

#[test]
fn a_repair_can_be_given_up() {
    block_on(async {
        let world = World::new().await;
        world.store.write_by_hand(&key(CHARGES));
        let rotator = world.rotator();
        drop(Reconciler::of(&rotator).overwrite_foreign(&key(CHARGES), "ours").await.expect("overwrite"));
        rotator.abort(&key(CHARGES), "on second thoughts").await.expect("abort");
        assert!(world.record().run().is_none() && world.record().primary().is_some());
        assert_eq!(world.shows().await, Shows::Foreign);
    });
}

#[test]
fn what_cannot_be_adopted_is_refused_with_what_to_do_instead() {
    block_on(async {
        let world = World::new().await;
        let rotator = world.rotator();
        let reconciler = Reconciler::of(&rotator);
        let ours = reconciler.adopt_foreign(&key(CHARGES), "theirs").await.expect_err("ours");
        assert!(matches!(ours, RotationError::NotForeign { .. }), "{ours}");
        world.store.write_by_hand(&key(CHARGES));
        let refused = reconciler.adopt_foreign(&key(CHARGES), "theirs").await.expect_err("no adopter");
        assert!(matches!(refused, RotationError::NotAdoptable { why, .. } if why.contains("overwrite")), "{refused}");
        assert_eq!((world.record().run(), world.shows().await), (None, Shows::Foreign), "nothing was changed");
    });
}

/// Accepts every key: the word of whoever adopts it.
#[derive(Debug)]
struct Accepts;

#[async_trait]
impl Validator for Accepts {
    async fn probe(&self, _: &Context, _: Issue<'_>, _: &Material) -> Result<Probe, Error> {
        Ok(Probe::Accepted(Evidence::lossy("taken at their word")))
    }
}

#[test]
fn f17_a_value_that_the_store_can_take_over_is_adopted_by_a_persons_word_and_proven() {
    block_on(async {
        let world = World::at(FakeIssuer::default()).await;
        let old = world.primary();
        let theirs = Material::one(SecretValue::from("written by a pipeline")).expect("material");
        let store = facets::Facets::of(world.store.clone()).adopting(theirs.duplicate());
        let rotator = Rotator::builder(store)
            .actor("rotator")
            .issuer("acme", world.issuer.clone())
            .validator("acme", Accepts)
            .health(HEALTHY)
            .clock(world.clock.clone())
            .poll_every(Duration::from_secs(6 * 3_600))
            .build()
            .expect("a rotator");
        world.store.write_by_hand(&key(CHARGES));
        let mut run = Reconciler::of(&rotator).adopt_foreign(&key(CHARGES), "theirs is right").await.expect("adopt");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        let new = world.primary();
        let found = world.store.read_one(&cx(), &world.record().target(), Select::Current).await.expect("read");
        let Read::Found { material, version, .. } = found else { panic!("nothing") };
        assert!(version == new && material.ct_eq(&theirs), "readers keep what they had");
        assert!(world.record().version(new).expect("known").proof.is_some());
        assert_eq!(world.record().run().and_then(|run| run.previous), Some(old), "given up by the rules");
    });
}

/// The record as it was before the last rotation, as a restored backup has it.
async fn restored() -> (World, VersionId, VersionId) {
    let world = World::new().await;
    let (old, before) = (world.primary(), world.record().revision());
    world.rotate(&world.rotator()).await;
    let newer = world.primary();
    world.store.restore(&key(CHARGES), usize::try_from(before).expect("few revisions"));
    assert_eq!(world.primary(), old);
    (world, old, newer)
}

#[test]
fn f40_on_the_word_of_an_older_record_nothing_is_revoked_and_nothing_is_repaired() {
    block_on(async {
        let (world, old, newer) = restored().await;
        let found = world.found().await;
        let regressed = |f: &&Finding| matches!(f, Finding::RecordRegressed { newer: n, .. } if *n == newer);
        assert_eq!(found.iter().filter(regressed).count(), 2, "at the issuer and at the pointer: {found:?}");
        assert!(found.iter().any(|f| matches!(f, Finding::PrimaryDead { version, .. } if *version == old)));
        let before = world.record();
        let repaired = world.repair().await;
        assert!(repaired.swept.needs_operator.is_empty(), "it was swept all the same");
        assert_eq!((repaired.left, world.record()), (found, before));
        let swept = world.rotator().sweep(&key(CHARGES), "daily").await.expect("sweep");
        let told =
            matches!(swept.needs_operator[..], [NeedsOperator::RecordRegressed { version, .. }] if version == newer);
        assert!(told && swept.adopted.is_empty(), "{swept:?}");
        assert_eq!(world.issuer.live(&key(CHARGES)), vec![newer], "the live key was revoked");
    });
}

#[test]
fn f40_what_is_published_is_adopted_by_a_persons_word_and_proven_again() {
    block_on(async {
        let (world, old, newer) = restored().await;
        let rotator = world.rotator();
        let why = "restored from Monday's backup";
        let mut run = Reconciler::of(&rotator).adopt_foreign(&key(CHARGES), why).await.expect("adopt");
        let report = finish(&mut run, &world.clock).await.expect("adopted");
        assert_eq!((report.kind, report.outcome, report.to), (RunKind::Adopt, RunOutcome::Completed, newer));
        let record = world.record();
        let adopted = record.version(newer).expect("known again");
        assert!(adopted.state == VersionState::Primary && adopted.issuer_ref.is_some() && adopted.proof.is_some());
        assert_eq!(record.version(old).expect("known").state, VersionState::Revoked);
        assert_eq!(record.history().last().expect("a run").reason.as_str(), why);
        assert_eq!(world.found().await, vec![]);
        // And the key goes on as ever.
        world.rotate(&rotator).await;
    });
}

#[test]
fn f40_a_published_key_that_is_dead_is_not_adopted() {
    block_on(async {
        let (world, _, newer) = restored().await;
        world.issuer.kill(newer);
        let rotator = world.rotator();
        let refused = Reconciler::of(&rotator).adopt_foreign(&key(CHARGES), "restored").await.expect_err("dead");
        assert!(matches!(refused, RotationError::NotAdoptable { why, .. } if why.contains("dead")), "{refused}");
        assert!(world.record().run().is_none());
    });
}

#[test]
fn a_key_that_works_although_it_counts_as_dead_is_found_and_revoked() {
    block_on(async {
        let world = World::new().await;
        world.issuer.delay_creates([Some(Late::ByHand)]);
        world.rotate(&world.rotator()).await;
        // Swept after the horizon; then its create lands all the same.
        world.clock.advance(Duration::from_secs(2 * 3_600));
        world.rotator().sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert_eq!((world.found().await, world.issuer.land_late()), (vec![], 1));
        let found = world.found().await;
        assert!(matches!(found[..], [Finding::Orphan { .. }]), "{found:?}");
        assert_eq!(world.repair().await.left, vec![]);
        assert_eq!(world.issuer.working(&key(CHARGES)), vec![world.primary()]);
    });
}

#[test]
fn a_second_key_under_one_label_is_for_a_person() {
    block_on(async {
        let world = World::new().await;
        let record = world.record();
        let serving = record.primary().expect("a primary");
        world.issuer.create(&cx(), Issue { record: &record, version: serving }).await.expect("a careless create");
        let found = world.found().await;
        assert!(matches!(&found[..], [Finding::SecondKey { version, .. }] if *version == serving.id), "{found:?}");
        assert_eq!(world.repair().await.left, found, "nobody can tell them apart");
    });
}

#[test]
fn f30_a_revoke_that_does_not_happen_is_reported_with_its_age() {
    block_on(async {
        let world = World::at(FakeIssuer::new(IssuerCapabilities::default())).await;
        let old = world.primary();
        let denied = Host::new("a", FaultPlan::none().always(Operation::Revoke, Fault::Fail(ErrorKind::Denied)));
        let rotator = world.rotator_on(&denied);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Retiring { .. })).await;
        assert!(run.step().await.is_err());
        assert_eq!(world.found().await, vec![], "not late yet");
        let since = world.record().version(old).expect("known").entered_at;
        world.clock.advance(Duration::from_secs(15 * 60 + 1));
        assert_eq!(world.found().await, vec![Finding::RevokeOverdue { version: old, since }]);
        assert_eq!(world.repair().await.left, vec![], "with the permission back it is revoked");
        assert!(world.record().run().is_none(), "and the run is over");
    });
}

#[test]
fn f17_no_old_key_is_given_up_while_readers_may_be_shown_it_again() {
    block_on(async {
        let world = World::new().await;
        let (rotator, old) = (world.rotator(), world.primary());
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        world.store.write_by_hand(&key(CHARGES));
        let stuck = finish(&mut run, &world.clock).await.expect_err("a person must decide");
        assert!(matches!(stuck, RotationError::NeedsOperator(NeedsOperator::ForeignPublication { .. })), "{stuck}");
        let phase = world.record().run().map(|run| run.phase.clone());
        assert!(matches!(phase, Some(RunPhase::Soaking { .. })), "neither switched off nor revoked: {phase:?}");
        assert!(world.issuer.live(&key(CHARGES)).contains(&old));
    });
}
