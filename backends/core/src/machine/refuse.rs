//! Why a move is not legal.

use chrono::{DateTime, Utc};

use crate::{RunId, VersionId, VersionState};

/// Why a move is not legal from here. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// An edit breaks a rule of records.
    #[error(transparent)]
    Edit(#[from] crate::RecordError),
    /// Another process took the plan over.
    #[error("another process took the plan over (fence {held}, now {current}); what was made under it is given up")]
    Fenced {
        /// The fence of the change.
        held: u64,
        /// The fence of the run.
        current: u64,
    },
    /// The key has, or had, a version where it lies.
    #[error("the key has a version where it lies, so neither place nor shape can change; register another key")]
    HasVersions,
    /// "Not found" at the issuer is not proof of death yet.
    #[error(
        "version {version} was never seen at the issuer and its create may still land until {until}; sweep again then"
    )]
    MayStillAppear {
        /// The version.
        version: VersionId,
        /// When the zombie horizon is over.
        until: DateTime<Utc>,
    },
    /// The key lies at the place derived from its id.
    #[error("the key was not adopted where it lies; decommission it instead")]
    NotAdopted,
    /// No version serves.
    #[error("no version of the key serves, so there is nothing to publish again; start a run")]
    NothingServes,
    /// There is no clean version to go back to.
    #[error("there is no clean earlier version to publish; go forward, or report a leak")]
    NothingToRollBackTo,
    /// No run is under way.
    #[error("no run is under way; start one")]
    NoRun,
    /// The old version was not seen switched off.
    #[error("the old version was not seen switched off yet; step on, or skip that by setting suspend to 0")]
    NotSwitchedOff,
    /// The version is not in the record.
    #[error("version {version} is not in the record; read the record again")]
    NoVersion {
        /// The version.
        version: VersionId,
    },
    /// The record is a page of history.
    #[error("a history page never changes; use the key's own record")]
    Page,
    /// A publication id was used before.
    #[error("the publication id was used before; make a fresh one")]
    PublicationReused,
    /// The key is retired.
    #[error("the key is retired; register a new one")]
    Retired,
    /// The old version is already being revoked.
    #[error("the rollback window has passed: the old version is being revoked; start a new rotation instead")]
    RollbackWindowPassed,
    /// A run is under way.
    #[error("run {run} is under way; resume it, wait for it or abort it")]
    RunActive {
        /// The run.
        run: RunId,
    },
    /// A run id was used before.
    #[error("run {run} ended before; make a fresh id")]
    RunReused {
        /// The run.
        run: RunId,
    },
    /// More than its adoption has happened to the key.
    #[error("the key was rotated, leaked or given up since its adoption; decommission it instead")]
    UsedSince,
    /// The wider scope was not approved.
    #[error("the new scope allows more than the recorded one; widening needs an approval with a reason")]
    ScopeWidening,
    /// A window has not elapsed.
    #[error("the windows of the policy (soak, overlap, suspend) last until {until}; wait")]
    TooEarly {
        /// When they end.
        until: DateTime<Utc>,
    },
    /// Too many versions may still work at the issuer.
    #[error("{found} versions may still work at the issuer; revoke the pending ones first")]
    TooManyWorking {
        /// How many.
        found: usize,
    },
    /// Some versions may still work.
    #[error("version {version} may still work at the issuer; decommission the key and revoke it first")]
    StillWorking {
        /// One of them.
        version: VersionId,
    },
    /// A version id was used before.
    #[error("version {version} is already in the record; make a fresh id")]
    VersionReused {
        /// The version.
        version: VersionId,
    },
    /// The version was made, so its absence proves nothing.
    #[error("version {version} was made at the issuer, so absent there is not dead; see it refused or revoked first")]
    WasCreated {
        /// The version.
        version: VersionId,
    },
    /// The run is in another phase.
    #[error("{transition} is not legal in phase {phase}; read the record again")]
    WrongPhase {
        /// The move.
        transition: &'static str,
        /// The phase found.
        phase: &'static str,
    },
    /// The version is in another state.
    #[error("{transition} is not legal for version {version} in state {state:?}; read the record again")]
    WrongState {
        /// The move.
        transition: &'static str,
        /// The version.
        version: VersionId,
        /// The state found.
        state: VersionState,
    },
}
