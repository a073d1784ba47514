//! The audit log of a store that keeps one. A store without one says so, consistently.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{
    AuditAction, AuditEntry, AuditEvent, AuditQuery, AuditSink, Clock, Context, ErrorKind, Expect, ListQuery,
    PageToken, PointerToken, PublicationId, ReadItem, Retire, SecretBackendExt, Select, SystemClock, VersionId,
};

use crate::Subject;
use crate::subject::{assert_refused, one};

/// The actions that say something was changed.
const CHANGES: [AuditAction; 5] =
    [AuditAction::Change, AuditAction::Stage, AuditAction::Publish, AuditAction::Withdraw, AuditAction::Retire];

/// Every change of record, material and pointer, with actor, reason, request, key and version.
pub async fn every_change_is_on_the_log_with_who_why_and_which_request(on: &Subject<'_>) {
    let (cx, target) = (on.cx(), on.target("logged"));
    let record = on.first("logged");
    let (old, new) = (VersionId::generate(), VersionId::generate());
    drop(on.backend.swap(&cx, &target.id, Expect::Absent, &record).await.expect("a swap"));
    on.backend.stage(&cx, &target, old, &one(b"old")).await.expect("a stage");
    on.backend.stage(&cx, &target, new, &one(b"new")).await.expect("a stage");
    for version in [old, new] {
        let token = on.backend.pointer(&cx, &target).await.expect("a pointer").token;
        on.backend.publish(&cx, &target, version, PublicationId::first(version), &token).await.expect("a publish");
    }
    on.backend.withdraw(&cx, &target, old).await.expect("a withdraw");
    let retired = on.backend.retire(&cx, &target, Duration::ZERO).await.expect("a retire");
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let found = entries(on, log, &AuditQuery::default().key(&target.id)).await;
    let mut expected = vec![
        (AuditAction::Change, None),
        (AuditAction::Stage, Some(old)),
        (AuditAction::Stage, Some(new)),
        (AuditAction::Publish, Some(old)),
        (AuditAction::Publish, Some(new)),
        (AuditAction::Withdraw, Some(old)),
    ];
    if retired != Retire::Absent {
        expected.push((AuditAction::Retire, None));
    }
    let changes: Vec<&AuditEntry> = found.iter().filter(|e| CHANGES.contains(&e.event.action)).collect();
    let seen: Vec<_> = changes.iter().map(|e| (e.event.action, e.event.version)).collect();
    assert_eq!(seen, expected, "each change once, in order");
    for entry in changes {
        assert_attributed(entry, &cx);
        assert_eq!(entry.event.key.as_ref(), Some(&target.id));
    }
    let verb = found.iter().find(|e| e.event.action == AuditAction::Change).and_then(|e| e.event.detail.clone());
    assert_eq!(verb.as_ref().map(|v| v.as_str()), Some("register"), "a change of a record names its verb");
}

/// Material released to a caller, and only that: `Unchanged` and `NotFound` release nothing.
pub async fn released_material_is_on_the_log(on: &Subject<'_>) {
    let target = on.target("released");
    let version = on.shown(&target, b"value").await;
    let cx = on.cx();
    let selects = [
        Select::Current,
        Select::Version(version),
        Select::CurrentUnless(PublicationId::generate()),
        Select::CurrentUnless(PublicationId::first(version)),
        Select::Version(VersionId::generate()),
    ];
    let items = selects.map(|select| ReadItem { target: target.clone(), select });
    let answers = on.backend.read(&cx, &items).await;
    let released = answers.iter().filter(|a| matches!(a, Ok(keyward_core::Read::Found { .. }))).count();
    assert_eq!(released, 3, "three of the five release the value");
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let found = entries(on, log, &AuditQuery::default().key(&target.id).action(AuditAction::Read)).await;
    assert_eq!(found.len(), released, "one entry for each release");
    for entry in &found {
        assert_attributed(entry, &cx);
        assert_eq!(entry.event.version, Some(version));
    }
}

/// Loading and listing records, and looking at the pointer, release no material.
pub async fn reads_of_records_are_not_reads_of_material(on: &Subject<'_>) {
    let target = on.target("looked-at");
    on.registered("looked-at").await;
    on.shown(&target, b"value").await;
    on.loaded(&target.id).await;
    drop(on.backend.list_all(&on.cx(), &ListQuery::all().environment(on.environment().clone())).await);
    on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
    on.backend.survey(&on.cx(), &target).await.expect("a survey");
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let found = entries(on, log, &AuditQuery::default().key(&target.id).action(AuditAction::Read)).await;
    assert!(found.is_empty(), "no material was released, but: {found:?}");
}

/// What was refused is not on the log as done.
pub async fn refused_changes_are_not_logged_as_changes(on: &Subject<'_>) {
    let target = on.target("refused");
    on.registered("refused").await;
    let version = on.shown(&target, b"value").await;
    let since = match on.backend.audit() {
        Some(log) => entries(on, log, &AuditQuery::default().key(&target.id)).await.last().map_or(0, |e| e.seq),
        None => 0,
    };
    let (cx, other) = (on.cx(), VersionId::generate());
    drop(on.backend.swap(&cx, &target.id, Expect::Absent, &on.first("refused")).await);
    drop(on.backend.swap(&on.late(), &target.id, Expect::Absent, &on.first("refused")).await);
    drop(on.backend.stage(&cx, &target, version, &one(b"other")).await);
    drop(on.backend.stage(&on.late(), &target, other, &one(b"late")).await);
    let made_up = PointerToken::new("made up");
    drop(on.backend.publish(&cx, &target, version, PublicationId::generate(), &made_up).await);
    drop(on.backend.publish(&cx, &target, other, PublicationId::first(other), &made_up).await);
    drop(on.backend.withdraw(&cx, &target, version).await);
    drop(on.backend.withdraw(&cx, &target, other).await);
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let found = entries(on, log, &AuditQuery::default().key(&target.id)).await;
    let wrong: Vec<_> = found.iter().filter(|e| e.seq > since && CHANGES.contains(&e.event.action)).collect();
    assert!(wrong.is_empty(), "nothing was changed, but: {wrong:?}");
}

/// Entries are numbered in order, without gaps.
pub async fn log_is_numbered_without_gaps(on: &Subject<'_>) {
    let target = on.target("numbered");
    on.registered("numbered").await;
    on.shown(&target, b"value").await;
    drop(on.read(&target, Select::Current).await);
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let numbers: Vec<u64> = entries(on, log, &AuditQuery::default()).await.iter().map(|e| e.seq).collect();
    let first = *numbers.first().expect("the log is not empty");
    assert_eq!(first, 1, "the first entry has number 1");
    assert!(numbers.iter().zip(first..).all(|(found, expected)| *found == expected), "no number is left out");
}

/// A query is answered with the entries that match it, and no others.
pub async fn log_filters_by_key_action_and_time(on: &Subject<'_>) {
    let (a, b) = (on.target("a"), on.target("b"));
    on.shown(&a, b"a").await;
    on.shown(&b, b"b").await;
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let of_a = entries(on, log, &AuditQuery::default().key(&a.id)).await;
    assert_eq!(of_a.len(), 2, "a stage and a publish");
    assert!(of_a.iter().all(|e| e.event.key.as_ref() == Some(&a.id)), "only of the key asked for");
    let staged = entries(on, log, &AuditQuery::default().key(&a.id).action(AuditAction::Stage)).await;
    assert_eq!(staged, of_a[..1], "only the action asked for");
    let (from, until) = (of_a[0].at, of_a[1].at + chrono::TimeDelta::nanoseconds(1));
    let whole = entries(on, log, &AuditQuery::default().key(&a.id).between(from, until)).await;
    assert_eq!(whole, of_a, "from and until enclose both");
    let before = entries(on, log, &AuditQuery::default().key(&a.id).between(DateTime::UNIX_EPOCH, from)).await;
    assert!(before.is_empty(), "until is not part of the window");
    let after = entries(on, log, &AuditQuery::default().key(&a.id).between(until, DateTime::<Utc>::MAX_UTC)).await;
    assert!(after.is_empty(), "nothing happened after");
}

/// A long log is answered in pages that hold every entry once, in order.
pub async fn long_log_comes_in_pages(on: &Subject<'_>) {
    const EVENTS: u32 = 130;
    let key = on.key("long");
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    for n in 1..=EVENTS {
        let event = AuditEvent::new(AuditAction::Note, &on.cx()).key(&key).detail(&format!("event {n}"));
        log.append(&on.cx(), &event).await.expect("an event is appended");
    }
    let found = entries(on, log, &AuditQuery::default().key(&key)).await;
    let details: Vec<String> = found.iter().filter_map(|e| Some(e.event.detail.as_ref()?.to_string())).collect();
    let expected: Vec<String> = (1..=EVENTS).map(|n| format!("event {n}")).collect();
    assert_eq!(details, expected, "each event once, in order");
}

/// An appended event is on the log under the number that was answered.
pub async fn appended_event_comes_back(on: &Subject<'_>) {
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let (cx, key, version) = (on.cx(), on.key("noted"), VersionId::generate());
    let event = AuditEvent::new(AuditAction::Refuse, &cx).key(&key).version(version).detail("a \"remark\" \u{e4}");
    let before = SystemClock.now();
    let number = log.append(&cx, &event).await.expect("an event is appended");
    let found = entries(on, log, &AuditQuery::default().key(&key)).await;
    assert_eq!(found.len(), 1, "one event of this key");
    assert_eq!(found[0].seq, number, "under the number answered");
    assert_eq!(found[0].event, event, "as it was given");
    let distance = (found[0].at - before).abs();
    assert!(distance < chrono::TimeDelta::days(36_500), "with a time of some clock");
}

/// A log nobody touched holds when it is checked.
pub async fn log_holds_when_verified(on: &Subject<'_>) {
    let target = on.target("verified");
    on.shown(&target, b"value").await;
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    let first = log.verify(&on.cx()).await.expect("the log holds");
    assert!(first.entries >= 2, "a stage and a publish were checked");
    assert!(!first.protection.is_empty(), "the report says what it would notice");
    on.shown(&target, b"next").await;
    let second = log.verify(&on.cx()).await.expect("the log holds");
    assert!(second.entries >= first.entries + 2, "two more were checked");
}

/// A page token this log did not make is `Invalid`.
pub async fn foreign_page_token_of_the_log_is_invalid(on: &Subject<'_>) {
    on.shown(&on.target("paged"), b"value").await;
    let Some(log) = on.backend.audit() else { return without_log(on).await };
    for token in ["", "not a token", "\u{0}\u{ff}"] {
        let answer = log.entries(&on.cx(), &AuditQuery::default(), Some(PageToken::new(token))).await;
        assert_refused(answer.map(|page| page.items.len()), ErrorKind::Invalid, "a made-up page token");
    }
}

/// All entries that match, over all pages.
pub(super) async fn entries(on: &Subject<'_>, log: &dyn AuditSink, query: &AuditQuery) -> Vec<AuditEntry> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let mut page = log.entries(&on.cx(), query, token).await.expect("a page of the log");
        all.append(&mut page.items);
        match page.next {
            None => return all,
            next => token = next,
        }
    }
}

/// A store that keeps no log has none at any time.
async fn without_log(on: &Subject<'_>) {
    let target = on.target("unlogged");
    let version = on.shown(&target, b"value").await;
    drop(on.read(&target, Select::Version(version)).await);
    assert!(on.backend.audit().is_none(), "a store has a log or has none");
}

fn assert_attributed(entry: &AuditEntry, cx: &Context) {
    let event = &entry.event;
    assert_eq!((&event.actor, &event.reason, event.request), (&cx.actor, &cx.reason, cx.request), "who, why, which");
}
