//! What must hold after every single call.

use futures_lite::future::block_on;
use keyward::core::{KeyRecord, RunPhase, SecretBackend, Shows, VersionState};
use keyward_conformance::strict::Misuse;

use crate::support::{CHARGES, cx, key};
use crate::world::World;

impl World {
    /// What holds after every call, whatever has failed. Looks only when something was changed.
    pub(crate) fn check(&self) {
        let touched = (self.store.store.touched(), self.issuer.touched());
        if self.touched.replace(touched) == touched {
            return;
        }
        let seen = self.revision.get();
        let revisions = self.store.store.revisions_after(&key(CHARGES), seen - 1);
        revisions.windows(2).for_each(|pair| self.check_move(&pair[0], &pair[1]));
        self.revision.set(seen - 1 + revisions.len());
        let record = revisions.last().expect("the record as it is");
        self.check_misuse(record);
        self.must(self.issuer.most_creates() <= 1, "I11: a version was created twice");
        self.check_pointer(record);
    }

    /// I4: what was given up is not published again. A leaked version is given up while a publish
    /// of it may be on its way; that one is fenced or outrun, and is allowed until then.
    fn check_misuse(&self, record: &KeyRecord) {
        let all = self.store.store.misuse();
        for misuse in &all[self.misuse.replace(all.len())..] {
            let outrun = match misuse {
                Misuse::PublishedGivenUp { version, .. } => {
                    let leaked = record.version(*version).is_some_and(|v| v.compromised.is_some());
                    leaked && (record.primary().is_none() || in_flight(record))
                }
                _ => false,
            };
            self.must(outrun, &format!("{misuse:?}"));
        }
    }

    /// What native readers are shown is journalled, proven, stored and alive, but for a leak; and
    /// it is what serves, unless the pointer is being moved.
    fn check_pointer(&self, record: &KeyRecord) {
        let survey = block_on(self.store.survey(&cx(), &record.target())).expect("survey");
        let shown = match survey.pointer.shows {
            Shows::Ours { version, publication } => Some((version, publication)),
            _ => None,
        };
        let serves = record.primary().map(|v| v.id).filter(|_| !in_flight(record));
        self.must(
            serves.is_none() || serves == shown.map(|(version, _)| version),
            "I2: native readers are shown another version than the one that serves",
        );
        let Some((version, publication)) = shown else { return };
        self.must(record.publication(publication) == Some(version), "I3: an unjournalled publication is shown");
        let Some(shown) = record.version(version) else { return self.defect("an unknown version is shown") };
        self.must(shown.proof.is_some(), "I3: an unproven version is shown");
        self.must(survey.versions.contains(&version), "I2: nothing is stored for what is shown");
        let alive = self.issuer.live(record.id()).contains(&version);
        // A sleeper may switch off what has come back since: found and put right by the reconciler.
        let working = self.issuer.working(record.id());
        let switched_off = self.switched.borrow().contains(&version) && working.contains(&version);
        self.must(alive || switched_off || shown.compromised.is_some(), "I5: a dead version is shown");
    }

    /// What holds from one revision to the next: I1, I4, I7, I8.
    fn check_move(&self, before: &KeyRecord, after: &KeyRecord) {
        self.must(after.revision() == before.revision() + 1, "I8: a revision was skipped");
        let primaries = after.versions().iter().filter(|v| v.state == VersionState::Primary).count();
        self.must(primaries <= 1, "I1: two primaries");
        for old in before.versions() {
            let Some(new) = after.version(old.id) else { continue };
            if new.state == VersionState::Suspended {
                self.switched.borrow_mut().insert(new.id);
            }
            let rolled_back = old.state == VersionState::Overlap && new.state == VersionState::Primary;
            let reactivated = old.state == VersionState::Suspended && new.state == VersionState::Overlap;
            let hunted_again = old.state.is_dead() && new.state == VersionState::RevokePending;
            let forward = new.state >= old.state || rolled_back || reactivated || hunted_again;
            self.must(forward, &format!("I7: {:?} to {:?}", old.state, new.state));
        }
    }

    fn must(&self, holds: bool, what: &str) {
        if !holds {
            self.defect(what);
        }
    }

    /// What is left in the end: one working key, known to the record and shown to everybody.
    pub(crate) fn check_rest(&self) {
        self.check();
        let record = self.record();
        let Some(primary) = record.primary().map(|v| v.id) else { return self.defect("no primary at rest") };
        let working = self.issuer.working(record.id());
        self.must(working == vec![primary], &format!("I12: at rest the issuer has {working:?}, primary {primary}"));
        let alive = record.versions().iter().filter(|v| v.state.may_work()).count();
        self.must(alive == 1, &format!("I12: at rest {alive} versions of the record may work"));
        let shows = block_on(self.store.pointer(&cx(), &record.target())).expect("pointer").shows;
        let shown = matches!(shows, Shows::Ours { version, .. } if version == primary);
        self.must(shown, "at rest the pointer does not show the primary");
        let closed = record.incidents().iter().all(|i| i.state == keyward::core::IncidentState::AwaitingReview);
        self.must(closed, "at rest an incident is open");
    }
}

/// True while the pointer is being moved.
fn in_flight(record: &KeyRecord) -> bool {
    let phase = record.run().map(|run| &run.phase);
    matches!(phase, Some(RunPhase::Promoting { .. } | RunPhase::RollingBack { .. }))
}
