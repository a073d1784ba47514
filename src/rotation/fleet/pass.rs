//! One pass: look at every record, then see to the keys that are due.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use keyward_core::{Clock, KeyRecord, Operation, Pages, Reason, SecretBackend};

use super::super::schedule::Schedule;
use super::FleetRotator;
use super::events::FleetEvent;
use super::issuers::Slots;
use super::outcome::{Hold, Outcome};
use super::queue::{Candidate, Queue};
use super::report::FleetReport;
use super::visit::Visitor;

impl<B: SecretBackend> FleetRotator<B> {
    /// Looks at every record, and steps each key that is due as far as it goes now: leaks first.
    ///
    /// Records are listed by pages and dropped again; only the names of due keys are kept. What
    /// fails is in the report, never in the way of other keys.
    ///
    /// A process that makes one pass and ends sees nothing for long. What a dead process has planned
    /// is given up by one that has watched it for two minutes
    /// ([`RotatorBuilder::takeover_after`](super::super::RotatorBuilder::takeover_after)): a job that
    /// is started now and then calls [`FleetRotator::run_until`] for five.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::rotation::{FleetRotator, Outcome};
    /// async fn hourly(fleet: &mut FleetRotator<MemoryBackend>) {
    ///     let report = fleet.pass().await;
    ///     for key in report.with(|outcome| matches!(outcome, Outcome::NeedsOperator { .. })) {
    ///         println!("{}", key.outcome);
    ///     }
    ///     println!("{}", report.summary());
    /// }
    /// ```
    pub async fn pass(&mut self) -> FleetReport {
        let schedule = (self.schedule.0)();
        let mut report = FleetReport::new(self.rotator.clock().now());
        let queue = self.look(&schedule, &mut report).await;
        self.work(&schedule, queue, &mut report).await;
        self.end(report)
    }

    /// Steps the keys that wait here and whose time has come, without a look at the others.
    pub(super) async fn revisit(&mut self) -> FleetReport {
        let schedule = (self.schedule.0)();
        let mut report = FleetReport::new(self.rotator.clock().now());
        let mut queue = Queue::default();
        self.visits.ready(report.started_at).for_each(|candidate| queue.push(candidate));
        self.work(&schedule, queue, &mut report).await;
        self.end(report)
    }

    fn end(&mut self, mut report: FleetReport) -> FleetReport {
        let now = self.rotator.clock().now();
        self.visits.forget_old(now);
        report.held = self.circuits.held(now);
        report.ended_at = now;
        self.events.tell(|| FleetEvent::PassEnded(report.summary()));
        report
    }

    /// Says which keys a pass would see to, and why. Lists records and does nothing else.
    pub async fn dry_run(&self) -> FleetReport {
        let schedule = (self.schedule.0)();
        let mut report = FleetReport::new(self.rotator.clock().now());
        let queue = self.look(&schedule, &mut report).await;
        report.keys.extend(queue.rest().into_iter().map(|key| key.becomes(Outcome::Held(Hold::DryRun))));
        report.keys.append(&mut report.waiting);
        report.held = self.circuits.held(report.started_at);
        report.ended_at = self.rotator.clock().now();
        report
    }

    /// The keys that are due now, by name.
    async fn look(&self, schedule: &Schedule, report: &mut FleetReport) -> Queue {
        let (mut queue, mut next, mut pages) = (Queue::default(), None, Pages::of(Operation::List));
        let why = Reason::lossy(&format!("{}: look for keys that are due", self.settings.reason));
        loop {
            // A context for each page: a large store takes longer than one call may.
            let listed = self.rotator.backend().list(&self.rotator.context(&why), &self.settings.query, next).await;
            let page = match listed.and_then(|page| Ok((page.items, pages.after(page.next)?))) {
                Ok(page) => page,
                Err(error) => {
                    report.incomplete = Some(error);
                    return queue;
                }
            };
            for item in page.0 {
                match item {
                    Ok(stamped) => self.consider(&stamped.value, schedule, &mut queue, report),
                    Err(error) => report.unreadable.push(error),
                }
            }
            next = page.1;
            if next.is_none() || self.stop.is_stopped() {
                return queue;
            }
        }
    }

    fn consider(&self, record: &KeyRecord, schedule: &Schedule, queue: &mut Queue, report: &mut FleetReport) {
        report.seen += 1;
        let now = report.started_at;
        let Some(due) = schedule.when(record, now) else { return };
        if due.at > now {
            return report.wakes(due.at);
        }
        match self.visits.waiting(record.id(), &due, now) {
            Some(waiting) => {
                waiting.outcome.until().into_iter().for_each(|at| report.wakes(at));
                report.waiting.push(waiting.clone());
            }
            None => queue.push(Candidate {
                key: record.id().clone(),
                issuer: record.issuer().clone(),
                due,
                failures: self.visits.failures(record.id()),
            }),
        }
    }

    /// Sees to the keys, as many at once as there are slots.
    async fn work(&mut self, schedule: &Schedule, mut queue: Queue, report: &mut FleetReport) {
        let Self { rotator, settings, events, stop, visits, circuits, .. } = self;
        let clock = rotator.clock().clone();
        let ends = clock.monotonic().saturating_add(settings.pass_limit);
        let visitor = Visitor { rotator, schedule, settings, events, stop };
        let mut slots = Slots::new(settings.runs, settings.per_issuer);
        let (mut running, mut held) = (FuturesUnordered::new(), Vec::new());
        loop {
            while !stop.is_stopped() && clock.monotonic() < ends {
                let Some(candidate) = queue.next(&slots, circuits, clock.now(), &mut held) else { break };
                slots.take(&candidate.issuer);
                if candidate.due.cause.starts_a_run() {
                    circuits.begin(&candidate.issuer);
                }
                running.push(visitor.visit(candidate));
            }
            let Some((key, verdict)) = running.next().await else { break };
            slots.leave(&key.issuer);
            if let Some(until) = circuits.judge(&key.issuer, verdict, clock.now()) {
                events.tell(|| FleetEvent::IssuerHeld { issuer: key.issuer.clone(), until });
            }
            visits.remember(&key);
            report.add(key, settings.look_every);
        }
        drop(running);
        held.extend(queue.rest().into_iter().map(|key| key.becomes(Outcome::Held(Hold::NextPass))));
        held.into_iter().for_each(|key| report.add(key, settings.look_every));
        report.keys.append(&mut report.waiting);
    }
}
