//! A drill plays on a copy: what it says, and that nothing real is touched.

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::block_on;
use keyward::core::{
    Adoption, Change, Clock, ErrorKind, IssuerCapabilities, KeyDraft, KeyIssuer, KeyRecord, Location, ManualClock,
    MemoryBackend, Operation, PointerToken, Proof, PublicationId, RotationPolicy, RunKind, SecretBackend, Shape,
    Transition,
};
use keyward::rotation::drill::{Consumer, Drill, DrillReport, Proven, Rollback};
use keyward_conformance::strict::{FakeIssuer, Fault, FaultPlan, Host, StrictFake};
use support::{CHARGES, HEALTHY, charges, cx, finish, issuer, key, load, register, rotator};

const HOUR: Duration = Duration::from_secs(3_600);

/// A key that serves its first version.
fn in_service(draft: KeyDraft) -> (MemoryBackend, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    block_on(async {
        let id = draft.id.clone();
        register(&store, &clock, draft).await;
        let rotator = rotator(&store, &clock, HEALTHY);
        finish(&mut rotator.start(&id, "first key").await.expect("start"), &clock).await.expect("provision");
    });
    (store, clock)
}

fn record() -> KeyRecord {
    let (store, _) = in_service(charges());
    block_on(load(&store, &key(CHARGES)))
}

fn labels() -> IssuerCapabilities {
    IssuerCapabilities::default()
}

fn run(drill: Drill<'_>) -> DrillReport {
    block_on(drill.at(ManualClock::default().now() + TimeDelta::days(10)).run()).expect("a drill")
}

#[test]
fn a_drill_says_when_what_happens() {
    let report = run(Drill::of(record(), &labels()));
    assert!(report.is_clear(), "{report}");
    let whats: Vec<_> = report.steps.iter().map(|step| step.what.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(whats[..4], ["created", "proved", "journalled", "published"], "{report}");
    let (published, last) = (report.steps[3].after, report.steps.last().expect("steps"));
    assert!(published < Duration::from_secs(10), "three validations, two seconds apart: {published:?}");
    assert!(last.after >= 48 * HOUR && last.after < 49 * HOUR, "soak and overlap: {:?}", last.after);
    assert_eq!(report.revoked_after, Some(last.after));

    let [consumer] = &report.consumers[..] else { panic!("{report}") };
    assert_eq!(consumer.consumer, Consumer::library("billing-api"), "the service of the scope");
    assert!(consumer.adopted_after.expect("adopted") <= Duration::from_secs(60), "{report}");
    assert!(consumer.returned_after.expect("returned") <= Duration::from_secs(60), "{report}");
    let Rollback::Works { old_serves_after, new_dead_after } = report.rollback else { panic!("{report}") };
    // The gate of a 48 h window is asked every 86 s, so that a drill takes at most 2,000 looks.
    assert!(old_serves_after > Duration::from_secs(80) && old_serves_after <= Duration::from_secs(90), "{report}");
    assert!(new_dead_after.expect("dead") >= old_serves_after);
    let text = report.to_string();
    for words in
        ["clear", "published", "the old key is dead after 48 h", "billing-api: new key after", "rollback\n  works"]
    {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

#[test]
fn nothing_real_is_touched() {
    let (store, _) = in_service(charges());
    let host = Host::steady("real");
    let seen = host.wrap(store.clone());
    let before = block_on(load(&store, &key(CHARGES)));
    let vendor = FakeIssuer::default();
    let report = run(Drill::of(before.clone(), vendor.capabilities()).ask(&seen));

    let asked: Vec<_> = host.trace().iter().map(|call| call.operation).collect();
    assert_eq!(asked, [Operation::Load, Operation::Pointer, Operation::Survey], "no write, and no value");
    assert_eq!(block_on(load(&store, &key(CHARGES))), before);
    assert!(vendor.all_creates().is_empty());
    let proven = report.permissions.iter().filter(|permission| matches!(permission.proven, Proven::Yes)).count();
    assert_eq!(proven, 3, "{report}");
    let text = report.to_string();
    assert!(text.contains("not proven  store: publish") && text.contains("only a write would tell"), "{text}");
    assert!(!text.contains("acme_live"), "no value");
}

/// The same, by a store that notes every misuse of the contract, and counts what is moved.
#[test]
fn nothing_is_moved_in_the_store_that_is_asked() {
    let clock = Arc::new(ManualClock::default());
    let store = StrictFake::with_clock(clock.clone());
    block_on(register(&store, &clock, charges()));
    let record = block_on(load(&store, &key(CHARGES)));
    run(Drill::of(record, &labels()).ask(&store));
    assert_eq!(store.revisions(&key(CHARGES)).len(), 1);
    assert!(store.misuse().is_empty(), "{:?}", store.misuse());
    let survey = block_on(store.survey(&cx(), &charges_target())).expect("a survey");
    assert!(survey.versions.is_empty());
}

fn charges_target() -> keyward::core::Target {
    let draft = charges();
    keyward::core::Target::new(draft.id, draft.location, draft.shape)
}

#[test]
fn a_consumer_that_holds_on_for_too_long_is_named() {
    let drill = Drill::of(record(), &labels())
        .consumer(Consumer::caching("hourly cache", HOUR))
        .consumer(Consumer::caching("weekly report", HOUR * 24 * 7));
    let report = run(drill);
    let cut: Vec<_> = report.consumers.iter().map(|c| (c.consumer.name.as_str(), c.may_be_cut_off)).collect();
    assert_eq!(cut, [("hourly cache", false), ("weekly report", true)], "{report}");
    assert!(!report.is_clear());
    assert!(report.consumers[0].adopted_after.expect("adopted") <= HOUR);
    assert!(report.to_string().contains("MAY STILL USE THE OLD KEY"), "{report}");
}

#[test]
fn consumers_an_adoption_signal_knows_are_taken() {
    let adoption = |instance: &str| Adoption {
        service: "billing-api".parse().expect("a name"),
        instance: instance.to_owned(),
        version: keyward::core::VersionId::generate(),
        seen_at: ManualClock::default().now(),
    };
    let report = run(Drill::of(record(), &labels()).known(&[adoption("host-1"), adoption("host-2\n")]));
    let names: Vec<_> = report.consumers.iter().map(|c| c.consumer.name.as_str()).collect();
    assert_eq!(names, ["billing-api on host-1", "billing-api on host-2"], "one line each");
    let adopted: Vec<_> = report.consumers.iter().map(|c| c.adopted_after.expect("adopted")).collect();
    assert_ne!(adopted[0], adopted[1], "each asks in its own rhythm");
}

#[test]
fn an_issuer_without_a_free_slot_is_found_out() {
    let mut one = labels();
    one.max_live = Some(1);
    let report = run(Drill::of(record(), &one));
    assert!(report.stuck.as_ref().expect("stuck").contains("the issuer allows 1"), "{report}");
    assert!(matches!(report.rollback, Rollback::NotTried { .. }));
    assert!(report.notes.iter().any(|note| note.contains("1 of 1 in use")), "{report}");
    let mut two = labels();
    two.max_live = Some(2);
    assert!(run(Drill::of(record(), &two)).is_clear());
}

#[test]
fn keys_that_spread_too_slowly_fail_the_drill_as_they_would_the_rotation() {
    let slow = run(Drill::of(record(), &labels()).propagation(Duration::from_secs(60)));
    assert!(slow.is_clear(), "{slow}");
    assert!(slow.steps[3].after >= Duration::from_secs(60), "{slow}");
    let too_slow = run(Drill::of(record(), &labels()).propagation(Duration::from_secs(600)));
    assert!(too_slow.stuck.as_ref().expect("stuck").contains("validation failed"), "{too_slow}");
}

#[test]
fn a_revoke_that_takes_its_time_counts() {
    let mut late = labels();
    late.revoke_latency = HOUR;
    let report = run(Drill::of(record(), &late));
    let prompt = run(Drill::of(record(), &labels())).revoked_after.expect("revoked");
    assert!(report.revoked_after.expect("revoked") >= prompt + HOUR, "{report}");
}

#[test]
fn a_window_of_nothing_cuts_consumers_off_and_leaves_no_way_back() {
    let policy = RotationPolicy::default().with_windows(Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (store, _) = in_service(charges().policy(policy));
    let report = run(Drill::of(block_on(load(&store, &key(CHARGES))), &labels()));
    assert!(report.consumers[0].may_be_cut_off, "{report}");
    assert!(matches!(&report.rollback, Rollback::Fails { why } if why.contains("given up before")), "{report}");
    assert!(report.revoked_after.expect("revoked") < Duration::from_secs(60));
}

#[test]
fn a_refused_permission_is_said_and_the_rest_is_rehearsed_all_the_same() {
    let (store, _) = in_service(charges());
    let host = Host::new("real", FaultPlan::none().always(Operation::Survey, Fault::Fail(ErrorKind::Denied)));
    let report = run(Drill::of(record(), &labels()).ask(&host.wrap(store)));
    assert!(report.stuck.is_none() && !report.is_clear());
    assert!(report.to_string().contains("REFUSED     store: survey"), "{report}");
}

#[test]
fn a_key_without_a_version_gets_one_on_the_copy_first() {
    let clock = ManualClock::default();
    let change = Change::new("ada".parse().expect("a name"), clock.now());
    let empty = KeyRecord::register(&charges(), &change).expect("a record");
    let report = run(Drill::of(empty, &labels()));
    assert!(report.is_clear() && report.revoked_after.is_some(), "{report}");
}

#[test]
fn a_key_with_a_run_under_way_is_rehearsed_from_its_draft() {
    let (store, clock) = in_service(charges());
    block_on(async {
        let rotator = rotator(&store, &clock, HEALTHY);
        rotator.start(&key(CHARGES), "quarterly").await.expect("start");
    });
    let report = run(Drill::of(block_on(load(&store, &key(CHARGES))), &labels()));
    assert_eq!(report.copied_afresh.as_deref(), Some("a run is under way"));
    assert!(report.is_clear(), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("in phase plan")), "{report}");
}

#[test]
fn a_key_of_fields_with_a_past_is_copied_as_it_stands() {
    let mut draft = charges();
    draft.shape = Shape::Fields(vec!["id".parse().expect("a name"), "secret".parse().expect("a name")]);
    let change = || Change::new("ada".parse().expect("a name"), ManualClock::default().now());
    draft.location = Location::vault_path("secret", "teams/billing", None).expect("a location");
    let mut record = KeyRecord::register(&draft, &change()).expect("a record");
    // Two rotations by hand: a version that serves and one that is still being revoked.
    for _ in 0..2 {
        let version = keyward::core::VersionId::generate();
        let run = keyward::core::RunId::generate();
        let holder = keyward::core::HolderId::generate();
        let reason = "test".parse().expect("a reason");
        let moves = [
            Transition::Begin { run, kind: RunKind::Manual, version, holder, reason },
            Transition::Store {
                version,
                issuer_ref: "ref".parse().ok(),
                issuer_state: None,
                fingerprint: None,
                expires_at: None,
            },
            Transition::Validate { proof: Proof::new(change().at, 3, "seen".parse().expect("evidence")) },
            Transition::Promote { publication: PublicationId::first(version), expect: PointerToken::new("0") },
            Transition::Confirm,
        ];
        for transition in moves {
            record = record.apply(&transition, &change()).expect("a legal move");
        }
        if record.run().is_some() {
            let later = Change::new("ada".parse().expect("a name"), change().at + TimeDelta::days(3));
            let passed = keyward::core::Passed::Gate("healthy".parse().expect("evidence"));
            let retired = record.apply(&Transition::Retire { passed }, &later).expect("a legal move");
            let old = retired.run().and_then(|run| run.previous).expect("an old one");
            let death = keyward::core::Death::Seen("refused".parse().expect("evidence"));
            record = retired.apply(&Transition::Revoked { version: old, death }, &later).expect("a legal move");
        }
    }
    let report = run(Drill::of(record, &labels()));
    assert!(report.copied_afresh.is_none() && report.is_clear(), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("adopted")), "{report}");
}

#[test]
fn the_drill_of_a_generated_key_needs_no_labels() {
    let report = run(Drill::of(record(), issuer().capabilities()));
    assert!(report.is_clear(), "{report}");
}

#[test]
fn a_drill_can_be_sent_to_another_thread() {
    fn sent<T: Send>(_: &T) {}
    let store = MemoryBackend::default();
    sent(&Drill::of(record(), &labels()).ask(&store).run());
}
