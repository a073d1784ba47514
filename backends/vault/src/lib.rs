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
//! Adopting takes, on top of the last one: `create`, `read`, `update` on `secret/data/<path>`, `read` on
//! `secret/metadata/<path>`, and `create`, `update`, `delete` on `secret/metadata/keyward/adopted/*`; to discover
//! paths, `list` on `secret/metadata/*`.
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
