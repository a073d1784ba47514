//! The stored form of a record: JSON with a format number, checked on the way in.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Body, KeyRecord, RecordError, RunPhase, VersionState, bounded};
use crate::annotation::{MAX_LABELS, MAX_LINKS, MAX_NOTES};

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

    /// The stored form.
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
    /// # Errors
    /// [`RecordError::NewerFormat`] for a format this library does not know (nothing of it is
    /// read), [`RecordError::Malformed`], [`RecordError::TooLarge`], or
    /// [`RecordError::Inconsistent`] when an invariant does not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (found, max) = (bytes.len(), Self::MAX_ENCODED);
        if found > max {
            return Err(RecordError::TooLarge { found, max });
        }
        let header: Header = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        if header.format != FORMAT {
            return Err(RecordError::NewerFormat { found: header.format, known: FORMAT });
        }
        let envelope: Envelope<Body> = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
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
        let primaries = body.versions.iter().filter(|v| v.state == VersionState::Primary).count();
        if primaries > 1 {
            return Err(RecordError::Inconsistent("more than one version is primary"));
        }
        let mut ids: Vec<_> = body.versions.iter().map(|v| v.id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(RecordError::Inconsistent("a version stands twice"));
        }
        if body.publications.iter().any(|p| self.version(p.version).is_none()) {
            return Err(RecordError::Inconsistent("a publication names an unknown version"));
        }
        if let Some(run) = &body.run {
            let named = [Some(run.phase.version()), run.previous, run.phase.rollback_target()];
            if named.into_iter().flatten().any(|id| self.version(id).is_none()) {
                return Err(RecordError::Inconsistent("the run names an unknown version"));
            }
            if self.is_page() || body.retired_at.is_some() {
                return Err(RecordError::Inconsistent("a page or a retired key has a run"));
            }
        }
        Ok(())
    }
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

fn malformed(error: &serde_json::Error) -> RecordError {
    RecordError::Malformed { line: error.line(), column: error.column() }
}
