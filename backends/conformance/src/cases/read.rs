//! Reading material.

use keyward_core::{ErrorKind, PublicationId, Read, ReadItem, Result, Select, Target, VersionId};

use crate::Subject;
use crate::subject::{assert_found, assert_refused, one};

/// `Current` answers what the pointer shows, with its publication.
pub async fn current_is_what_the_pointer_shows(on: &Subject<'_>) {
    let target = on.target("current");
    let a = on.shown(&target, b"a").await;
    let seen = assert_found(on.read(&target, Select::Current).await, a, &one(b"a"));
    assert_eq!(seen, Some(PublicationId::first(a)));
    on.shown(&target, b"b").await;
    // Back to the first, so that "current" is neither the first publication nor the newest version.
    let again = PublicationId::generate();
    on.published_as(&target, a, again).await;
    on.staged(&target, b"c").await;
    let seen = assert_found(on.read(&target, Select::Current).await, a, &one(b"a"));
    assert_eq!(seen, Some(again));
}

/// `NotFound` when nothing is published, whatever is staged.
pub async fn current_of_nothing_published_is_not_found(on: &Subject<'_>) {
    let target = on.target("nothing");
    let any = PublicationId::generate();
    for select in [Select::Current, Select::CurrentUnless(any)] {
        assert_refused(on.read(&target, select).await, ErrorKind::NotFound, "nothing is stored");
    }
    on.staged(&target, b"staged only").await;
    for select in [Select::Current, Select::CurrentUnless(any)] {
        assert_refused(on.read(&target, select).await, ErrorKind::NotFound, "nothing is published");
    }
}

/// `CurrentUnless` answers `Unchanged` while the pointer shows that publication.
pub async fn current_unless_is_unchanged_until_the_pointer_moves(on: &Subject<'_>) {
    let target = on.target("unless");
    let a = on.shown(&target, b"a").await;
    let had = PublicationId::first(a);
    let answer = on.read(&target, Select::CurrentUnless(had)).await;
    assert!(matches!(answer, Ok(Read::Unchanged)), "unchanged was expected, but: {answer:?}");
    let stranger = PublicationId::generate();
    assert_found(on.read(&target, Select::CurrentUnless(stranger)).await, a, &one(b"a"));
    let b = on.shown(&target, b"b").await;
    let seen = assert_found(on.read(&target, Select::CurrentUnless(had)).await, b, &one(b"b"));
    assert_eq!(seen, Some(PublicationId::first(b)));
    // The same version under a fresh publication is a change.
    let again = PublicationId::generate();
    on.published_as(&target, b, again).await;
    let seen = assert_found(on.read(&target, Select::CurrentUnless(PublicationId::first(b))).await, b, &one(b"b"));
    assert_eq!(seen, Some(again));
}

/// `Version` answers a version whether published or not, without a publication.
pub async fn version_reads_without_publication(on: &Subject<'_>) {
    let target = on.target("version");
    let (a, b) = (on.staged(&target, b"a").await, on.staged(&target, b"b").await);
    for _ in 0..2 {
        for (version, bytes) in [(a, b"a"), (b, b"b")] {
            let seen = assert_found(on.read(&target, Select::Version(version)).await, version, &one(bytes));
            assert_eq!(seen, None, "a read by version has no publication");
        }
        let fresh = PublicationId::generate();
        on.published_as(&target, a, fresh).await;
    }
}

/// `NotFound` when the version has no material.
pub async fn unknown_version_is_not_found(on: &Subject<'_>) {
    let target = on.target("unknown");
    let select = Select::Version(VersionId::generate());
    assert_refused(on.read(&target, select).await, ErrorKind::NotFound, "a key without material");
    on.shown(&target, b"value").await;
    assert_refused(on.read(&target, select).await, ErrorKind::NotFound, "a version without material");
}

/// Batches answer item by item, same length and order; an item may stand twice.
pub async fn batch_answers_in_order_and_duplicates(on: &Subject<'_>) {
    let (a, b) = (on.target("a"), on.target("b"));
    let (old, new) = (on.shown(&a, b"a, old").await, on.shown(&a, b"a, new").await);
    let other = on.shown(&b, b"b").await;
    let asked = [
        (item(&b, Select::Current), other, &b"b"[..]),
        (item(&a, Select::Version(old)), old, b"a, old"),
        (item(&a, Select::Current), new, b"a, new"),
        (item(&b, Select::Current), other, b"b"),
        (item(&b, Select::Version(other)), other, b"b"),
        (item(&a, Select::Version(old)), old, b"a, old"),
    ];
    let items: Vec<ReadItem> = asked.iter().map(|(item, ..)| item.clone()).collect();
    let answers = batch(on, &items).await;
    assert_eq!(answers.len(), items.len(), "as many answers as items");
    for (answer, (_, version, bytes)) in answers.into_iter().zip(&asked) {
        assert_found(answer, *version, &one(bytes));
    }
}

/// One bad item never hides the others.
pub async fn bad_item_hides_no_other(on: &Subject<'_>) {
    let (good, bad) = (on.target("good"), on.target("bad"));
    let version = on.shown(&good, b"good").await;
    let items = [
        item(&bad, Select::Current),
        item(&good, Select::Current),
        item(&good, Select::Version(VersionId::generate())),
        item(&good, Select::Version(version)),
        item(&bad, Select::Current),
    ];
    let answers = batch(on, &items).await;
    assert_eq!(answers.len(), items.len(), "as many answers as items");
    for (n, answer) in answers.into_iter().enumerate() {
        if matches!(n, 1 | 3) {
            assert_found(answer, version, &one(b"good"));
        } else {
            assert_refused(answer, ErrorKind::NotFound, "an item without material");
        }
    }
}

/// Asked for nothing, a read answers nothing.
pub async fn read_of_no_item_answers_nothing(on: &Subject<'_>) {
    assert!(batch(on, &[]).await.is_empty(), "nothing was asked for");
}

fn item(target: &Target, select: Select) -> ReadItem {
    ReadItem { target: target.clone(), select }
}

async fn batch(on: &Subject<'_>, items: &[ReadItem]) -> Vec<Result<Read>> {
    on.backend.read(&on.cx(), items).await
}
