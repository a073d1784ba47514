//! The moves a record can make.

use chrono::{DateTime, Utc};

use super::Edit;
use crate::{
    Actor, Evidence, Fingerprint, HolderId, IncidentId, Instructions, IssuerRef, IssuerState, Lease, OperationId,
    PointerToken, Proof, PublicationId, Reason, RunId, RunKind, VersionId,
};

/// Who makes a move, when, and under which idempotency token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The idempotency token of the swap that stores the move.
    pub operation: OperationId,
    /// Who.
    pub actor: Actor,
    /// When, by the caller's clock.
    pub at: DateTime<Utc>,
    /// Under which lease, where there is one.
    pub lease: Option<Lease>,
}

impl Change {
    /// A change by `actor` at `at`, with a fresh token.
    #[must_use]
    pub fn new(actor: Actor, at: DateTime<Utc>) -> Self {
        Self { operation: OperationId::generate(), actor, at, lease: None }
    }

    /// The same change under a lease: refused once another process has taken the plan over, also
    /// when it was made from the newest record.
    #[must_use]
    pub fn under(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

/// Why the old version may be given up: a gate saw enough, or a person says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Passed {
    /// One gate: enough was seen and it was good.
    Gate(Evidence),
    /// Several gates, each with what it saw.
    Gates(Vec<Evidence>),
    /// A person overrides an insufficient gate, by name and with a reason.
    Operator {
        /// Who.
        by: Actor,
        /// Why.
        reason: Reason,
    },
    /// The run does not wait: a leak, or nothing to replace.
    NotNeeded,
}

impl Passed {
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        match self {
            Self::Gate(evidence) => vec![evidence.clone()],
            Self::Gates(evidence) => evidence.clone(),
            Self::Operator { by, reason } => vec![Evidence::lossy(&format!("override by {by}: {reason}"))],
            Self::NotNeeded => vec![Evidence::lossy("no soak: the run does not wait")],
        }
    }
}

/// Why a version counts as dead. "Absent at the issuer" alone is not enough.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Death {
    /// It was known at the issuer and is now seen refused or revoked there.
    Seen(Evidence),
    /// Its create is known not to have happened, and cannot happen any more.
    NeverCreated(Evidence),
    /// It was never seen, the zombie horizon is over, and a sweep after that found nothing.
    NeverAppeared(Evidence),
    /// A person has seen it dead at the issuer and says so by name.
    Attested {
        /// Who.
        by: Actor,
        /// What they saw.
        evidence: Evidence,
    },
}

/// One legal move, named as in the specification.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transition {
    /// T1: reserve a version id for a new run.
    Begin {
        /// The run.
        run: RunId,
        /// Why it exists.
        kind: RunKind,
        /// The version to create.
        version: VersionId,
        /// The process that may create it.
        holder: HolderId,
        /// Why, in words.
        reason: Reason,
    },
    /// A person is asked to supply the key.
    Ask {
        /// The planned version.
        version: VersionId,
        /// What to do.
        instructions: Instructions,
    },
    /// T2: created at the issuer and staged in the store.
    Store {
        /// The version.
        version: VersionId,
        /// How the issuer names it.
        issuer_ref: Option<IssuerRef>,
        /// What the issuer keeps with it.
        issuer_state: Option<IssuerState>,
        /// The keyed hash of the material.
        fingerprint: Option<Fingerprint>,
        /// When the issuer itself ends it.
        expires_at: Option<DateTime<Utc>>,
    },
    /// T3: give up a planned version whose create may have happened; plan a fresh one.
    Replan {
        /// The version given up.
        abandoned: VersionId,
        /// The fresh version.
        version: VersionId,
        /// The process that may create it.
        holder: HolderId,
        /// Why.
        evidence: Evidence,
    },
    /// T3 and T5: end the run before the pointer was in play.
    Abandon {
        /// Why.
        evidence: Evidence,
    },
    /// T4: the version works and has the recorded scope.
    Validate {
        /// What was seen.
        proof: Proof,
    },
    /// T6: journal the publication before it is attempted.
    Promote {
        /// The version's own id the first time, a fresh one later.
        publication: PublicationId,
        /// The pointer it replaces.
        expect: PointerToken,
    },
    /// T7: the pointer was seen to show the publication.
    Confirm,
    /// Evidence gathered on the way.
    Observe {
        /// What was seen.
        evidence: Evidence,
    },
    /// T8 and T9: journal the fresh publication that brings the old version back.
    RollBack {
        /// Fresh.
        publication: PublicationId,
        /// Why.
        evidence: Evidence,
    },
    /// T10 (and the end of T8): the pointer was seen to show the old version again.
    RolledBack,
    /// The mirror of T8: the old version cannot come back after all, so its publication is fenced
    /// by publishing the new one again. Where the new one leaked there is nothing to stay on, and
    /// the run ends.
    TurnRound {
        /// Fresh.
        publication: PublicationId,
        /// Why the old version cannot come back.
        evidence: Evidence,
    },
    /// T11: the old version is about to be switched off, reversibly.
    Suspend {
        /// Why that is safe.
        passed: Passed,
    },
    /// The issuer was seen to have switched the old version off.
    SwitchedOff {
        /// What was seen.
        evidence: Evidence,
    },
    /// The old version was seen to work again. Its watch starts anew.
    Reactivate {
        /// Why it was switched on.
        evidence: Evidence,
    },
    /// T12: the point of no return.
    Retire {
        /// Why that is safe.
        passed: Passed,
    },
    /// T13: a version was seen dead.
    Revoked {
        /// The version.
        version: VersionId,
        /// How that is known.
        death: Death,
    },
    /// T14: the material of a dead version was withdrawn.
    Gone {
        /// The version.
        version: VersionId,
    },
    /// T15: a version leaked.
    Compromise {
        /// The version.
        version: VersionId,
        /// The incident that answers it.
        incident: IncidentId,
        /// The earliest credible exposure; absent when unknown.
        exposed_from: Option<DateTime<Utc>>,
        /// Where it was seen.
        source: Evidence,
        /// A fresh publication id, in case the pointer must be fenced.
        publication: PublicationId,
    },
    /// T16: a key with our label was found at the issuer and is not in the record, had no
    /// reference there yet, or works although it counts as dead.
    Adopt {
        /// Its label.
        version: VersionId,
        /// How the issuer names it.
        issuer_ref: IssuerRef,
    },
    /// The version that serves is to be published again, in a run of its own: native readers are
    /// shown something else.
    Republish {
        /// The run.
        run: RunId,
        /// Fresh.
        publication: PublicationId,
        /// The pointer it replaces, where that is not one of ours; else the pointer is read.
        expect: Option<PointerToken>,
        /// Who begins it.
        holder: HolderId,
        /// Why, in words.
        reason: Reason,
    },
    /// What another writer put where native readers look may be replaced, by a person's word, by what
    /// the run under way publishes or has published.
    Overwrite {
        /// Fresh; used where the run had published already.
        publication: PublicationId,
        /// The pointer as it was seen: another one is not replaced.
        expect: PointerToken,
        /// Who says so, and why.
        evidence: Evidence,
    },
    /// A version that is published and that the record does not know is taken back into it, by a
    /// person's word: the record was restored from an older copy. It is proven like a new one.
    Recall {
        /// The run that proves it.
        run: RunId,
        /// The version.
        version: VersionId,
        /// How the issuer names it.
        issuer_ref: Option<IssuerRef>,
        /// The keyed hash of its material.
        fingerprint: Option<Fingerprint>,
        /// Who begins the run.
        holder: HolderId,
        /// Why, in words.
        reason: Reason,
    },
    /// Revoke every version: the key is no longer needed.
    Decommission {
        /// Why.
        reason: Reason,
    },
    /// Take an adoption back: the record has no version again. The key goes on working where it
    /// lies, unmanaged.
    Release {
        /// Why.
        reason: Reason,
    },
    /// Make the record a tombstone once every version is dead.
    Bury,
    /// A person edits what people say about the key.
    Edit(Edit),
}

impl Transition {
    /// The name of the move, as it stands in the audit log.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Ask { .. } => "ask",
            Self::Store { .. } => "store",
            Self::Replan { .. } => "replan",
            Self::Abandon { .. } => "abandon",
            Self::Validate { .. } => "validate",
            Self::Promote { .. } => "promote",
            Self::Confirm => "confirm",
            Self::Observe { .. } => "observe",
            Self::RollBack { .. } => "roll-back",
            Self::RolledBack => "rolled-back",
            Self::TurnRound { .. } => "turn-round",
            Self::Suspend { .. } => "suspend",
            Self::SwitchedOff { .. } => "switched-off",
            Self::Reactivate { .. } => "reactivate",
            Self::Retire { .. } => "retire",
            Self::Revoked { .. } => "revoked",
            Self::Gone { .. } => "gone",
            Self::Compromise { .. } => "compromise",
            Self::Adopt { .. } => "adopt",
            Self::Republish { .. } => "republish",
            Self::Recall { .. } => "recall",
            Self::Overwrite { .. } => "overwrite",
            Self::Decommission { .. } => "decommission",
            Self::Release { .. } => "release",
            Self::Bury => "bury",
            Self::Edit(edit) => edit.verb(),
        }
    }
}
