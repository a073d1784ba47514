//! Every key that is due, a few at a time, by any number of processes, killed at any moment.
//!
//! A fleet keeps nothing that matters: every run is journalled in the record of its key, and what
//! is due is read from the records. A second process, or the next start of this one, goes on.

mod budget;
mod builder;
mod events;
mod issuers;
mod outcome;
mod paced;
mod pass;
mod queue;
mod report;
mod stop;
mod visit;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{Clock, SecretBackend};

pub use budget::Budget;
pub use builder::FleetBuilder;
pub use events::{Events, FleetEvent};
pub use outcome::{Hold, KeyReport, Outcome};
pub use paced::Paced;
pub use report::{FleetReport, HeldIssuer, Summary};
pub use stop::StopHandle;

use self::builder::Settings;
use self::events::Broadcast;
use self::issuers::Circuits;
use self::queue::Visits;
use self::stop::Stop;
use super::builder::Rotator;
use super::schedule::Schedule;

/// Rotates every key that is due: leaks first, a few runs at a time, without holding one key up for
/// another.
///
/// One [pass](FleetRotator::pass) steps each due key as far as it goes now; a key that waits for
/// hours waits in its record, not here. [`FleetRotator::run_forever`] passes again whenever
/// something is due. Dropping either loses nothing.
///
/// One fleet for a store is enough. A second is a spare: both step the same runs, which is safe
/// and does the work twice.
///
/// Give the rotator a [`Paced`] store where the store bears few writes, and ask the health gate
/// seldom ([`RotatorBuilder::poll_every`](super::RotatorBuilder::poll_every)) where many keys soak
/// at once.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward::core::MemoryBackend;
/// use keyward::issuer::GeneratedIssuer;
/// use keyward::rotation::{FleetRotator, Paced, Rotator, Schedule};
///
/// let rotator = Rotator::builder(Paced::new(MemoryBackend::default()))
///     .actor("fleet")
///     .issuer_and_validator("acme", GeneratedIssuer::new("acme_live")?)
///     .build()?;
/// let left = chrono::Utc::now();
/// let mut fleet = FleetRotator::builder(rotator)
///     .schedule(Schedule::default().person_left("ada@example.com", left))
///     .build()?;
/// println!("{}", fleet.dry_run().await); // what is due, and why; nothing is done
/// println!("{}", fleet.pass().await);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct FleetRotator<B> {
    rotator: Arc<Rotator<B>>,
    schedule: ScheduleSource,
    settings: Settings,
    events: Broadcast,
    stop: Stop,
    visits: Visits,
    circuits: Circuits,
}

#[derive(Clone)]
struct ScheduleSource(Arc<dyn Fn() -> Schedule + Send + Sync>);

impl fmt::Debug for ScheduleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScheduleSource")
    }
}

impl<B: SecretBackend> FleetRotator<B> {
    /// The shortest time between two passes of [`FleetRotator::run_forever`].
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// Starts to put a fleet together that drives `rotator`, its own or a shared one.
    pub fn builder(rotator: impl Into<Arc<Rotator<B>>>) -> FleetBuilder<B> {
        FleetBuilder::new(rotator.into())
    }

    /// The rotator it drives.
    pub fn rotator(&self) -> &Rotator<B> {
        &self.rotator
    }

    /// What the fleet does from now on, as it does it. Any number of readers.
    pub fn events(&mut self) -> Events {
        self.events.listen()
    }

    /// Stops the fleet from elsewhere.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.handle()
    }

    /// Passes every few minutes, so a key is that late at most; in between, steps the keys that
    /// wait as their time comes. Goes on until it is [told to stop](FleetRotator::stop_handle); a
    /// store that is away is tried again. Answers what was done last.
    pub async fn run_forever(&mut self) -> FleetReport {
        self.run_until(DateTime::<Utc>::MAX_UTC).await
    }

    /// As [`FleetRotator::run_forever`], until the clock shows `end`. One pass is always made, and
    /// what has begun is not cut short.
    pub async fn run_until(&mut self, end: DateTime<Utc>) -> FleetReport {
        let mut look_at = self.rotator.clock().now();
        loop {
            let now = self.rotator.clock().now();
            let report = if now >= look_at {
                let report = self.pass().await;
                let look = TimeDelta::from_std(self.settings.look_every).unwrap_or(TimeDelta::MAX);
                look_at = now.checked_add_signed(look).unwrap_or(DateTime::<Utc>::MAX_UTC);
                if report.left_some() {
                    look_at = now;
                }
                report
            } else {
                self.revisit().await
            };
            let now = self.rotator.clock().now();
            if self.stop.is_stopped() || now >= end {
                return report;
            }
            let next = self.visits.next().map_or(look_at, |next| next.min(look_at)).min(end);
            let pause = (next - now).to_std().unwrap_or_default().max(Self::SHORTEST);
            self.stop.or(self.rotator.clock().sleep(pause)).await;
            if self.stop.is_stopped() {
                return report;
            }
        }
    }
}
