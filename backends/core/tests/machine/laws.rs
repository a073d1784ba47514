//! What holds for every accepted move, whatever it was: the invariants of the specification.

use chrono::TimeDelta;
use keyward_core::{
    Change, Death, IncidentState, KeyRecord, Passed, RunKind, RunPhase, Transition, Version, VersionId, VersionState,
};

/// Checks one accepted move.
pub(crate) fn hold(before: &KeyRecord, transition: &Transition, change: &Change, after: &KeyRecord) {
    one_primary(before, transition, after);
    given_up_stays_given_up(before, transition, after);
    ids_are_never_reused(before, after);
    rank_never_falls(before, transition, after);
    revision_and_operation(before, change, after);
    publications_are_journalled_first(before, transition, after);
    runs_end_with_a_summary(before, after);
    windows(before, transition, change);
    fence(before, transition, after);
    absent_is_not_dead(before, transition, change, after);
    incidents(before, after);
}

/// What is stored is read back, and holds what the decoder asks for.
pub(crate) fn stored(record: &KeyRecord) {
    let bytes = record.encode().expect("it is small enough");
    assert!(record.size_bound() >= bytes.len(), "{} is no bound of {}", record.size_bound(), bytes.len());
    assert_eq!(KeyRecord::decode(&bytes).as_ref(), Ok(record));
}

/// I1.
fn one_primary(before: &KeyRecord, transition: &Transition, after: &KeyRecord) {
    let serving = after.versions().iter().filter(|v| v.state == VersionState::Primary).count();
    assert!(serving <= 1, "I1: at most one primary");
    if before.primary().is_some() && serving == 0 {
        let allowed = matches!(transition, Transition::Compromise { .. } | Transition::Decommission { .. });
        assert!(allowed, "I1: {} took the primary away", transition.verb());
    }
}

/// I3, I4.
fn given_up_stays_given_up(before: &KeyRecord, transition: &Transition, after: &KeyRecord) {
    for (old, new) in kept(before, transition, after) {
        if given_up(old) {
            assert!(given_up(new), "I4: {} came back", old.id);
        }
        assert!(old.compromised.is_none() || new.compromised.is_some(), "the mark is sticky");
    }
    for version in after.versions() {
        assert!(version.compromised.is_none() || given_up(version), "I4: a leaked version is given up");
    }
    for new in after.publications().iter().filter(|p| !before.publications().contains(p)) {
        let version = after.version(new.version).expect("a known version");
        assert!(!given_up(version), "I4: a given-up version is never published");
    }
    if let Some(run) = after.run() {
        match &run.phase {
            RunPhase::Promoting { version, .. } => {
                let version = after.version(*version).expect("a known version");
                assert!(!given_up(version) && version.proof.is_some(), "I3: only a validated version is promoted");
                let ours = version.run == Some(run.id) || version.state == VersionState::Primary;
                assert!(ours, "I3: only a version of this run is promoted, or the one that serves once more");
            }
            RunPhase::RollingBack { to, .. } => {
                let to = after.version(*to).expect("a known version");
                assert!(!given_up(to), "I4: a rollback never lands on a given-up version");
                assert_eq!(Some(to.id), run.previous, "I3: only the recorded previous version comes back");
                assert!(matches!(to.state, VersionState::Primary | VersionState::Overlap), "it is switched on");
            }
            _ => {}
        }
        if matches!(run.phase, RunPhase::Soaking { .. } | RunPhase::Suspended { .. } | RunPhase::Retiring { .. }) {
            let serving = after.primary().expect("the new version serves");
            assert_eq!(serving.id, run.phase.version());
        }
        // Nobody waits for something that does not come.
        if let RunPhase::Retiring { .. } = run.phase {
            let old = after.version(run.previous.expect("an old version")).expect("a known version");
            assert_eq!(old.state, VersionState::RevokePending, "a run retires what is to be revoked");
        }
    } else {
        let orphan = |v: &&Version| {
            matches!(
                v.state,
                VersionState::Planned
                    | VersionState::Staged
                    | VersionState::Validated
                    | VersionState::Overlap
                    | VersionState::Suspended
            )
        };
        let left = after.versions().iter().find(orphan);
        assert!(left.is_none(), "I12: without a run nothing is left but the primary: {left:?}");
    }
}

/// I6: no version disappears, but one that was only adopted and whose adoption is taken back.
fn kept<'a>(
    before: &'a KeyRecord,
    transition: &'a Transition,
    after: &'a KeyRecord,
) -> impl Iterator<Item = (&'a Version, &'a Version)> {
    let adopted = before.run().filter(|run| run.kind == RunKind::Adopt).map(|run| run.phase.version());
    let taken_back = adopted.filter(|_| matches!(transition, Transition::Abandon { .. }));
    let kept = before.versions().iter().filter(move |old| Some(old.id) != taken_back);
    kept.map(|old| (old, after.version(old.id).expect("I6: no version disappears")))
}

fn given_up(version: &Version) -> bool {
    version.state >= VersionState::RevokePending
}

/// I6.
fn ids_are_never_reused(before: &KeyRecord, after: &KeyRecord) {
    let mut versions: Vec<_> = after.versions().iter().map(|v| v.id).collect();
    let mut publications: Vec<_> = after.publications().iter().map(|p| p.id).collect();
    let mut runs: Vec<_> = after.history().iter().map(|h| h.id).chain(after.run().map(|r| r.id)).collect();
    let (v, p, r) = (versions.len(), publications.len(), runs.len());
    versions.sort_unstable();
    versions.dedup();
    publications.sort_unstable();
    publications.dedup();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((v, p, r), (versions.len(), publications.len(), runs.len()), "I6: an id stands twice");
    assert!(after.publications().starts_with(before.publications()), "publications are only added");
}

/// I7.
fn rank_never_falls(before: &KeyRecord, transition: &Transition, after: &KeyRecord) {
    use VersionState::{Gone, Overlap, Primary, RevokePending, Revoked, Suspended};
    for (old, new) in kept(before, transition, after) {
        let new = new.state;
        let allowed = new >= old.state
            || match transition {
                Transition::RolledBack => (old.state, new) == (Overlap, Primary),
                Transition::Reactivate { .. } => (old.state, new) == (Suspended, Overlap),
                Transition::Adopt { version, .. } => {
                    *version == old.id && matches!(old.state, Revoked | Gone) && new == RevokePending
                }
                _ => false,
            };
        assert!(allowed, "I7: {} took {:?} back to {new:?}", transition.verb(), old.state);
    }
}

/// I8.
fn revision_and_operation(before: &KeyRecord, change: &Change, after: &KeyRecord) {
    assert_eq!(after.revision(), before.revision() + 1, "I8");
    assert_eq!(after.operation(), Some(change.operation));
    assert!(after.operations().len() <= KeyRecord::OPERATIONS);
    assert_eq!((after.uid(), after.id()), (before.uid(), before.id()));
}

/// The intent is in the record before the pointer moves.
fn publications_are_journalled_first(before: &KeyRecord, transition: &Transition, after: &KeyRecord) {
    let in_flight = |record: &KeyRecord| match &record.run()?.phase {
        RunPhase::Promoting { version, publication, .. } => Some((*publication, *version)),
        RunPhase::RollingBack { to, publication, .. } => Some((*publication, *to)),
        _ => None,
    };
    if let Some((publication, version)) = in_flight(after) {
        assert_eq!(after.publication(publication), Some(version), "journalled before it is attempted");
        if in_flight(before) != in_flight(after) {
            assert_eq!(before.publication(publication), None, "I6: a publication id is never used twice");
        }
    }
    let serves = |record: &KeyRecord| record.primary().map(|v| v.id);
    if let Some(new) = serves(after).filter(|_| serves(after) != serves(before)) {
        assert!(matches!(transition, Transition::Confirm | Transition::RolledBack), "{}", transition.verb());
        assert_eq!(in_flight(before).map(|(_, version)| version), Some(new), "it was being published");
    }
}

/// I10, and that no run is forgotten.
fn runs_end_with_a_summary(before: &KeyRecord, after: &KeyRecord) {
    let ended = before.run().filter(|run| after.run().map(|r| r.id) != Some(run.id));
    match ended {
        None => assert_eq!(before.history(), after.history(), "history only grows when a run ends"),
        Some(run) => {
            assert!(after.run().is_none(), "a run never takes the place of another");
            let summary = after.history().last().expect("a summary");
            assert_eq!((summary.id, summary.to, summary.from), (run.id, run.phase.version(), run.previous));
            assert_eq!(after.history().len(), before.history().len() + 1);
        }
    }
}

/// I9: a fence never falls, and rises when a plan is taken over.
fn fence(before: &KeyRecord, transition: &Transition, after: &KeyRecord) {
    let (Some(was), Some(is)) = (before.run(), after.run()) else { return };
    let taken_over = u64::from(matches!(transition, Transition::Replan { .. }));
    assert_eq!(is.fence, was.fence + taken_over, "I9");
}

/// T11 and T12 wait for soak and overlap, except after a leak.
fn windows(before: &KeyRecord, transition: &Transition, change: &Change) {
    let (Transition::Retire { .. } | Transition::Suspend { .. }, Some(run)) = (transition, before.run()) else {
        return;
    };
    if run.kind != RunKind::Leak {
        let served = before.version(run.phase.version()).expect("a known version").entered_at;
        let passed = |since, window| change.at >= since + TimeDelta::from_std(window).expect("in range");
        let policy = before.policy();
        assert!(passed(served, policy.soak.max(policy.overlap)), "a window was skipped");
        match (transition, &run.phase) {
            (Transition::Suspend { .. }, _) => assert!(passed(run.entered_at, policy.soak.max(policy.overlap))),
            (Transition::Retire { passed: by }, RunPhase::Suspended { off_since, .. }) => {
                assert!(off_since.is_some() || matches!(by, Passed::Operator { .. }), "it was never seen off");
                assert!(passed(off_since.unwrap_or(run.entered_at), policy.suspend_window()), "a window was skipped");
            }
            _ => {}
        }
    }
}

/// The amended rule of T13.
fn absent_is_not_dead(before: &KeyRecord, transition: &Transition, change: &Change, after: &KeyRecord) {
    let Transition::Revoked { version, death } = transition else { return };
    let (was, is) = (find(before, *version), find(after, *version));
    let horizon = TimeDelta::from_std(before.policy().zombie_horizon).expect("in range");
    let fair = match death {
        Death::Seen(_) => was.was_created(),
        Death::NeverCreated(_) => !was.was_created(),
        Death::NeverAppeared(_) => !was.was_created() && change.at >= was.entered_at + horizon,
        Death::Attested { .. } => true,
        _ => false,
    };
    assert!(fair, "absent is not dead");
    assert!(is.death.is_some() && is.state == VersionState::Revoked);
}

/// I22, and that an incident never claims more than the record shows.
fn incidents(before: &KeyRecord, after: &KeyRecord) {
    assert!(after.incidents().len() >= before.incidents().len(), "an incident never closes here");
    for version in after.versions() {
        if let Some(mark) = &version.compromised {
            let known = after.incidents().iter().any(|i| i.id == mark.incident && i.version == version.id);
            assert!(known, "I22: every leaked version has its incident");
        }
    }
    for incident in after.incidents() {
        let leaked = find(after, incident.version);
        assert_eq!(incident.state == IncidentState::Containing, !leaked.state.is_dead(), "{incident:?}");
        assert_eq!(incident.revoked_at.is_some(), leaked.state.is_dead(), "{incident:?}");
        assert_ne!(incident.replaced_by, Some(incident.version));
        let was = before.incidents().iter().find(|i| i.id == incident.id).map(|i| i.state);
        if incident.state == IncidentState::AwaitingReview && was != Some(IncidentState::AwaitingReview) {
            let replaced = incident.replaced_by.is_some_and(|v| find(after, v).compromised.is_none());
            assert!(replaced || after.is_retiring(), "dead and replaced by a clean version: {incident:?}");
        }
    }
}

fn find(record: &KeyRecord, version: VersionId) -> &Version {
    record.version(version).expect("a version of the record")
}
