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

/// Whether a create is open that had no answer.
pub(super) fn awaits(record: &KeyRecord) -> bool {
    record.versions().iter().any(is_open)
}

fn unanswered(record: &KeyRecord, created: DateTime<Utc>) -> Option<VersionId> {
    let before = |version: &&Version| is_open(version) && version.planned_at <= created + SKEW;
    record.versions().iter().filter(before).max_by_key(|version| version.planned_at).map(|version| version.id)
}

fn is_open(version: &Version) -> bool {
    matches!(version.state, VersionState::Planned | VersionState::RevokePending) && !version.was_created()
}

/// Further apart than the clock of a host whose signatures AWS takes can be from that of AWS.
const SKEW: TimeDelta = TimeDelta::minutes(15);

#[cfg(test)]
mod tests {
    use keyward_core::{
        AccessLevel, Actor, Change, Evidence, HolderId, KeyDraft, Ownership, RunId, RunKind, Scope, Transition,
    };

    use super::*;

    #[test]
    fn a_version_has_the_key_it_names() {
        let (mut record, first) = begun(noon());
        record = stored(&record, first, "AKIA1");
        assert_eq!(attribute(&record, &[listed("AKIA1", 0)]), [found(first, "AKIA1")]);
        // Nothing is unanswered, so a second one is nobody's.
        assert_eq!(attribute(&record, &[listed("AKIA2", 0)]), []);
    }

    #[test]
    fn a_key_without_a_name_is_that_of_the_last_create_without_an_answer() {
        let (record, first) = begun(noon());
        let (record, second) = replanned(&record, first, 60);
        assert_eq!(attribute(&record, &[listed("AKIA1", 90 * 60)]), [found(second, "AKIA1")]);
        // Seen before the second was planned, clocks considered.
        assert_eq!(attribute(&record, &[listed("AKIA1", 30 * 60)]), [found(first, "AKIA1")]);
        // While the second is in flight it has the benefit; once it has its own, the other is given up.
        let both = [listed("AKIA1", 61 * 60), listed("AKIA2", 61 * 60)];
        assert_eq!(attribute(&record, &both), [found(second, "AKIA1"), found(second, "AKIA2")]);
        let record = stored(&record, second, "AKIA2");
        assert_eq!(attribute(&record, &both), [found(first, "AKIA1"), found(second, "AKIA2")]);
    }

    #[test]
    fn a_key_older_than_every_create_is_nobodys() {
        let (record, _) = begun(noon());
        assert_eq!(attribute(&record, &[listed("AKIA1", -16 * 60)]), []);
        let undated = Listed { created: None, ..listed("AKIA1", 0) };
        assert_eq!(attribute(&record, &[undated]), []);
    }

    fn begun(at: DateTime<Utc>) -> (KeyRecord, VersionId) {
        let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data").expect("owners");
        let key = "dev/analytics/reports".parse().expect("a key id");
        let draft = KeyDraft::new(key, owners, Scope::new(AccessLevel::ReadOnly), "iam".parse().expect("an issuer"));
        let record = KeyRecord::register(&draft, &change(at)).expect("a record");
        let version = VersionId::generate();
        let begin = Transition::Begin {
            run: RunId::generate(),
            kind: RunKind::Provision,
            version,
            holder: HolderId::generate(),
            reason: "a test".parse().expect("a reason"),
        };
        (record.apply(&begin, &change(at)).expect("a run"), version)
    }

    fn replanned(record: &KeyRecord, abandoned: VersionId, minutes: i64) -> (KeyRecord, VersionId) {
        let (version, holder) = (VersionId::generate(), HolderId::generate());
        let replan = Transition::Replan { abandoned, version, holder, evidence: Evidence::lossy("silent") };
        let at = noon() + TimeDelta::minutes(minutes);
        (record.apply(&replan, &change(at)).expect("another version"), version)
    }

    fn stored(record: &KeyRecord, version: VersionId, id: &str) -> KeyRecord {
        let issuer_ref = Some(id.parse().expect("a reference"));
        let store = Transition::Store { version, issuer_ref, issuer_state: None, fingerprint: None, expires_at: None };
        record.apply(&store, &change(noon() + TimeDelta::hours(2))).expect("a stored version")
    }

    fn change(at: DateTime<Utc>) -> Change {
        Change::new("tester".parse::<Actor>().expect("an actor"), at)
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
    }

    fn listed(id: &str, seconds: i64) -> Listed {
        let created = Some(noon() + TimeDelta::seconds(seconds));
        Listed { id: id.parse().expect("a reference"), active: true, created }
    }

    fn found(label: VersionId, id: &str) -> IssuerKey {
        IssuerKey { label, reference: id.parse().expect("a reference") }
    }
}
