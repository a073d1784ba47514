//! Giving versions up.

use keyward_core::{Destroy, ErrorKind, PublicationId, Result, Select, Target, VersionId, Withdraw};

use crate::Subject;
use crate::subject::{assert_found, assert_refused, one};

/// Refuses the version the pointer shows with `Conflict`.
pub async fn shown_version_is_not_withdrawn(on: &Subject<'_>) {
    let target = on.target("shown");
    let version = on.shown(&target, b"value").await;
    assert_refused(withdraw(on, &target, version).await, ErrorKind::Conflict, "the version readers get");
    on.assert_current(&target, version, b"value").await;
}

/// The material is destroyed at once, or given up for later, as the capability says.
pub async fn withdrawn_version_is_given_up(on: &Subject<'_>) {
    let target = on.target("given-up");
    let staged = on.staged(&target, b"staged").await;
    let former = on.shown(&target, b"former").await;
    let shown = on.shown(&target, b"shown").await;
    for version in [staged, former] {
        assert_given_up(on, withdraw(on, &target, version).await);
        if on.backend.capabilities().destroy == Destroy::Immediate {
            let read = on.read(&target, Select::Version(version)).await;
            assert_refused(read, ErrorKind::NotFound, "destroyed material");
        }
    }
    on.assert_current(&target, shown, b"shown").await;
}

/// Afterwards the version cannot be published.
pub async fn withdrawn_version_cannot_be_published(on: &Subject<'_>) {
    let target = on.target("unpublishable");
    let former = on.shown(&target, b"former").await;
    let shown = on.shown(&target, b"shown").await;
    assert_given_up(on, withdraw(on, &target, former).await);
    let there = on.backend.pointer(&on.cx(), &target).await.expect("a pointer");
    let answer = on.backend.publish(&on.cx(), &target, former, PublicationId::generate(), &there.token).await;
    assert_refused(answer, ErrorKind::NotFound, "a withdrawn version");
    assert_eq!(on.backend.pointer(&on.cx(), &target).await.expect("a pointer"), there, "the pointer was left alone");
    on.assert_current(&target, shown, b"shown").await;
}

/// Already withdrawn: `Absent`.
pub async fn withdraw_again_is_absent(on: &Subject<'_>) {
    let target = on.target("twice");
    let version = on.staged(&target, b"value").await;
    assert_given_up(on, withdraw(on, &target, version).await);
    for _ in 0..2 {
        assert_eq!(withdraw(on, &target, version).await.expect("a repeated withdraw"), Withdraw::Absent);
    }
}

/// Never there: `Absent`.
pub async fn withdraw_of_what_never_was_is_absent(on: &Subject<'_>) {
    let target = on.target("never");
    let absent = VersionId::generate();
    assert_eq!(withdraw(on, &target, absent).await.expect("an answer"), Withdraw::Absent, "an unknown key");
    on.shown(&target, b"value").await;
    assert_eq!(withdraw(on, &target, absent).await.expect("an answer"), Withdraw::Absent, "an unknown version");
}

/// Only that version, of only that key.
pub async fn withdraw_spares_other_versions(on: &Subject<'_>) {
    let (target, neighbour) = (on.target("one"), on.target("two"));
    let (gone, kept) = (on.staged(&target, b"gone").await, on.staged(&target, b"kept").await);
    let theirs = on.staged(&neighbour, b"theirs").await;
    assert_given_up(on, withdraw(on, &target, gone).await);
    assert_found(on.read(&target, Select::Version(kept)).await, kept, &one(b"kept"));
    assert_found(on.read(&neighbour, Select::Version(theirs)).await, theirs, &one(b"theirs"));
    on.published(&target, kept).await;
    on.assert_current(&target, kept, b"kept").await;
}

async fn withdraw(on: &Subject<'_>, target: &Target, version: VersionId) -> Result<Withdraw> {
    on.backend.withdraw(&on.cx(), target, version).await
}

/// What the capability promises, and not more.
pub(super) fn assert_given_up(on: &Subject<'_>, answer: Result<Withdraw>) {
    let answer = answer.expect("a version can be withdrawn");
    match on.backend.capabilities().destroy {
        Destroy::Immediate => assert_eq!(answer, Withdraw::Destroyed),
        _ => assert!(matches!(answer, Withdraw::Deferred { .. }), "deferred was expected, but: {answer:?}"),
    }
}
