//! HashiCorp Vault and OpenBao, KV version 2. Being built.
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
