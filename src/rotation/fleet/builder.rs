//! Putting a fleet together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{ListQuery, Reason, SecretBackend, TextError};

use super::super::builder::Rotator;
use super::super::schedule::Schedule;
use super::events::Broadcast;
use super::issuers::Circuits;
use super::queue::Visits;
use super::stop::Stop;
use super::{FleetRotator, ScheduleSource};

/// What a fleet keeps to.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) runs: usize,
    pub(super) per_issuer: usize,
    pub(super) pass_limit: Duration,
    pub(super) look_every: Duration,
    pub(super) operator_every: Duration,
    pub(super) query: ListQuery,
    pub(super) reason: Reason,
}

/// Puts a [`FleetRotator`] together.
#[must_use]
pub struct FleetBuilder<B> {
    rotator: Arc<Rotator<B>>,
    schedule: ScheduleSource,
    runs: usize,
    per_issuer: usize,
    failures: u32,
    rest: Duration,
    pass_limit: Duration,
    look_every: Duration,
    operator_every: Duration,
    query: ListQuery,
    reason: String,
}

impl<B> fmt::Debug for FleetBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("FleetBuilder");
        debug.field("runs", &self.runs).field("per_issuer", &self.per_issuer).finish_non_exhaustive()
    }
}

impl<B: SecretBackend> FleetBuilder<B> {
    pub(super) fn new(rotator: Arc<Rotator<B>>) -> Self {
        Self {
            rotator,
            schedule: ScheduleSource(Arc::new(Schedule::default)),
            runs: 8,
            per_issuer: 2,
            failures: 5,
            rest: Duration::from_secs(15 * 60),
            pass_limit: Duration::from_secs(5 * 60),
            look_every: Duration::from_secs(5 * 60),
            operator_every: Duration::from_secs(3_600),
            query: ListQuery::all(),
            reason: "fleet".to_owned(),
        }
    }

    /// When keys are due. Default: by age, expiry, scope change and leak, and runs under way.
    pub fn schedule(self, schedule: Schedule) -> Self {
        self.schedule_from(move || schedule.clone())
    }

    /// Asked for the schedule at the beginning of each pass: people leave while a fleet runs.
    pub fn schedule_from(mut self, schedule: impl Fn() -> Schedule + Send + Sync + 'static) -> Self {
        self.schedule = ScheduleSource(Arc::new(schedule));
        self
    }

    /// Only the keys of this query. Default: all.
    pub fn only(mut self, query: ListQuery) -> Self {
        self.query = query;
        self
    }

    /// How many runs are stepped at once, in all (default 8) and at one issuer (default 2). A run
    /// that waits for more than a few seconds is not among them.
    pub fn concurrency(mut self, runs: usize, per_issuer: usize) -> Self {
        (self.runs, self.per_issuer) = (runs.max(1), per_issuer.max(1));
        self
    }

    /// After so many runs in a row failed at an issuer, no new run is begun there for a while;
    /// then one tries it again. Default: 5 failures, 15 minutes. Leaks and runs under way go on.
    pub fn hold_issuer(mut self, failures: u32, rest: Duration) -> Self {
        (self.failures, self.rest) = (failures.max(1), rest);
        self
    }

    /// How long a pass begins keys before it looks at the store anew, so that a leak reported
    /// meanwhile is first again. Default 5 minutes.
    pub fn pass_limit(mut self, limit: Duration) -> Self {
        self.pass_limit = limit;
        self
    }

    /// How often [`FleetRotator::run_forever`] looks at every record. Default 5 minutes.
    pub fn look_every(mut self, every: Duration) -> Self {
        self.look_every = every.max(FleetRotator::<B>::SHORTEST);
        self
    }

    /// How often a key that needs a person is looked at again. Default an hour.
    pub fn operator_every(mut self, every: Duration) -> Self {
        self.operator_every = every;
        self
    }

    /// What stands in the audit log and in the history of each run, before the cause. Default
    /// `fleet`.
    pub fn reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    /// Checks the settings. Contacts nobody.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::rotation::{FleetRotator, Rotator};
    /// let rotator = || Rotator::builder(MemoryBackend::default()).build();
    /// assert!(FleetRotator::builder(rotator()?).reason("quarterly").build().is_ok());
    /// assert!(FleetRotator::builder(rotator()?).reason("").build().is_err());
    /// # Ok::<(), keyward::rotation::RotationError>(())
    /// ```
    ///
    /// # Errors
    /// [`TextError`] when the reason is not acceptable.
    pub fn build(self) -> Result<FleetRotator<B>, TextError> {
        Ok(FleetRotator {
            rotator: self.rotator,
            schedule: self.schedule,
            settings: Settings {
                runs: self.runs,
                per_issuer: self.per_issuer,
                pass_limit: self.pass_limit,
                look_every: self.look_every,
                operator_every: self.operator_every,
                query: self.query,
                reason: self.reason.parse()?,
            },
            events: Broadcast::default(),
            stop: Stop::new(),
            visits: Visits::default(),
            circuits: Circuits::new(self.failures, self.rest),
        })
    }
}
