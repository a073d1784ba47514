//! The minute after a key leaks: revoke at once, replace, and do not close before the review.
//!
//! [`LeakResponse::open`] writes the leak into the record: from then on no reader of this library
//! is given the version. [`LeakResponse::step`] fences the pointer where it must, revokes the
//! version at its issuer until it is seen dead, and drives an ordinary run of kind `Leak` that
//! brings a replacement of the same scope without a soak. Every step is journalled; any process
//! resumes it.
//!
//! The response ends in [`LeakStep::AwaitingReview`]: an incident cannot be closed before its
//! exposure window has been reviewed.

mod fingerprint;
mod report;
mod response;

pub use fingerprint::fingerprint;
pub use report::{IncidentReport, LeakReport, Leaked};
pub use response::{LeakError, LeakResponse, LeakStep};
