//! Making versions current.

use keyward_core::{
    ErrorKind, Pointer, PointerToken, PublicationId, Publish, Result, Select, Shows, Target, VersionId,
};

use crate::Subject;
use crate::subject::assert_refused;

/// Moves from the pointer the token stands for.
pub async fn publish_moves_from_the_token_seen(on: &Subject<'_>) {
    let target = on.target("forward");
    let a = on.shown(&target, b"a").await;
    on.assert_current(&target, a, b"a").await;
    let b = on.shown(&target, b"b").await;
    on.assert_current(&target, b, b"b").await;
}

/// Moves only from there; otherwise a conflict with the pointer that is there, and nothing is
/// changed.
pub async fn publish_with_an_old_token_conflicts_and_moves_nothing(on: &Subject<'_>) {
    let target = on.target("old-token");
    let (a, b) = (on.staged(&target, b"a").await, on.staged(&target, b"b").await);
    let old = pointer(on, &target).await.token;
    on.published(&target, a).await;
    let there = pointer(on, &target).await;
    for token in [old, PointerToken::new("made up"), PointerToken::new("")] {
        let answer = publish(on, &target, b, PublicationId::first(b), &token).await;
        match answer {
            Ok(Publish::Conflict(seen)) => assert_eq!(seen, there, "the conflict holds the pointer that is there"),
            other => panic!("a conflict was expected, but: {other:?}"),
        }
    }
    assert_eq!(pointer(on, &target).await, there, "the pointer was left alone");
    on.assert_current(&target, a, b"a").await;
}

/// When the pointer already shows this publication: `AlreadyThere`, whatever the token.
pub async fn repeated_publish_is_already_there_whatever_the_token(on: &Subject<'_>) {
    let target = on.target("repeated");
    let version = on.staged(&target, b"value").await;
    let old = pointer(on, &target).await.token;
    let now = on.published(&target, version).await;
    for token in [old, now.clone(), PointerToken::new("made up")] {
        let answer = publish(on, &target, version, PublicationId::first(version), &token).await;
        assert_eq!(answer.expect("a repeated publish"), Publish::AlreadyThere(now.clone()));
    }
    on.assert_current(&target, version, b"value").await;
}

/// A version may be published again under a fresh publication id; the token then changes.
pub async fn version_is_published_again_under_a_fresh_publication(on: &Subject<'_>) {
    let target = on.target("again");
    let a = on.shown(&target, b"a").await;
    on.shown(&target, b"b").await;
    for _ in 0..2 {
        let before = pointer(on, &target).await.token;
        let publication = PublicationId::generate();
        let after = on.published_as(&target, a, publication).await;
        assert_ne!(before, after, "the token changes");
        assert_eq!(pointer(on, &target).await.shows, Shows::Ours { publication, version: a });
        on.assert_current(&target, a, b"a").await;
    }
}

/// A sleeper's token is dead, also when the pointer shows again what it showed then.
pub async fn token_is_not_good_again_when_the_same_version_returns(on: &Subject<'_>) {
    let target = on.target("aba");
    let (a, b) = (on.staged(&target, b"a").await, on.staged(&target, b"b").await);
    let sleeper = on.published(&target, a).await;
    on.published(&target, b).await;
    on.published_as(&target, a, PublicationId::generate()).await;
    let answer = publish(on, &target, b, PublicationId::generate(), &sleeper).await;
    assert!(matches!(answer, Ok(Publish::Conflict(_))), "a conflict was expected, but: {answer:?}");
    on.assert_current(&target, a, b"a").await;
}

/// `NotFound` when the version has no material, and the pointer stays.
pub async fn unstaged_version_is_not_found_and_moves_nothing(on: &Subject<'_>) {
    let target = on.target("unstaged");
    let shown = on.shown(&target, b"shown").await;
    let there = pointer(on, &target).await;
    let absent = VersionId::generate();
    let answer = publish(on, &target, absent, PublicationId::first(absent), &there.token).await;
    assert_refused(answer, ErrorKind::NotFound, "a version without material");
    assert_eq!(pointer(on, &target).await, there, "the pointer was left alone");
    on.assert_current(&target, shown, b"shown").await;
}

/// The same for a key the store has never heard of.
pub async fn publish_of_an_unknown_key_is_not_found(on: &Subject<'_>) {
    let target = on.target("unknown");
    let token = pointer(on, &target).await.token;
    let absent = VersionId::generate();
    let answer = publish(on, &target, absent, PublicationId::first(absent), &token).await;
    assert_refused(answer, ErrorKind::NotFound, "a key without material");
    assert_eq!(pointer(on, &target).await.shows, Shows::Nothing, "the pointer was left alone");
    assert_refused(on.read(&target, Select::Current).await, ErrorKind::NotFound, "nothing is published");
}

async fn pointer(on: &Subject<'_>, target: &Target) -> Pointer {
    on.backend.pointer(&on.cx(), target).await.expect("a pointer")
}

async fn publish(
    on: &Subject<'_>,
    target: &Target,
    version: VersionId,
    publication: PublicationId,
    token: &PointerToken,
) -> Result<Publish> {
    on.backend.publish(&on.cx(), target, version, publication, token).await
}
