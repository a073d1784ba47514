//! From what was seen to findings. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{IssuerKey, IssuerStatus, KeyRecord, RunPhase, Shows, Survey, Version, VersionId, VersionState};

use super::super::sweep::{self, Found};
use super::finding::Finding;

/// A condemned version is overdue after this long.
const OVERDUE: TimeDelta = TimeDelta::minutes(15);

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) survey: Survey,
    /// What the issuer says about the version that serves, and about one in its overlap.
    pub(super) status: Vec<(VersionId, IssuerStatus)>,
    /// Keys with our labels, and whether one that counts as dead works all the same.
    pub(super) found: Vec<(IssuerKey, bool)>,
    pub(super) now: DateTime<Utc>,
}

pub(super) fn judge(record: &KeyRecord, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(seen.found.iter().filter_map(|(key, works)| at_the_issuer(record, key, *works)));
    findings.extend(pointer(record, &seen.survey));
    findings.extend(seen.status.iter().filter_map(|(version, status)| switched(record, *version, status)));
    if let Some(serving) = record.primary().filter(|v| !seen.survey.versions.contains(&v.id)) {
        findings.push(Finding::MaterialLost { version: serving.id });
    }
    findings.extend(
        record
            .versions()
            .iter()
            .filter(|v| is_overdue(record, v, seen.now))
            .map(|v| Finding::RevokeOverdue { version: v.id, since: v.entered_at }),
    );
    findings
}

fn at_the_issuer(record: &KeyRecord, found: &IssuerKey, works: bool) -> Option<Finding> {
    let (version, reference) = (found.label, found.reference.clone());
    match sweep::judge(record, found) {
        Found::Known => None,
        Found::Dead if !works => None,
        Found::Orphan | Found::Dead => Some(Finding::Orphan { version, reference }),
        Found::Double => Some(Finding::SecondKey { version, reference }),
        Found::Newer => Some(Finding::RecordRegressed { newer: version, place: "the issuer has" }),
    }
}

fn pointer(record: &KeyRecord, survey: &Survey) -> Option<Finding> {
    // While it is being moved it may be anywhere.
    let moving =
        matches!(record.run().map(|run| &run.phase), Some(RunPhase::Promoting { .. } | RunPhase::RollingBack { .. }));
    match survey.pointer.shows {
        Shows::Ours { publication, version } if record.publication(publication) == Some(version) => {
            let serving = record.primary()?.id;
            (serving != version && !moving).then_some(Finding::PointerBehind { shown: version, serving })
        }
        Shows::Ours { version, .. } if sweep::is_newer(record, version) => {
            Some(Finding::RecordRegressed { newer: version, place: "native readers are shown" })
        }
        Shows::Ours { .. } | Shows::Foreign => Some(Finding::ForeignPublication),
        Shows::Nothing => record.primary().filter(|_| !moving).map(|v| Finding::NothingPublished { serving: v.id }),
    }
}

fn switched(record: &KeyRecord, version: VersionId, status: &IssuerStatus) -> Option<Finding> {
    let known = record.version(version)?;
    let serves = known.state == VersionState::Primary;
    match status {
        IssuerStatus::Live | IssuerStatus::CannotSay => None,
        IssuerStatus::Suspended if serves => Some(Finding::PrimaryOff { version }),
        IssuerStatus::Suspended => Some(Finding::OldOff { version }),
        IssuerStatus::Revoked(evidence) if serves => {
            Some(Finding::PrimaryDead { version, evidence: evidence.to_string() })
        }
        IssuerStatus::Absent if serves && known.issuer_ref.is_some() => {
            Some(Finding::PrimaryDead { version, evidence: "the issuer knew it and no longer does".to_owned() })
        }
        IssuerStatus::Revoked(_) | IssuerStatus::Absent => None,
    }
}

/// One that was never seen there is not late while its create may still land.
fn is_overdue(record: &KeyRecord, version: &Version, now: DateTime<Utc>) -> bool {
    let horizon = TimeDelta::from_std(record.policy().zombie_horizon).unwrap_or(TimeDelta::MAX);
    let patience = if version.was_created() { OVERDUE } else { horizon.max(OVERDUE) };
    version.state == VersionState::RevokePending && now.signed_duration_since(version.entered_at) > patience
}
