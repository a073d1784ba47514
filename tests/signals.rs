//! Functions as signals and validators, and several signals as one.

mod support;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use futures_lite::future::block_on;
use keyward::core::{
    Adoption, AdoptionSignal, ArmCounts, Clock, Error, ErrorKind, Evidence, HealthQuery, HealthReport, HealthSignal,
    LastUse, ManualClock, MemoryBackend, Operation, Probe, RunOutcome, UsageSignal, VersionId,
};
use keyward::rotation::{Rotator, Step};
use keyward::signal::{Combined, adoption_fn, health_fn, usage_fn, validator_fn};
use support::{CHARGES, charges, cx, finish, issuer, key, register, until};

fn query(new: VersionId) -> HealthQuery {
    HealthQuery { key: key(CHARGES), new, old: None, since: chrono::DateTime::UNIX_EPOCH }
}

fn clean(requests: u64) -> HealthReport {
    let mut new = ArmCounts::default();
    (new.clean, new.clients) = (requests, 1);
    HealthReport::of(new)
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, Operation::Signal, "test")
}

#[test]
fn a_rotation_runs_on_functions_alone() {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    let (asked, tried) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let health = {
        let asked = asked.clone();
        health_fn(move |query| {
            asked.lock().expect("no panic").push((query.new, query.old));
            async { Ok(clean(500).known_clients(1)) }
        })
    };
    let validator = {
        let tried = tried.clone();
        validator_fn(move |candidate| {
            tried.fetch_add(1, Relaxed);
            let token =
                candidate.material.value().is_some_and(|value| value.expose_secret().starts_with(b"acme_live_"));
            let known = candidate.key == key(CHARGES);
            async move {
                Ok(match token && known {
                    true => Probe::Accepted(Evidence::lossy("it looks right")),
                    false => Probe::Rejected(Evidence::lossy("it does not")),
                })
            }
        })
    };
    block_on(async {
        register(&store, &clock, charges()).await;
        let rotator = Rotator::builder(store.clone())
            .issuer("acme", issuer())
            .validator("acme", validator)
            .health(health)
            .clock(clock.clone())
            .poll_every(std::time::Duration::from_secs(3_600))
            .build()
            .expect("a rotator");
        for reason in ["first value", "quarterly"] {
            let mut run = rotator.start(&key(CHARGES), reason).await.expect("start");
            if reason == "quarterly" {
                until(&mut run, &clock, |step| matches!(step, Step::Retiring { .. })).await;
                break;
            }
            assert_eq!(finish(&mut run, &clock).await.expect("finish").outcome, RunOutcome::Completed);
        }
        let record = support::load(&store, &key(CHARGES)).await;
        let (new, old) = (record.primary().expect("one serves").id, record.run().expect("a run").previous);
        assert!(asked.lock().expect("no panic").iter().all(|query| *query == (new, old)));
        assert_eq!(tried.load(Relaxed), 6, "three validations for each of two versions");
    });
}

#[test]
fn usage_and_adoption_are_asked_about_the_key() {
    let version = VersionId::generate();
    let now = ManualClock::default().now();
    let usage = usage_fn(move |asked, about| async move {
        Ok(if asked == key(CHARGES) && about == version { LastUse::At(now) } else { LastUse::Unknown })
    });
    let adoption = adoption_fn(move |_| async move {
        let service = "billing-api".parse().expect("a name");
        Ok(vec![Adoption { service, instance: "host-1".to_owned(), version, seen_at: now }])
    });
    block_on(async {
        assert_eq!(usage.last_use(&cx(), &key(CHARGES), version).await.expect("an answer"), LastUse::At(now));
        let consumers = adoption.consumers(&cx(), &key(CHARGES)).await.expect("an answer");
        assert_eq!(consumers[0].version, version);
    });
    assert_eq!(format!("{usage:?} {adoption:?}"), "UsageFn AdoptionFn");
}

#[test]
fn one_signal_that_fails_fails_the_whole() {
    let fails = Arc::new(health_fn(|_| async { Err(away()) })) as Arc<dyn HealthSignal>;
    let works = Arc::new(health_fn(|_| async { Ok(clean(10)) })) as Arc<dyn HealthSignal>;
    let sum = |signals: [&Arc<dyn HealthSignal>; 2]| {
        block_on(Combined::new(signals.map(Arc::clone)).health(&cx(), &query(VersionId::generate())))
    };
    assert_eq!(sum([&works, &works]).expect("a report").new.clean, 20);
    assert!(sum([&works, &fails]).is_err() && sum([&fails, &works]).is_err());
}

#[test]
fn the_latest_use_counts_once_every_part_knows() {
    let now = ManualClock::default().now();
    let earlier = now - chrono::TimeDelta::days(1);
    let table = [
        (vec![LastUse::At(earlier), LastUse::At(now)], LastUse::At(now)),
        (vec![LastUse::At(now), LastUse::At(earlier)], LastUse::At(now)),
        (vec![LastUse::Never, LastUse::At(earlier)], LastUse::At(earlier)),
        (vec![LastUse::At(earlier), LastUse::Never], LastUse::At(earlier)),
        (vec![LastUse::Never, LastUse::Never], LastUse::Never),
        (vec![LastUse::At(now), LastUse::Unknown, LastUse::Never], LastUse::Unknown),
        (vec![LastUse::Unknown, LastUse::At(now)], LastUse::Unknown),
        (vec![], LastUse::Unknown),
    ];
    for (parts, wanted) in table {
        let signals = parts.iter().map(|part| {
            let part = *part;
            usage_fn(move |_, _| async move { Ok(part) })
        });
        let answer = block_on(Combined::new(signals).last_use(&cx(), &key(CHARGES), VersionId::generate()));
        assert_eq!(answer.expect("an answer"), wanted, "{parts:?}");
    }
}
