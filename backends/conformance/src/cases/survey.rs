//! What a store holds of a key's material.

use keyward_core::{PublicationId, Shows, Survey, Target};

use super::withdraw::assert_given_up;
use crate::Subject;

/// Nothing stored is an empty survey, not an error.
pub async fn survey_of_nothing_is_empty(on: &Subject<'_>) {
    let found = survey(on, &on.target("nothing")).await;
    assert!(found.versions.is_empty(), "nothing is stored, but: {found:?}");
    assert_eq!(found.pointer.shows, Shows::Nothing);
}

/// Lists every staged version, and the pointer.
pub async fn survey_lists_versions_and_pointer(on: &Subject<'_>) {
    let target = on.target("some");
    on.staged(&on.target("neighbour"), b"not listed here").await;
    let mut expected = Vec::new();
    for bytes in [b"a", b"b", b"c"] {
        expected.push(on.staged(&target, bytes).await);
        expected.sort_unstable();
        assert_eq!(survey(on, &target).await.versions, expected, "oldest id first");
    }
    on.published(&target, expected[1]).await;
    let found = survey(on, &target).await;
    assert_eq!(found.versions, expected, "published versions are listed too");
    assert_eq!(found.pointer, on.backend.pointer(&on.cx(), &target).await.expect("a pointer"));
    let publication = PublicationId::first(expected[1]);
    assert_eq!(found.pointer.shows, Shows::Ours { publication, version: expected[1] });
}

/// Withdrawn versions are not listed.
pub async fn survey_leaves_withdrawn_versions_out(on: &Subject<'_>) {
    let target = on.target("thinned");
    let (gone, kept) = (on.staged(&target, b"gone").await, on.staged(&target, b"kept").await);
    assert_given_up(on, on.backend.withdraw(&on.cx(), &target, gone).await);
    assert_eq!(survey(on, &target).await.versions, [kept]);
    assert_given_up(on, on.backend.withdraw(&on.cx(), &target, kept).await);
    assert!(survey(on, &target).await.versions.is_empty(), "nothing is left");
}

async fn survey(on: &Subject<'_>, target: &Target) -> Survey {
    on.backend.survey(&on.cx(), target).await.expect("a survey")
}
