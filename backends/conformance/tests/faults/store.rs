//! The strict fake: what it can be told, and what it writes down.

use futures_lite::future::block_on;
use keyward_conformance::strict::{Misuse, StrictFake};
use keyward_core::{
    ErrorKind, Evidence, Expect, ListQuery, Pointer, PublicationId, Publish, SecretBackend, SecretBackendExt, Select,
    Shows, Stage, Swap, Transition, VersionId, VersionState,
};

use super::{change, cx, key, material, noted, planned, record};

#[test]
fn stale_reads_answer_the_revision_before_the_last() {
    let store = StrictFake::default();
    block_on(async {
        let first = record();
        let Ok(Swap::Applied(stamp)) = store.swap(&cx(), &key(), Expect::Absent, &first).await else { panic!() };
        store.serve_stale(1);
        assert!(store.load_one(&cx(), &key()).await.expect("a load").is_none(), "before the first there was none");
        let second = noted(&first);
        store.swap(&cx(), &key(), Expect::At(stamp), &second).await.expect("a swap");
        store.serve_stale(2);
        let stale = store.load_one(&cx(), &key()).await.expect("a load").expect("a record");
        assert_eq!(stale.value, first);
        let listed = store.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
        assert_eq!(listed.into_iter().flatten().next().map(|l| l.value), Some(first));
        let fresh = store.load_one(&cx(), &key()).await.expect("a load").expect("a record");
        assert_eq!(fresh.value, second, "only as often as scripted");
        let late = noted(&stale.value);
        let refused = store.swap(&cx(), &key(), Expect::At(stale.stamp), &late).await;
        assert!(matches!(refused, Ok(Swap::Conflict(_))), "a decision on a stale read is refused");
        assert_eq!(store.revisions(&key()).len(), 2);
    });
}

#[test]
fn short_pages_are_empty_and_half_full_by_turns() {
    let store = StrictFake::default().short_pages();
    block_on(async {
        store.swap(&cx(), &key(), Expect::Absent, &record()).await.expect("a swap");
        let query = ListQuery::all().limit(5);
        let first = store.list(&cx(), &query, None).await.expect("a page");
        assert!(first.items.is_empty() && first.next.is_some(), "an empty page is not the end");
        let second = store.list(&cx(), &query, first.next).await.expect("a page");
        assert!(second.items.len() == 1 && second.next.is_none());
    });
}

#[test]
fn an_unreadable_record_is_an_error_in_its_place() {
    let store = StrictFake::default();
    block_on(async {
        store.swap(&cx(), &key(), Expect::Absent, &record()).await.expect("a swap");
        store.damage(&key(), true);
        let listed = store.list_all(&cx(), &ListQuery::all()).await.expect("a listing");
        assert!(matches!(&listed[..], [Err(error)] if error.kind() == ErrorKind::Tampered));
        let loaded = store.load(&cx(), &[key(), "dev/messaging/other".parse().expect("a key")]).await;
        assert!(matches!(&loaded[..], [Err(_), Ok(None)]));
        store.damage(&key(), false);
        assert!(store.load_one(&cx(), &key()).await.expect("a load").is_some());
    });
}

#[test]
fn tokens_are_good_for_one_store_and_one_key() {
    let (here, there) = (StrictFake::default(), StrictFake::default());
    block_on(async {
        let target = record().target();
        let token = there.pointer(&cx(), &target).await.expect("a pointer").token;
        let version = VersionId::generate();
        here.stage(&cx(), &target, version, &material("value")).await.expect("a stage");
        let answer = here.publish(&cx(), &target, version, PublicationId::first(version), &token).await;
        assert!(matches!(answer, Ok(Publish::Conflict(_))), "another store's token");
        let mut page = there.clone().short_pages().list(&cx(), &ListQuery::all(), None).await.expect("a page");
        let answer = here.list(&cx(), &ListQuery::all(), page.next.take()).await;
        assert!(answer.is_err_and(|error| error.kind() == ErrorKind::Invalid), "another store's page");
    });
}

#[test]
fn misuse_that_cannot_be_refused_is_written_down() {
    let store = StrictFake::default();
    block_on(async {
        let (record, version) = planned();
        let (target, publication) = (record.target(), PublicationId::first(version));
        let Ok(Swap::Applied(stamp)) = store.swap(&cx(), &key(), Expect::Absent, &record).await else { panic!() };
        store.stage(&cx(), &target, version, &material("value")).await.expect("a stage");
        let other = store.stage(&cx(), &target, version, &material("other")).await;
        assert!(matches!(other, Ok(Stage::Conflict)));

        let abandon = Transition::Abandon { evidence: Evidence::lossy("a test") };
        let given_up = noted(&record.apply(&abandon, &change()).expect("a legal move"));
        store.swap(&cx(), &key(), Expect::At(stamp), &given_up).await.expect("a swap");
        for version in [version, VersionId::generate()] {
            store.stage(&cx(), &target, version, &material("value")).await.expect("a stage");
            let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
            store.publish(&cx(), &target, version, publication, &token).await.expect("a publish");
        }
        let (from, to) = (record.revision(), given_up.revision());
        assert_eq!(
            store.misuse(),
            [
                Misuse::VersionReused { key: key(), version },
                Misuse::RevisionJump { key: key(), from, to },
                Misuse::PublishedGivenUp { key: key(), version, state: VersionState::RevokePending },
                Misuse::PublicationReused { key: key(), publication },
            ]
        );
        assert_eq!(store.moves().len(), 2);
    });
}

#[test]
fn what_is_written_lost_or_restored_by_hand_is_seen() {
    let store = StrictFake::default();
    block_on(async {
        let (record, version) = planned();
        let (target, publication) = (record.target(), PublicationId::first(version));
        let Ok(Swap::Applied(stamp)) = store.swap(&cx(), &key(), Expect::Absent, &record).await else { panic!() };
        store.stage(&cx(), &target, version, &material("value")).await.expect("a stage");
        let token = store.pointer(&cx(), &target).await.expect("a pointer").token;

        store.write_by_hand(&key());
        let answer = store.publish(&cx(), &target, version, publication, &token).await;
        let Ok(Publish::Conflict(Pointer { shows: Shows::Foreign, token })) = answer else { panic!("{answer:?}") };
        let read = store.read_one(&cx(), &target, Select::Current).await;
        assert!(read.is_err_and(|error| error.kind() == ErrorKind::Conflict));
        let moved = store.publish(&cx(), &target, version, publication, &token).await;
        assert!(matches!(moved, Ok(Publish::Moved(_))), "over what the caller has seen");

        store.lose(&key(), version);
        let read = store.read_one(&cx(), &target, Select::Version(version)).await;
        assert!(read.is_err_and(|error| error.kind() == ErrorKind::NotFound));

        store.swap(&cx(), &key(), Expect::At(stamp), &noted(&record)).await.expect("a swap");
        store.restore(&key(), 1);
        assert_eq!(store.record(&key()), Some(record));
    });
}
