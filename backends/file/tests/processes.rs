//! Many processes on one store: every compare-and-swap happens exactly once, from the record it replaced.

mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use common::{Site, called, child, cx, key, next, register, say};
use futures_lite::future::block_on;
use keyward_core::{AuditAction, AuditQuery, Expect, SecretBackend, SecretBackendExt, Swap};
use keyward_file::FileBackend;

const PROCESSES: u64 = 16;
const SWAPS: u64 = 200;

#[test]
fn none_is_lost_and_none_is_doubled() {
    let site = Site::new();
    register(&site.open(), &key("one"));
    let began = Instant::now();
    let children: Vec<_> = (0..PROCESSES).map(|_| child(&site, "swaps", "")).collect();
    let mut acknowledged = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("the child ended");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{said}");
        acknowledged.extend(said.lines().map(|line| line.parse::<u64>().expect("a revision")));
    }
    let took = began.elapsed();

    // Each revision was made by one process, from the one before.
    let distinct: BTreeSet<_> = acknowledged.iter().copied().collect();
    assert_eq!(acknowledged.len() as u64, PROCESSES * SWAPS, "acknowledgements");
    assert!(distinct.iter().copied().eq(2..=PROCESSES * SWAPS + 1), "a revision was lost or doubled");
    let store = site.open();
    assert_eq!(block_on(store.load_existing(&cx(), &key("one"))).unwrap().value.revision(), PROCESSES * SWAPS + 1);
    let verified = block_on(store.verify(&cx())).unwrap();

    let (mut changes, mut page) = (0, None);
    loop {
        let query = AuditQuery::default().action(AuditAction::Change).key(&key("one"));
        let found = block_on(store.audit().unwrap().entries(&cx(), &query, page)).unwrap();
        changes += found.items.len() as u64;
        page = found.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(changes, PROCESSES * SWAPS + 1, "entries on the log");
    println!(
        "{PROCESSES} processes made {} swaps in {:.1} s; {} entries on the log, all verified",
        acknowledged.len(),
        took.as_secs_f64(),
        verified.audit_entries
    );
}

/// One of the processes.
#[test]
#[ignore = "the other test starts it as a child process"]
fn swaps() {
    let Some((path, unlock, _)) = called() else { return };
    let store = block_on(FileBackend::open(path, unlock)).expect("the store opens");
    let id = key("one");
    let mut seen = block_on(store.load_existing(&cx(), &id)).expect("a record");
    for _ in 0..SWAPS {
        loop {
            let made = next(&seen.value);
            match block_on(store.swap(&cx(), &id, Expect::At(seen.stamp.clone()), &made)).expect("a swap") {
                Swap::Applied(stamp) => {
                    assert_eq!(made.revision(), seen.value.revision() + 1);
                    say(&made.revision().to_string());
                    (seen.value, seen.stamp) = (made, stamp);
                    break;
                }
                Swap::Conflict(now) => seen = now.expect("records are never deleted"),
            }
        }
    }
}
