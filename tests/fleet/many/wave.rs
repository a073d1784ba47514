//! A wave over many keys, by processes that are killed at random, on any store.

use std::time::{Duration, Instant};

use keyward::core::{Clock, RunOutcome};
use keyward::rotation::{Cause, FleetEvent, FleetReport, Schedule};
use keyward_conformance::strict::{Fault, FaultPlan, Host};

use super::dice::Dice;
use super::vendor::Vendor;
use super::world::{DAY, Store, World};

/// What a wave took.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) hosts: usize,
    pub(crate) killed: usize,
    pub(crate) calls: usize,
    pub(crate) passes: usize,
}

/// Provisions `keys` keys, lets them grow old, and rotates them all by processes that die at every
/// kind of moment: at a call, with a lost reply, dropped between two calls, two at a time. Then:
///
/// - the vendors have exactly the keys the records name, and readers are shown those;
/// - no key was rotated twice, no version created twice;
/// - never were more runs stepped at once than allowed, in all and at each vendor.
pub(crate) async fn a_wave_survives_kills(store: Store, keys: usize, seed: u64) {
    let started = Instant::now();
    let world = World::in_service(store, keys).await;
    let provisioned = started.elapsed();
    world.clock.advance(DAY * 101);
    let began = world.clock.now();
    let mut tally = Tally::default();

    let mut dice = Dice::new(seed);
    let kills = (keys / 10).clamp(12, 60);
    // So many calls of a host at most that the wave and the kills come to their end together.
    let longest = 120 * keys / kills;
    while tally.killed < kills {
        let report = one_host(&world, &mut dice, longest, &mut tally).await;
        if report.is_some_and(|report| report.keys.is_empty() && report.incomplete.is_none()) {
            break;
        }
        // Some die while keys are made, some while they soak, some while old ones are revoked.
        world.clock.advance(Duration::from_secs(3_600) * u32::try_from(dice.below(12)).expect("small"));
    }
    let last = finish(&world, &mut tally).await;
    let calls = tally.calls;
    println!(
        "{keys} keys, seed {seed}: {} hosts, {} killed, {calls} calls of theirs, {} passes, {} creates; provisioned in {:.1} s, all in {:.1} s; {}",
        tally.hosts,
        tally.killed,
        tally.passes,
        world.vendors.iter().map(Vendor::creates).sum::<usize>(),
        provisioned.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        last.summary(),
    );

    let mut records = Vec::new();
    world.each_record(|record| records.push(record)).await;
    assert_eq!(records.len(), keys);
    for record in &records {
        world.check_at_rest(record).await;
        // With many kills a wave takes longer than the interval, and keys are due again by their age.
        let wave = began..began + chrono::TimeDelta::days(85);
        let done = record.history().iter().filter(|run| wave.contains(&run.started_at));
        let completed = done.filter(|run| run.outcome == RunOutcome::Completed).count();
        assert_eq!(completed, 1, "{}: rotated {completed} times in one wave", record.id());
        assert!(record.primary().expect("a primary").planned_at >= began, "{}", record.id());
    }
    assert_eq!(world.vendors.iter().map(Vendor::all_live).sum::<usize>(), keys, "keys at the vendors");
    for vendor in &world.vendors {
        assert_eq!(vendor.created_twice(), 0, "a version was created twice");
        assert!(vendor.most_at_once() <= 4, "two fleets at most, two runs each: {}", vendor.most_at_once());
    }
    assert!(world.everywhere.most() <= 16, "two fleets at most, eight runs each: {}", world.everywhere.most());
}

/// One process, or two at once, that dies somewhere. Answers what a pass did that came to its end.
async fn one_host(world: &World, dice: &mut Dice, longest: usize, tally: &mut Tally) -> Option<FleetReport> {
    let at = dice.below(longest);
    let (plan, calls) = match dice.below(5) {
        0 => (FaultPlan::none().at(at, Fault::CrashBefore), usize::MAX),
        1 => (FaultPlan::none().at(at, Fault::CrashAfter), usize::MAX),
        2 => (FaultPlan::none().at(at / 2, Fault::LostReply).at(at, Fault::CrashAfter), usize::MAX),
        _ => (FaultPlan::none(), at),
    };
    let host = Host::new(&format!("host-{}", tally.hosts), plan);
    tally.hosts += 1;
    let mut fleet = world.fleet_on(&host).build().expect("a fleet");
    let done = if dice.one_in(4) {
        tally.hosts += 1;
        let mut other = world.fleet().build().expect("a fleet");
        let both = async { futures_lite::future::zip(fleet.pass(), other.pass()).await.0 };
        world.until_killed(&host, calls, both).await
    } else {
        world.until_killed(&host, calls, fleet.pass()).await
    };
    tally.calls += host.calls();
    tally.passes += usize::from(done.is_some());
    tally.killed += usize::from(done.is_none());
    done
}

/// A steady process goes on until nothing of the wave is left, and the dead are buried.
async fn finish(world: &World, tally: &mut Tally) -> FleetReport {
    let mut fleet = world.fleet().schedule(Schedule::default()).build().expect("a fleet");
    let mut events = fleet.events();
    for _ in 0..200 {
        let report = world.while_time_goes_by(fleet.pass()).await;
        tally.passes += 1;
        while let Some(event) = events.try_next() {
            assert!(!matches!(event, FleetEvent::NeedsOperator(_)), "{event}");
        }
        let left = report.keys.iter().filter(|key| key.due.cause != Cause::Housekeeping);
        if left.count() == 0 && report.summary().waiting == 0 {
            return report;
        }
        world.sleep_until(&report);
    }
    panic!("the wave does not end");
}

/// Without kills: the limits are reached and not exceeded, also where one vendor's keys come first.
pub(crate) async fn the_limits_are_kept(store: Store, keys: usize) {
    let world = World::empty(store);
    for n in 0..keys {
        let mut draft = world.draft(n);
        if n < keys / 3 {
            draft.issuer = "vendor-0".parse().expect("a name");
        }
        world.register(draft).await;
    }
    let schedule = Schedule::default().first_versions();
    let mut fleet = world.fleet().schedule(schedule).build().expect("a fleet");
    let report = world.while_time_goes_by(fleet.pass()).await;
    assert_eq!(report.summary().completed, keys, "{report}");
    assert_eq!(world.everywhere.most(), 8, "in all");
    let most: Vec<_> = world.vendors.iter().map(Vendor::most_at_once).collect();
    assert!(most.iter().all(|most| *most <= 2) && most.contains(&2), "at each vendor: {most:?}");
}
