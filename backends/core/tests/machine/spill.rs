//! Records stay small however long a key lives, and nothing of its history is lost.

use std::collections::{BTreeMap, BTreeSet};

use keyward_core::{
    Edit, Evidence, KeyId, KeyRecord, Labels, Link, RunKind, Spill, Transition, VersionId, VersionState,
};

use crate::common::*;

/// A store that never overwrites a page.
#[derive(Default)]
struct Pages(BTreeMap<KeyId, KeyRecord>);

impl Pages {
    fn settle(&mut self, lab: &mut Lab) {
        if let Some(Spill { page, rest, .. }) = lab.record.spill(lab.record.pages() + 1) {
            assert_eq!(rest.pages(), lab.record.pages() + 1);
            assert_eq!(page.id(), &lab.record.id().history_page(rest.pages()));
            assert!(page.is_page() && page.run().is_none() && page.spill(9).is_none());
            let bytes = page.encode().expect("a page is small enough");
            assert_eq!(KeyRecord::decode(&bytes).as_ref(), Ok(&page));
            assert_eq!(page.apply(&Transition::Confirm, &change(1, lab.now)), Err(keyward_core::TransitionError::Page));
            assert!(self.0.insert(page.id().clone(), page).is_none(), "a page never changes");
            lab.record = rest;
        }
        let bytes = lab.record.encode().expect("the record is small enough");
        assert!(bytes.len() <= KeyRecord::MAX_ENCODED);
        assert_eq!(KeyRecord::decode(&bytes).as_ref(), Ok(&lab.record));
    }

    fn everywhere<'a>(&'a self, lab: &'a Lab) -> impl Iterator<Item = &'a KeyRecord> {
        self.0.values().chain([&lab.record])
    }
}

#[test]
fn after_hundreds_of_rotations_every_run_is_found_exactly_once() {
    let (mut lab, mut pages) = (Lab::new(), Pages::default());
    let mut runs = Vec::new();
    let mut versions = BTreeSet::new();
    for turn in 0..220 {
        let old = lab.record.primary().map(|v| v.id);
        versions.insert(lab.rotate());
        runs.push(lab.record.history().last().expect("a summary").id);
        if turn % 7 == 0 {
            versions.insert(lab.begin(RunKind::Manual));
            runs.push(lab.record.run().expect("a run").id);
            lab.go(&abandon());
        }
        if let Some(old) = old {
            lab.go(&Transition::Gone { version: old });
        }
        let dead: Vec<VersionId> = pending(&lab.record);
        for version in dead {
            lab.go(&revoked(version, never_created())).go(&Transition::Gone { version });
        }
        pages.settle(&mut lab);
    }
    let mut found: Vec<_> = pages.everywhere(&lab).flat_map(|r| r.history().iter().map(|h| h.id)).collect();
    assert_eq!(found.len(), runs.len());
    found.sort_unstable();
    runs.sort_unstable();
    assert_eq!(found, runs);
    let all: BTreeSet<_> = pages.everywhere(&lab).flat_map(|r| r.versions().iter().map(|v| v.id)).collect();
    assert_eq!(all, versions);
    assert!(lab.record.history().len() >= 8 && pages.0.len() > 10);
    assert_eq!(pages.0.len(), usize::try_from(lab.record.pages()).expect("a small number"));
}

fn pending(record: &KeyRecord) -> Vec<VersionId> {
    record.versions().iter().filter(|v| v.state == VersionState::RevokePending).map(|v| v.id).collect()
}

/// Every text at its longest, material kept for ever, leaks and failed attempts.
#[test]
fn the_wordiest_key_still_fits() {
    let long = |n: usize| "word ".repeat(n / 5) + "end";
    let mut lab = Lab::new();
    let labels: Labels =
        (0..16).map(|n| (format!("label-{n}").parse().expect("a name"), long(120).parse().expect("a value"))).collect();
    lab.go(&Transition::Edit(Edit::Labels(labels)));
    let link = |n: usize| Link::runbook(&long(120), &format!("https://example.com/{n}/{}", "x".repeat(300)));
    lab.go(&Transition::Edit(Edit::Links((0..16).map(|n| link(n).expect("a link")).collect())));
    for _ in 0..20 {
        lab.go(&Transition::Edit(Edit::Note(long(500).parse().expect("a note"))));
    }
    let mut pages = Pages::default();
    pages.settle(&mut lab);
    let mut runs = BTreeSet::new();
    for turn in 0_usize..60 {
        let old = lab.record.primary().map(|v| v.id);
        let new = lab.begin(RunKind::Scheduled);
        runs.insert(lab.record.run().expect("a run").id);
        for n in 0..9 {
            lab.go(&Transition::Observe { evidence: Evidence::lossy(&format!("{n} {}", long(240))) });
            pages.settle(&mut lab);
        }
        let state = Transition::Store {
            version: new,
            issuer_ref: Some(long(240).parse().expect("a reference")),
            issuer_state: Some(long(1_000).parse().expect("a state")),
            fingerprint: None,
            expires_at: None,
        };
        lab.go(&state);
        pages.settle(&mut lab);
        if turn % 5 == 4 {
            lab.go(&abandon()).go(&revoked(new, attested()));
            pages.settle(&mut lab);
            continue;
        }
        lab.prove().go(&promote(keyward_core::PublicationId::first(new))).go(&Transition::Confirm);
        pages.settle(&mut lab);
        if let Some(old) = old {
            if turn % 11 == 10 {
                lab.leak(old);
            } else {
                lab.days(3).go(&retire(gate()));
            }
            lab.go(&revoked(old, keyward_core::Death::Seen(Evidence::lossy(&long(240)))));
            pages.settle(&mut lab);
        }
    }
    let found: BTreeSet<_> = pages.everywhere(&lab).flat_map(|r| r.history().iter().map(|h| h.id)).collect();
    assert_eq!(found, runs);
}

#[test]
fn what_the_run_names_never_moves_away() {
    let mut lab = Lab::new();
    let old = lab.confirmed(RunKind::Provision);
    lab.leak(old);
    let mut planned = lab.begin(RunKind::Leak);
    lab.go(&revoked(old, seen())).go(&Transition::Gone { version: old });
    for _ in 0..40 {
        let fresh = version(lab.number());
        lab.go(&replan(planned, fresh))
            .go(&revoked(planned, never_created()))
            .go(&Transition::Gone { version: planned });
        planned = fresh;
    }
    let spill = lab.record.spill(1).expect("40 tombstones are a page");
    lab.record = spill.rest;
    assert!(lab.record.version(old).is_some(), "the run still compares with it");
    lab.record = KeyRecord::decode(&lab.record.encode().expect("small")).expect("consistent");
    lab.go(&store(planned)).prove().go(&promote(keyward_core::PublicationId::first(planned)));
    lab.go(&Transition::Confirm);
    assert_eq!((lab.phase(), lab.state(planned)), (None, VersionState::Primary));
}

#[test]
fn a_page_number_is_never_taken_twice() {
    let mut lab = Lab::new();
    for _ in 0..40 {
        lab.rotate();
    }
    let first = lab.record.spill(0).expect("40 runs are a page");
    assert_eq!(first.rest.pages(), 1, "0 is raised to the next free number");
    let skipped = lab.record.spill(7).expect("40 runs are a page");
    assert_eq!(skipped.page.id().page(), Some(7), "a number a crashed writer used is skipped");
    assert_eq!(skipped.rest.pages(), 7);
}

#[test]
fn nothing_moves_while_there_is_little() {
    let mut lab = Lab::new();
    assert!(lab.record.spill(1).is_none());
    for _ in 0..16 {
        lab.rotate();
        assert!(lab.record.spill(1).is_none());
    }
    lab.rotate();
    let spill = lab.record.spill(1).expect("17 runs are a page");
    assert_eq!((spill.page.history().len(), spill.rest.history().len()), (9, 8));
    assert!(spill.rest.publications().iter().all(|p| spill.rest.version(p.version).is_some()));
}
