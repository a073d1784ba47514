//! The stored form of a record: JSON with a format number, checked on the way in.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Body, KeyRecord, Publication, RecordError, Run, RunPhase, Version, VersionState, bounded};
use crate::annotation::{MAX_LABELS, MAX_LINKS, MAX_NOTES};
use crate::name;

/// The newest format this library reads, and the one it writes.
const FORMAT: u32 = 1;

#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope<B> {
    format: u32,
    record: B,
}

impl KeyRecord {
    /// The most bytes an encoded record has.
    pub const MAX_ENCODED: usize = 48 * 1024;

    /// The stored form: JSON with a format number in front.
    ///
    /// ```
    /// use chrono::Utc;
    /// use keyward_core::{AccessLevel, Change, KeyDraft, KeyRecord, Ownership, Scope};
    /// let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// let id = "dev/analytics/warehouse-read".parse()?;
    /// let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// let record = KeyRecord::register(&draft, &Change::new("ada".parse()?, Utc::now()))?;
    /// assert_eq!(KeyRecord::decode(&record.encode()?)?, record);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::TooLarge`] beyond [`KeyRecord::MAX_ENCODED`].
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let bytes = self.encode_unbounded();
        let (found, max) = (bytes.len(), Self::MAX_ENCODED);
        if found > max { Err(RecordError::TooLarge { found, max }) } else { Ok(bytes) }
    }

    pub(super) fn encode_unbounded(&self) -> Vec<u8> {
        // A record holds only strings, numbers and lists with string keys: JSON cannot refuse it.
        serde_json::to_vec(&Envelope { format: FORMAT, record: &*self.0 }).unwrap_or_default()
    }

    /// Reads the stored form back, whole or not at all.
    ///
    /// ```
    /// use keyward_core::{KeyRecord, RecordError};
    /// let newer = br#"{"format":2,"record":{"anything":true}}"#;
    /// assert_eq!(KeyRecord::decode(newer), Err(RecordError::NewerFormat { found: 2, known: 1 }));
    /// ```
    ///
    /// # Errors
    /// [`RecordError::NewerFormat`] for a format this library does not know (nothing of it is
    /// read), [`RecordError::Malformed`], [`RecordError::TooLarge`], or
    /// [`RecordError::Inconsistent`] when an invariant does not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (found, max) = (bytes.len(), Self::MAX_ENCODED);
        if found > max {
            return Err(RecordError::TooLarge { found, max });
        }
        // In one pass where the format is known; where it is not, only the format is looked at.
        let envelope: Envelope<Body> = match serde_json::from_slice(bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                let header: Header = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
                known(header.format)?;
                return Err(malformed(&error));
            }
        };
        known(envelope.format)?;
        let record = Self(Box::new(envelope.record));
        record.check()?;
        Ok(record)
    }

    /// Checks the invariants that hold for every stored record.
    fn check(&self) -> Result<(), RecordError> {
        let body = &*self.0;
        body.scope.check_for(&body.id)?;
        body.policy.check()?;
        bounded("labels", body.labels.len(), MAX_LABELS)?;
        bounded("links", body.links.len(), MAX_LINKS)?;
        bounded("notes", body.notes.len(), MAX_NOTES)?;
        bounded("operations", body.operations.len(), Self::OPERATIONS)?;
        body.check_versions()?;
        body.check_run()?;
        if !body.shape.holds() {
            return Err(RecordError::Inconsistent("the shape is not one of material"));
        }
        if body.revision == 0 || body.revision == u64::MAX {
            return Err(RecordError::Inconsistent("the revision is out of range"));
        }
        if body.operations.iter().any(|o| name::check("verb", &o.verb, 32).is_err()) {
            return Err(RecordError::Inconsistent("an operation has no plain verb"));
        }
        Ok(())
    }
}

impl Body {
    fn check_versions(&self) -> Result<(), RecordError> {
        let known = |id| self.versions.iter().any(|v| v.id == id);
        let twice = self.versions.iter().enumerate().any(|(at, v)| self.versions[..at].iter().any(|w| w.id == v.id));
        let reused =
            self.publications.iter().enumerate().any(|(at, p)| self.publications[..at].iter().any(|q| q.id == p.id));
        let serving = |v: &&Version| v.state == VersionState::Primary;
        let rules = [
            (self.versions.iter().filter(serving).count() <= 1, "more than one version is primary"),
            (!twice, "a version stands twice"),
            (!reused, "a publication stands twice"),
            (self.publications.iter().all(|p| known(p.version)), "a publication names an unknown version"),
            (
                self.versions.iter().all(|v| v.compromised.is_none() || v.state >= VersionState::RevokePending),
                "a leaked version is not given up",
            ),
            (
                self.retired_at.is_none() || (self.retiring && self.versions.iter().all(|v| v.state.is_dead())),
                "a retired key has a version that may work",
            ),
        ];
        all_hold(&rules)
    }

    fn check_run(&self) -> Result<(), RecordError> {
        let Some(run) = &self.run else { return Ok(()) };
        let known = |id| self.versions.iter().any(|v| v.id == id);
        let named = [Some(run.phase.version()), run.previous, run.phase.rollback_target()];
        let journalled = match &run.phase {
            RunPhase::Promoting { version, publication, .. } => {
                self.publications.contains(&Publication { id: *publication, version: *version })
            }
            RunPhase::RollingBack { to, publication, .. } => {
                self.publications.contains(&Publication { id: *publication, version: *to })
            }
            _ => true,
        };
        let rules = [
            (named.into_iter().flatten().all(known), "the run names an unknown version"),
            (journalled, "the publication of the run is not journalled"),
            (self.id.page().is_none() && self.retired_at.is_none(), "a page or a retired key has a run"),
            (run.evidence.len() <= Run::MAX_EVIDENCE, "the run has too much evidence"),
        ];
        all_hold(&rules)
    }
}

fn all_hold(rules: &[(bool, &'static str)]) -> Result<(), RecordError> {
    rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(RecordError::Inconsistent(broken)))
}

impl RunPhase {
    fn rollback_target(&self) -> Option<crate::VersionId> {
        match self {
            Self::RollingBack { to, .. } => Some(*to),
            _ => None,
        }
    }
}

impl Serialize for KeyRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Envelope { format: FORMAT, record: &*self.0 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let envelope = Envelope::<Body>::deserialize(deserializer)?;
        if envelope.format != FORMAT {
            return Err(serde::de::Error::custom("the record has another format"));
        }
        let record = Self(Box::new(envelope.record));
        record.check().map_err(serde::de::Error::custom)?;
        Ok(record)
    }
}

fn known(format: u32) -> Result<(), RecordError> {
    match format {
        FORMAT => Ok(()),
        0 => Err(RecordError::Inconsistent("there is no format 0")),
        found => Err(RecordError::NewerFormat { found, known: FORMAT }),
    }
}

fn malformed(error: &serde_json::Error) -> RecordError {
    RecordError::Malformed { line: error.line(), column: error.column() }
}
