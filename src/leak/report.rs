//! What is reported of a leak, and what became of it.

use std::fmt;

use chrono::{DateTime, Utc};
use keyward_core::{Evidence, Fingerprint, Incident, IncidentId, IssuerRef, KeyId, KeyRecord, TextError, VersionId};

/// How a report names what leaked. Never the value itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Leaked {
    /// The version readers get now.
    Current,
    /// By its keyed hash.
    Fingerprint(Fingerprint),
    /// By the issuer's public name for it.
    IssuerRef(IssuerRef),
    /// By its id.
    Version(VersionId),
}

/// A report that a key was seen where it should not be.
///
/// ```
/// use keyward::leak::{Leaked, LeakReport};
/// let report = LeakReport::of("production/payments/stripe-charges".parse()?, Leaked::Current, "seen in a public gist")?
///     .exposed_from(chrono::Utc::now());
/// # let _ = report;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeakReport {
    /// The key.
    pub key: KeyId,
    /// Which version of it.
    pub leaked: Leaked,
    /// The earliest credible exposure; absent when unknown.
    pub exposed_from: Option<DateTime<Utc>>,
    /// Where it was seen.
    pub source: Evidence,
    /// The incident this report opens. Opening the same report again finds it, so that a repeated
    /// call never condemns the replacement; a report made anew is another report.
    pub incident: IncidentId,
}

impl LeakReport {
    /// A report with an unknown begin of exposure.
    ///
    /// ```
    /// use keyward::leak::{LeakReport, Leaked};
    /// let key: keyward::KeyId = "production/payments/stripe-charges".parse()?;
    /// assert!(LeakReport::of(key.clone(), Leaked::Current, "seen in a public gist").is_ok());
    /// assert!(LeakReport::of(key, Leaked::Current, "").is_err());
    /// # Ok::<(), keyward::core::NameError>(())
    /// ```
    ///
    /// # Errors
    /// [`TextError`] when the source is empty, longer than 256 bytes or unprintable.
    pub fn of(key: KeyId, leaked: Leaked, source: &str) -> Result<Self, TextError> {
        Ok(Self { key, leaked, exposed_from: None, source: source.parse()?, incident: IncidentId::generate() })
    }

    /// Sets the earliest credible exposure.
    #[must_use]
    pub fn exposed_from(mut self, at: DateTime<Utc>) -> Self {
        self.exposed_from = Some(at);
        self
    }

    /// The version the report is about; `shown` is what native readers get, where that was asked.
    pub(super) fn find(&self, record: &KeyRecord, shown: Option<VersionId>) -> Option<VersionId> {
        if let Some(opened) = record.incidents().iter().find(|incident| incident.id == self.incident) {
            return Some(opened.version);
        }
        let mut versions = record.versions().iter();
        match &self.leaked {
            Leaked::Current => {
                shown.filter(|v| record.version(*v).is_some()).or_else(|| record.primary().map(|v| v.id))
            }
            Leaked::Version(id) => record.version(*id).map(|v| v.id),
            Leaked::Fingerprint(fp) => versions.find(|v| v.fingerprint.as_ref() == Some(fp)).map(|v| v.id),
            Leaked::IssuerRef(name) => versions.find(|v| v.issuer_ref.as_ref() == Some(name)).map(|v| v.id),
        }
    }
}

/// What became of a leak so far.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IncidentReport {
    /// The key.
    pub key: KeyId,
    /// The incident.
    pub incident: IncidentId,
    /// The leaked version.
    pub version: VersionId,
    /// The begin of the exposure window: the earliest credible exposure, or when the version was
    /// planned.
    pub exposed_from: DateTime<Utc>,
    /// True when the begin is only assumed.
    pub exposure_assumed: bool,
    /// The end of the exposure window: when the version was first seen dead.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The version that replaced it.
    pub replaced_by: Option<VersionId>,
}

impl IncidentReport {
    pub(super) fn of(record: &KeyRecord, incident: &Incident) -> Self {
        let version = record.version(incident.version);
        let exposed = version.and_then(|v| v.compromised.as_ref()).and_then(|c| c.exposed_from);
        Self {
            key: record.id().clone(),
            incident: incident.id,
            version: incident.version,
            exposed_from: exposed.or(version.map(|v| v.planned_at)).unwrap_or(incident.opened_at),
            exposure_assumed: exposed.is_none(),
            revoked_at: incident.revoked_at,
            replaced_by: incident.replaced_by,
        }
    }
}

impl fmt::Display for IncidentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assumed = if self.exposure_assumed { " (assumed)" } else { "" };
        write!(f, "{}: version {} exposed from {}{assumed}", self.key, self.version, self.exposed_from)?;
        match self.revoked_at {
            Some(at) => write!(f, " until revoked {at}")?,
            None => f.write_str(" and not yet seen dead")?,
        }
        match self.replaced_by {
            Some(version) => write!(f, ", replaced by {version}"),
            None => f.write_str(", not yet replaced"),
        }
    }
}
