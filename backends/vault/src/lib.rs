#![doc = include_str!("docs.md")]
//!
//! # Policies
//!
//! Each is applied by a real server in a test. They are written for the mount `secret` and the prefix `keyward`.
//!
//! ```hcl
#![doc = include_str!("../policies/reader.hcl")]
//! ```
//!
//! ```hcl
#![doc = include_str!("../policies/inventory.hcl")]
//! ```
//!
//! ```hcl
#![doc = include_str!("../policies/rotator.hcl")]
//! ```
//!
//! ```hcl
#![doc = include_str!("../policies/adopter.hcl")]
//! ```
//!
//! ```hcl
#![doc = include_str!("../policies/adopted-reader.hcl")]
//! ```
#![forbid(unsafe_code)]

mod adopted;
mod auth;
mod backend;
mod client;
mod config;
mod error;
pub mod issuer;
mod kv;
mod list;
mod material;
mod names;
mod pointer;
mod preflight;
mod records;
pub mod transit;

pub use auth::{Auth, Jwt};
pub use backend::VaultBackend;
pub use config::{Connection, ConnectionBuilder, VaultBuilder};
pub use keyward_remote::Retry;
