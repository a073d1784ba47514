//! How secrets, versions and labels are called.

use std::sync::Arc;

use keyward_core::{KeyId, PublicationId, Shows, VersionId};
use uuid::Uuid;

use crate::AwsError;

/// The label of the version native readers get.
pub(crate) const CURRENT: &str = "AWSCURRENT";
/// Carries a proposed record until it becomes current or the next proposal takes the label.
pub(crate) const PROPOSED: &str = "keyward-proposed";
/// Carries the copy of a version that is published again until it becomes current.
pub(crate) const REPUBLISH: &str = "keyward-republish";
/// On the current version of an adopted secret: its key was retired here.
pub(crate) const RETIRED: &str = "keyward-retired";

const PLACEHOLDER: &str = "keyward-placeholder-";
const STAGED: &str = "keyward-staged-";
const RECORD: &str = ".record";
const MATERIAL: &str = ".key";

/// What the first version of every secret says. AWS makes the first version current at once, so it
/// must be no key.
pub(crate) const PLACEHOLDER_TEXT: &str = "This is a placeholder, not a key. No key has been published here yet.";

/// The beginning of all names of one inventory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Prefix(Arc<str>);

impl Prefix {
    /// The longest name AWS takes is 512 bytes; the rest of ours has at most 160.
    pub(crate) const MAX_LEN: usize = 256;

    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        let bad = |at| AwsError::Prefix { at, max: Self::MAX_LEN };
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(bad(text.len().min(Self::MAX_LEN)));
        }
        let mut at = 0;
        for part in text.split('/') {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b'.' | b'@' | b'-');
            if part.is_empty() {
                return Err(bad(at));
            }
            if let Some(inside) = part.bytes().position(|b| !allowed(b)) {
                return Err(bad(at + inside));
            }
            at += part.len() + 1;
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret that holds the record of a key.
    pub(crate) fn record(&self, key: &KeyId) -> String {
        format!("{}{key}{RECORD}", self.records())
    }

    /// The secret native readers read.
    pub(crate) fn material(&self, key: &KeyId) -> String {
        format!("{}/keys/{key}{MATERIAL}", self.0)
    }

    /// What the names of all records begin with.
    pub(crate) fn records(&self) -> String {
        format!("{}/records/", self.0)
    }

    /// The key whose record has this name.
    pub(crate) fn key_of_record(&self, name: &str) -> Option<KeyId> {
        name.strip_prefix(self.records().as_str())?.strip_suffix(RECORD)?.parse().ok()
    }

    /// True for names this inventory uses itself.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.as_str());
        rest.is_some_and(|rest| rest.starts_with("/records/") || rest.starts_with("/keys/"))
    }
}

/// True for what can be the id of a version: it goes into stamps and tokens, which may be logged.
pub(crate) fn is_plain(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

/// A fresh id for the first version of a secret.
pub(crate) fn placeholder() -> String {
    format!("{PLACEHOLDER}{}", Uuid::now_v7().simple())
}

pub(crate) fn is_placeholder(id: &str) -> bool {
    id.starts_with(PLACEHOLDER)
}

/// The label under which a claimed version is held. It names the key, so that keys that claim one secret at once see
/// each other.
pub(crate) fn claimed(version: VersionId, key: &KeyId) -> String {
    format!("{STAGED}{version}-{}", key.as_str().replace('/', "."))
}

/// The key that claims a version under a label.
pub(crate) fn claimant(label: &str) -> Option<KeyId> {
    label.strip_prefix(STAGED)?.get(36..)?.strip_prefix('-')?.replace('.', "/").parse().ok()
}

/// A label under which a version is held, and by which the one call that stored it knows its own.
pub(crate) fn staged(version: VersionId) -> String {
    let mark = Uuid::now_v7().simple().to_string();
    format!("{STAGED}{version}-{}", mark.get(20..).unwrap_or_default())
}

/// The version a label holds.
pub(crate) fn held_by(label: &str) -> Option<VersionId> {
    label.strip_prefix(STAGED)?.get(..36)?.parse().ok()
}

/// The id of the copy of a version under a later publication: it says both by itself.
pub(crate) fn copy(publication: PublicationId, version: VersionId) -> String {
    let hex = |bytes: &[u8; 16]| Uuid::from_bytes(*bytes).simple().to_string();
    format!("{}{}", hex(publication.as_bytes()), hex(version.as_bytes()))
}

fn of_copy(id: &str) -> Option<(PublicationId, VersionId)> {
    if id.len() != 64 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let hyphenated = |hex: &str| Uuid::try_parse(hex).map(|id| id.hyphenated().to_string()).ok();
    let (publication, version) = id.split_at_checked(32)?;
    Some((hyphenated(publication)?.parse().ok()?, hyphenated(version)?.parse().ok()?))
}

/// What a current version is to a key, by its id and its labels.
pub(crate) fn shown<'a>(key: &KeyId, id: &str, labels: impl IntoIterator<Item = &'a str>) -> Shows {
    let mut version = None;
    for label in labels {
        if label == RETIRED {
            return Shows::Nothing;
        }
        if claimant(label).is_none_or(|claimant| claimant == *key) {
            version = version.max(held_by(label));
        }
    }
    if is_placeholder(id) {
        return Shows::Nothing;
    }
    // A copy carries no label of a held version, unless it was claimed anew after its key was retired.
    match (version, of_copy(id)) {
        (Some(version), _) => Shows::Ours { publication: PublicationId::first(version), version },
        (None, Some((publication, version))) => Shows::Ours { publication, version },
        (None, None) => Shows::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_would_lead_elsewhere_are_refused() {
        for good in ["keyward", "teams/billing", "a", "A_b+c=d.e@f-g"] {
            assert!(Prefix::parse(good).is_ok(), "{good}");
        }
        for (bad, at) in [("", 0), ("/a", 0), ("a/", 2), ("a//b", 2), ("a b", 1), ("!a", 0), ("a*", 1), ("ä", 0)] {
            let found = Prefix::parse(bad);
            assert!(matches!(found, Err(AwsError::Prefix { at: found, .. }) if found == at), "{bad}: {found:?}");
        }
        assert!(Prefix::parse(&"a".repeat(Prefix::MAX_LEN)).is_ok());
        assert!(Prefix::parse(&"a".repeat(Prefix::MAX_LEN + 1)).is_err());
    }

    #[test]
    fn the_longest_names_fit() {
        let prefix = Prefix::parse(&"a".repeat(Prefix::MAX_LEN)).expect("a prefix");
        let key: KeyId = format!("{0}/{0}/{0}{0}", "a".repeat(32)).parse().expect("the longest key");
        let page = key.history_page(u32::MAX);
        assert!(prefix.record(&page).len() <= 512 && prefix.material(&page).len() <= 512);
        assert_eq!(prefix.key_of_record(&prefix.record(&page)), Some(page));
    }

    #[test]
    fn versions_and_publications_come_back_from_ids_and_labels() {
        let (version, publication) = (VersionId::generate(), PublicationId::generate());
        let first = Shows::Ours { publication: PublicationId::first(version), version };
        let key: KeyId = "dev/messaging/twilio-send".parse().expect("a key");
        let shown = |id: &str, labels: &[&str]| shown(&key, id, labels.iter().copied());
        for label in [staged(version), claimed(version, &key)] {
            assert_eq!(held_by(&label), Some(version));
            assert_eq!(shown(&version.to_string(), &[CURRENT, label.as_str()]), first);
            assert_eq!(shown(&version.to_string(), &[label.as_str(), RETIRED]), Shows::Nothing);
        }
        let copy = copy(publication, version);
        assert_eq!(copy.len(), 64);
        assert_eq!(shown(&copy, &[CURRENT]), Shows::Ours { publication, version });
        let claimed_anew = VersionId::generate();
        let shows = Shows::Ours { publication: PublicationId::first(claimed_anew), version: claimed_anew };
        assert_eq!(shown(&copy, &[CURRENT, claimed(claimed_anew, &key).as_str()]), shows);
        assert_eq!(shown(&version.to_string(), &[CURRENT]), Shows::Foreign);
        assert_eq!(shown(&placeholder(), &[CURRENT]), Shows::Nothing);
        assert!((32..=64).contains(&placeholder().len()));
        assert_ne!(staged(version), staged(version));
    }

    #[test]
    fn a_claim_says_which_key_claims() {
        let version = VersionId::generate();
        let longest = format!("{0}/{0}/{0}{0}", "a".repeat(32));
        for key in ["dev/messaging/twilio-send", longest.as_str()] {
            let key: KeyId = key.parse().expect("a key");
            let label = claimed(version, &key);
            assert!(label.len() <= 256, "AWS takes no longer label");
            assert_eq!(claimant(&label), Some(key.clone()));
            let other = "dev/messaging/other".parse().expect("a key");
            assert_eq!(shown(&other, "an-id", [CURRENT, label.as_str()]), Shows::Foreign, "not that of another key");
        }
        for label in [staged(version), format!("{STAGED}{version}"), CURRENT.to_owned()] {
            assert_eq!(claimant(&label), None, "{label}");
        }
    }
}
