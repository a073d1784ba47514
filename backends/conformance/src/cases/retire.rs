//! Giving keys up.

use std::time::Duration;

use keyward_core::{Clock, ErrorKind, PublicationId, Publish, Result, Retire, Select, Shows, SystemClock, Target};

use crate::Subject;
use crate::subject::{assert_refused, assert_same};

/// Afterwards reads are `NotFound` and the survey is empty, at once or when the grace is over.
pub async fn retired_key_has_no_material(on: &Subject<'_>) {
    let target = on.target("retired");
    let staged = on.staged(&target, b"staged").await;
    let shown = on.shown(&target, b"shown").await;
    let asked = SystemClock.now();
    match retire(on, &target).await.expect("a key can be retired") {
        Retire::Retired => {
            for select in [Select::Current, Select::Version(staged), Select::Version(shown)] {
                assert_refused(on.read(&target, select).await, ErrorKind::NotFound, "a retired key");
            }
            let survey = on.backend.survey(&on.cx(), &target).await.expect("a survey");
            assert!(survey.versions.is_empty(), "no version is left");
            assert_eq!(survey.pointer.shows, Shows::Nothing);
            assert_eq!(retire(on, &target).await.expect("a repeated retire"), Retire::Absent);
        }
        Retire::Scheduled { at } => {
            assert!(at >= asked, "the grace ends in the future, but at {at}");
            let pointer = on.backend.pointer(&on.cx(), &target).await;
            assert_refused(pointer, ErrorKind::PendingDeletion, "a key that is about to go");
        }
        Retire::Absent => panic!("there was something to retire"),
    }
}

/// Nothing there: `Absent`.
pub async fn retire_of_nothing_is_absent(on: &Subject<'_>) {
    assert_eq!(retire(on, &on.target("nothing")).await.expect("an answer"), Retire::Absent);
}

/// The record stays as a tombstone.
pub async fn record_outlives_retire(on: &Subject<'_>) {
    let stored = on.registered("tombstone").await;
    on.shown(&on.target("tombstone"), b"value").await;
    retire(on, &on.target("tombstone")).await.expect("a key can be retired");
    assert_same(on.loaded(stored.value.id()).await.as_ref(), &stored.value);
}

/// No token of before is good again.
pub async fn token_of_before_a_retire_is_dead(on: &Subject<'_>) {
    let target = on.target("reborn");
    let first = on.backend.pointer(&on.cx(), &target).await.expect("a pointer").token;
    let version = on.staged(&target, b"old").await;
    let second = on.published(&target, version).await;
    if !matches!(retire(on, &target).await, Ok(Retire::Retired)) {
        let answer = on.backend.publish(&on.cx(), &target, version, PublicationId::generate(), &second).await;
        assert_refused(answer, ErrorKind::PendingDeletion, "a key that is about to go");
        return;
    }
    let fresh = on.staged(&target, b"new").await;
    for token in [first, second] {
        let answer = on.backend.publish(&on.cx(), &target, fresh, PublicationId::first(fresh), &token).await;
        assert!(matches!(answer, Ok(Publish::Conflict(_))), "a conflict was expected, but: {answer:?}");
    }
    on.published(&target, fresh).await;
    on.assert_current(&target, fresh, b"new").await;
}

/// Only that key.
pub async fn retire_spares_other_keys(on: &Subject<'_>) {
    let (target, neighbour) = (on.target("one"), on.target("one-more"));
    on.shown(&target, b"gone").await;
    let kept = on.shown(&neighbour, b"kept").await;
    retire(on, &target).await.expect("a key can be retired");
    on.assert_current(&neighbour, kept, b"kept").await;
}

async fn retire(on: &Subject<'_>, target: &Target) -> Result<Retire> {
    on.backend.retire(&on.cx(), target, Duration::ZERO).await
}
