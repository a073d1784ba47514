//! Why the inventory refuses.

use keyward_core::{Error, KeyId, NameError, RecordError, TextError, TransitionError, VersionId};

/// Why the inventory refuses. Nothing was changed, unless the store says that it does not know.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A key with that name exists.
    #[error("{key} is registered already; update it, or choose another name")]
    AlreadyRegistered {
        /// The key.
        key: KeyId,
    },
    /// Other writers were faster several times in a row.
    #[error("{key} was changed by others {attempts} times in a row; try again")]
    Busy {
        /// The key.
        key: KeyId,
        /// How often the change was tried.
        attempts: u32,
    },
    /// Actor, reason or note is not acceptable.
    #[error(transparent)]
    BadText(#[from] TextError),
    /// Not the name of a key.
    #[error(transparent)]
    BadName(#[from] NameError),
    /// The draft breaks a rule of records.
    #[error("the key cannot be registered: {0}")]
    Draft(RecordError),
    /// An import could not be completed. Import the same value again.
    #[error("the import is not complete, import the same value again: {0}")]
    Import(Box<crate::rotation::RotationError>),
    /// Nobody was named who acts.
    #[error("nobody was named who acts; call actor()")]
    NoActor,
    /// There is no such key.
    #[error("{key} is not registered; check the name, or register it")]
    NotRegistered {
        /// The key.
        key: KeyId,
    },
    /// The change is not legal now.
    #[error("{key}: {refusal}")]
    Refused {
        /// The key.
        key: KeyId,
        /// Why.
        refusal: Box<TransitionError>,
    },
    /// The value to import has another shape than the key.
    #[error(
        "{key}: the value has another shape than the key; say in the draft whether it is one value or which fields"
    )]
    Shape {
        /// The key.
        key: KeyId,
    },
    /// A version of the key may still work at its issuer.
    #[error("{key}: version {version} may still work at the issuer; decommission the key with the rotator first")]
    StillWorking {
        /// The key.
        key: KeyId,
        /// One of them.
        version: VersionId,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] Error),
}
