#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "a rule panics when it is broken, as an assertion does")]

pub mod canary;
pub mod cases;
mod fixture;
pub mod planned;
mod rules;
#[cfg(feature = "servers")]
pub mod servers;
pub mod strict;
mod subject;
mod suite;

pub use fixture::{Fixture, Guarded, with_guard};
pub use futures_lite::future::block_on;
pub use rules::{BoxFuture, RULES, Rule};
pub use subject::{Executor, Subject};
