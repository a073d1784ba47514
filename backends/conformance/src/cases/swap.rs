//! Storing records.

use keyward_core::{ErrorKind, Expect, KeyId, KeyRecord, Result, Stamp, Swap};

use super::records;
use crate::Subject;
use crate::subject::{assert_refused, assert_same};

/// A first record is stored where none was.
pub async fn first_swap_stores_the_record(on: &Subject<'_>) {
    let stored = on.registered("first").await;
    assert_same(on.loaded(stored.value.id()).await.as_ref(), &stored.value);
}

/// `Expect::Absent` on a stored record is a conflict with that record, and changes nothing.
pub async fn second_registration_is_refused_and_changes_nothing(on: &Subject<'_>) {
    let stored = on.registered("taken").await;
    let second = on.first("taken");
    let there = conflict(swap(on, stored.value.id(), Expect::Absent, &second).await);
    assert_eq!(there.as_ref(), Some(&stored.value), "the conflict holds the record that is there");
    assert_same(on.loaded(stored.value.id()).await.as_ref(), &stored.value);
}

/// The record read is replaced, and its stamp changes.
pub async fn swap_at_the_stamp_read_replaces_the_record(on: &Subject<'_>) {
    let first = on.registered("replaced").await;
    let read = on.loaded(first.value.id()).await.expect("a record is stored");
    let next = on.noted(&read.value, "one");
    let second = on.written(next.clone(), Expect::At(read.stamp.clone())).await;
    assert_ne!(read.stamp, second.stamp, "another record has another stamp");
    assert_same(on.loaded(next.id()).await.as_ref(), &next);
    let third = on.noted(&next, "two");
    on.written(third.clone(), Expect::At(second.stamp)).await;
    assert_same(on.loaded(next.id()).await.as_ref(), &third);
}

/// Applied only when the stored record is the expected one; otherwise a conflict with the record
/// that is there, and nothing is changed.
pub async fn stale_swap_is_refused_and_changes_nothing(on: &Subject<'_>) {
    let first = on.registered("stale").await;
    let second = on.noted(&first.value, "second");
    on.written(second.clone(), Expect::At(first.stamp.clone())).await;
    let late = on.noted(&first.value, "late");
    let there = conflict(swap(on, late.id(), Expect::At(first.stamp), &late).await);
    assert_eq!(there.as_ref(), Some(&second), "the conflict holds the record that is there");
    assert_same(on.loaded(second.id()).await.as_ref(), &second);
}

/// An expected record that is not there at all is a conflict with nothing.
pub async fn swap_of_an_absent_record_conflicts_with_none(on: &Subject<'_>) {
    let other = on.registered("other").await;
    let next = on.first("absent");
    let there = conflict(swap(on, next.id(), Expect::At(other.stamp), &next).await);
    assert!(there.is_none(), "nothing is stored, but: {there:?}");
    assert!(on.loaded(next.id()).await.is_none(), "a refused swap stores nothing");
}

/// A stamp this backend did not make is a conflict, and changes nothing.
pub async fn swap_with_a_made_up_stamp_is_refused(on: &Subject<'_>) {
    let stored = on.registered("made-up").await;
    let next = on.noted(&stored.value, "next");
    for stamp in ["", "not a stamp", "\u{0}", "-1"] {
        let there = conflict(swap(on, next.id(), Expect::At(Stamp::new(stamp)), &next).await);
        assert_eq!(there.as_ref(), Some(&stored.value), "the conflict holds the record that is there");
    }
    assert_same(on.loaded(next.id()).await.as_ref(), &stored.value);
}

/// Repeated after it was applied (same operation id), it answers `Applied` again and changes
/// nothing.
pub async fn repeated_swap_is_applied_once(on: &Subject<'_>) {
    let first = on.registered("repeated").await;
    let next = on.noted(&first.value, "next");
    let written = on.written(next.clone(), Expect::At(first.stamp.clone())).await;
    for _ in 0..2 {
        let again = on.written(next.clone(), Expect::At(first.stamp.clone())).await;
        assert_eq!(again.stamp, written.stamp, "nothing was stored anew");
    }
    let found = on.loaded(next.id()).await;
    assert_same(found.as_ref(), &next);
    assert_eq!(found.map(|f| f.stamp), Some(written.stamp), "nothing was stored anew");
}

/// The same for a first record.
pub async fn repeated_registration_is_applied_once(on: &Subject<'_>) {
    let first = on.registered("repeated-first").await;
    let again = on.written(first.value.clone(), Expect::Absent).await;
    assert_eq!(again.stamp, first.stamp, "nothing was stored anew");
    assert_same(on.loaded(first.value.id()).await.as_ref(), &first.value);
}

/// Once another writer came after, a repeated swap answers `Conflict`, and the caller finds its
/// operation id among the remembered ones.
pub async fn overtaken_swap_conflicts_and_is_remembered(on: &Subject<'_>) {
    let first = on.registered("overtaken").await;
    let mine = on.noted(&first.value, "mine");
    let written = on.written(mine.clone(), Expect::At(first.stamp.clone())).await;
    let others = on.noted(&mine, "another writer's");
    on.written(others.clone(), Expect::At(written.stamp)).await;
    let there = conflict(swap(on, mine.id(), Expect::At(first.stamp), &mine).await).expect("a record is there");
    assert_eq!(there, others, "the conflict holds the record that is there");
    let operation = mine.operation().expect("a changed record has an operation id");
    assert!(there.remembers(operation), "the overtaken operation id is remembered");
    assert_same(on.loaded(mine.id()).await.as_ref(), &others);
}

/// `next` must be the record of `key`.
pub async fn swap_of_another_keys_record_is_invalid(on: &Subject<'_>) {
    let record = on.first("one");
    let key = on.key("another");
    assert_refused(swap(on, &key, Expect::Absent, &record).await, ErrorKind::Invalid, "another key's record");
    assert!(on.loaded(&key).await.is_none(), "a refused swap stores nothing");
    assert!(on.loaded(record.id()).await.is_none(), "a refused swap stores nothing");
}

/// A record encoded at up to 48 KiB is stored whole.
pub async fn record_of_nearly_48_kib_is_stored(on: &Subject<'_>) {
    let record = records::largest(on, "largest");
    on.written(record.clone(), Expect::Absent).await;
    assert_same(on.loaded(record.id()).await.as_ref(), &record);
}

/// A larger one is `Invalid` and changes nothing.
pub async fn record_beyond_48_kib_is_invalid(on: &Subject<'_>) {
    let stored = on.registered("too-large").await;
    let record = records::too_large(on, "too-large");
    let answer = swap(on, record.id(), Expect::At(stored.stamp.clone()), &record).await;
    assert_refused(answer, ErrorKind::Invalid, "a record beyond 48 KiB");
    assert_same(on.loaded(record.id()).await.as_ref(), &stored.value);
}

/// A swap changes the record of its key and no other.
pub async fn swap_touches_no_other_key(on: &Subject<'_>) {
    let (a, ab) = (on.registered("a").await, on.registered("a-b").await);
    let next = on.noted(&a.value, "next");
    on.written(next, Expect::At(a.stamp)).await;
    assert_eq!(on.loaded(ab.value.id()).await, Some(ab.clone()), "the neighbour is as it was");
}

async fn swap(on: &Subject<'_>, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
    on.backend.swap(&on.cx(), key, expect, next).await
}

fn conflict(answer: Result<Swap>) -> Option<KeyRecord> {
    match answer {
        Ok(Swap::Conflict(there)) => there.map(|there| there.value),
        other => panic!("a conflict was expected, but: {other:?}"),
    }
}
