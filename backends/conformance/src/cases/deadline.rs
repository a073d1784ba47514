//! A call whose deadline has passed before it begins is refused with `Unavailable`, and a refused
//! call changes nothing.

use std::time::Duration;

use keyward_core::{ErrorKind, Expect, ListQuery, PublicationId, ReadItem, Select, Shows, VersionId};

use crate::Subject;
use crate::subject::{assert_found, assert_refused, assert_same, one};

const LATE: &str = "a call after its deadline";

/// `load`, item by item.
pub async fn late_load_is_unavailable(on: &Subject<'_>) {
    let stored = on.registered("late").await;
    let keys = [stored.value.id().clone(), on.key("absent")];
    let answers = on.backend.load(&on.late(), &keys).await;
    assert_eq!(answers.len(), keys.len(), "as many answers as keys");
    for answer in answers {
        assert_refused(answer, ErrorKind::Unavailable, LATE);
    }
}

/// `swap`, of a first record and of a later one.
pub async fn late_swap_is_unavailable_and_changes_nothing(on: &Subject<'_>) {
    let first = on.first("late-first");
    let answer = on.backend.swap(&on.late(), first.id(), Expect::Absent, &first).await;
    assert_refused(answer, ErrorKind::Unavailable, LATE);
    assert!(on.loaded(first.id()).await.is_none(), "nothing was stored");

    let stored = on.registered("late").await;
    let next = on.noted(&stored.value, "next");
    let answer = on.backend.swap(&on.late(), next.id(), Expect::At(stored.stamp.clone()), &next).await;
    assert_refused(answer, ErrorKind::Unavailable, LATE);
    assert_same(on.loaded(next.id()).await.as_ref(), &stored.value);
}

/// `list`.
pub async fn late_list_is_unavailable(on: &Subject<'_>) {
    let query = ListQuery::all().environment(on.environment().clone());
    let answer = on.backend.list(&on.late(), &query, None).await;
    assert_refused(answer.map(|page| page.items.len()), ErrorKind::Unavailable, LATE);
}

/// `stage`.
pub async fn late_stage_is_unavailable_and_stores_nothing(on: &Subject<'_>) {
    let (target, version) = (on.target("late"), VersionId::generate());
    let answer = on.backend.stage(&on.late(), &target, version, &one(b"value")).await;
    assert_refused(answer, ErrorKind::Unavailable, LATE);
    let survey = on.backend.survey(&on.cx(), &target).await.expect("a survey");
    assert!(survey.versions.is_empty(), "nothing was stored");
}

/// `pointer`.
pub async fn late_pointer_is_unavailable(on: &Subject<'_>) {
    let target = on.target("late");
    on.shown(&target, b"value").await;
    assert_refused(on.backend.pointer(&on.late(), &target).await, ErrorKind::Unavailable, LATE);
}

/// `publish`.
pub async fn late_publish_is_unavailable_and_moves_nothing(on: &Subject<'_>) {
    let target = on.target("late");
    let version = on.staged(&target, b"value").await;
    let there = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
    let publication = PublicationId::first(version);
    let answer = on.backend.publish(&on.late(), &target, version, publication, &there.token).await;
    assert_refused(answer, ErrorKind::Unavailable, LATE);
    let after = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
    assert_eq!(after, there, "the pointer was left alone");
    assert_eq!(after.shows, Shows::Nothing);
}

/// `read`, item by item.
pub async fn late_read_is_unavailable(on: &Subject<'_>) {
    let target = on.target("late");
    let version = on.shown(&target, b"value").await;
    let selects = [Select::Current, Select::Version(version), Select::CurrentUnless(PublicationId::first(version))];
    let items = selects.map(|select| ReadItem { target: target.clone(), select });
    let answers = on.backend.read(&on.late(), &items).await;
    assert_eq!(answers.len(), items.len(), "as many answers as items");
    for answer in answers {
        assert_refused(answer, ErrorKind::Unavailable, LATE);
    }
}

/// `withdraw`.
pub async fn late_withdraw_is_unavailable_and_gives_nothing_up(on: &Subject<'_>) {
    let target = on.target("late");
    let version = on.staged(&target, b"value").await;
    assert_refused(on.backend.withdraw(&on.late(), &target, version).await, ErrorKind::Unavailable, LATE);
    assert_found(on.read(&target, Select::Version(version)).await, version, &one(b"value"));
    on.published(&target, version).await;
}

/// `survey`.
pub async fn late_survey_is_unavailable(on: &Subject<'_>) {
    let target = on.target("late");
    on.staged(&target, b"value").await;
    assert_refused(on.backend.survey(&on.late(), &target).await, ErrorKind::Unavailable, LATE);
}

/// `retire`.
pub async fn late_retire_is_unavailable_and_retires_nothing(on: &Subject<'_>) {
    let target = on.target("late");
    let version = on.shown(&target, b"value").await;
    let answer = on.backend.retire(&on.late(), &target, Duration::ZERO).await;
    assert_refused(answer, ErrorKind::Unavailable, LATE);
    on.assert_current(&target, version, b"value").await;
}
