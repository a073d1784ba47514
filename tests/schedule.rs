//! When a key is due, and why: pure, so every case is a record and a time.

mod support;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward::core::{
    Change, Clock, Death, Edit, Evidence, HolderId, IncidentId, KeyDraft, KeyRecord, ManualClock, NoteText,
    PointerToken, Proof, PublicationId, RotationPolicy, RunId, RunKind, Transition, VersionId, VersionState,
};
use keyward::rotation::{Cause, Due, Schedule};
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
use support::{CHARGES, charges, key, reports};

const DAY: Duration = Duration::from_secs(86_400);

/// A record as it goes through the moves of a key's life.
#[derive(Clone)]
struct Life {
    record: KeyRecord,
    now: DateTime<Utc>,
}

impl Life {
    fn new(draft: &KeyDraft) -> Self {
        let now = ManualClock::default().now();
        let record = KeyRecord::register(draft, &Change::new("ada".parse().expect("a name"), now)).expect("a record");
        Self { record, now }
    }

    fn after(mut self, time: Duration) -> Self {
        self.now += TimeDelta::from_std(time).expect("in range");
        self
    }

    fn step(mut self, transition: &Transition) -> Self {
        let change = Change::new("ada".parse().expect("a name"), self.now);
        self.record = self.record.apply(transition, &change).expect("a legal move");
        self
    }

    fn begin(self, kind: RunKind) -> Self {
        let (run, version, holder) = (RunId::generate(), VersionId::generate(), HolderId::generate());
        self.step(&Transition::Begin { run, kind, version, holder, reason: "test".parse().expect("a reason") })
    }

    /// From nothing, or from a version, to the next one in service. The former one is gone at once.
    fn rotated(self, expires_at: Option<DateTime<Utc>>) -> Self {
        let life = self.replaced(expires_at);
        let dead = life.record.versions().iter().find(|v| v.state == VersionState::Revoked).map(|v| v.id);
        dead.map_or(life.clone(), |version| life.step(&Transition::Gone { version }))
    }

    /// The same, with what is left of the former one still kept.
    fn replaced(self, expires_at: Option<DateTime<Utc>>) -> Self {
        let mut life = self.begin(RunKind::Leak);
        let run = life.record.run().expect("a run").clone();
        let version = run.phase.version();
        life = life.step(&Transition::Store {
            version,
            issuer_ref: Some("ref".parse().expect("a reference")),
            issuer_state: None,
            fingerprint: None,
            expires_at,
        });
        let proof = Proof::new(life.now, 3, seen());
        life = life.step(&Transition::Validate { proof });
        let publication = PublicationId::first(version);
        life = life.step(&Transition::Promote { publication, expect: PointerToken::new("0") });
        life = life.step(&Transition::Confirm);
        match run.previous {
            Some(version) => life.step(&Transition::Revoked { version, death: Death::Seen(seen()) }),
            None => life,
        }
    }

    /// A run that came to nothing, and its version seen to.
    fn aborted(self) -> Self {
        let life = self.begin(RunKind::Scheduled);
        let version = life.record.run().expect("a run").phase.version();
        let dead = Transition::Revoked { version, death: Death::NeverCreated(seen()) };
        life.step(&Transition::Abandon { evidence: seen() }).step(&dead).step(&Transition::Gone { version })
    }

    fn primary(&self) -> VersionId {
        self.record.primary().expect("a primary").id
    }

    fn due(&self, schedule: &Schedule) -> Option<Cause> {
        schedule.due(&self.record, self.now).map(|due| due.cause)
    }

    fn when(&self, schedule: &Schedule) -> Due {
        schedule.when(&self.record, self.now).expect("something will make it due")
    }
}

fn seen() -> Evidence {
    Evidence::lossy("seen")
}

fn in_service() -> Life {
    Life::new(&charges()).rotated(None)
}

fn usual() -> Schedule {
    Schedule::default()
}

#[test]
fn a_version_is_due_by_age_once_its_interval_and_its_spread_are_over() {
    let life = in_service();
    let due = life.when(&usual());
    let (interval, after) = (TimeDelta::days(90), due.at - life.now);
    assert_eq!(due.cause, Cause::Age);
    assert!(after >= interval && after < interval + TimeDelta::days(9) + TimeDelta::minutes(5), "{after}");
    let on_time = Life { now: due.at, ..life.clone() };
    assert_eq!(on_time.due(&usual()), Some(Cause::Age));
    assert_eq!(Life { now: due.at - TimeDelta::seconds(1), ..life }.due(&usual()), None);
}

#[test]
fn the_spread_is_about_uniform_over_a_tenth_of_the_interval() {
    let (keys, mut buckets) = (3_000, [0_u32; 10]);
    for _ in 0..keys {
        let life = in_service();
        let spread = life.when(&usual()).at - life.record.due_at().expect("due");
        let bucket = spread.num_seconds() * 10 / (9 * 86_400 + 300);
        buckets[usize::try_from(bucket).expect("not before the interval")] += 1;
    }
    // 300 each; six standard deviations are 99.
    assert!(buckets.iter().all(|count| (200..400).contains(count)), "{buckets:?}");
}

#[test]
fn the_next_version_of_a_key_gets_about_the_same_spread_and_another_jitter() {
    let first = in_service();
    let spread = |life: &Life| life.when(&usual()).at - life.record.due_at().expect("due");
    let second = first.clone().after(DAY).rotated(None);
    let apart = (spread(&first) - spread(&second)).abs();
    assert!(apart <= TimeDelta::minutes(5), "{apart}");
    let jitters = (0..20).map(|_| spread(&first.clone().rotated(None))).collect::<std::collections::BTreeSet<_>>();
    assert!(jitters.len() > 10, "the jitter follows the version: {jitters:?}");
}

#[test]
fn a_version_that_ends_early_is_due_by_expiry() {
    let life = Life::new(&charges());
    let end = life.now + TimeDelta::days(30);
    let life = life.rotated(Some(end));
    let due = life.when(&usual());
    assert_eq!(due.cause, Cause::Expiry);
    let before = end - due.at;
    assert!(before >= TimeDelta::days(6) && before <= TimeDelta::days(12), "a fifth of 30 days, up to twice: {before}");
    let short = Schedule::default().expiry_lead(Duration::from_secs(3_600));
    let before = end - life.when(&short).at;
    assert!(before >= TimeDelta::hours(1) && before <= TimeDelta::hours(2), "{before}");
}

#[test]
fn a_leak_comes_before_everything_and_a_contained_one_is_not_due() {
    let life = in_service();
    let version = life.primary();
    let leak = Transition::Compromise {
        version,
        incident: IncidentId::generate(),
        exposed_from: None,
        source: seen(),
        publication: PublicationId::generate(),
    };
    let leaked = life.after(DAY * 200).step(&leak);
    let named = usual().keys([key(CHARGES)], leaked.now);
    assert_eq!(leaked.due(&named), Some(Cause::Leak));
    let running = leaked.begin(RunKind::Leak);
    assert_eq!(running.due(&named), Some(Cause::Leak), "also while its replacement is under way");
    let dead = running.step(&Transition::Revoked { version, death: Death::Seen(seen()) });
    let aborted = dead.step(&Transition::Abandon { evidence: seen() });
    assert_eq!(aborted.due(&named), Some(Cause::Leak), "a failed replacement is no reason to wait");
    let replaced = aborted.rotated(None);
    assert_ne!(replaced.due(&usual()), Some(Cause::Leak));
}

#[test]
fn a_run_under_way_is_due_at_once_unless_it_is_an_import_or_an_adoption() {
    let running = in_service().after(DAY * 200).begin(RunKind::Scheduled);
    assert_eq!(running.due(&usual()), Some(Cause::UnderWay), "and nothing else starts");
    for kind in [RunKind::Import, RunKind::Adopt] {
        let theirs = Life::new(&charges()).begin(kind).after(DAY * 200);
        assert_eq!(theirs.due(&usual().first_versions()), None, "{kind}");
    }
}

#[test]
fn people_who_left_make_their_keys_due_once() {
    let life = in_service().after(DAY);
    for person in ["Ada@Example.com", "grace@example.com"] {
        let schedule = usual().person_left(person, life.now);
        assert_eq!(life.due(&schedule), Some(Cause::OwnerLeft), "{person}");
        assert_eq!(life.clone().after(DAY).rotated(None).due(&schedule), None, "{person}: rotated since");
    }
    assert_eq!(life.due(&usual().person_left("edsger@example.com", life.now)), None);
    let both = usual()
        .person_left("ada@example.com", life.now - TimeDelta::days(2))
        .person_left("grace@example.com", life.now);
    assert_eq!(life.due(&both), Some(Cause::OwnerLeft), "the later of the two counts");
}

#[test]
fn a_removed_recipient_is_named_by_a_label_or_by_the_caller() {
    let draft = charges().label(Schedule::RECIPIENT_REMOVED, "2026-01-02T00:00:00Z").expect("a label");
    let life = Life::new(&draft).rotated(None);
    assert_eq!(life.due(&usual()), None, "not yet");
    let life = life.after(DAY * 2);
    assert_eq!(life.due(&usual()), Some(Cause::RecipientRemoved));
    assert_eq!(life.rotated(None).due(&usual()), None);

    let life = in_service().after(DAY);
    let removed = life.now;
    let schedule =
        usual().demand(Cause::RecipientRemoved, move |record| (record.id() == &key(CHARGES)).then_some(removed));
    assert_eq!(life.due(&schedule), Some(Cause::RecipientRemoved));
    assert_eq!(Life::new(&reports()).rotated(None).after(DAY).due(&schedule), None);
    let odd = usual().demand(Cause::Leak, move |_| Some(removed));
    assert_eq!(life.due(&odd), Some(Cause::Manual), "a cause that starts no run is a person's wish");
}

#[test]
fn an_edited_scope_makes_the_version_made_before_it_due() {
    let wider = Edit::Scope {
        scope: charges().scope.permission("refunds:write").expect("a scope"),
        approval: "asked for".parse().ok(),
    };
    let edited = in_service().after(DAY).step(&Transition::Edit(wider));
    assert_eq!(edited.due(&usual()), Some(Cause::ScopeChange));
    assert_eq!(edited.when(&usual()).at, edited.now);
    assert_eq!(edited.clone().after(DAY).rotated(None).due(&usual()), None, "made with the new scope");
    let aborted = edited.after(DAY).aborted().after(DAY);
    assert_eq!(aborted.due(&usual()), Some(Cause::ScopeChange), "a run that came to nothing changes nothing");
}

#[test]
fn a_scope_edit_is_forgotten_after_eight_further_changes() {
    let edit = Edit::Scope {
        scope: charges().scope.service("billing-batch").expect("a scope"),
        approval: "asked for".parse().ok(),
    };
    let mut life = in_service().step(&Transition::Edit(edit));
    let note: NoteText = "a remark".parse().expect("a note");
    for _ in 1..KeyRecord::OPERATIONS {
        life = life.step(&Transition::Edit(Edit::Note(note.clone())));
        assert_eq!(life.due(&usual()), Some(Cause::ScopeChange));
    }
    let forgotten = life.step(&Transition::Edit(Edit::Note(note)));
    assert_eq!(forgotten.due(&usual()), None, "the record holds no more; the guide says so");
}

#[test]
fn a_named_key_is_due_until_it_was_rotated() {
    let life = in_service().after(DAY);
    let schedule = usual().keys([key(CHARGES)], life.now);
    assert_eq!(life.due(&schedule), Some(Cause::Manual));
    assert_eq!(life.clone().rotated(None).due(&schedule), None);
    let empty = Life::new(&charges()).after(DAY);
    assert_eq!(empty.due(&usual()), None);
    assert_eq!(empty.due(&schedule), Some(Cause::Manual));
    assert_eq!(empty.due(&usual().first_versions()), Some(Cause::FirstVersion));
}

#[test]
fn a_key_whose_runs_fail_rests_longer_and_longer_but_not_when_a_person_asks() {
    let overdue = in_service().after(DAY * 100);
    assert_eq!(overdue.due(&usual()), Some(Cause::Age));
    let (mut life, mut rests) = (overdue, Vec::new());
    for _ in 0..9 {
        life = life.aborted();
        assert_eq!(life.due(&usual()), None);
        assert_eq!(life.due(&usual().keys([key(CHARGES)], life.now + TimeDelta::seconds(1))), None, "not named yet");
        let named = Life { now: life.now + TimeDelta::seconds(1), ..life.clone() };
        assert_eq!(named.due(&usual().keys([key(CHARGES)], named.now)), Some(Cause::Manual));
        let next = life.when(&usual()).at;
        rests.push((next - life.now).num_minutes());
        life.now = next;
    }
    assert_eq!(rests, [15, 30, 60, 120, 240, 480, 960, 1_440, 1_440]);
    assert!(life.rotated(None).after(DAY * 100).due(&usual()).is_some(), "a success ends the rests");
}

#[test]
fn near_its_end_a_version_is_tried_again_sooner() {
    let life = Life::new(&charges());
    let end = life.now + TimeDelta::minutes(100);
    // A fifth of its life is 20 minutes; an eighth of that is the longest rest.
    let failed = life.rotated(Some(end)).after(Duration::from_secs(85 * 60)).aborted();
    let again = failed.when(&usual());
    assert_eq!((again.cause, again.at - failed.now), (Cause::Expiry, TimeDelta::seconds(150)));
}

#[test]
fn dead_and_dying_versions_are_seen_to_last() {
    let life = in_service();
    let old = life.primary();
    let rotated = life.after(DAY).replaced(None);
    assert_eq!(rotated.record.version(old).expect("the old one").state, VersionState::Revoked);
    let kept = rotated.when(&usual());
    assert_eq!((kept.cause, kept.at - rotated.now), (Cause::Housekeeping, TimeDelta::days(7)));
    let given_up = rotated.clone().begin(RunKind::Manual).step(&Transition::Abandon { evidence: seen() });
    assert_eq!(given_up.due(&usual()), Some(Cause::Housekeeping), "a version is condemned");
    let named = usual().keys([key(CHARGES)], given_up.now + TimeDelta::days(1));
    assert_eq!(given_up.after(DAY).due(&named), Some(Cause::Manual));
}

#[test]
fn a_retired_key_is_never_rotated() {
    let retiring = in_service().step(&Transition::Decommission { reason: "unused".parse().expect("a reason") });
    let schedule = usual().keys([key(CHARGES)], retiring.now + TimeDelta::days(1)).first_versions();
    assert_eq!(retiring.clone().after(DAY * 365).due(&schedule), Some(Cause::Housekeeping));
    let version = retiring.record.versions()[0].id;
    let dead = retiring.step(&Transition::Revoked { version, death: Death::Seen(seen()) });
    let buried = dead.step(&Transition::Gone { version }).step(&Transition::Bury);
    assert_eq!(buried.after(DAY * 365).due(&schedule), None);
}

/// Policies that hold, from an hour to years.
fn policies() -> impl Strategy<Value = RotationPolicy> {
    (3_600_u64..86_400 * 1_000, 1_u64..86_400 * 500).prop_map(|(interval, longer)| {
        let interval = Duration::from_secs(interval);
        let window = interval.min(Duration::from_secs(86_400));
        RotationPolicy::default()
            .with_interval(interval)
            .with_lifetime(interval + Duration::from_secs(longer))
            .with_windows(window, window, window)
    })
}

proptest! {
    /// Whatever the policy and the issuer say: a version is replaced in the later part of its life
    /// and before it ends; by age never before its interval; and every host says the same.
    #[test]
    fn a_version_is_always_due_before_its_end(policy in policies(), issued in 60_i64..86_400 * 2_000) {
        let draft = charges().policy(policy.clone());
        let life = Life::new(&draft);
        let issuer_says = life.now + TimeDelta::seconds(issued);
        let life = life.rotated(Some(issuer_says));
        let (planned, end) = (life.now, life.record.expires_at().expect("an end"));
        let due = life.when(&usual());
        prop_assert!(due.at < end, "{due} and ends at {end}");
        prop_assert!((due.at - planned) * 2 > (end - planned).min(TimeDelta::from_std(policy.interval).expect("in range")), "too early: {due}");
        let interval = TimeDelta::from_std(policy.interval).expect("in range");
        if due.cause == Cause::Age {
            prop_assert!(due.at >= planned + interval);
            prop_assert!(due.at <= planned + interval * 11 / 10 + TimeDelta::minutes(5));
        }
        let elsewhere = KeyRecord::decode(&life.record.encode().expect("encoded")).expect("decoded");
        prop_assert_eq!(Schedule::default().when(&elsewhere, life.now), Some(due));
        prop_assert_eq!(Schedule::default().when(&elsewhere, life.now + TimeDelta::seconds(1)).map(|d| d.at), Some(due.at));
    }
}
