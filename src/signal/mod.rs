//! What the gates of a rotation listen to.
//!
//! | signal | says | traits |
//! | --- | --- | --- |
//! | [`ReportedHealth`] | what the handles of this process reported | health, usage, adoption |
//! | `http::Prometheus` (feature `http`) | what a metrics server counted | health, usage, adoption |
//! | [`health_fn`], [`usage_fn`], [`adoption_fn`] | what a function of yours answers | one each |
//! | [`Combined`] | what several of them say together | as its parts |
//!
//! A signal that fails, or knows nothing, never passes a gate.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! use keyward::core::{ArmCounts, HealthReport, MemoryBackend};
//! use keyward::rotation::Rotator;
//! use keyward::signal::health_fn;
//!
//! async fn ask_our_monitoring(version: &str) -> (u64, u64) {
//! #   let _ = version;
//!     (1_200, 0) // clean, refused
//! }
//! let health = health_fn(|query| async move {
//!     let mut new = ArmCounts::default();
//!     (new.clean, new.auth_rejects) = ask_our_monitoring(&query.new.to_string()).await;
//!     new.clients = 2;
//!     Ok(HealthReport::of(new))
//! });
//! let rotator = Rotator::builder(MemoryBackend::default()).health(health).build()?;
//! # let _ = rotator;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod combined;
mod function;

pub use combined::Combined;
pub use function::{
    AdoptionFn, Candidate, HealthFn, UsageFn, ValidatorFn, adoption_fn, health_fn, usage_fn, validator_fn,
};

pub use crate::keyring::ReportedHealth;
