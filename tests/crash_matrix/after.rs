//! What must hold once a case has come to rest.
//!
//! Where the invariants of the specification are checked, all of them in every case:
//!
//! | | where |
//! | --- | --- |
//! | I1, I7, I8 | `check_revisions`, from each revision to the next |
//! | I2, I3, I5 | `check`, after every step, and by the strict store when it is called |
//! | I4, I6 | the strict store writes every misuse down; `check` finds none; `check_revisions` |
//! | I10 | [`aborted_runs_published_nothing_more`] |
//! | I11, I13, I14 | `check`, after every step |
//! | I12, I15 | `clean_up`, at rest |
//! | I18 | [`doing_it_again_changes_nothing`] |
//! | I19 | `settle`: at rest after so many steps, or the case fails |
//! | I20 | [`no_value_is_in_record_or_log`] |
//! | I22 | [`every_leak_has_its_window`] |
//!
//! Not here, and why:
//!
//! - I9: there is no lease and no fence number; a stale swap is refused by revision (I8), a stale
//!   publish by pointer token (`tests/interleaving.rs`, `tests/model.rs`).
//! - I16, I17: readers and their cached values, `tests/keyring`.
//! - I21: no crash can show it; `f22_...` in `tests/scenarios` moves the clocks of hosts apart.
//! - I23: waves over several keys, which this matrix does not have.

use futures_lite::future::block_on;
use keyward::core::{AuditQuery, IncidentState, KeyRecord, RunOutcome, SecretBackend};
use keyward_conformance::strict::StrictFake;

use crate::support::{CHARGES, cx, key};

/// All checks that need a steady state.
pub(crate) fn check(case: &str, store: &StrictFake) {
    let record = store.record(&key(CHARGES)).expect("a record");
    aborted_runs_published_nothing_more(case, store, &record);
    no_value_is_in_record_or_log(case, store);
    every_leak_has_its_window(case, &record);
}

/// I10: a run that was given up before readers saw it has moved the pointer at most away.
fn aborted_runs_published_nothing_more(case: &str, store: &StrictFake, record: &KeyRecord) {
    let last = store.moves().into_iter().rfind(|moved| moved.key == key(CHARGES));
    for run in record.history().iter().filter(|run| run.outcome == RunOutcome::Aborted) {
        assert!(last.as_ref().is_none_or(|moved| moved.version != run.to), "{case}: I10 {run:?}");
    }
}

/// I18: one more sweep of a clean key finds nothing to do.
pub(crate) fn doing_it_again_changes_nothing(case: &str, before: &KeyRecord, store: &StrictFake) {
    assert_eq!(store.record(&key(CHARGES)).as_ref(), Some(before), "{case}: I18");
}

/// I20: every value of the fake issuer begins the same.
fn no_value_is_in_record_or_log(case: &str, store: &StrictFake) {
    const VALUE: &str = "fake_";
    for record in store.revisions(&key(CHARGES)) {
        let encoded = record.encode().expect("a small record");
        let shown = format!("{}{record:?}", String::from_utf8_lossy(&encoded));
        assert!(!shown.contains(VALUE), "{case}: I20, a value is in the record");
    }
    let log = store.audit().expect("a log");
    let entries = block_on(log.entries(&cx(), &AuditQuery::default(), None)).expect("entries");
    assert!(!format!("{entries:?}").contains(VALUE), "{case}: I20, a value is on the log");
}

/// I22: an incident for every leaked version, whose window has an end.
fn every_leak_has_its_window(case: &str, record: &KeyRecord) {
    for version in record.versions() {
        let Some(leak) = &version.compromised else { continue };
        let incident = record.incidents().iter().find(|i| i.id == leak.incident && i.version == version.id);
        let ended = incident.is_some_and(|i| i.revoked_at.is_some() && i.state == IncidentState::AwaitingReview);
        assert!(ended, "{case}: I22 {incident:?}");
    }
}
