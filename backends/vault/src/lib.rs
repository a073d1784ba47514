//! HashiCorp Vault and OpenBao, KV version 2. Being built.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod config;
mod error;

pub use auth::{Auth, Jwt};
pub use config::{Connection, ConnectionBuilder};
