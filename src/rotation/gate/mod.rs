//! Gates: three answers, and "not enough seen" is never a pass. Pure.

pub(super) mod adoption;
mod compare;
mod health;
mod sample;
pub(super) mod usage;

use std::fmt;

pub use health::GatePolicy;

/// What a gate says, with its evidence in words and numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Verdict {
    /// Enough was seen and it was good.
    Pass(String),
    /// The new version fares badly.
    Fail(String),
    /// Not enough was seen to say.
    Insufficient(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(evidence) => write!(f, "pass: {evidence}"),
            Self::Fail(evidence) => write!(f, "fail: {evidence}"),
            Self::Insufficient(why) => write!(f, "insufficient: {why}"),
        }
    }
}
