//! The store as one process sees it.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Site, contents, cx, key, material, next, publish, record, register, shows, target};
use futures_lite::future::{block_on, poll_once};
use keyward_core::{
    AuditAction, AuditQuery, ErrorKind, Expect, ListQuery, ReadItem, Retry, SecretBackend, SecretBackendExt, Select,
    Stage, Swap, VersionId,
};
use keyward_file::{Audit, FileBackend};

#[test]
fn everything_is_there_after_a_restart() {
    let site = Site::empty();
    let id = key("stripe");
    let store = site.create();
    register(&store, &id);
    publish(&store, &id, "sk_test_1");
    drop(store);

    let store = site.open();
    assert!(shows(&store, &id, "sk_test_1"));
    let verified = block_on(store.verify(&cx())).unwrap();
    assert_eq!((verified.records, verified.material), (1, 1));
    let info = block_on(store.info(&cx())).unwrap();
    assert!(info.freshness.contains("not be noticed") && info.format.contains("unstable"));
}

#[test]
fn the_files_are_private_and_none_is_left_beside_a_closed_store() {
    let site = Site::new();
    let store = site.open();
    register(&store, &key("stripe"));
    for suffix in ["", "-wal", "-shm"] {
        let path = site.path().join(format!("keys.keyward{suffix}"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{suffix}");
    }
    drop(store);
    let names: Vec<_> = contents(site.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [site.store.clone(), site.key.clone()]);
}

#[test]
fn the_last_clone_closes_the_store_and_waits_for_it() {
    let site = Site::new();
    let (store, clone) = {
        let store = site.open();
        (store.clone(), store)
    };
    drop(store);
    register(&clone, &key("stripe"));
    drop(clone);
    assert!(!site.path().join("keys.keyward-wal").exists());
}

#[test]
fn two_openings_in_one_process_see_each_other() {
    let site = Site::new();
    let (one, two) = (site.open(), site.open());
    let id = key("stripe");
    register(&one, &id);
    let seen = block_on(two.load_existing(&cx(), &id)).unwrap();
    let swapped = block_on(two.swap(&cx(), &id, Expect::At(seen.stamp), &next(&seen.value))).unwrap();
    assert!(matches!(swapped, Swap::Applied(_)));
    assert_eq!(block_on(one.load_existing(&cx(), &id)).unwrap().value.revision(), 2);
    register(&two, &key("paypal"));
    let listed = block_on(one.list_all(&cx(), &ListQuery::all())).unwrap();
    assert_eq!(listed.len(), 2);
    drop(one);
    // Closing the one must not drop the locks of the other.
    register(&two, &key("adyen"));
    assert!(block_on(two.verify(&cx())).is_ok());
}

#[test]
fn many_tasks_of_one_process_lose_nothing() {
    let site = Site::new();
    let store = site.open();
    let id = key("stripe");
    register(&store, &id);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = store.clone();
                for _ in 0..25 {
                    let mut seen = block_on(store.load_existing(&cx(), &id)).unwrap();
                    loop {
                        let expect = Expect::At(seen.stamp.clone());
                        match block_on(store.swap(&cx(), &id, expect, &next(&seen.value))).unwrap() {
                            Swap::Applied(_) => break,
                            Swap::Conflict(now) => seen = now.unwrap(),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(block_on(store.load_existing(&cx(), &id)).unwrap().value.revision(), 201);
    assert_eq!(block_on(store.verify(&cx())).unwrap().audit_entries, 2 + 1 + 1 + 200);
}

#[test]
fn a_stamp_and_a_token_never_come_back() {
    let site = Site::new();
    let store = site.open();
    let (id, target) = (key("stripe"), target(&key("stripe")));
    let mut tokens = vec![block_on(store.pointer(&cx(), &target)).unwrap().token];
    for round in 0..3 {
        publish(&store, &id, &format!("sk_test_{round}"));
        tokens.push(block_on(store.pointer(&cx(), &target)).unwrap().token);
        block_on(store.retire(&cx(), &target, Duration::ZERO)).unwrap();
        tokens.push(block_on(store.pointer(&cx(), &target)).unwrap().token);
    }
    let distinct: std::collections::HashSet<_> = tokens.iter().collect();
    assert_eq!(distinct.len(), tokens.len());
}

#[test]
fn a_staged_version_leaves_the_token_good() {
    let site = Site::new();
    let store = site.open();
    let target = target(&key("stripe"));
    let before = block_on(store.pointer(&cx(), &target)).unwrap();
    let version = VersionId::generate();
    assert_eq!(block_on(store.stage(&cx(), &target, version, &material("sk_test_1"))).unwrap(), Stage::Stored);
    assert_eq!(block_on(store.pointer(&cx(), &target)).unwrap(), before);
    assert_eq!(block_on(store.stage(&cx(), &target, version, &material("sk_test_1"))).unwrap(), Stage::AlreadySame);
    assert_eq!(block_on(store.stage(&cx(), &target, version, &material("sk_test_2"))).unwrap(), Stage::Conflict);
}

#[test]
fn an_expired_deadline_is_refused_before_anything_is_done() {
    let site = Site::new();
    let store = site.open();
    let (id, late) = (key("stripe"), cx().within(Duration::ZERO));
    let before = block_on(store.info(&cx())).unwrap();
    let refused = block_on(store.swap(&late, &id, Expect::Absent, &record(&id))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let refused = block_on(store.load(&late, &[id.clone(), id.clone()]));
    assert!(refused.len() == 2 && refused.iter().all(|r| r.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    assert_eq!(block_on(store.info(&cx())).unwrap(), before);
}

#[test]
fn a_writer_that_does_not_finish_makes_the_store_unavailable_and_no_more() {
    let site = Site::new();
    let store = site.open();
    let id = key("stripe");
    register(&store, &id);
    publish(&store, &id, "sk_test_1");
    let other = site.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let hurried = cx().within(Duration::from_millis(150));
    let began = std::time::Instant::now();
    let refused = block_on(store.swap(&hurried, &key("paypal"), Expect::Absent, &record(&key("paypal")))).unwrap_err();
    assert_eq!((refused.kind(), refused.retry()), (ErrorKind::Unavailable, Retry::Yes));
    assert!(began.elapsed() < Duration::from_secs(5));
    // Records can be read meanwhile. Material cannot: the read could not be logged.
    assert!(block_on(store.load_existing(&cx(), &id)).is_ok());
    let hurried = cx().within(Duration::from_millis(150));
    let refused = block_on(store.read_one(&hurried, &target(&id), Select::Current)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);

    other.execute_batch("ROLLBACK").unwrap();
    assert!(shows(&store, &id, "sk_test_1"));
    assert!(block_on(store.verify(&cx())).is_ok());
}

#[test]
fn a_dropped_call_is_done_whole_or_not_at_all() {
    let site = Site::new();
    let store = site.open();
    let (mut done, mut dropped) = (0_u64, 0);
    for number in 0..300 {
        let id = key(&format!("key-{number}"));
        let (asked, record) = (cx(), record(&id));
        let answer = block_on(async {
            let mut call = Box::pin(store.swap(&asked, &id, Expect::Absent, &record));
            let first = poll_once(&mut call).await;
            std::thread::sleep(Duration::from_micros(number * 7 % 900));
            match first {
                Some(answer) => Some(answer),
                None => poll_once(&mut call).await,
            }
        });
        dropped += u64::from(answer.is_none());
        let there = block_on(store.load_one(&cx(), &id)).unwrap().is_some();
        assert!(there || answer.is_none(), "an acknowledged change is missing");
        done += u64::from(there);
    }
    let verified = block_on(store.verify(&cx())).unwrap();
    println!("{dropped} of 300 calls dropped, {done} changes done");
    assert_eq!((verified.records, verified.audit_entries), (done, 3 + done));
    assert!(dropped > 0);
}

#[test]
fn a_call_dropped_while_it_waits_in_line_is_not_done() {
    let site = Site::new();
    let store = site.open();
    let other = site.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let id = key("stripe");
    let (asked, first, second) = (cx(), record(&key("first")), record(&id));
    let first_id = key("first");
    block_on(async {
        // The first call keeps the thread busy; the second waits behind it and is dropped there.
        let mut blocked = Box::pin(store.swap(&asked, &first_id, Expect::Absent, &first));
        assert!(poll_once(&mut blocked).await.is_none());
        std::thread::sleep(Duration::from_millis(50));
        let mut waiting = Box::pin(store.swap(&asked, &id, Expect::Absent, &second));
        assert!(poll_once(&mut waiting).await.is_none());
        drop(waiting);
        other.execute_batch("ROLLBACK").unwrap();
        assert!(matches!(blocked.await, Ok(Swap::Applied(_))));
    });
    assert!(block_on(store.load_one(&cx(), &id)).unwrap().is_none());
}

#[test]
fn strict_audit_releases_nothing_that_cannot_be_logged() {
    let site = Site::new();
    let id = key("stripe");
    let store = site.open();
    register(&store, &id);
    publish(&store, &id, "sk_test_1");
    drop(store);

    let full = |audit| FileBackend::builder().audit(audit).max_bytes(site.store.metadata().unwrap().len());
    let store = site.open_with(full(Audit::Strict));
    let item = [ReadItem { target: target(&id), select: Select::Current }];
    // The last page of the log has room for some entries.
    let mut released = 0;
    let refused = loop {
        match block_on(store.read(&cx(), &item)).remove(0) {
            Ok(_) => released += 1,
            Err(error) => break error,
        }
        assert!(released < 100, "the log grows without a page");
    };
    println!("{released} reads until the log was full");
    assert_eq!(refused.kind(), ErrorKind::AuditUnavailable);
    let logged = AuditQuery::default().action(AuditAction::Read);
    let entries = block_on(store.audit().unwrap().entries(&cx(), &logged, None)).unwrap();
    assert_eq!(entries.items.len(), released, "every release is on the log and nothing else is");
    let refused = block_on(store.stage(&cx(), &target(&id), VersionId::generate(), &material(&"x".repeat(9000))));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Quota);
    assert!(block_on(store.verify(&cx())).is_ok());
    drop(store);

    // Relaxed audit says that it goes on.
    let store = site.open_with(full(Audit::Relaxed));
    assert!(shows(&store, &id, "sk_test_1"));
    drop(store);
    // With room again, all is well.
    assert!(shows(&site.open(), &id, "sk_test_1"));
}

#[test]
fn a_batch_of_reads_is_one_transaction() {
    let site = Site::new();
    let store = site.open();
    let items: Vec<_> = (0..20)
        .map(|number| {
            let id = key(&format!("key-{number}"));
            publish(&store, &id, "sk_test_1");
            ReadItem { target: target(&id), select: Select::Current }
        })
        .collect();
    let before = block_on(store.info(&cx())).unwrap();
    assert!(block_on(store.read(&cx(), &items)).iter().all(Result::is_ok));
    let after = block_on(store.info(&cx())).unwrap();
    assert_eq!((after.counter - before.counter, after.audit_entries - before.audit_entries), (1, 20));
}

#[test]
fn what_was_found_unchanged_or_absent_is_not_a_read() {
    let site = Site::new();
    let store = site.open();
    let (id, target) = (key("stripe"), target(&key("stripe")));
    publish(&store, &id, "sk_test_1");
    let keyward_core::Shows::Ours { publication, .. } = block_on(store.pointer(&cx(), &target)).unwrap().shows else {
        panic!("something is published");
    };
    let before = block_on(store.info(&cx())).unwrap();
    let unchanged = block_on(store.read_one(&cx(), &target, Select::CurrentUnless(publication))).unwrap();
    assert!(matches!(unchanged, keyward_core::Read::Unchanged));
    let absent = block_on(store.read_one(&cx(), &target, Select::Version(VersionId::generate()))).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert_eq!(block_on(store.info(&cx())).unwrap(), before);
}

#[test]
fn listing_is_in_order_and_in_pages() {
    let site = Site::new();
    let store = site.open();
    for number in [7, 3, 9, 1, 5] {
        register(&store, &key(&format!("key-{number}")));
    }
    let query = ListQuery::all().limit(2);
    let listed: Vec<_> =
        block_on(store.list_all(&cx(), &query)).unwrap().into_iter().map(|r| r.unwrap().value.id().clone()).collect();
    assert_eq!(listed, [1, 3, 5, 7, 9].map(|number| key(&format!("key-{number}"))));
    let foreign = block_on(store.list(&cx(), &query, Some(keyward_core::PageToken::new("no such thing"))));
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Invalid);
}
