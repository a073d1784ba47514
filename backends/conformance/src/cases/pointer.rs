//! Seeing what native readers are shown.

use std::collections::BTreeSet;

use keyward_core::{Pointer, PublicationId, Publish, Shows, Target};

use crate::Subject;

/// Answers a token also when nothing was ever published.
pub async fn pointer_of_nothing_has_a_token(on: &Subject<'_>) {
    let target = on.target("empty");
    let seen = pointer(on, &target).await;
    assert_eq!(seen.shows, Shows::Nothing);
    let version = on.staged(&target, b"value").await;
    let answer = on.backend.publish(&on.cx(), &target, version, PublicationId::first(version), &seen.token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "the token is good for the first publish, but: {answer:?}");
}

/// What was published, under which publication.
pub async fn pointer_shows_what_was_published(on: &Subject<'_>) {
    let target = on.target("shown");
    let version = on.shown(&target, b"value").await;
    let publication = PublicationId::first(version);
    assert_eq!(pointer(on, &target).await.shows, Shows::Ours { publication, version });
}

/// The token changes with every move, also when a version comes back.
pub async fn pointer_token_changes_with_every_move(on: &Subject<'_>) {
    let target = on.target("moving");
    let (a, b) = (on.staged(&target, b"a").await, on.staged(&target, b"b").await);
    let mut tokens = vec![pointer(on, &target).await.token];
    for (version, publication) in [
        (a, PublicationId::first(a)),
        (b, PublicationId::first(b)),
        (a, PublicationId::generate()),
        (a, PublicationId::generate()),
        (b, PublicationId::generate()),
    ] {
        let moved = on.published_as(&target, version, publication).await;
        assert_eq!(moved, pointer(on, &target).await.token, "the token of the move is the pointer's");
        tokens.push(moved);
    }
    let distinct: BTreeSet<&str> = tokens.iter().map(|t| t.as_str()).collect();
    assert_eq!(distinct.len(), tokens.len(), "no token comes twice: {tokens:?}");
}

/// The token a move answers is good for the next move.
pub async fn token_of_a_move_is_good_for_the_next(on: &Subject<'_>) {
    let target = on.target("chain");
    let (a, b) = (on.staged(&target, b"a").await, on.staged(&target, b"b").await);
    let token = on.published(&target, a).await;
    let answer = on.backend.publish(&on.cx(), &target, b, PublicationId::first(b), &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "moves on from there, but: {answer:?}");
    on.assert_current(&target, b, b"b").await;
}

async fn pointer(on: &Subject<'_>, target: &Target) -> Pointer {
    on.backend.pointer(&on.cx(), target).await.expect("a pointer")
}
