//! Do record, pointer and issuer still say the same? Looked at from time to time, and put right.
//!
//! A process that falls asleep over a call to the issuer can wake up at any time and finish it:
//! nothing fences an issuer. Other writers change what native readers are shown, and backups bring
//! old records back. [`Reconciler::check`] reports all of that and changes nothing;
//! [`Reconciler::repair`] puts right what needs no person.

mod check;
mod finding;
mod foreign;
mod judge;
mod repair;

use keyward_core::SecretBackend;

use super::builder::Rotator;

pub use finding::{Finding, ReconcileReport, RepairReport};

/// Compares record, pointer and issuer of one key. Run it every 10 to 15 minutes, and at start.
///
/// ```
/// use keyward::core::{KeyId, MemoryBackend};
/// use keyward::rotation::{Reconciler, RotationError, Rotator};
/// async fn every_quarter_of_an_hour(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
///     let repaired = Reconciler::of(rotator).repair(key, "reconcile").await?;
///     for finding in &repaired.left {
///         println!("{key}: {finding}; {}", finding.advice());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Reconciler<'a, B> {
    rotator: &'a Rotator<B>,
}

impl<'a, B: SecretBackend> Reconciler<'a, B> {
    /// A reconciler with the store, the issuers and the name of a rotator.
    #[must_use]
    pub fn of(rotator: &'a Rotator<B>) -> Self {
        Self { rotator }
    }
}
