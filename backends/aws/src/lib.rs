//! Being built.
#![forbid(unsafe_code)]

mod backend;
mod call;
mod client;
mod config;
mod error;
#[cfg(feature = "iam")]
pub mod issuer;
#[cfg(feature = "kms")]
pub mod kms;
mod names;
mod native;
mod store;
mod wire;

pub use backend::AwsBackend;
pub use config::AwsBuilder;
pub use error::AwsError;
pub use keyward_remote::Retry;
