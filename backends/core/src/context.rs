//! Who calls, why, and how long they will wait.

use std::time::{Duration, Instant};

use crate::{Actor, Reason, RequestId, TextError};

/// Given to every call: nothing blocks for ever, everything is attributable.
///
/// ```
/// use keyward_core::Context;
/// let cx = Context::new("billing-rotator", "quarterly rotation")?;
/// assert!(cx.remaining() > std::time::Duration::from_secs(20));
/// # Ok::<(), keyward_core::TextError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// Who acts.
    pub actor: Actor,
    /// Why.
    pub reason: Reason,
    /// Correlates the calls of one request.
    pub request: RequestId,
    /// When the caller stops waiting.
    pub deadline: Instant,
}

impl Context {
    /// How long an operation may take unless said otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    /// A context with a fresh request id and the default time limit.
    ///
    /// ```
    /// use keyward_core::Context;
    /// assert!(Context::new("billing-rotator", "quarterly rotation").is_ok());
    /// assert!(Context::new("", "no one acts").is_err());
    /// ```
    ///
    /// # Errors
    /// [`TextError`] when actor or reason is empty, too long or unprintable.
    pub fn new(actor: &str, reason: &str) -> Result<Self, TextError> {
        Ok(Self::by(actor.parse()?, reason.parse()?))
    }

    /// A context from parsed parts.
    #[must_use]
    pub fn by(actor: Actor, reason: Reason) -> Self {
        Self { actor, reason, request: RequestId::generate(), deadline: Instant::now() + Self::DEFAULT_TIMEOUT }
    }

    /// The same caller with a new time limit from now. A limit beyond a year is taken as a year.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit.min(Self::YEAR), ..self.clone() }
    }

    /// The time left; zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// True when the caller has stopped waiting.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }
}
