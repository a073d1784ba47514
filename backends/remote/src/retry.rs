//! Repeating a call that may help.

use std::time::Duration;

use backon::{ExponentialBuilder, FuturesTimerSleeper, Retryable};
use keyward_core::{Context, Error, ErrorKind, Result};

/// How often a call is repeated, and how long is waited in between.
///
/// Delays double from `first` to `longest`, each with random jitter; a longer wait the store asks
/// for is honoured. No attempt begins after the deadline of the context.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// How often a call is made at most. Default 6.
    pub attempts: usize,
    /// The first delay. Default 200 ms.
    pub first: Duration,
    /// The longest delay. Default 20 s.
    pub longest: Duration,
}

impl Retry {
    /// One attempt and no more.
    pub const NEVER: Self = Self { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO };

    /// At most so many attempts (at least one), delays from `first` to `longest`.
    #[must_use]
    pub fn new(attempts: usize, first: Duration, longest: Duration) -> Self {
        Self { attempts: attempts.max(1), first, longest }
    }

    /// Makes a call, again while its error says that repeating may help. For calls that are
    /// idempotent: an unknown outcome is repeated as well.
    ///
    /// # Errors
    /// The last error of the call.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use std::cell::Cell;
    /// use std::time::Duration;
    /// use keyward_core::{Context, Error, ErrorKind, Operation};
    /// use keyward_remote::Retry;
    ///
    /// let (cx, calls) = (Context::new("doc", "example")?, Cell::new(0));
    /// let quick = Retry::new(3, Duration::from_millis(1), Duration::from_millis(2));
    /// let answer = quick.run(&cx, || async {
    ///     calls.set(calls.get() + 1);
    ///     if calls.get() < 3 { Err(Error::new(ErrorKind::Throttled, Operation::Load, "doc")) } else { Ok("there") }
    /// });
    /// assert_eq!(answer.await?, "there");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn run<T, F: Future<Output = Result<T>>>(&self, cx: &Context, call: impl FnMut() -> F) -> Result<T> {
        let delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1));
        call.retry(delays)
            .sleep(FuturesTimerSleeper)
            .when(|error: &Error| may_help(error))
            .adjust(|error, delay| delay.map(|d| d.max(asked(error))).filter(|d| *d < cx.remaining()))
            .await
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(6, Duration::from_millis(200), Duration::from_secs(20))
    }
}

fn may_help(error: &Error) -> bool {
    error.retry() != keyward_core::Retry::No
        && matches!(error.kind(), ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Unknown)
}

/// How long the store asked us to wait.
fn asked(error: &Error) -> Duration {
    match error.retry() {
        keyward_core::Retry::After(wait) => wait,
        keyward_core::Retry::Yes | keyward_core::Retry::No => Duration::ZERO,
    }
}
