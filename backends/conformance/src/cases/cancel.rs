//! A dropped future leaves its effect done or not done, never half done; and the call may be
//! repeated.

use std::time::Duration;

use futures_lite::future::{poll_once, yield_now};
use keyward_core::{
    ErrorKind, Expect, PublicationId, Publish, Retire, Select, Shows, Stage, Swap, VersionId, Withdraw,
};

use crate::Subject;
use crate::subject::{assert_found, assert_refused, assert_same, one};

/// How often a future is polled before it is dropped: not at all, once, and so on.
const POLLS: std::ops::Range<usize> = 0..6;

/// `swap`.
pub async fn dropped_swap_is_done_or_not_done(on: &Subject<'_>) {
    for polls in POLLS {
        let old = on.registered(&format!("dropped-{polls}")).await;
        let new = on.noted(&old.value, "new");
        let (cx, expect) = (on.cx(), Expect::At(old.stamp.clone()));
        drop_after(polls, on.backend.swap(&cx, new.id(), expect.clone(), &new)).await;
        let found = on.loaded(new.id()).await.expect("a record is stored").value;
        assert!(found == old.value || found == new, "the record is the old or the new one, but: {found:?}");
        let again = on.backend.swap(&cx, new.id(), expect, &new).await;
        assert!(matches!(again, Ok(Swap::Applied(_))), "repeating is safe, but: {again:?}");
        assert_same(on.loaded(new.id()).await.as_ref(), &new);
    }
}

/// `stage`.
pub async fn dropped_stage_is_done_or_not_done(on: &Subject<'_>) {
    for polls in POLLS {
        let (target, version) = (on.target(&format!("dropped-{polls}")), VersionId::generate());
        let (cx, material) = (on.cx(), one(&[b'v'; 4096]));
        drop_after(polls, on.backend.stage(&cx, &target, version, &material)).await;
        match on.read(&target, Select::Version(version)).await {
            Err(absent) => assert_eq!(absent.kind(), ErrorKind::NotFound, "not there at all: {absent}"),
            whole => drop(assert_found(whole, version, &material)),
        }
        let again = on.backend.stage(&cx, &target, version, &material).await.expect("repeating is safe");
        assert!(matches!(again, Stage::Stored | Stage::AlreadySame), "repeating is safe, but: {again:?}");
        assert_found(on.read(&target, Select::Version(version)).await, version, &material);
    }
}

/// `publish`.
pub async fn dropped_publish_is_done_or_not_done(on: &Subject<'_>) {
    for polls in POLLS {
        let target = on.target(&format!("dropped-{polls}"));
        let old = on.shown(&target, b"old").await;
        let new = on.staged(&target, b"new").await;
        let there = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
        let (cx, publication) = (on.cx(), PublicationId::first(new));
        drop_after(polls, on.backend.publish(&cx, &target, new, publication, &there.token)).await;
        let moved = Shows::Ours { publication, version: new };
        let after = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
        assert!(after == there || after.shows == moved, "the pointer is the old or the new one, but: {after:?}");
        let shown = on.read(&target, Select::Current).await.expect("something is shown");
        let whole = |version, bytes: &[u8]| {
            matches!(&shown, keyward_core::Read::Found { material, version: found, .. }
                if *found == version && material.ct_eq(&one(bytes)))
        };
        assert!(whole(old, b"old") || whole(new, b"new"), "readers get the old or the new value");
        let again = on.backend.publish(&cx, &target, new, publication, &there.token).await;
        let safe = matches!(again, Ok(Publish::Moved(_) | Publish::AlreadyThere(_)));
        assert!(safe, "repeating is safe, but: {again:?}");
        on.assert_current(&target, new, b"new").await;
    }
}

/// `withdraw`.
pub async fn dropped_withdraw_is_done_or_not_done(on: &Subject<'_>) {
    for polls in POLLS {
        let target = on.target(&format!("dropped-{polls}"));
        let shown = on.shown(&target, b"shown").await;
        let given_up = on.staged(&target, b"given up").await;
        let cx = on.cx();
        drop_after(polls, on.backend.withdraw(&cx, &target, given_up)).await;
        let again = on.backend.withdraw(&cx, &target, given_up).await.expect("repeating is safe");
        let safe = matches!(again, Withdraw::Destroyed | Withdraw::Deferred { .. } | Withdraw::Absent);
        assert!(safe, "repeating is safe, but: {again:?}");
        let survey = on.backend.survey(&on.cx(), &target).await.expect("a survey");
        assert_eq!(survey.versions, [shown], "the version is given up, the other is not");
        on.assert_current(&target, shown, b"shown").await;
    }
}

/// `retire`.
pub async fn dropped_retire_is_done_or_not_done(on: &Subject<'_>) {
    for polls in POLLS {
        let target = on.target(&format!("dropped-{polls}"));
        let version = on.shown(&target, b"value").await;
        let cx = on.cx();
        drop_after(polls, on.backend.retire(&cx, &target, Duration::ZERO)).await;
        match on.read(&target, Select::Current).await {
            Ok(read) => drop(assert_found(Ok(read), version, &one(b"value"))),
            Err(_) => assert!(on.read(&target, Select::Version(version)).await.is_err(), "all material is given up"),
        }
        match on.backend.retire(&cx, &target, Duration::ZERO).await.expect("repeating is safe") {
            Retire::Scheduled { .. } => {}
            Retire::Retired | Retire::Absent => {
                assert_refused(on.read(&target, Select::Current).await, ErrorKind::NotFound, "a retired key");
            }
        }
    }
}

async fn drop_after<F: Future>(polls: usize, call: F) {
    let mut call = Box::pin(call);
    for _ in 0..polls {
        if poll_once(call.as_mut()).await.is_some() {
            return;
        }
        yield_now().await;
    }
}
