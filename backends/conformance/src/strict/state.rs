//! What the strict fake holds, and what it has seen callers do wrong.

use std::collections::{BTreeMap, BTreeSet};

use keyward_core::{
    AuditEntry, KeyId, KeyRecord, Material, Pointer, PointerToken, PublicationId, Shows, Stamp, Stamped, VersionId,
    VersionState,
};

/// A caller broke a rule of the protocol that a store cannot refuse.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Misuse {
    /// A publication id was used for a second act of publishing.
    PublicationReused {
        /// The key.
        key: KeyId,
        /// The id.
        publication: PublicationId,
    },
    /// A version was published though the record had given it up.
    PublishedGivenUp {
        /// The key.
        key: KeyId,
        /// The version.
        version: VersionId,
        /// Where the record had it.
        state: VersionState,
    },
    /// A record was replaced by one that is not the next revision.
    RevisionJump {
        /// The key.
        key: KeyId,
        /// The revision replaced.
        from: u64,
        /// The revision written.
        to: u64,
    },
    /// Other bytes were staged under a version id already taken.
    VersionReused {
        /// The key.
        key: KeyId,
        /// The version.
        version: VersionId,
    },
}

/// One move of a published pointer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Move {
    /// The key.
    pub key: KeyId,
    /// The act of publishing.
    pub publication: PublicationId,
    /// The version it made current.
    pub version: VersionId,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Every revision of every record, oldest first.
    pub(super) records: BTreeMap<KeyId, Vec<KeyRecord>>,
    pub(super) shelves: BTreeMap<KeyId, Shelf>,
    pub(super) log: Vec<AuditEntry>,
    pub(super) moves: Vec<Move>,
    pub(super) misuse: Vec<Misuse>,
    /// Keys whose record cannot be read.
    pub(super) damaged: BTreeSet<KeyId>,
    /// How many more loads and listings answer the revision before the last.
    pub(super) stale: usize,
}

/// The material of one key.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) moves: u64,
    pub(super) shows: Option<(PublicationId, VersionId)>,
    /// Another writer put something there.
    pub(super) foreign: bool,
    pub(super) jars: BTreeMap<VersionId, Jar>,
    pub(super) publications: BTreeSet<PublicationId>,
}

#[derive(Debug)]
pub(super) struct Jar {
    pub(super) material: Material,
    /// Given up, still readable.
    pub(super) withdrawn: bool,
}

impl Shelf {
    pub(super) fn pointer(&self, store: &str, key: &KeyId) -> Pointer {
        let shows = match self.shows {
            _ if self.foreign => Shows::Foreign,
            None => Shows::Nothing,
            Some((publication, version)) => Shows::Ours { publication, version },
        };
        Pointer { token: PointerToken::new(format!("{store}.{key}.p{}", self.moves)), shows }
    }

    /// Versions that can still be published.
    pub(super) fn offered(&self) -> impl Iterator<Item = VersionId> {
        self.jars.iter().filter(|(_, jar)| !jar.withdrawn).map(|(id, _)| *id)
    }

    pub(super) fn offers(&self, version: VersionId) -> bool {
        self.jars.get(&version).is_some_and(|jar| !jar.withdrawn)
    }
}

impl State {
    /// The newest revision of a record, or the one before it while reads are stale.
    pub(super) fn record(&self, store: &str, key: &KeyId, stale: bool) -> Option<Stamped<KeyRecord>> {
        let revisions = self.records.get(key)?;
        let count = revisions.len() - usize::from(stale);
        let value = revisions.get(count.checked_sub(1)?)?.clone();
        Some(Stamped { value, stamp: stamp(store, key, count) })
    }

    /// True when this call is to answer from the past; counts it.
    pub(super) fn takes_stale(&mut self) -> bool {
        let stale = self.stale > 0;
        self.stale = self.stale.saturating_sub(1);
        stale
    }

    pub(super) fn note_publish(&mut self, key: &KeyId, publication: PublicationId, version: VersionId) {
        let known = self.records.get(key).and_then(|all| all.last()).and_then(|record| record.version(version));
        if let Some(known) = known {
            let given_up = known.state >= VersionState::RevokePending || known.compromised.is_some();
            if given_up {
                let (key, state) = (key.clone(), known.state);
                self.misuse.push(Misuse::PublishedGivenUp { key, version, state });
            }
        }
        if !self.shelves.entry(key.clone()).or_default().publications.insert(publication) {
            self.misuse.push(Misuse::PublicationReused { key: key.clone(), publication });
        }
        self.moves.push(Move { key: key.clone(), publication, version });
    }
}

pub(super) fn stamp(store: &str, key: &KeyId, revision: usize) -> Stamp {
    Stamp::new(format!("{store}.{key}.r{revision}"))
}
