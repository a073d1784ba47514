#![cfg_attr(feature = "file", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "file"), doc = "The whole life of API keys; see the README for the crate page.")]
#![forbid(unsafe_code)]

pub mod audit;
#[cfg(feature = "aws")]
pub mod aws;
mod commit;
#[cfg(feature = "file")]
pub mod file;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
pub mod inventory;
pub mod issuer;
pub mod keyring;
pub mod leak;
pub mod rotation;
pub mod signal;
#[cfg(feature = "vault")]
pub mod vault;

pub use keyward_core as core;

pub use crate::core::{
    AccessLevel, Context, Environment, Function, KeyDraft, KeyId, KeyRecord, Material, Mode, Ownership, RotationPolicy,
    Scope, SecretBackend, SecretValue, async_trait,
};
pub use inventory::Inventory;
pub use keyring::{KeyHandle, Keyring, Outcome};
pub use keyward_seal::InventoryKey;
pub use leak::{LeakReport, LeakResponse};
pub use rotation::{Rotator, Step};
