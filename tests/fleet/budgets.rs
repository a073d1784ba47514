//! A store is written to no faster than it bears.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Capabilities, Change, Clock, Edit, ErrorKind, IncidentId, KeyRecord, ManualClock, NativeCurrent, NoteText,
    Operation, PublicationId, Retry, SecretBackend, SecretBackendExt, Transition,
};
use keyward::rotation::{Budget, FleetRotator, Outcome, Paced, Schedule};
use keyward_conformance::strict::Host;

use crate::many::world::{Store, World, id, outcome_of};
use crate::memory;
use crate::support::cx;

#[test]
fn the_budget_follows_what_the_store_says() {
    assert_eq!(Budget::of(&Capabilities::local()), Budget::unlimited());
    let mut aws = Capabilities::local();
    (aws.native_current, aws.record_writes_per_day) = (NativeCurrent::AwsCurrent, Some(100));
    assert_eq!(Budget::of(&aws), Budget::aws());
    let mut vault = Capabilities::local();
    vault.native_current = NativeCurrent::KvLatest;
    assert_eq!(Budget::of(&vault), Budget::unlimited());
}

/// Every write of a wave is noted with the second it was made in; none has more than the budget.
#[test]
fn a_fleet_writes_no_faster_than_the_budget() {
    block_on(async {
        let world = World::registered(memory(), 60).await;
        let per_second = NonZeroU32::new(4).expect("not zero");
        let budget = Budget::unlimited().with_writes_per_second(per_second);
        let host = Host::steady("store");
        let store = Paced::with(host.wrap(world.store.clone()), budget, world.clock.clone());
        let rotator = world.rotator(store, &Host::steady("vendors")).build().expect("a rotator");
        let schedule = Schedule::default().first_versions();
        let mut fleet = FleetRotator::builder(rotator).schedule(schedule).build().expect("a fleet");

        let began = world.clock.monotonic();
        let mut seconds = Vec::new();
        let mut noted = 0;
        let note = async {
            loop {
                futures_lite::future::yield_now().await;
                let second = (world.clock.monotonic() - began).as_secs();
                let trace = host.trace();
                let made = trace[noted..].iter().filter(|call| writes(call.operation)).count();
                seconds.extend(std::iter::repeat_n(second, made));
                noted = trace.len();
            }
        };
        let report = world.while_time_goes_by(futures_lite::future::or(fleet.pass(), note)).await;
        assert_eq!(report.summary().completed, 60, "{report}");
        let took = world.clock.monotonic() - began;
        let made = host.trace().iter().filter(|call| writes(call.operation)).count();
        assert!(made >= 60 * 7, "{made}");
        let least = Duration::from_secs(1) * u32::try_from(made - 1).expect("few") / per_second.get();
        assert!(took >= least, "{made} writes in {took:?}, at least {least:?}");
        for second in seconds.iter().copied() {
            let within = seconds.iter().filter(|s| **s == second).count();
            // The clock moves by a quarter of a second: one on each edge.
            assert!(within <= 4 + 2, "{within} writes in second {second}");
        }
    });
}

fn writes(operation: Operation) -> bool {
    matches!(operation, Operation::Swap | Operation::Stage | Operation::Publish | Operation::Withdraw)
}

async fn note(store: &Paced<Store>, clock: &ManualClock) -> Result<(), (ErrorKind, Retry)> {
    let text: NoteText = "a remark".parse().expect("a note");
    apply(store, clock, &Transition::Edit(Edit::Note(text))).await
}

async fn apply(store: &Paced<Store>, clock: &ManualClock, transition: &Transition) -> Result<(), (ErrorKind, Retry)> {
    let read = store.load_existing(&cx(), &id(0)).await.expect("a record");
    let change = Change::new("ada".parse().expect("a name"), clock.now());
    let next: KeyRecord = read.value.apply(transition, &change).expect("a legal move");
    let swap = store.swap(&cx(), &id(0), keyward::core::Expect::At(read.stamp), &next).await;
    swap.map(|_| ()).map_err(|error| (error.kind(), error.retry()))
}

#[test]
fn a_record_is_changed_no_more_often_than_it_bears_in_a_day() {
    block_on(async {
        let world = World::registered(memory(), 1).await;
        let budget = Budget::unlimited().with_changes_per_day(30);
        let paced = || Paced::with(world.store.clone(), budget, world.clock.clone() as Arc<dyn Clock>);
        let store = paced();
        let hour = Duration::from_secs(3_600);
        // Registered a moment ago: that is one, and it is seen.
        for _ in 0..29 {
            note(&store, &world.clock).await.expect("within the budget");
        }
        world.clock.advance(hour);
        let (kind, retry) = note(&store, &world.clock).await.expect_err("used up");
        assert_eq!((kind, retry), (ErrorKind::Throttled, Retry::After(hour * 23)));
        let (kind, _) = note(&store.clone(), &world.clock).await.expect_err("clones share it");
        assert_eq!(kind, ErrorKind::Throttled);
        // A restart sees what the record remembers, but for the change it makes way for.
        let (restarted, unseen) = (paced(), 30 - (KeyRecord::OPERATIONS - 1));
        for _ in 0..unseen {
            note(&restarted, &world.clock).await.expect("it cannot know better");
        }
        note(&restarted, &world.clock).await.expect_err("but it counts on");
        world.clock.advance(hour * 23);
        for _ in 0..KeyRecord::OPERATIONS - 1 {
            note(&restarted, &world.clock).await.expect("the first are a day old");
        }
        note(&restarted, &world.clock).await.expect_err("the others are not");
    });
}

#[test]
fn a_run_is_not_begun_when_it_could_not_end_and_a_leak_is_always_answered() {
    block_on(async {
        let world = World::in_service(memory(), 1).await;
        world.clock.advance(Duration::from_secs(86_400));
        let budget = Budget::unlimited().with_changes_per_day(30);
        let store = Paced::with(world.store.clone(), budget, world.clock.clone() as Arc<dyn Clock>);
        for _ in 0..18 {
            note(&store, &world.clock).await.expect("within the budget");
        }
        let rotator = world.rotator(store.clone(), &Host::steady("a")).build().expect("a rotator");
        let named = Schedule::default().keys([id(0)], world.clock.now());
        let mut fleet = FleetRotator::builder(rotator).schedule(named).build().expect("a fleet");
        let report = world.while_time_goes_by(fleet.pass()).await;
        let outcome = outcome_of(&report, 0);
        assert!(matches!(&outcome, Outcome::Failed { .. } | Outcome::Waiting { .. }), "{outcome}");
        assert!(world.record(0).await.run().is_none(), "not begun");

        for _ in 0..12 {
            note(&store, &world.clock).await.expect("what has begun may go on");
        }
        note(&store, &world.clock).await.expect_err("used up");
        let version = world.record(0).await.primary().expect("a primary").id;
        let leak = Transition::Compromise {
            version,
            incident: IncidentId::generate(),
            exposed_from: None,
            source: "a paste site".parse().expect("evidence"),
            publication: PublicationId::generate(),
        };
        apply(&store, &world.clock, &leak).await.expect("a leak is never refused");
        world.clock.advance(Duration::from_secs(60));
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert!(matches!(outcome_of(&report, 0), Outcome::Contained), "{report}");
    });
}

#[test]
fn a_write_that_would_wait_beyond_its_deadline_is_refused_and_not_done() {
    block_on(async {
        let world = World::registered(memory(), 1).await;
        let budget = Budget::unlimited().with_writes_per_second(NonZeroU32::MIN);
        let store = Paced::with(world.store.clone(), budget, world.clock.clone() as Arc<dyn Clock>);
        note(&store, &world.clock).await.expect("the first at once");
        let hurried = cx().within(Duration::from_millis(500));
        let read = store.load_existing(&hurried, &id(0)).await.expect("reads are not slowed down");
        let edit = Transition::Edit(Edit::Note("a remark".parse().expect("a note")));
        let change = Change::new("ada".parse().expect("a name"), world.clock.now());
        let next = read.value.apply(&edit, &change).expect("a legal move");
        let swap = store.swap(&hurried, &id(0), keyward::core::Expect::At(read.stamp), &next).await;
        let error = swap.expect_err("no turn in time");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Throttled, Retry::After(Duration::from_secs(1))));
        assert_eq!(world.record(0).await.revision(), read.value.revision());
    });
}
