//! The playbook: replace a key without downtime, revoke on evidence, resume from anywhere.
//!
//! 1. **Create** a new key with the same scope ([`Rotator::start_or_resume`]).
//! 2. **Deploy and validate** it: stored, probed several times in a row, then published.
//! 3. **Monitor**: the health gate watches the new version for the soak and overlap windows.
//! 4. **Revoke** the old key once the gate passes, and only then; "revoked" means seen dead.
//!
//! Every step is one transition of the record, journalled before and confirmed after its side
//! effect. A process that dies between any two calls is followed by any other: it calls
//! [`Rotator::start_or_resume`] and goes on.

mod back;
mod builder;
pub mod drill;
mod engine;
mod error;
mod fleet;
mod gate;
mod import;
mod lease;
mod operator;
mod plan;
mod reconcile;
mod run;
mod schedule;
mod step;
mod sweep;
mod timed;
mod trusted;

pub use builder::{Rotator, RotatorBuilder};
pub(crate) use engine::Death;
pub use error::{NeedsOperator, RotationError};
pub use fleet::{
    Budget, Events, FleetBuilder, FleetEvent, FleetReport, FleetRotator, HeldIssuer, Hold, KeyReport, Outcome, Paced,
    StopHandle, Summary,
};
pub use gate::{GatePolicy, Verdict};
pub(crate) use import::HandOver;
pub use plan::{Plan, PlannedStep};
pub use reconcile::{Finding, ReconcileReport, Reconciler, RepairReport};
pub use run::RotationRun;
pub(crate) use run::backoff;
pub use schedule::{Cause, Due, Schedule};
pub use step::{RunReport, Step};
pub use sweep::SweepReport;
