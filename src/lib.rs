//! keyward
#![forbid(unsafe_code)]

pub mod audit;
pub mod inventory;
pub mod issuer;
pub mod keyring;
pub mod leak;
pub mod rotation;

pub use keyward_core as core;
