//! What a fleet does with keys that wait, fail, leak, or need a person.

use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::{self, block_on};
use keyward::core::{Clock, ErrorKind, Operation, RunKind, VersionState};
use keyward::issuer::ManualIssuer;
use keyward::leak::{LeakReport, LeakResponse, Leaked};
use keyward::rotation::{
    Cause, Events, FleetEvent, FleetRotator, Hold, NeedsOperator, Outcome, RotationError, Rotator, Schedule,
};
use keyward_conformance::strict::{Fault, FaultPlan, Host};

use crate::many::world::{DAY, VENDORS, World, id, outcome_of};
use crate::memory;
use crate::support::cx;

fn due_by_name(world: &World, keys: std::ops::Range<usize>) -> Schedule {
    Schedule::default().keys(keys.map(id), world.clock.now() + TimeDelta::seconds(1))
}

#[test]
fn a_key_that_soaks_waits_in_its_record_and_the_pass_returns() {
    block_on(async {
        let world = World::in_service(memory(), 3).await;
        let named = due_by_name(&world, 0..3);
        world.clock.advance(DAY);
        let host = Host::steady("a");
        let mut fleet = world.fleet_on(&host).schedule(named).build().expect("a fleet");
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(report.summary().waiting, 3, "{report}");
        let until = outcome_of(&report, 0).until().expect("a time");
        assert_eq!(report.next_due, report.keys.iter().filter_map(|key| key.outcome.until()).min());
        assert!(until - report.ended_at <= TimeDelta::hours(12), "as often as the gate is asked");

        let calls = host.calls();
        let again = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(again.summary().waiting, 3, "{again}");
        assert_eq!(host.calls(), calls + 1, "listed, and nothing is stepped before its time");
        let creates = world.vendors[0].creates();
        for _ in 0..20 {
            let report = world.while_time_goes_by(fleet.pass()).await;
            world.sleep_until(&report);
        }
        assert_eq!(world.vendors[0].creates(), creates, "one version each");
        for n in 0..3 {
            world.check_at_rest(&world.record(n).await).await;
        }
    });
}

#[test]
fn leaks_come_first_whatever_else_is_due() {
    block_on(async {
        let world = World::in_service(memory(), 12).await;
        world.clock.advance(DAY * 120);
        let rotator = world.rotator(world.store.clone(), &Host::steady("reporter")).build().expect("a rotator");
        let leaked = id(11);
        let report = LeakReport::of(leaked.clone(), Leaked::Current, "a paste site").expect("a report");
        LeakResponse::open(&rotator, &report).await.expect("open");

        let mut fleet = world.fleet().concurrency(1, 1).build().expect("a fleet");
        let dry = fleet.dry_run().await;
        assert_eq!((&dry.keys[0].key, dry.keys[0].due.cause), (&leaked, Cause::Leak));
        let mut events = fleet.events();
        let report = world.while_time_goes_by(fleet.pass()).await;
        let first = std::iter::from_fn(|| events.try_next()).find(|event| matches!(event, FleetEvent::Started { .. }));
        assert!(matches!(first, Some(FleetEvent::Started { key, .. }) if key == leaked));
        assert!(matches!(outcome_of(&report, 11), Outcome::Contained), "{report}");
        let record = world.record(11).await;
        let dead = record.versions().iter().find(|v| v.compromised.is_some()).expect("the leaked one");
        assert_eq!(dead.state, VersionState::Revoked);
        assert_eq!(record.history().last().expect("a run").kind, RunKind::Leak);
    });
}

#[test]
fn a_key_that_fails_or_needs_a_person_holds_nobody_up() {
    block_on(async {
        let world = World::registered(memory(), 5).await;
        let mut odd = world.draft(5);
        odd.issuer = "by-hand".parse().expect("a name");
        world.register(odd).await;
        let mut unknown = world.draft(6);
        unknown.issuer = "nobody-knows".parse().expect("a name");
        world.register(unknown).await;
        let by_hand = ManualIssuer::new("make a key", "delete the key").expect("texts");
        let host = Host::steady("a");
        let rotator = world.rotator(world.store.clone(), &host).issuer("by-hand", by_hand).build().expect("a rotator");
        let schedule = Schedule::default().first_versions();
        let mut fleet = FleetRotator::builder(rotator).schedule(schedule).build().expect("a fleet");
        let mut events = fleet.events();
        let report = world.while_time_goes_by(fleet.pass()).await;

        let summary = report.summary();
        assert_eq!((summary.completed, summary.needs_operator, summary.failed), (5, 1, 1), "{report}");
        let asked = outcome_of(&report, 5);
        assert!(matches!(asked, Outcome::NeedsOperator { what: NeedsOperator::SupplyKey { .. }, .. }), "{asked}");
        let failed = outcome_of(&report, 6);
        assert!(matches!(failed, Outcome::Failed { error: RotationError::NoIssuer { .. }, .. }), "{failed}");
        let mut seen = [0; 3];
        while let Some(event) = events.try_next() {
            match event {
                FleetEvent::Finished(_) => seen[0] += 1,
                FleetEvent::NeedsOperator(_) => seen[1] += 1,
                FleetEvent::Failed(_) => seen[2] += 1,
                _ => {}
            }
        }
        assert_eq!((seen, events.missed()), ([5, 1, 1], 0));
        let table = report.to_string();
        for word in ["KEY", "production/analytics/reports-00005", "needs operator", "nobody-knows", "7 keys seen"] {
            assert!(table.contains(word), "{word} is not in\n{table}");
        }
        assert!(!table.contains("vendor_"), "no value in a report");
    });
}

#[test]
fn a_broken_issuer_is_held_and_the_others_go_on() {
    block_on(async {
        let world = World::registered(memory(), 100).await;
        world.vendors[0].lie(true);
        let schedule = Schedule::default().first_versions();
        let rest = Duration::from_secs(3_600);
        let mut fleet = world.fleet().schedule(schedule).hold_issuer(3, rest).build().expect("a fleet");
        let mut events = fleet.events();
        let report = world.while_time_goes_by(fleet.pass()).await;
        let tried = world.vendors[0].creates();
        assert!((3..=4).contains(&tried), "three failures, and what had begun beside them: {tried}");
        let summary = report.summary();
        assert_eq!((summary.completed, summary.held), (80, 20 - tried), "{report}");
        assert_eq!((report.held.len(), report.held[0].issuer.as_str()), (1, "vendor-0"));
        let held = std::iter::from_fn(|| events.try_next()).filter(|e| matches!(e, FleetEvent::IssuerHeld { .. }));
        assert_eq!(held.count(), 1);

        let soon = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!((world.vendors[0].creates(), soon.summary().held), (tried, 20 - tried), "{soon}");
        world.clock.advance(rest);
        world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(world.vendors[0].creates(), tried + 1, "one tries it again");

        world.vendors[0].lie(false);
        for _ in 0..12 {
            world.clock.advance(rest);
            world.while_time_goes_by(fleet.pass()).await;
        }
        assert_eq!(world.vendors[0].all_live(), 20 + tried + 1 - (tried + 1), "all have a first version");
    });
}

#[test]
fn a_leak_is_answered_also_where_the_issuer_is_held() {
    block_on(async {
        let world = World::in_service(memory(), VENDORS).await;
        let mut late = world.draft(VENDORS);
        late.issuer = "vendor-0".parse().expect("a name");
        world.register(late).await;
        let schedule = || Schedule::default().first_versions();
        let mut fleet = world.fleet().schedule(schedule()).hold_issuer(1, DAY).build().expect("a fleet");
        world.vendors[0].refuse(true);
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(report.held.len(), 1, "{report}");
        world.vendors[0].refuse(false);
        let rotator = world.rotator(world.store.clone(), &Host::steady("reporter")).build().expect("a rotator");
        let report = LeakReport::of(id(0), Leaked::Current, "a paste site").expect("a report");
        LeakResponse::open(&rotator, &report).await.expect("open");
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert!(matches!(outcome_of(&report, 0), Outcome::Contained), "{report}");
    });
}

#[test]
fn what_fails_is_tried_again_later_and_later_but_a_leak_every_minute() {
    block_on(async {
        let world = World::in_service(memory(), 1).await;
        let mut unknown = world.draft(1);
        unknown.issuer = "nobody-knows".parse().expect("a name");
        world.register(unknown).await;
        let rotator = world.rotator(world.store.clone(), &Host::steady("reporter")).build().expect("a rotator");
        let leak = LeakReport::of(id(0), Leaked::Current, "a paste site").expect("a report");
        LeakResponse::open(&rotator, &leak).await.expect("open");
        world.vendors[0].refuse(true);

        let schedule = Schedule::default().first_versions();
        let mut fleet = world.fleet().schedule(schedule).build().expect("a fleet");
        let (mut pauses, mut leak_pauses) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let report = world.while_time_goes_by(fleet.pass()).await;
            let pause = |n| outcome_of(&report, n).until().map(|until| (until - report.ended_at).num_minutes());
            pauses.push(pause(1).expect("it waits"));
            leak_pauses.push(pause(0).expect("it waits"));
            world.clock.advance(Duration::from_secs(60 * 60));
        }
        for (pause, usual) in pauses.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!((usual - 4..=usual).contains(pause), "the rest of a pass takes a part of it: {pauses:?}");
        }
        assert!(leak_pauses.iter().all(|pause| *pause <= 1), "{leak_pauses:?}");
        world.vendors[0].refuse(false);
        for _ in 0..3 {
            world.while_time_goes_by(fleet.pass()).await;
            world.clock.advance(Duration::from_secs(60));
        }
        let incident = world.record(0).await.incidents()[0].state;
        assert_eq!(incident, keyward::core::IncidentState::AwaitingReview);
    });
}

#[test]
fn a_reader_that_falls_behind_misses_the_oldest_events_and_is_told() {
    block_on(async {
        let world = World::registered(memory(), 1_000).await;
        let schedule = Schedule::default().first_versions();
        let mut fleet = world.fleet().schedule(schedule).build().expect("a fleet");
        let mut events = fleet.events();
        world.while_time_goes_by(fleet.pass()).await;
        drop(fleet);
        let (mut read, mut last) = (0, None);
        while let Some(event) = events.next().await {
            (read, last) = (read + 1, Some(event));
        }
        assert_eq!(read, Events::CAPACITY, "what was kept, and then the end");
        assert!(events.missed() >= 1_000, "{}", events.missed());
        assert!(matches!(last, Some(FleetEvent::PassEnded(summary)) if summary.completed == 1_000));
    });
}

#[test]
fn a_store_that_is_away_is_in_the_report_and_the_next_pass_goes_on() {
    block_on(async {
        let world = World::registered(memory(), 150).await;
        let plan = FaultPlan::none().nth(Operation::List, 1, Fault::Fail(ErrorKind::Unavailable));
        let host = Host::new("a", plan);
        let schedule = Schedule::default().first_versions();
        let mut fleet = world.fleet_on(&host).schedule(schedule).build().expect("a fleet");
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(report.incomplete.as_ref().expect("it broke off").kind(), ErrorKind::Unavailable);
        assert_eq!((report.seen, report.summary().completed), (100, 100), "the first page was seen to");
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!((report.seen, report.summary().completed), (150, 50), "{report}");
    });
}

#[test]
fn a_dry_run_lists_and_does_nothing_else() {
    block_on(async {
        let world = World::registered(memory(), 10).await;
        let host = Host::steady("a");
        let schedule = Schedule::default().first_versions();
        let fleet = world.fleet_on(&host).schedule(schedule).build().expect("a fleet");
        let report = fleet.dry_run().await;
        assert_eq!(report.with(|outcome| matches!(outcome, Outcome::Held(Hold::DryRun))).count(), 10);
        assert!(host.trace().iter().all(|call| call.operation == Operation::List), "{:?}", host.trace());
    });
}

#[test]
fn a_pass_ends_after_its_limit_and_the_next_one_goes_on() {
    block_on(async {
        let world = World::registered(memory(), 40).await;
        let schedule = Schedule::default().first_versions();
        let limit = Duration::from_secs(10);
        let mut fleet = world.fleet().schedule(schedule).pass_limit(limit).build().expect("a fleet");
        let report = world.while_time_goes_by(fleet.pass()).await;
        let summary = report.summary();
        assert!(summary.held > 0 && summary.completed > 0, "{report}");
        assert_eq!(summary.held + summary.completed, 40, "what has begun is not cut short");
        assert_eq!(report.next_due, Some(report.started_at), "at once");
        let end = world.clock.now() + TimeDelta::seconds(120);
        world.while_time_goes_by(fleet.run_until(end)).await;
        let live: usize = world.vendors.iter().map(crate::many::vendor::Vendor::all_live).sum();
        assert_eq!(live, 40);
    });
}

#[test]
fn a_running_fleet_follows_the_clock_and_stops_when_told() {
    block_on(async {
        let world = World::registered(memory(), 4).await;
        let schedule = Schedule::default().first_versions();
        let look = Duration::from_secs(600);
        let mut fleet = world.fleet().schedule(schedule).look_every(look).build().expect("a fleet");
        let (stop, mut events) = (fleet.stop_handle(), fleet.events());
        let tail = async {
            let mut passes = 0;
            while let Some(event) = events.next().await {
                let FleetEvent::PassEnded(summary) = event else { continue };
                passes += 1;
                match passes {
                    1 => {
                        assert_eq!(summary.completed, 4);
                        // Registered while the fleet runs.
                        world.register(world.draft(4)).await;
                        world.clock.advance(look);
                    }
                    2 => {
                        assert_eq!(summary.completed, 1);
                        stop.stop();
                        return;
                    }
                    n => panic!("{n} passes"),
                }
            }
        };
        let both = future::zip(fleet.run_forever(), tail);
        let (report, ()) = world.while_time_goes_by(both).await;
        assert_eq!(report.summary().completed, 1);
        let after = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(after.summary().completed, 0, "a stopped fleet begins nothing");
    });
}

#[test]
fn waiting_keys_are_stepped_between_two_looks() {
    block_on(async {
        let world = World::in_service(memory(), 2).await;
        let named = due_by_name(&world, 0..2);
        world.clock.advance(DAY);
        let host = Host::steady("a");
        let mut fleet = world.fleet_on(&host).schedule(named).look_every(DAY * 30).build().expect("a fleet");
        let end = world.clock.now() + TimeDelta::days(4);
        let hours = async {
            loop {
                future::yield_now().await;
                world.clock.advance(Duration::from_secs(1));
            }
        };
        future::or(async { drop(fleet.run_until(end).await) }, hours).await;
        let lists = host.trace().iter().filter(|call| call.operation == Operation::List).count();
        assert_eq!(lists, 1, "the store was looked at once");
        for n in 0..2 {
            assert_eq!(world.record(n).await.history().len(), 2, "rotated to the end");
        }
    });
}

#[test]
fn imports_and_adoptions_belong_to_the_person_who_began_them() {
    block_on(async {
        let world = World::registered(memory(), 1).await;
        let record = world.record(0).await;
        let version = keyward::core::VersionId::generate();
        let begin = keyward::core::Transition::Begin {
            run: keyward::core::RunId::generate(),
            kind: RunKind::Import,
            version,
            holder: keyward::core::HolderId::generate(),
            reason: "import".parse().expect("a reason"),
        };
        let change = keyward::core::Change::new("ada".parse().expect("a name"), world.clock.now());
        let next = record.apply(&begin, &change).expect("a move");
        let stamp =
            keyward::core::SecretBackendExt::load_existing(&world.store, &cx(), &id(0)).await.expect("load").stamp;
        world.store.swap(&cx(), &id(0), keyward::core::Expect::At(stamp), &next).await.expect("swap");
        let schedule = Schedule::default().first_versions();
        let mut fleet = world.fleet().schedule(schedule).build().expect("a fleet");
        world.clock.advance(DAY);
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert!(report.keys.is_empty() && report.seen == 1, "{report}");
        assert_eq!(world.record(0).await.revision(), next.revision());
    });
}

#[test]
fn a_full_record_is_swept_before_another_version_is_made() {
    block_on(async {
        let world = World::registered(memory(), 1).await;
        // Creates given up fill the record: each may still land for an hour.
        let rotator = world.rotator(world.store.clone(), &Host::steady("a")).build().expect("a rotator");
        for _ in 0..keyward::core::KeyRecord::MAX_WORKING {
            drop(rotator.start(&id(0), "test").await.expect("start"));
            rotator.abort(&id(0), "test").await.expect("abort");
        }
        let asked = rotator.start(&id(0), "test").await.map(|_| ()).expect_err("full");
        assert!(matches!(asked, RotationError::Refused(_)), "{asked}");
        world.clock.advance(DAY);
        let schedule = Schedule::default().first_versions();
        let mut fleet = world.fleet().schedule(schedule).build().expect("a fleet");
        for _ in 0..3 {
            let report = world.while_time_goes_by(fleet.pass()).await;
            world.sleep_until(&report);
        }
        world.check_at_rest(&world.record(0).await).await;
    });
}

/// A listing is old by the time a key's turn comes: what another process did meanwhile counts.
#[test]
fn a_key_that_was_seen_to_meanwhile_is_not_rotated_again() {
    block_on(async {
        let world = World::registered(memory(), 2).await;
        let schedule = Schedule::default().first_versions();
        let mut slow = world.fleet().schedule(schedule).concurrency(1, 1).build().expect("a fleet");
        let mut events = slow.events();
        let mut pass = Box::pin(slow.pass());
        let begun = async {
            let first = events.next().await;
            assert!(matches!(first, Some(FleetEvent::Started { key, .. }) if key == id(0)));
        };
        future::or(async { drop(pass.as_mut().await) }, begun).await;

        let mut other = world.fleet().schedule(due_by_name(&world, 1..2)).build().expect("a fleet");
        world.clock.advance(Duration::from_secs(2));
        let report = world.while_time_goes_by(other.pass()).await;
        assert!(matches!(outcome_of(&report, 1), Outcome::Finished { .. }), "{report}");

        let report = world.while_time_goes_by(pass).await;
        assert!(matches!(outcome_of(&report, 1), Outcome::DoneElsewhere), "{report}");
        assert_eq!(world.vendors[1].creates(), 1);
    });
}

#[test]
fn what_a_killed_fleet_left_half_done_is_finished_by_the_next() {
    block_on(async {
        let world = World::registered(memory(), 1).await;
        let host = Host::new("a", FaultPlan::none().nth(Operation::Create, 0, Fault::CrashAfter));
        let schedule = || Schedule::default().first_versions();
        let mut fleet = world.fleet_on(&host).schedule(schedule()).build().expect("a fleet");
        assert!(world.until_killed(&host, usize::MAX, fleet.pass()).await.is_none());
        drop(fleet);
        assert_eq!(world.vendors[0].all_live(), 1, "made, and known to nobody");
        let mut next = world.fleet().schedule(schedule()).build().expect("a fleet");
        for _ in 0..6 {
            let report = world.while_time_goes_by(next.pass()).await;
            world.sleep_until(&report);
        }
        world.check_at_rest(&world.record(0).await).await;
    });
}

/// The future of a pass can be given to a runtime with threads.
#[test]
fn a_pass_can_be_sent_to_another_thread() {
    fn sent<T: Send>(_: &T) {}
    block_on(async {
        let world = World::registered(memory(), 1).await;
        let mut fleet = world.fleet().build().expect("a fleet");
        sent(&fleet.pass());
        sent(&fleet.run_forever());
    });
}

/// A rotator can be shared between a fleet and whoever answers leaks.
#[test]
fn a_rotator_is_shared() {
    let world = World::empty(memory());
    let rotator: std::sync::Arc<Rotator<_>> =
        std::sync::Arc::new(world.rotator(world.store.clone(), &Host::steady("a")).build().expect("a rotator"));
    let fleet = FleetRotator::builder(rotator.clone()).build().expect("a fleet");
    assert!(std::ptr::eq(fleet.rotator(), &*rotator));
}
