//! Being built.
#![forbid(unsafe_code)]

mod call;
mod client;
mod error;

pub use error::AwsError;
