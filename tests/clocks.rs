//! F22: clocks that are wrong only ever delay giving an old key up; a leak is answered at once.

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::block_on;
use keyward::core::{Clock, ManualClock, VersionId, VersionState};
use keyward::leak::{LeakReport, LeakResponse, Leaked};
use keyward::rotation::{RotationRun, Rotator, Step};
use keyward_conformance::strict::{FakeIssuer, FakeValidator, StrictFake};
use support::{CHARGES, HEALTHY, charges, finish, key, register, until};

const HOUR: Duration = Duration::from_secs(3_600);

struct World {
    clock: Arc<ManualClock>,
    store: StrictFake,
    issuer: FakeIssuer,
}

impl World {
    async fn new(issuer: FakeIssuer) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = StrictFake::with_clock(clock.clone());
        register(&store, &clock, charges()).await;
        let world = Self { clock, store, issuer };
        let rotator = world.rotator(&world.clock);
        finish(&mut rotator.start(&key(CHARGES), "first key").await.expect("start"), &world.clock)
            .await
            .expect("a key");
        world
    }

    fn rotator(&self, clock: &Arc<ManualClock>) -> Rotator<StrictFake> {
        Rotator::builder(self.store.clone())
            .actor("rotator")
            .issuer("acme", self.issuer.clone())
            .validator("acme", FakeValidator::new(&self.issuer))
            .health(HEALTHY)
            .clock(clock.clone())
            .poll_every(HOUR)
            .build()
            .expect("a rotator")
    }

    fn set_wall(&self, by: TimeDelta) {
        self.clock.set_wall(self.clock.now() + by);
    }

    fn old(&self) -> (VersionId, VersionState) {
        let record = self.store.record(&key(CHARGES)).expect("a record");
        let old = &record.versions()[0];
        (old.id, old.state)
    }
}

/// Steps until `stop`, and answers how long that took on the monotonic clock.
async fn took(run: &mut RotationRun<'_, StrictFake>, clock: &ManualClock, stop: impl Fn(&Step) -> bool) -> Duration {
    let began = clock.monotonic();
    until(run, clock, stop).await;
    clock.monotonic() - began
}

fn published(step: &Step) -> bool {
    matches!(step, Step::Published { .. })
}

fn retiring(step: &Step) -> bool {
    matches!(step, Step::Retiring { .. })
}

#[test]
fn f22_a_clock_set_forward_during_the_soak_shortens_nothing() {
    block_on(async {
        let world = World::new(FakeIssuer::default()).await;
        let rotator = world.rotator(&world.clock);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, published).await;
        world.set_wall(TimeDelta::days(3));
        assert!(took(&mut run, &world.clock, retiring).await >= 48 * HOUR);
    });
}

#[test]
fn f22_a_clock_set_back_during_the_soak_delays() {
    block_on(async {
        let world = World::new(FakeIssuer::default()).await;
        let rotator = world.rotator(&world.clock);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, published).await;
        world.clock.advance(HOUR);
        world.set_wall(-TimeDelta::hours(1));
        assert!(took(&mut run, &world.clock, retiring).await >= 48 * HOUR);
    });
}

#[test]
fn f22_the_window_in_which_the_old_key_is_off_is_not_shortened_either() {
    block_on(async {
        let world = World::new(FakeIssuer::reversible()).await;
        let rotator = world.rotator(&world.clock);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::SwitchedOff { .. })).await;
        world.set_wall(TimeDelta::days(3));
        assert!(took(&mut run, &world.clock, retiring).await >= 24 * HOUR);
    });
}

#[test]
fn f22_a_record_from_the_future_is_not_acted_on() {
    block_on(async {
        let world = World::new(FakeIssuer::default()).await;
        let rotator = world.rotator(&world.clock);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, published).await;
        world.clock.advance(48 * HOUR);
        // A host whose clock is ahead notes something; another host reads that.
        let ahead = Arc::new(ManualClock::at(world.clock.now() + TimeDelta::minutes(6)));
        support::note(&world.store, &ahead).await;
        let mut run = rotator.resume(&key(CHARGES), "go on").await.expect("resume");
        let step = run.step().await.expect("a step");
        assert!(matches!(&step, Step::Wait { why, .. } if why.contains("one of the clocks is wrong")), "{step}");
        world.clock.advance(Duration::from_secs(60));
        assert!(retiring(&run.step().await.expect("a step")), "within the tolerance they agree");
    });
}

#[test]
fn f22_a_leak_does_not_wait_for_the_clocks() {
    block_on(async {
        let world = World::new(FakeIssuer::default()).await;
        let (leaked, _) = world.old();
        let behind = Arc::new(ManualClock::at(world.clock.now() - TimeDelta::days(1)));
        let rotator = world.rotator(&behind);
        let report = LeakReport::of(key(CHARGES), Leaked::Version(leaked), "seen in a gist").expect("a report");
        let mut response = LeakResponse::open(&rotator, &report).await.expect("open");
        response.step().await.expect("a step");
        assert_eq!(world.old(), (leaked, VersionState::Revoked));
    });
}
