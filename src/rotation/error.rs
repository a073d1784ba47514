//! Why a rotation cannot go on, and what a person is asked to do.

use crate::commit::CommitError;
use keyward_core::{
    Error, Instructions, IssuerName, IssuerRef, KeyId, MaterialError, RecordError, RunId, TextError, TransitionError,
    VersionId,
};

/// What a person must decide or do before the run goes on. Nothing is lost meanwhile.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NeedsOperator {
    /// Make the key and hand it over with [`Rotator::supply`](super::Rotator::supply).
    #[error("{key}: supply the new key of run {run}: {instructions}")]
    SupplyKey {
        /// The key.
        key: KeyId,
        /// The run that waits.
        run: RunId,
        /// What to do.
        instructions: Instructions,
    },
    /// Revoke the version by hand, then attest it with
    /// [`Rotator::attest_revoked`](super::Rotator::attest_revoked).
    #[error("{key}: revoke version {version} by hand, then attest it: {instructions}")]
    RevokeByHand {
        /// The key.
        key: KeyId,
        /// The version.
        version: VersionId,
        /// What to do.
        instructions: String,
    },
    /// Somebody else wrote to where native readers look.
    #[error(
        "{key}: the published value is not one of ours; find out who wrote it, then publish ours again with Reconciler::overwrite_foreign or adopt theirs with Reconciler::adopt_foreign"
    )]
    ForeignPublication {
        /// The key.
        key: KeyId,
    },
    /// The longest soak is over and the gates still cannot say that the old version may go.
    #[error(
        "{key}: the longest soak is over and the gates are not passed ({why}); cure what is missing, override with a reason, or roll back"
    )]
    GateInsufficient {
        /// The key.
        key: KeyId,
        /// What was missing.
        why: String,
    },
    /// The gate failed and there is nothing clean to go back to.
    #[error(
        "{key}: the new version fares badly ({why}) and there is no clean earlier one; override the gate with a reason, or report the new version as leaked"
    )]
    NothingToRollBackTo {
        /// The key.
        key: KeyId,
        /// What was seen.
        why: String,
    },
    /// The old version is wanted back and cannot serve: it is dead, or its material is lost. The
    /// new one stays with readers.
    #[error(
        "{key}: version {version} cannot serve again ({why}); the new version stays published: cure what ails it, or go on by an override of the gate"
    )]
    CannotComeBack {
        /// The key.
        key: KeyId,
        /// The old version.
        version: VersionId,
        /// What was seen.
        why: String,
    },
    /// Replacing a leaked key failed for a reason that trying again does not cure.
    #[error("{key}: no replacement of the leaked key passed ({why}); cure that, then go on with the incident")]
    NotReplaced {
        /// The key.
        key: KeyId,
        /// What was seen last.
        why: String,
    },
    /// The issuer has one more key under the label of a version in use.
    #[error(
        "{key}: the issuer has a second key, {reference}, under the label of version {version}; find out who made it, then revoke it there"
    )]
    SecondKey {
        /// The key.
        key: KeyId,
        /// The version in use.
        version: VersionId,
        /// How the issuer names the second key.
        reference: IssuerRef,
    },
    /// Something newer than everything in the record exists: the record is an older copy.
    #[error(
        "{key}: the issuer has version {version}, newer than everything in the record, so the record is an older copy; bring the newest one back, or adopt what is published with Reconciler::adopt_foreign"
    )]
    RecordRegressed {
        /// The key.
        key: KeyId,
        /// The newer version.
        version: VersionId,
    },
    /// Neither issuer nor validator can say whether the new key works.
    #[error("{key}: nothing can prove that version {version} works; register a validator for its issuer")]
    NoProof {
        /// The key.
        key: KeyId,
        /// The version.
        version: VersionId,
    },
    /// Other bytes are stored under the version's id.
    #[error("{key}: other material is already stored under version {version}; id reuse or tampering, investigate")]
    StageConflict {
        /// The key.
        key: KeyId,
        /// The version.
        version: VersionId,
    },
}

/// Why a rotation cannot go on. The run stays where it is; the same call may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Another run is under way.
    #[error("{key}: run {run} is under way; resume it, wait for it or abort it")]
    AlreadyRunning {
        /// The key.
        key: KeyId,
        /// The run.
        run: RunId,
    },
    /// The store or the issuer failed.
    #[error(transparent)]
    Backend(#[from] Error),
    /// Too many keys are live at the issuer.
    #[error("{key}: {live} versions may be live and the issuer allows {cap}; sweep the pending ones first")]
    IssuerFull {
        /// The key.
        key: KeyId,
        /// How many may be live.
        live: usize,
        /// How many the issuer allows.
        cap: u32,
    },
    /// The old version cannot serve again; the new one stays. Nothing was changed.
    #[error(
        "{key}: version {version} cannot serve again ({why}); the new version stays. If it was switched on just now repeat this, otherwise go forward"
    )]
    CannotComeBack {
        /// The key.
        key: KeyId,
        /// The old version.
        version: VersionId,
        /// What was seen.
        why: String,
    },
    /// The supplied material is not acceptable.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A person is needed.
    #[error(transparent)]
    NeedsOperator(#[from] NeedsOperator),
    /// The record names an issuer this rotator does not know.
    #[error("no issuer is registered under the name {name}; register it with RotatorBuilder::issuer")]
    NoIssuer {
        /// The name.
        name: IssuerName,
    },
    /// What is published cannot be made the key's own.
    #[error("{key}: what is published cannot be adopted: {why}")]
    NotAdoptable {
        /// The key.
        key: KeyId,
        /// Why not, and what to do instead.
        why: &'static str,
    },
    /// What is published is ours.
    #[error("{key}: what native readers are shown is ours; there is nothing to adopt and nothing to overwrite")]
    NotForeign {
        /// The key.
        key: KeyId,
    },
    /// No run with this id waits for a key.
    #[error("{key}: no run waits for a key to be supplied; look whether it was supplied already, or start a run")]
    NotWaiting {
        /// The key.
        key: KeyId,
    },
    /// Other writers won every time.
    #[error("{key}: other writers changed the record again and again; try later")]
    Contended {
        /// The key.
        key: KeyId,
    },
    /// The record does not hold.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The move is not legal.
    #[error(transparent)]
    Refused(#[from] TransitionError),
    /// The run is neither under way nor in the history.
    #[error(
        "{key}: run {run} is neither under way nor among the latest runs; look at the history pages, or start a new run"
    )]
    RunVanished {
        /// The key.
        key: KeyId,
        /// The run.
        run: RunId,
    },
    /// An actor, a reason or a name is not acceptable text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A name is malformed.
    #[error(transparent)]
    Name(#[from] keyward_core::NameError),
}

impl From<CommitError> for RotationError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refusal) => refusal.into(),
            CommitError::Record(broken) => broken.into(),
            CommitError::Store(error) => error.into(),
        }
    }
}

/// What the engine answers.
pub(crate) type Answer<T> = Result<T, RotationError>;
