//! How secrets, versions and labels are called.

use std::fmt;
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

    /// True for names this inventory uses itself, and for those another one would.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.as_str());
        let own = rest.is_some_and(|rest| rest.starts_with("/records/") || rest.starts_with("/keys/"));
        own || is_a_stores(name)
    }

    /// What tells this inventory from others where the prefix would be too long.
    pub(crate) fn inventory(&self) -> String {
        // FNV-1a, 64 bits.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        format!("{:016x}", self.0.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }
}

/// True for `<anything>/records/<key>.record` and `<anything>/keys/<key>.key`, whatever the prefix.
fn is_a_stores(name: &str) -> bool {
    let is_key = |text: &str| text.parse::<KeyId>().is_ok();
    [("/records/", RECORD), ("/keys/", MATERIAL)].into_iter().any(|(folder, end)| {
        let rest = name.strip_suffix(end);
        rest.is_some_and(|rest| rest.match_indices(folder).any(|(at, _)| is_key(&rest[at + folder.len()..])))
    })
}

/// Whose an adopted secret is: a key of one inventory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Owner {
    pub(crate) key: KeyId,
    pub(crate) inventory: String,
}

impl Owner {
    /// From `<key>@<inventory>`; what names no inventory is taken for this one's.
    pub(crate) fn parse(text: &str, here: &str) -> Option<Self> {
        let (key, inventory) = text.split_once('@').unwrap_or((text, here));
        Some(Self { key: key.parse().ok()?, inventory: inventory.to_owned() })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.inventory)
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
pub(crate) fn claimed(version: VersionId, owner: &Owner) -> String {
    format!("{}@{}", claimed_here(version, &owner.key), owner.inventory)
}

/// The same as it was written before labels named the inventory.
pub(crate) fn claimed_here(version: VersionId, key: &KeyId) -> String {
    format!("{STAGED}{version}-{}", key.as_str().replace('/', "."))
}

/// Whose a label says it is; what names no inventory is taken for this one's.
pub(crate) fn claimant(label: &str, here: &str) -> Option<Owner> {
    let said = label.strip_prefix(STAGED)?.get(36..)?.strip_prefix('-')?;
    let mut parts = said.split('@');
    let (key, inventory) = (parts.next()?.replace('.', "/").parse().ok()?, parts.next().unwrap_or(here));
    Some(Owner { key, inventory: inventory.to_owned() })
}

/// True for a label that holds a version and does not say for which key.
pub(crate) fn is_unnamed(label: &str) -> bool {
    held_by(label).is_some() && claimant(label, "").is_none()
}

/// A label under which a version is held, and by which the one call that stored it knows its own. In a secret that
/// others can claim it names its key.
pub(crate) fn staged(version: VersionId, owner: Option<&Owner>) -> String {
    let mark = Uuid::now_v7().simple().to_string();
    let mark = mark.get(20..).unwrap_or_default();
    match owner {
        Some(owner) => format!("{}@{mark}", claimed(version, owner)),
        None => format!("{STAGED}{version}-{mark}"),
    }
}

/// The version a label holds for a key: not one that it holds for another.
pub(crate) fn held_for(owner: &Owner, label: &str) -> Option<VersionId> {
    let ours = claimant(label, &owner.inventory).is_none_or(|claimant| claimant == *owner);
    held_by(label).filter(|_| ours)
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
pub(crate) fn shown<'a>(owner: &Owner, id: &str, labels: impl IntoIterator<Item = &'a str>) -> Shows {
    let mut version = None;
    for label in labels {
        if label == RETIRED {
            return Shows::Nothing;
        }
        version = version.max(held_for(owner, label));
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
        let key = Owner::parse("dev/messaging/twilio-send", "here").expect("a key");
        let shown = |id: &str, labels: &[&str]| shown(&key, id, labels.iter().copied());
        let old = claimed_here(version, &key.key);
        for label in [staged(version, None), staged(version, Some(&key)), claimed(version, &key), old] {
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
        assert_ne!(staged(version, None), staged(version, None));
        assert_ne!(staged(version, Some(&key)), staged(version, Some(&key)));
    }

    #[test]
    fn a_claim_says_which_key_claims() {
        let version = VersionId::generate();
        let longest = format!("{0}/{0}/{0}{0}", "a".repeat(32));
        for key in ["dev/messaging/twilio-send", longest.as_str()] {
            let here = Prefix::parse("keyward").expect("a prefix").inventory();
            let key = Owner::parse(key, &here).expect("a key");
            for label in [claimed(version, &key), staged(version, Some(&key)), claimed_here(version, &key.key)] {
                assert!(label.len() <= 256, "AWS takes no longer label");
                assert_eq!(claimant(&label, &here), Some(key.clone()));
                let other = Owner::parse("dev/messaging/other", &here).expect("a key");
                let elsewhere = Owner { inventory: "elsewhere".to_owned(), ..key.clone() };
                assert_eq!(shown(&other, "an-id", [CURRENT, label.as_str()]), Shows::Foreign, "not another key's");
                let named = label.contains('@');
                assert_eq!(shown(&elsewhere, "an-id", [CURRENT, label.as_str()]) == Shows::Foreign, named, "{label}");
            }
            assert!(key.to_string().len() <= 256, "AWS takes no longer tag");
        }
        for label in [staged(version, None), format!("{STAGED}{version}"), CURRENT.to_owned()] {
            assert_eq!(claimant(&label, "here"), None, "{label}");
        }
    }

    #[test]
    fn the_names_of_every_store_are_known() {
        let (here, there) = (Prefix::parse("here").expect("a prefix"), Prefix::parse("a/there").expect("a prefix"));
        let key: KeyId = "dev/messaging/twilio-send".parse().expect("a key");
        for name in [there.record(&key), there.material(&key), there.record(&key.history_page(1))] {
            assert!(here.owns(&name), "{name}");
        }
        for name in ["a/keys/some.key", "a/records/x/y.record", "dev/messaging/twilio-send.key", "a/keys/dev/a/b"] {
            assert!(!here.owns(name), "{name}");
        }
        assert_ne!(here.inventory(), there.inventory());
    }
}
