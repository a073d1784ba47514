//! One key, its store and its issuer, and what must hold of them after every single call.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Context, Error, HealthQuery, HealthReport, HealthSignal, IncidentState, KeyRecord, ManualClock, RunPhase,
    SecretBackend, Shows, TransitionError, VersionId, VersionState, async_trait,
};
use keyward::leak::{LeakError, LeakResponse, LeakStep};
use keyward::rotation::{Reconciler, RotationError, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Host, Late, Misuse, StrictFake};

use crate::careless::Careless;
use crate::cast::HostRotator;
use crate::dice::Dice;
use crate::support::{CHARGES, FAILING, HEALTHY, charges, cx, key, register};

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Careless,
    issuer: FakeIssuer,
    validator: FakeValidator,
    health: Weather,
    /// Versions the record had switched off at some time.
    switched: RefCell<BTreeSet<VersionId>>,
    stale: Cell<bool>,
    /// What was checked last: a revision, and how much misuse.
    revision: Cell<u64>,
    misuse: Cell<usize>,
    defects: RefCell<Vec<String>>,
}

impl World {
    /// A registered key, in most worlds with a first version in service.
    pub(crate) fn new(dice: &mut Dice, careless: bool) -> Self {
        let clock = Arc::new(ManualClock::default());
        let fake = StrictFake::with_clock(clock.clone());
        let issuer = if dice.one_in(2) { FakeIssuer::reversible() } else { FakeIssuer::default() };
        block_on(register(&fake, &clock, charges()));
        let world = Self {
            clock,
            store: Careless { store: fake, careless },
            validator: FakeValidator::new(&issuer),
            issuer,
            health: Weather::new(dice.one_in(5)),
            switched: RefCell::default(),
            stale: Cell::new(false),
            revision: Cell::new(1),
            misuse: Cell::new(0),
            defects: RefCell::default(),
        };
        if !dice.one_in(4) {
            let rotator = world.rotator(&Host::steady("setup"));
            block_on(world.drive_run(&rotator, 100));
        }
        world
    }

    pub(crate) fn rotator(&self, host: &Host) -> HostRotator {
        Rotator::builder(host.wrap(self.store.clone()))
            .actor(host.name())
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(self.health.clone())
            .clock(self.clock.clone())
            .takeover_after(Duration::from_secs(10))
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    pub(crate) fn record(&self) -> KeyRecord {
        self.store.store.record(&key(CHARGES)).expect("a record")
    }

    /// Something that happens outside every host.
    pub(crate) fn weather(&self, dice: &mut Dice) {
        match dice.below(7) {
            5 => self.health.turn(true),
            6 => self.health.turn(false),
            0 => {
                self.stale.set(true);
                self.store.store.serve_stale(1 + dice.below(3));
            }
            1 => self.issuer.delay_creates([Some(Late::AfterCalls(dice.below(40)))]),
            2 => self.issuer.delay_creates([Some(Late::ByHand)]),
            3 => drop(self.issuer.land_late()),
            _ => self.issuer.revokes_linger(u32::try_from(dice.below(3)).expect("small")),
        }
    }

    pub(crate) fn reads_stale(&self) -> bool {
        self.stale.get()
    }

    pub(crate) fn defect(&self, what: &str) {
        self.defects.borrow_mut().push(what.to_owned());
    }

    pub(crate) fn defects(&self) -> Vec<String> {
        self.defects.borrow().clone()
    }

    fn must(&self, holds: bool, what: &str) {
        if !holds {
            self.defect(what);
        }
    }

    /// What holds after every call, whatever has failed.
    pub(crate) fn check(&self) {
        let record = self.record();
        self.check_misuse(&record);
        self.must(self.issuer.all_creates().values().all(|creates| *creates <= 1), "I11: a version was created twice");
        self.check_pointer(&record);
        if self.revision.get() != record.revision() {
            let revisions = self.store.store.revisions(&key(CHARGES));
            let seen = usize::try_from(self.revision.replace(record.revision())).expect("few revisions");
            revisions[seen.saturating_sub(1)..].windows(2).for_each(|pair| self.check_move(&pair[0], &pair[1]));
        }
    }

    /// I4: what was given up is not published again. A leaked version is given up while a publish
    /// of it may be on its way; that one is fenced or outrun, and is allowed until then.
    fn check_misuse(&self, record: &KeyRecord) {
        let all = self.store.store.misuse();
        for misuse in &all[self.misuse.replace(all.len())..] {
            let outrun = match misuse {
                Misuse::PublishedGivenUp { version, .. } => {
                    let leaked = record.version(*version).is_some_and(|v| v.compromised.is_some());
                    leaked && (record.primary().is_none() || in_flight(record))
                }
                _ => false,
            };
            self.must(outrun, &format!("{misuse:?}"));
        }
    }

    /// What native readers are shown is journalled, proven, stored and alive, but for a leak.
    fn check_pointer(&self, record: &KeyRecord) {
        let survey = block_on(self.store.survey(&cx(), &record.target())).expect("survey");
        let Shows::Ours { version, publication } = survey.pointer.shows else { return };
        self.must(record.publication(publication) == Some(version), "I3: an unjournalled publication is shown");
        let Some(shown) = record.version(version) else { return self.defect("an unknown version is shown") };
        self.must(shown.proof.is_some(), "I3: an unproven version is shown");
        self.must(survey.versions.contains(&version), "I2: nothing is stored for what is shown");
        let alive = self.issuer.live(record.id()).contains(&version);
        // A sleeper may switch off what has come back since: found and put right by the reconciler.
        let switched_off =
            self.switched.borrow().contains(&version) && self.issuer.working(record.id()).contains(&version);
        self.must(alive || switched_off || shown.compromised.is_some(), "I5: a dead version is shown");
    }

    /// What holds from one revision to the next: I1, I4, I7, I8.
    fn check_move(&self, before: &KeyRecord, after: &KeyRecord) {
        self.must(after.revision() == before.revision() + 1, "I8: a revision was skipped");
        let primaries = after.versions().iter().filter(|v| v.state == VersionState::Primary).count();
        self.must(primaries <= 1, "I1: two primaries");
        for old in before.versions() {
            let Some(new) = after.version(old.id) else { continue };
            let rolled_back = old.state == VersionState::Overlap && new.state == VersionState::Primary;
            let switched_on = old.state == VersionState::Suspended && new.state == VersionState::Overlap;
            if new.state == VersionState::Suspended {
                self.switched.borrow_mut().insert(new.id);
            }
            let hunted_again = old.state.is_dead() && new.state == VersionState::RevokePending;
            let forward = new.state >= old.state || rolled_back || switched_on || hunted_again;
            self.must(forward, &format!("I7: {:?} to {:?}", old.state, new.state));
        }
    }

    /// Without faults everything comes to rest, and then the issuer knows the primary and nothing
    /// else.
    pub(crate) fn settle(&self) {
        self.store.store.serve_stale(0);
        self.issuer.revokes_linger(0);
        self.issuer.land_late();
        let rotator = self.rotator(&Host::steady("settler"));
        for _ in 0..60 {
            if !block_on(self.take_turn(&rotator)) {
                return self.check_rest(&rotator);
            }
            self.check();
            if !self.defects.borrow().is_empty() {
                return;
            }
        }
        self.defect(&format!("I19: not at rest after 60 turns: {:?}", self.record().run()));
    }

    async fn take_turn(&self, rotator: &HostRotator) -> bool {
        let record = self.record();
        let open = record.incidents().iter().find(|i| i.state != IncidentState::AwaitingReview);
        if let Some(incident) = open {
            let mut response = LeakResponse::resume(rotator, record.id(), incident.id).await.expect("resume");
            // A create that may still land is waited for up to an hour.
            for _ in 0..800 {
                match response.step().await {
                    Ok(LeakStep::Wait { at_most, .. }) => self.clock.advance(at_most),
                    Ok(LeakStep::AwaitingReview(_)) => break,
                    Ok(LeakStep::NeedsOperator(what)) => self.defect(&format!("settling: {what}")),
                    Ok(_) => {}
                    Err(LeakError::Rotation(RotationError::RunVanished { .. })) => {}
                    Err(error) => self.defect(&format!("settling: {error}")),
                }
            }
            return true;
        }
        if record.run().is_none() && record.primary().is_some() {
            return false;
        }
        // A record full of given-up creates refuses a run until the horizon has passed and a sweep
        // has seen them dead.
        let working = record.versions().iter().filter(|v| v.state.may_work()).count();
        if record.run().is_none() && working >= KeyRecord::MAX_WORKING {
            self.clock.advance(Duration::from_secs(2 * 3_600));
            if let Err(error) = rotator.sweep(record.id(), "settle").await {
                self.defect(&format!("settling: {error}"));
            }
            return true;
        }
        self.drive_run(rotator, 12).await;
        true
    }

    async fn drive_run(&self, rotator: &HostRotator, steps: usize) {
        let mut run = match rotator.start_or_resume(&key(CHARGES), "settle").await {
            Ok(run) => run,
            // What was given up comes first, as the refusal says.
            Err(RotationError::Refused(TransitionError::TooManyWorking { .. })) => return self.sweep(rotator).await,
            Err(error) => return self.defect(&format!("settling: {error}")),
        };
        for _ in 0..steps {
            match run.step().await {
                Ok(Step::Wait { at_most, .. }) => self.clock.advance(at_most),
                Ok(Step::Finished(_)) => return,
                Ok(Step::NeedsOperator(what)) => self.defect(&format!("settling: {what}")),
                Ok(_) => {}
                Err(error) => self.defect(&format!("settling: {error}")),
            }
        }
    }

    async fn sweep(&self, rotator: &HostRotator) {
        for _ in 0..6 {
            match rotator.sweep(&key(CHARGES), "daily").await {
                Ok(swept) if swept.pending.is_empty() => return,
                Ok(_) => self.clock.advance(Duration::from_secs(3_600)),
                Err(error) => return self.defect(&format!("sweeping: {error}")),
            }
        }
    }

    /// What sleepers did at the issuer is put right, and then everything agrees.
    fn reconcile(&self, rotator: &HostRotator) {
        match block_on(Reconciler::of(rotator).repair(&key(CHARGES), "reconcile")) {
            Ok(repaired) => repaired.left.iter().for_each(|finding| self.defect(&format!("at rest: {finding}"))),
            Err(error) => self.defect(&format!("reconciling: {error}")),
        }
    }

    fn check_rest(&self, rotator: &HostRotator) {
        block_on(self.sweep(rotator));
        // A create that lands beyond its horizon is found by the next sweep.
        self.issuer.land_late();
        block_on(self.sweep(rotator));
        self.reconcile(rotator);
        self.check();
        let record = self.record();
        let Some(primary) = record.primary().map(|v| v.id) else { return self.defect("no primary at rest") };
        let working = self.issuer.working(record.id());
        self.must(working == vec![primary], &format!("I12: at rest the issuer has {working:?}, primary {primary}"));
        self.must(self.issuer.live(record.id()) == working, "at rest the serving key is switched off");
        let alive = record.versions().iter().filter(|v| v.state.may_work()).count();
        self.must(alive == 1, &format!("I12: at rest {alive} versions of the record may work"));
        let shows = block_on(self.store.pointer(&cx(), &record.target())).expect("pointer").shows;
        let shown = matches!(shows, Shows::Ours { version, .. } if version == primary);
        self.must(shown, "at rest the pointer does not show the primary");
        let closed = record.incidents().iter().all(|i| i.state == IncidentState::AwaitingReview);
        self.must(closed, "at rest an incident is open");
    }
}

/// How requests fare; it may turn at any time.
#[derive(Clone, Debug)]
struct Weather(Arc<AtomicBool>);

impl Weather {
    fn new(bad: bool) -> Self {
        Self(Arc::new(AtomicBool::new(bad)))
    }

    fn turn(&self, bad: bool) {
        self.0.store(bad, Ordering::Relaxed);
    }
}

#[async_trait]
impl HealthSignal for Weather {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport, Error> {
        let counts = if self.0.load(Ordering::Relaxed) { FAILING } else { HEALTHY };
        counts.health(cx, query).await
    }
}

/// True while the pointer is being moved.
fn in_flight(record: &KeyRecord) -> bool {
    let phase = record.run().map(|run| &run.phase);
    matches!(phase, Some(RunPhase::Promoting { .. } | RunPhase::RollingBack { .. }))
}
