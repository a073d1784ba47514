//! A version leaked: T15.

use chrono::{DateTime, Utc};

use super::{Answer, Change};
use crate::record::{Body, Compromise, Incident, IncidentState, RunKind, RunOutcome, RunPhase};
use crate::{Evidence, IncidentId, PublicationId, VersionId, VersionState};

impl Body {
    /// Marks a version leaked and condemns it at once, whatever the run is doing. The mark is
    /// sticky; a repeated report can only widen the exposure window.
    pub(super) fn compromise(
        &mut self,
        id: VersionId,
        incident: IncidentId,
        exposed_from: Option<DateTime<Utc>>,
        source: &Evidence,
        publication: PublicationId,
        change: &Change,
    ) -> Answer {
        let version = self.find_mut(id)?;
        if let Some(known) = &mut version.compromised {
            known.exposed_from = match (known.exposed_from, exposed_from) {
                (Some(a), Some(b)) => Some(a.min(b)),
                _ => None,
            };
            return Ok(());
        }
        version.compromised =
            Some(Compromise { incident, detected_at: change.at, exposed_from, source: source.clone() });
        self.incidents.push(Incident {
            id: incident,
            version: id,
            opened_at: change.at,
            state: IncidentState::Containing,
            revoked_at: None,
            replaced_by: None,
        });
        self.condemn(id, change)?;
        self.run_meets_leak(id, publication, change)
    }

    /// Advances each incident as far as the record shows.
    pub(super) fn settle_incidents(&mut self) {
        let primary = self.versions.iter().find(|v| v.state == VersionState::Primary).map(|v| v.id);
        // While a rollback is on its way native readers may be shown the version it takes back.
        let taken_back = match self.run.as_ref().map(|run| &run.phase) {
            Some(RunPhase::RollingBack { version, .. }) => Some(*version),
            _ => None,
        };
        for incident in &mut self.incidents {
            if let Some(version) = self.versions.iter().find(|v| v.id == incident.version) {
                if version.state.is_dead() {
                    incident.revoked_at = incident.revoked_at.or(Some(version.entered_at));
                    if incident.state == IncidentState::Containing {
                        incident.state = IncidentState::Replacing;
                    }
                } else {
                    // Also a version thought dead that works after all: the window is open again.
                    incident.revoked_at = None;
                    incident.state = IncidentState::Containing;
                }
            }
            if incident.state == IncidentState::AwaitingReview {
                continue;
            }
            // A replacement that leaked as well replaces nothing.
            let leaked = |id: &VersionId| self.versions.iter().any(|v| v.id == *id && v.compromised.is_some());
            let serving = primary.filter(|_| taken_back != Some(incident.version));
            incident.replaced_by = incident.replaced_by.filter(|id| !leaked(id)).or(serving);
            if incident.state == IncidentState::Replacing && (incident.replaced_by.is_some() || self.retiring) {
                incident.state = IncidentState::AwaitingReview;
            }
        }
    }

    fn run_meets_leak(&mut self, leaked: VersionId, publication: PublicationId, change: &Change) -> Answer {
        let Some(run) = &self.run else { return Ok(()) };
        let is_new = run.phase.version() == leaked;
        let is_old = run.previous == Some(leaked);
        match run.phase.clone() {
            RunPhase::Plan { .. } | RunPhase::Staged { .. } | RunPhase::Validated { .. } if is_new => {
                self.finish(RunOutcome::Overtaken, change)
            }
            // The new version may be with readers already: bring the old one back, if it is clean.
            RunPhase::Promoting { version, .. } | RunPhase::Soaking { version } if is_new => {
                match self.clean_previous() {
                    Ok(to) => {
                        self.journal(publication, to)?;
                        self.enter_phase(RunPhase::RollingBack { version, to, publication, over: None }, change)
                    }
                    Err(_) => self.finish(RunOutcome::Overtaken, change),
                }
            }
            // The old one is switched off, so it cannot serve at once; it had passed its gate and
            // no later run would give it up.
            RunPhase::Suspended { .. } | RunPhase::Retiring { .. } if is_new => {
                if let Some(old) = run.previous {
                    self.condemn(old, change)?;
                }
                self.finish(RunOutcome::Overtaken, change)
            }
            // Rolling back *onto* the leaked version: turn round and fence with the new one.
            RunPhase::RollingBack { version, to, .. } if to == leaked => {
                if !self.can_stay_on(version)? {
                    return self.finish(RunOutcome::Overtaken, change);
                }
                self.hurry()?;
                self.stay_on(version, publication, change)
            }
            RunPhase::Soaking { version } | RunPhase::Suspended { version, .. } if is_old => {
                self.hurry()?;
                self.enter_phase(RunPhase::Retiring { version }, change)
            }
            _ if is_old => self.hurry(),
            _ => Ok(()),
        }
    }

    /// The run no longer waits for anything but proof.
    fn hurry(&mut self) -> Answer {
        self.running()?.kind = RunKind::Leak;
        Ok(())
    }
}
