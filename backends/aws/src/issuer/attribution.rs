//! Which create an access key without a label comes from, where nobody else creates any.

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{IssuerKey, KeyRecord, Version, VersionId, VersionState};

use super::calls::Listed;

/// The access keys of a user with the version each belongs to. One that can belong to none is left out.
///
/// A version that names the access key has it. Any other access key comes from a create without an answer, and of those
/// it is put down to the last that was planned before it appeared. That may be the wrong one of several, which does no
/// harm: as long as one of them is in flight it is the last, and all others are given up.
pub(super) fn attribute(record: &KeyRecord, listed: &[Listed]) -> Vec<IssuerKey> {
    let found = |key: &Listed| {
        let label = named(record, key).or_else(|| unanswered(record, key.created?))?;
        Some(IssuerKey { label, reference: key.id.clone() })
    };
    listed.iter().filter_map(found).collect()
}

/// Whether any version names an access key.
pub(super) fn named(record: &KeyRecord, key: &Listed) -> Option<VersionId> {
    record.versions().iter().find(|version| version.issuer_ref.as_ref() == Some(&key.id)).map(|version| version.id)
}

fn unanswered(record: &KeyRecord, created: DateTime<Utc>) -> Option<VersionId> {
    let open = |version: &&Version| {
        let given_up = matches!(version.state, VersionState::Planned | VersionState::RevokePending);
        given_up && !version.was_created() && version.planned_at <= created + SKEW
    };
    record.versions().iter().filter(open).max_by_key(|version| version.planned_at).map(|version| version.id)
}

/// Further apart than the clock of a host whose signatures AWS takes can be from that of AWS.
const SKEW: TimeDelta = TimeDelta::minutes(15);
