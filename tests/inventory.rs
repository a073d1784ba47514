//! One place to see and edit keys, and the audit log beside it.

#[path = "keyring/flaky.rs"]
mod flaky;
#[path = "keyring/setup.rs"]
mod setup;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use keyward::audit::{AuditLog, line};
use keyward::core::{
    AccessLevel, AuditAction, AuditQuery, Clock, Context, Edit, Environment, ErrorKind, Expect, Function, KeyDraft,
    KeyId, LastUse, ManualClock, MemoryBackend, Mode, Ownership, Result, Retire, Scope, SecretBackend, Transition,
    TransitionError, UsageSignal, VersionId, async_trait,
};
use keyward::inventory::{Filter, Inventory, InventoryError, KeyState};

use crate::flaky::Flaky;
use crate::setup::{complete, cx, draft, id, leak, provision, record, register, retire_old, rotate, seen, step};

const CHARGES: &str = "production/payments/stripe-charges";

fn world() -> (Arc<ManualClock>, MemoryBackend) {
    let clock = Arc::new(ManualClock::default());
    (clock.clone(), MemoryBackend::with_clock(clock))
}

fn inventory<B: SecretBackend>(store: B, clock: &Arc<ManualClock>) -> Inventory<B> {
    Inventory::new(store).actor("ada").clock(clock.clone())
}

fn reports(key: &str) -> KeyDraft {
    let owners = Ownership::new("data", "alan@example.com", "ada@example.com", "#data").expect("owners");
    let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only");
    let scope = scope.and_then(|s| s.service("reporting")).expect("a scope");
    KeyDraft::new(id(key), owners, scope, "acme".parse().expect("a name"))
}

#[test]
fn a_key_is_registered_once() {
    let (clock, store) = world();
    let inventory = inventory(&store, &clock);
    let record = block_on(inventory.register(draft(CHARGES))).expect("registered");
    assert_eq!((record.revision(), record.created_by().as_str()), (1, "ada"));
    let again = block_on(inventory.register(draft(CHARGES)));
    assert!(matches!(again, Err(InventoryError::AlreadyRegistered { .. })));
    assert_eq!(block_on(inventory.get(&id(CHARGES))).expect("a record").uid(), record.uid());
}

#[test]
fn a_draft_that_breaks_a_rule_is_refused() {
    let (clock, store) = world();
    let mut unsafe_draft = draft(CHARGES);
    unsafe_draft.scope = Scope::new(AccessLevel::Write);
    let refused = block_on(inventory(&store, &clock).register(unsafe_draft));
    assert!(matches!(refused, Err(InventoryError::Draft(_))));
}

#[test]
fn somebody_must_act() {
    let (clock, store) = world();
    let nobody = Inventory::new(&store);
    assert!(matches!(block_on(nobody.list(&Filter::all())), Err(InventoryError::NoActor)));
    let unprintable = inventory(&store, &clock).actor("a\nb");
    assert!(matches!(block_on(unprintable.list(&Filter::all())), Err(InventoryError::BadText(_))));
}

#[test]
fn edits_are_applied_and_on_the_audit_log() {
    let (clock, store) = world();
    register(&store, &*clock, &draft(CHARGES));
    let inventory = inventory(&store, &clock);
    let owners = Ownership::new("payments", "grace@example.com", "alan@example.com", "#payments").expect("owners");
    block_on(inventory.update(&id(CHARGES), Edit::Ownership(owners.clone()), "ada moves on")).expect("an edit");
    block_on(inventory.annotate(&id(CHARGES), "the issuer limits new keys")).expect("a note");

    let record = record(&store, CHARGES);
    assert_eq!((record.ownership(), record.revision()), (&owners, 3));
    assert_eq!(record.notes()[0].by.as_str(), "ada");
    let log = AuditLog::of(&store).expect("a log");
    let entries = block_on(log.entries(&cx(), &AuditQuery::default().key(&id(CHARGES)))).expect("entries");
    let lines: Vec<_> = entries.iter().map(|entry| line(entry).to_string()).collect();
    assert!(lines[1].ends_with("by ada: ada moves on (edit-ownership)"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains('\n')));
}

#[test]
fn a_wider_scope_needs_an_approval() {
    let (clock, store) = world();
    register(&store, &*clock, &reports("production/analytics/warehouse"));
    let key = id("production/analytics/warehouse");
    let wider = Scope::new(AccessLevel::Admin).service("reporting").expect("a scope");
    let edit = |approval| Edit::Scope { scope: wider.clone(), approval };
    let inventory = inventory(&store, &clock);
    let refused = block_on(inventory.update(&key, edit(None), "more"));
    let Err(InventoryError::Refused { refusal, .. }) = refused else { panic!("it is refused") };
    assert_eq!(*refusal, TransitionError::ScopeWidening);
    let approval = Some("approved in review 12".parse().expect("a reason"));
    assert!(block_on(inventory.update(&key, edit(approval), "more")).is_ok());
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let (clock, store) = world();
    register(&store, &*clock, &draft(CHARGES));
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (store, clock) = (&store, &clock);
            scope.spawn(move || {
                let inventory = inventory(store, clock);
                for m in 0..4 {
                    // Five tries may not be enough against three others; a person would try again.
                    while let Err(error) = block_on(inventory.annotate(&id(CHARGES), &format!("note {n}-{m}"))) {
                        assert!(matches!(error, InventoryError::Busy { .. }), "{error}");
                    }
                }
            });
        }
    });
    let record = record(&store, CHARGES);
    let mut notes: Vec<_> = record.notes().iter().map(|note| note.text.to_string()).collect();
    notes.sort();
    notes.dedup();
    assert_eq!((notes.len(), record.revision()), (16, 17));
}

#[test]
fn a_lost_reply_is_read_back_and_nothing_is_done_twice() {
    let (clock, store) = world();
    let lossy = Flaky::over(&store);
    let inventory = inventory(&lossy, &clock);
    lossy.lose_replies(1);
    let registered = block_on(inventory.register(draft(CHARGES))).expect("it was registered");
    assert_eq!(registered.uid(), record(&store, CHARGES).uid());
    lossy.lose_replies(1);
    let edited = block_on(inventory.annotate(&id(CHARGES), "once")).expect("it was edited");
    assert_eq!((edited.revision(), record(&store, CHARGES).notes().len()), (2, 1));
}

#[test]
fn a_key_that_may_work_is_not_retired() {
    let (clock, store) = world();
    let version = provision(&store, &*clock, CHARGES, "v");
    let inventory = inventory(&store, &clock);
    let Err(InventoryError::StillWorking { version: found, .. }) = block_on(inventory.retire(&id(CHARGES), "over"))
    else {
        panic!("it may work")
    };
    assert_eq!(found, version);

    let reason = "over".parse().expect("a reason");
    step(&store, &*clock, CHARGES, &Transition::Decommission { reason });
    let death = keyward::core::Death::Seen(seen("refused"));
    step(&store, &*clock, CHARGES, &Transition::Revoked { version, death });
    let retired = block_on(inventory.retire(&id(CHARGES), "over")).expect("it is dead");
    assert_eq!((retired.material, retired.record.retired_at().is_some()), (Retire::Retired, true));

    let again = block_on(inventory.retire(&id(CHARGES), "over")).expect("finishing is repeatable");
    assert_eq!(again.material, Retire::Absent);
    let listing = block_on(inventory.list(&Filter::all().state(KeyState::Retired))).expect("a listing");
    assert_eq!(listing.rows.len(), 1);
    let missing = block_on(inventory.retire(&id("dev/payments/none"), "over"));
    assert!(matches!(missing, Err(InventoryError::NotRegistered { .. })));
}

#[test]
fn filters_hold_together() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v");
    register(&store, &*clock, &draft("staging/payments/stripe-charges"));
    let labelled = reports("production/analytics/warehouse").label("project", "atlas").expect("a label");
    register(&store, &*clock, &labelled);
    let leaked = provision(&store, &*clock, "production/payments/leaked", "v");
    leak(&store, &*clock, "production/payments/leaked", leaked);
    let inventory = inventory(&store, &clock);
    let names = |filter: &Filter| {
        let listing = block_on(inventory.list(filter)).expect("a listing");
        listing.rows.iter().map(|row| row.key.to_string()).collect::<Vec<_>>()
    };
    let all = Filter::all;
    let (warehouse, leaked) = ("production/analytics/warehouse", "production/payments/leaked");
    let staging = "staging/payments/stripe-charges";
    let later = clock.now() + TimeDelta::days(91);
    let table: [(Filter, &[&str]); 14] = [
        (all(), &[warehouse, leaked, CHARGES, staging]),
        (all().environment(Environment::Staging), &[staging]),
        (all().function(Function::ANALYTICS), &[warehouse]),
        (all().access(AccessLevel::ReadOnly), &[warehouse]),
        (all().mode(Mode::Live).environment(Environment::Production), &[leaked, CHARGES]),
        (all().owner("Alan@Example.com"), &[warehouse]),
        (all().owner("ada@example.com"), &[warehouse, leaked, CHARGES, staging]),
        (all().team("data"), &[warehouse]),
        (all().service("reporting".parse().expect("a name")), &[warehouse]),
        (all().labelled("project".parse().expect("a name")), &[warehouse]),
        (all().due_by(later), &[CHARGES]),
        (all().expired_by(later + TimeDelta::days(100)), &[CHARGES]),
        (all().state(KeyState::Compromised), &[leaked]),
        (all().state(KeyState::Empty), &[warehouse, staging]),
    ];
    for (filter, wanted) in &table {
        assert_eq!(names(filter), *wanted, "{filter:?}");
    }
    assert_eq!(block_on(inventory.due(later)).expect("a listing").rows.len(), 1);
    rotate(&store, &*clock, CHARGES, "second");
    assert_eq!(names(&all().state(KeyState::Rotating)), [CHARGES]);
    assert_eq!(names(&all().with_run()), [CHARGES]);
}

#[test]
fn an_unreadable_record_is_never_hidden() {
    let (clock, store) = world();
    register(&store, &*clock, &draft(CHARGES));
    register(&store, &*clock, &draft("production/payments/torn"));
    let damaged = Flaky::over(&store);
    damaged.fail_list("production/payments/torn", Some(ErrorKind::Tampered));
    let listing = block_on(inventory(&damaged, &clock).list(&Filter::all().owner("nobody"))).expect("a listing");
    assert_eq!((listing.rows.len(), listing.problems.len()), (0, 1));
    assert!(listing.to_string().contains("production/payments/torn"));
    assert!(listing.to_json().contains("tampered"));
}

#[test]
fn the_listing_is_a_table_and_json_without_values() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "canary-7d1f");
    clock.advance(Duration::from_secs(100 * 86_400));
    let listing = block_on(inventory(&store, &clock).list(&Filter::all())).expect("a listing");
    let (table, json) = (listing.to_string(), listing.to_json());
    let row = table.lines().nth(1).expect("a row");
    for wanted in ["production", "payments", "stripe-charges", "write", "live", "ada@", "grace@", "active", "100 d"] {
        assert!(row.contains(wanted), "{wanted} is missing in\n{table}");
    }
    assert!(row.contains("2026-04-01!") && row.contains("2026-06-30") && !row.contains("2026-06-30!"), "{table}");
    assert!(!table.contains("canary") && !json.contains("canary") && !json.contains("fp_"));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["format"], &json["keys"][0]["state"]), (&1.into(), &"active".into()));
    assert_eq!(json["keys"][0]["ownership"]["backup"], "grace@example.com");
}

#[test]
fn history_is_whole_over_pages_also_after_a_crashed_writer() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v0");
    for n in 1..=20 {
        rotate(&store, &*clock, CHARGES, &format!("v{n}"));
        complete(&store, &clock, CHARGES);
    }
    // A writer who wrote page 1 and was killed before the record.
    let orphan = record(&store, CHARGES).spill(1).expect("it is crowded").page;
    block_on(store.swap(&cx(), orphan.id(), Expect::Absent, &orphan)).expect("a page");

    let inventory = inventory(&store, &clock);
    block_on(inventory.annotate(&id(CHARGES), "this change needs a page")).expect("an edit");
    let record = record(&store, CHARGES);
    assert_eq!((record.pages(), record.history().len()), (2, 8));

    let history = block_on(inventory.history(&id(CHARGES))).expect("a history");
    assert!(history.problems.is_empty());
    assert_eq!((history.runs.len(), history.versions.len(), history.notes().len()), (21, 21, 1));
    assert!(history.runs.windows(2).all(|pair| pair[0].ended_at <= pair[1].started_at));
    let all = block_on(inventory.list(&Filter::all())).expect("a listing");
    assert_eq!(all.rows.len(), 1, "pages are no keys");
}

#[test]
fn an_unreadable_page_of_history_is_a_problem_and_not_a_hole() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v0");
    for n in 1..=20 {
        rotate(&store, &*clock, CHARGES, &format!("v{n}"));
        complete(&store, &clock, CHARGES);
    }
    let damaged = Flaky::over(&store);
    let inventory = inventory(&damaged, &clock);
    block_on(inventory.annotate(&id(CHARGES), "this change needs a page")).expect("an edit");
    damaged.fail_load(&format!("{CHARGES}.h1"), Some(ErrorKind::Tampered));
    let history = block_on(inventory.history(&id(CHARGES))).expect("a history");
    assert_eq!((history.runs.len(), history.problems[0].kind()), (8, ErrorKind::Tampered));
}

#[derive(Debug)]
struct Usage(Vec<(KeyId, LastUse)>);

#[async_trait]
impl UsageSignal for Usage {
    async fn last_use(&self, _: &Context, key: &KeyId, _: VersionId) -> Result<LastUse> {
        let known = self.0.iter().find(|(known, _)| known == key);
        Ok(known.map_or(LastUse::Unknown, |(_, used)| *used))
    }
}

#[test]
fn unused_keys_are_told_from_unknown_and_from_new_ones() {
    let (clock, store) = world();
    let old = ["used", "silent", "never", "unknown"].map(|name| format!("production/payments/{name}"));
    for name in &old {
        provision(&store, &*clock, name, "v");
    }
    clock.advance(Duration::from_secs(60 * 86_400));
    provision(&store, &*clock, "production/payments/new", "v");
    let since: DateTime<Utc> = clock.now() - TimeDelta::days(30);
    let usage = Usage(vec![
        (id(&old[0]), LastUse::At(since)),
        (id(&old[1]), LastUse::At(since - TimeDelta::seconds(1))),
        (id(&old[2]), LastUse::Never),
        (id("production/payments/new"), LastUse::Never),
    ]);
    let unused = block_on(inventory(&store, &clock).unused(&usage, since)).expect("a listing");
    let names: Vec<_> = unused.keys.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!((names, unused.unknown.len()), (vec!["never", "silent"], 1));
}

#[test]
fn a_window_of_the_audit_log_is_about_one_key_and_one_time() {
    let (clock, store) = world();
    provision(&store, &*clock, CHARGES, "v");
    provision(&store, &*clock, "production/payments/other", "v");
    let from = clock.now() + TimeDelta::hours(1);
    clock.advance(Duration::from_secs(2 * 3_600));
    rotate(&store, &*clock, CHARGES, "second");
    rotate(&store, &*clock, "production/payments/other", "second");
    clock.advance(Duration::from_secs(60 * 3_600));
    retire_old(&store, &*clock, CHARGES);

    let log = AuditLog::of(&store).expect("a log");
    let window = block_on(log.window(&cx(), &id(CHARGES), from, from + TimeDelta::hours(24))).expect("entries");
    assert!(window.iter().all(|entry| entry.event.key.as_ref() == Some(&id(CHARGES))));
    let published = window.iter().filter(|entry| entry.event.action == AuditAction::Publish).count();
    assert_eq!((window.len(), published), (7, 1));
    assert!(block_on(log.verify(&cx())).expect("a report").entries > 20);
}

#[test]
fn all_pages_of_the_audit_log_are_read() {
    let (clock, store) = world();
    register(&store, &*clock, &draft(CHARGES));
    let inventory = inventory(&store, &clock);
    for n in 0..250 {
        block_on(inventory.annotate(&id(CHARGES), &format!("note {n}"))).expect("an edit");
    }
    let log = AuditLog::of(&store).expect("a log");
    assert_eq!(block_on(log.entries(&cx(), &AuditQuery::default())).expect("entries").len(), 251);
}
