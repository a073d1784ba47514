//! What a record lets a service read. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use keyward_core::{KeyRecord, ServiceName, Version, VersionId, VersionState};

use super::Problem;

/// The version the service may be served, or everything that stands in the way, gravest first.
///
/// `dead` are versions once seen dead or leaked: they stay so whatever this record says.
pub(super) fn judge<'r>(
    record: &'r KeyRecord,
    service: &ServiceName,
    dead: &BTreeSet<VersionId>,
    now: DateTime<Utc>,
) -> Result<&'r Version, Vec<Problem>> {
    let mut problems = Vec::new();
    if record.retired_at().is_some() || record.is_retiring() {
        problems.push(Problem::Retired);
    }
    if !record.scope().allows_service(service) {
        problems.push(Problem::NotInScope { service: service.clone() });
    }
    let primary = match record.primary() {
        // A record that is being retired says so already.
        None if record.is_retiring() => return Err(problems),
        None => {
            problems.insert(0, why_none(record));
            return Err(problems);
        }
        Some(primary) => primary,
    };
    let version = primary.id;
    if primary.compromised.is_some() {
        problems.insert(0, Problem::Compromised { version });
    } else if dead.contains(&version) {
        problems.insert(0, Problem::Revoked { version });
    }
    match primary.expires_at {
        Some(at) if primary.is_expired(now) => problems.push(Problem::Expired { version, at }),
        _ => {}
    }
    if problems.is_empty() { Ok(primary) } else { Err(problems) }
}

/// The versions of a record that no reader is ever to get again.
pub(super) fn dead(record: &KeyRecord) -> impl Iterator<Item = VersionId> {
    record.versions().iter().filter(|v| is_over(v)).map(|v| v.id)
}

/// True while a reader may keep a version when its successor cannot be read.
pub(super) fn may_linger(record: &KeyRecord, version: VersionId) -> bool {
    record.version(version).is_some_and(|v| v.state == VersionState::Overlap && !is_over(v))
}

fn is_over(version: &Version) -> bool {
    version.compromised.is_some() || version.state >= VersionState::RevokePending
}

/// Why a record has no primary: the last published version was given up, or there was none.
fn why_none(record: &KeyRecord) -> Problem {
    let published = record.publications().iter().rev().filter_map(|p| record.version(p.version));
    match published.into_iter().find(|v| is_over(v)) {
        Some(leaked) if leaked.compromised.is_some() => Problem::Compromised { version: leaked.id },
        Some(revoked) => Problem::Revoked { version: revoked.id },
        None => Problem::NotProvisioned,
    }
}
