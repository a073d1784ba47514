//! One credential at the issuer, from plan to tombstone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text::text_type;
use crate::{Evidence, Fingerprint, IncidentId, RunId, VersionId};

text_type!(
    /// How the issuer names a key (its public id). Safe to log.
    IssuerRef,
    "issuer reference",
    256
);
text_type!(
    /// What an issuer wants to keep with a version, at most 1 KiB: a hash, a policy id. Never the key.
    IssuerState,
    "issuer state",
    1024
);

/// Where a version stands. Moves forward only, but for a rollback and a reactivation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "the specification is closed; every state must be handled")]
pub enum VersionState {
    /// The id is reserved; the create may or may not have happened.
    Planned,
    /// Live at the issuer and stored, unproven.
    Staged,
    /// Proven to work with the recorded scope.
    Validated,
    /// The one readers get.
    Primary,
    /// The former primary; old holders still work.
    Overlap,
    /// Switched off at the issuer, reversibly.
    Suspended,
    /// To be revoked: durable and final, retried until confirmed.
    RevokePending,
    /// Seen dead.
    Revoked,
    /// Dead, material destroyed where the store can; only this tombstone is left.
    Gone,
}

impl VersionState {
    /// True for `Revoked` and `Gone`.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Revoked | Self::Gone)
    }

    /// True while the credential may work at the issuer.
    pub fn may_work(self) -> bool {
        !self.is_dead()
    }
}

/// One credential at the issuer: one create attempt, one state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Version {
    /// Its id, also its label at the issuer.
    pub id: VersionId,
    /// The run that planned it; absent for a key adopted from the issuer by the sweeper.
    pub run: Option<RunId>,
    /// Where it stands.
    pub state: VersionState,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When it entered its state.
    pub entered_at: DateTime<Utc>,
    /// When readers stop using it, whatever else happens. Known from `Staged` on.
    pub expires_at: Option<DateTime<Utc>>,
    /// How the issuer names it.
    pub issuer_ref: Option<IssuerRef>,
    /// What the issuer keeps with it.
    pub issuer_state: Option<IssuerState>,
    /// The keyed hash of its material.
    pub fingerprint: Option<Fingerprint>,
    /// Why it counts as working.
    pub proof: Option<Proof>,
    /// Set once it was reported as leaked. Sticky.
    pub compromised: Option<Compromise>,
    /// Why it counts as dead.
    pub death: Option<Evidence>,
}

impl Version {
    pub(crate) fn planned(id: VersionId, run: Option<RunId>, at: DateTime<Utc>) -> Self {
        Self {
            id,
            run,
            state: VersionState::Planned,
            planned_at: at,
            entered_at: at,
            expires_at: None,
            issuer_ref: None,
            issuer_state: None,
            fingerprint: None,
            proof: None,
            compromised: None,
            death: None,
        }
    }

    pub(crate) fn enter(&mut self, state: VersionState, at: DateTime<Utc>) {
        self.state = state;
        self.entered_at = at;
    }

    /// True once it is certain that the issuer made it: it has a reference there, or its key was
    /// stored. For such a version "absent at the issuer" proves nothing.
    pub fn was_created(&self) -> bool {
        self.issuer_ref.is_some() || self.expires_at.is_some() || self.proof.is_some()
    }

    /// True once its lifetime is over.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Why a version counts as working: when, how often, seen by whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Proof {
    /// When the last check succeeded.
    pub at: DateTime<Utc>,
    /// How many checks in a row succeeded.
    pub checks: u32,
    /// What was seen.
    pub evidence: Evidence,
}

impl Proof {
    /// A proof of `checks` successes in a row.
    pub fn new(at: DateTime<Utc>, checks: u32, evidence: Evidence) -> Self {
        Self { at, checks, evidence }
    }
}

/// That a version was reported as leaked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Compromise {
    /// The incident that answers it.
    pub incident: IncidentId,
    /// When it was reported.
    pub detected_at: DateTime<Utc>,
    /// The earliest credible exposure; absent when unknown.
    pub exposed_from: Option<DateTime<Utc>>,
    /// Where it was seen.
    pub source: Evidence,
}

/// Where an answer to a leak stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IncidentState {
    /// The leaked version is not yet seen dead.
    Containing,
    /// The leaked version is dead; no clean replacement serves yet.
    Replacing,
    /// Dead and replaced (or the key is given up and wants no replacement). Stays here until the
    /// exposure window has been reviewed.
    AwaitingReview,
}

/// The answer to one leaked version, journalled with the key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The leaked version.
    pub version: VersionId,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// Where it stands.
    pub state: IncidentState,
    /// The end of the exposure window: when the version was seen dead. Empty again when it turns
    /// out to work after all.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The version that replaced it.
    pub replaced_by: Option<VersionId>,
}
