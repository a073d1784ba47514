//! Following the store: rotations, leaks, and stores that show old records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    AccessLevel, Edit, ErrorKind, Material, Mode, Proof, PublicationId, Scope, SecretBackend, SecretValue, Transition,
    VersionState,
};
use keyward::keyring::{Problem, Why};

use crate::flaky::Flaky;
use crate::setup::{complete, cx, leak, provision, publish, record, retire_old, rotate, seen, stage, step};
use crate::{CHARGES, NAME, billing, load, text, why, world};

#[test]
fn a_rotation_is_followed_and_values_are_read_only_when_they_change() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let counted = Flaky::over(&store);
    let keys = load(counted.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    assert_eq!(block_on(keys.refresh()).changed, []);
    assert_eq!(counted.reads(), 1);

    let held = handle.live().expect("a live key");
    let second = rotate(&store, &*clock, CHARGES, "second");
    let refreshed = block_on(keys.refresh());

    assert_eq!(refreshed.changed, [(handle.key().clone(), second)]);
    assert_eq!((text(&handle).as_str(), counted.reads()), ("second", 2));
    assert!(held.expose_secret() == b"first", "a value in use stays the one it was");
}

#[test]
fn only_the_primary_is_served_whatever_the_pointer_shows() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let served = |state: VersionState| {
        let version = record(&store, CHARGES).versions().last().map(|v| v.state);
        assert_eq!(version, Some(state));
        block_on(keys.refresh());
        text(&handle)
    };

    let material = Material::one(SecretValue::from("second")).expect("material");
    let version = stage(&store, &*clock, CHARGES, &material);
    assert_eq!(served(VersionState::Staged), "first");
    let proof = Proof::new(keyward::core::Clock::now(&*clock), 3, seen("probes"));
    step(&store, &*clock, CHARGES, &Transition::Validate { proof });
    assert_eq!(served(VersionState::Validated), "first");
    publish(&store, &*clock, CHARGES, version);
    assert_eq!(served(VersionState::Validated), "first", "published, and not confirmed yet");
    step(&store, &*clock, CHARGES, &Transition::Confirm);
    assert_eq!(served(VersionState::Primary), "second");
}

#[test]
fn a_rollback_is_followed() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let second = rotate(&store, &*clock, CHARGES, "second");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    assert_eq!(text(&handle), "second");

    let publication = PublicationId::generate();
    step(&store, &*clock, CHARGES, &Transition::RollBack { publication, evidence: seen("rejects") });
    step(&store, &*clock, CHARGES, &Transition::RolledBack);
    block_on(keys.refresh());
    assert_eq!(text(&handle), "first");
    assert!(record(&store, CHARGES).version(second).is_some_and(|v| v.state == VersionState::RevokePending));
}

#[test]
fn a_leaked_version_is_dropped_at_once_and_never_served_again() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "leaked");
    let before = record(&store, CHARGES);
    let stale = Flaky::over(&store);
    let keys = load(stale.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");

    leak(&store, &*clock, CHARGES, version);
    block_on(keys.refresh());
    assert!(matches!(why(&handle), Why::Compromised { version: v } if v == version));

    stale.replay(CHARGES, Some(before));
    let refreshed = block_on(keys.refresh());
    assert!(matches!(refreshed.problems[0].problem, Problem::OlderRecord { found: _, known: _ }));
    assert!(matches!(why(&handle), Why::Compromised { .. }), "an older record brings nothing back");
}

#[test]
fn a_dead_version_stays_dead_even_in_a_newer_record() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let primary = record(&store, CHARGES);
    let stale = Flaky::over(&store);
    let keys = load(stale.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let first = handle.live().expect("a live key").version();
    leak(&store, &*clock, CHARGES, first);
    block_on(keys.refresh());

    // A store restored from a backup goes on from there: the same versions under higher revisions.
    let note = |n: u32| Transition::Edit(Edit::Note(format!("note {n}").parse().expect("a note")));
    let change = |_| crate::setup::change(&*clock);
    let forked = (0..9).fold(primary, |r, n| r.apply(&note(n), &change(n)).expect("an edit"));
    assert!(forked.primary().is_some_and(|v| v.id == first));
    assert!(forked.revision() > record(&store, CHARGES).revision());
    stale.replay(CHARGES, Some(forked));
    block_on(keys.refresh());
    assert!(matches!(why(&handle), Why::Revoked { version } if version == first));
}

#[test]
fn an_older_record_neither_changes_nor_confirms_what_is_served() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let before = record(&store, CHARGES);
    rotate(&store, &*clock, CHARGES, "second");
    let stale = Flaky::over(&store);
    let keys = load(stale.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");

    stale.replay(CHARGES, Some(before));
    clock.advance(Duration::from_secs(14 * 60));
    block_on(keys.refresh());
    assert_eq!(text(&handle), "second");
    clock.advance(Duration::from_secs(60));
    assert!(matches!(why(&handle), Why::Stale { .. }));
}

#[test]
fn the_old_version_serves_on_only_while_its_successor_cannot_be_read_and_it_overlaps() {
    let (clock, store) = world();
    let first = provision(&store, &*clock, CHARGES, "first");
    let faulty = Flaky::over(&store);
    let keys = load(faulty.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");

    rotate(&store, &*clock, CHARGES, "second");
    faulty.fail_read(CHARGES, Some(ErrorKind::Unavailable));
    block_on(keys.refresh());
    assert_eq!(text(&handle), "first", "it overlaps");

    clock.advance(Duration::from_secs(49 * 3_600));
    retire_old(&store, &*clock, CHARGES);
    block_on(keys.refresh());
    assert!(matches!(why(&handle), Why::Withheld(_)));
    faulty.fail_read(CHARGES, None);
    block_on(keys.refresh());
    assert_eq!(text(&handle), "second");
    assert!(record(&store, CHARGES).version(first).is_some_and(|v| v.state == VersionState::RevokePending));
}

#[test]
fn a_service_taken_out_of_the_scope_loses_the_key() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write");
    let scope = scope.and_then(|s| s.endpoint("POST /v1/charges")).expect("a scope");
    step(&store, &*clock, CHARGES, &Transition::Edit(Edit::Scope { scope, approval: None }));
    block_on(keys.refresh());
    let Why::Withheld(problem) = why(&handle) else { panic!("it is withheld") };
    assert!(matches!(*problem, Problem::NotInScope { .. }));
}

#[test]
fn a_retired_key_is_dropped() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let reason = "no longer needed".parse().expect("a reason");
    step(&store, &*clock, CHARGES, &Transition::Decommission { reason });
    block_on(keys.refresh());
    let error = handle.live().expect_err("it is dropped").to_string();
    assert!(error.contains("retired") && error.starts_with(CHARGES), "{error}");
}

#[test]
fn a_vanished_record_or_material_does_not_take_a_served_value_away() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let handle = keys.handle(NAME).expect("a handle");
    let target = record(&store, CHARGES).target();
    block_on(store.retire(&cx(), &target, Duration::ZERO)).expect("material is given up");
    assert!(block_on(keys.refresh()).problems.is_empty());
    assert_eq!(text(&handle), "first");
}

#[test]
fn watch_tells_of_the_next_version() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "first");
    let keys = load(store.clone(), &clock);
    let mut watch = keys.handle(NAME).expect("a handle").watch();
    let waiter = std::thread::spawn(move || block_on(watch.changed()));
    block_on(keys.refresh());
    assert!(!waiter.is_finished(), "nothing has changed yet");
    let second = rotate(&store, &*clock, CHARGES, "second");
    block_on(keys.refresh());
    assert_eq!(waiter.join().expect("no panic"), second);
}

#[test]
fn live_never_fails_while_rotations_are_followed() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v0000");
    let patient = billing(store.clone(), &clock).require(NAME).hard_ttl(Duration::from_secs(72 * 3_600));
    let keys = block_on(patient.load()).expect("the keyring loads");
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (handle, stop) = (keys.handle(NAME).expect("a handle"), stop.clone());
            std::thread::spawn(move || {
                let (mut last, mut seen) = (String::new(), 0_u32);
                while !stop.load(Ordering::Relaxed) {
                    let now = text(&handle);
                    assert!(now >= last, "versions never go back");
                    (last, seen) = (now, seen + 1);
                }
                (last, seen)
            })
        })
        .collect();
    for n in 1..=30 {
        rotate(&store, &*clock, CHARGES, &format!("v{n:04}"));
        block_on(keys.refresh());
        complete(&store, &clock, CHARGES);
        block_on(keys.refresh());
        commit_spill(&store);
    }
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| {
        let (last, seen) = reader.join().expect("no panic");
        assert!(last.as_str() > "v0000" && seen > 0);
    });
}

/// Keeps the record short, as any writer does.
fn commit_spill(store: &keyward::core::MemoryBackend) {
    use keyward::core::{Expect, SecretBackendExt};
    let current = block_on(store.load_existing(&cx(), &crate::setup::id(CHARGES))).expect("a record");
    if let Some(spill) = current.value.spill(current.value.pages() + 1) {
        block_on(store.swap(&cx(), spill.page.id(), Expect::Absent, &spill.page)).expect("a page");
        block_on(store.swap(&cx(), current.value.id(), Expect::At(current.stamp), &spill.rest)).expect("a record");
    }
}
