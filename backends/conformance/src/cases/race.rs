//! Several callers at once.

use std::collections::BTreeSet;

use keyward_core::{Expect, KeyRecord, OperationId, PublicationId, Publish, Select, Stage, Stamped, Swap, VersionId};

use crate::Subject;
use crate::subject::{assert_found, assert_same, one};

const CALLERS: usize = 8;
/// A race that was won fairly once may have been luck.
const ROUNDS: usize = 4;

/// Of several swaps that expect no record exactly one is applied.
pub async fn one_of_many_registrations_wins(on: &Subject<'_>) {
    for round in 0..ROUNDS {
        let firsts: Vec<KeyRecord> = (0..CALLERS).map(|_| on.first(&format!("raced-{round}"))).collect();
        swap_at_once(on, &firsts, &Expect::Absent).await;
    }
}

/// Of several swaps with one expectation exactly one is applied.
pub async fn one_of_many_swaps_wins(on: &Subject<'_>) {
    let key = on.registered("raced").await.value.id().clone();
    for _ in 0..ROUNDS {
        let stored = on.loaded(&key).await.expect("a record is stored");
        let nexts: Vec<KeyRecord> = (0..CALLERS).map(|n| on.noted(&stored.value, &format!("of caller {n}"))).collect();
        swap_at_once(on, &nexts, &Expect::At(stored.stamp)).await;
    }
}

/// Read, change, swap, and again after a conflict: no change is lost, none is doubled.
pub async fn competing_writers_lose_no_change(on: &Subject<'_>) {
    const EACH: usize = 4;
    let stored = on.registered("contested").await;
    let key = stored.value.id();
    let accepted = on.race(CALLERS, |_| async {
        let mut mine = Vec::new();
        while mine.len() < EACH {
            let Stamped { value, stamp } = on.loaded(key).await.expect("a record is stored");
            let next = on.noted(&value, "one more");
            match on.backend.swap(&on.cx(), key, Expect::At(stamp), &next).await {
                Ok(Swap::Applied(_)) => mine.push((next.revision(), next.operation())),
                Ok(Swap::Conflict(_)) => {}
                Err(error) => panic!("a swap was refused: {error}"),
            }
        }
        mine
    });
    let accepted: Vec<(u64, Option<OperationId>)> = accepted.into_iter().flatten().collect();
    let revisions: BTreeSet<u64> = accepted.iter().map(|(revision, _)| *revision).collect();
    let first = stored.value.revision();
    let last = first + u64::try_from(accepted.len()).expect("a small number");
    assert!(revisions.into_iter().eq(first + 1..=last), "every revision was accepted exactly once");
    let record = on.loaded(key).await.expect("a record is stored").value;
    assert_eq!(record.revision(), last, "no change was lost");
    let newest = accepted.iter().find(|(revision, _)| *revision == last).and_then(|(_, operation)| *operation);
    assert_eq!(record.operation(), newest, "the record is that of its last writer");
}

/// Of several stages of different bytes under one version exactly one is stored.
pub async fn one_of_many_stages_wins(on: &Subject<'_>) {
    for _ in 0..ROUNDS {
        stage_at_once(on).await;
    }
}

/// Of several stages of the same bytes one stores and the others find them there.
pub async fn same_bytes_staged_by_many_are_stored_once(on: &Subject<'_>) {
    let (target, version) = (on.target("raced"), VersionId::generate());
    let answers = on.race(CALLERS, |_| {
        let (cx, target) = (on.cx(), &target);
        async move { on.backend.stage(&cx, target, version, &one(b"the same")).await.expect("an answered stage") }
    });
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!((count(Stage::Stored), count(Stage::AlreadySame)), (1, CALLERS - 1), "{answers:?}");
    assert_found(on.read(&target, Select::Version(version)).await, version, &one(b"the same"));
}

/// Of several publishes with one token exactly one moves.
pub async fn one_of_many_publishes_wins(on: &Subject<'_>) {
    for _ in 0..ROUNDS {
        publish_at_once(on).await;
    }
}

async fn swap_at_once(on: &Subject<'_>, nexts: &[KeyRecord], expect: &Expect) {
    let answers = on.race(nexts.len(), |n| {
        let (cx, next) = (on.cx(), &nexts[n]);
        async move { on.backend.swap(&cx, next.id(), expect.clone(), next).await.expect("an answered swap") }
    });
    let winners: Vec<usize> = (0..nexts.len()).filter(|n| matches!(answers[*n], Swap::Applied(_))).collect();
    assert_eq!(winners.len(), 1, "exactly one is applied, not {}", winners.len());
    let winner = &nexts[winners[0]];
    for answer in &answers {
        if let Swap::Conflict(there) = answer {
            assert_same(there.as_ref(), winner);
        }
    }
    assert_same(on.loaded(winner.id()).await.as_ref(), winner);
}

async fn stage_at_once(on: &Subject<'_>) {
    let (target, version) = (on.target("raced"), VersionId::generate());
    let bytes = |n: usize| format!("of caller {n}").into_bytes();
    let answers = on.race(CALLERS, |n| {
        let (cx, target, material) = (on.cx(), &target, one(&bytes(n)));
        async move { on.backend.stage(&cx, target, version, &material).await.expect("an answered stage") }
    });
    let winners: Vec<usize> = (0..CALLERS).filter(|n| answers[*n] == Stage::Stored).collect();
    assert_eq!(winners.len(), 1, "exactly one is stored, but: {answers:?}");
    let others = answers.iter().filter(|answer| **answer == Stage::Conflict).count();
    assert_eq!(others, CALLERS - 1, "all others conflict, but: {answers:?}");
    assert_found(on.read(&target, Select::Version(version)).await, version, &one(&bytes(winners[0])));
}

async fn publish_at_once(on: &Subject<'_>) {
    let target = on.target("raced");
    let mut versions = Vec::new();
    for n in 0..CALLERS {
        versions.push(on.staged(&target, format!("of caller {n}").as_bytes()).await);
    }
    let token = on.backend.pointer(&on.cx(), &target).await.expect("a pointer").token;
    let answers = on.race(CALLERS, |n| {
        let (cx, target, token, version) = (on.cx(), &target, &token, versions[n]);
        async move {
            let publication = PublicationId::first(version);
            on.backend.publish(&cx, target, version, publication, token).await.expect("an answered publish")
        }
    });
    let winners: Vec<usize> = (0..CALLERS).filter(|n| matches!(answers[*n], Publish::Moved(_))).collect();
    assert_eq!(winners.len(), 1, "exactly one moves, but: {answers:?}");
    let others = answers.iter().filter(|answer| matches!(answer, Publish::Conflict(_))).count();
    assert_eq!(others, CALLERS - 1, "all others conflict, but: {answers:?}");
    let winner = winners[0];
    on.assert_current(&target, versions[winner], format!("of caller {winner}").as_bytes()).await;
}
