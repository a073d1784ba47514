#![doc = include_str!("docs.md")]
#![doc = concat!("A service that reads its keys:\n\n```json\n", include_str!("../policies/reader.json"), "```\n")]
#![doc = concat!("An application that rotates:\n\n```json\n", include_str!("../policies/rotator.json"), "```\n")]
#![doc = concat!(
    "An adopter, which brings existing secrets under management and lets go of them:\n\n```json\n",
    include_str!("../policies/adopter.json"),
    "```\n"
)]
#![doc = concat!(
    "An inventory, which sees every record and no value:\n\n```json\n",
    include_str!("../policies/inventory.json"),
    "```\n"
)]
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
