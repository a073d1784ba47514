//! Why the inventory refuses.

use keyward_core::{Error, KeyId, NameError, RecordError, TextError, TransitionError, VersionId};

/// Why the inventory refuses. Nothing was changed, unless the store says that it does not know.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// An adoption could not be completed. Adopt the same secret again, or release it.
    #[error("the adoption is not complete, adopt the same secret again or release it: {0}")]
    Adopt(Box<crate::rotation::RotationError>),
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
    /// Something stands in the way of an adoption.
    #[error("{key}: the secret cannot be adopted as it is: {}", obstacles_of(.managed_by.as_ref(), .obstacles))]
    NotAdoptable {
        /// The key it was to become.
        key: KeyId,
        /// The key that manages it already.
        managed_by: Option<KeyId>,
        /// What else stands in the way, each with what to do about it.
        obstacles: Vec<&'static str>,
    },
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

fn obstacles_of(managed_by: Option<&KeyId>, obstacles: &[&'static str]) -> String {
    let managed = managed_by.map(|other| format!("{other} manages it already; release that key first"));
    managed.into_iter().chain(obstacles.iter().map(|o| (*o).to_owned())).collect::<Vec<_>>().join("; ")
}
