//! One key's turn: step it as far as it goes now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Clock, IncidentState, KeyRecord, Operation, Reason, Retry, RunOutcome, RunPhase, SecretBackend, SecretBackendExt,
    TransitionError,
};

use super::super::builder::Rotator;
use super::super::error::RotationError;
use super::super::run::backoff;
use super::super::schedule::{Cause, Schedule};
use super::builder::Settings;
use super::events::{Broadcast, FleetEvent};
use super::issuers::Verdict;
use super::outcome::{KeyReport, Outcome};
use super::queue::Candidate;
use super::stop::Stop;
use super::work::{Moved, Turn, Work};
use crate::leak::LeakResponse;

/// Waits up to this long are sat out, so that what is counted in one process is counted.
const SHORT: Duration = Duration::from_secs(15);
/// How often one step is tried again in a turn.
const TRIES: u32 = 4;
/// So many times in a row another process was faster: the key is left to it for a while.
const OVERTAKEN: u32 = 8;

/// What every turn of a pass shares.
pub(super) struct Visitor<'a, B> {
    pub(super) rotator: &'a Rotator<B>,
    pub(super) schedule: &'a Schedule,
    pub(super) settings: &'a Settings,
    pub(super) events: &'a Broadcast,
    pub(super) stop: &'a Stop,
}

type Ended = Result<Outcome, RotationError>;

impl<B: SecretBackend> Visitor<'_, B> {
    /// A key's turn, from its record as it is now. Never an error: what went wrong is the outcome.
    pub(super) async fn visit(&self, candidate: Candidate) -> (KeyReport, Verdict) {
        self.events.tell(|| FleetEvent::Started { key: candidate.key.clone(), due: candidate.due });
        let mut verdict = Verdict::Silent;
        let outcome = match self.see_to(&candidate, &mut verdict).await {
            Ok(outcome) => outcome,
            Err(error) => self.failed(error, &candidate, &mut verdict),
        };
        let report = candidate.becomes(outcome);
        self.events.tell(|| FleetEvent::of(&report));
        (report, verdict)
    }

    async fn see_to(&self, candidate: &Candidate, verdict: &mut Verdict) -> Ended {
        let key = &candidate.key;
        let why = self.reason(candidate.due.cause);
        let cx = self.rotator.context(&why);
        let record = self.rotator.backend().load_existing(&cx, key).await?.value;
        // The listing may be old, and another process may have been here.
        let Some(due) = self.schedule.due(&record, self.now()) else { return Ok(Outcome::DoneElsewhere) };
        let mut work = match due.cause {
            Cause::Housekeeping => return self.tidy(candidate, &why).await,
            Cause::Leak => {
                let open = record.incidents().iter().find(|i| i.state != IncidentState::AwaitingReview);
                let Some(incident) = open else { return Ok(Outcome::DoneElsewhere) };
                match LeakResponse::resume(self.rotator, key, incident.id).await {
                    Ok(response) => Work::Leak(key.clone(), response),
                    Err(crate::leak::LeakError::Rotation(error)) => return Err(error),
                    Err(_) => return Ok(Outcome::DoneElsewhere),
                }
            }
            Cause::UnderWay => match self.rotator.resume(key, why.as_str()).await {
                Ok(run) => Work::Run(run),
                Err(RotationError::Refused(TransitionError::NoRun)) => return Ok(Outcome::DoneElsewhere),
                Err(error) => return Err(error),
            },
            _ => match self.rotator.start(key, why.as_str()).await {
                Ok(run) => Work::Run(run),
                // Begun by another process in this very moment: it has a minute before we step along.
                Err(RotationError::AlreadyRunning { .. }) => {
                    return Ok(self.waits(Duration::from_secs(60), "another process has just begun it".to_owned()));
                }
                Err(error) if is_crowded(&error) => return self.make_room(candidate, &why, error).await,
                Err(error) => return Err(error),
            },
        };
        self.step_on(&mut work, &record, due.cause, verdict).await
    }

    /// Steps until there is nothing to do for a while.
    async fn step_on(&self, work: &mut Work<'_, B>, record: &KeyRecord, cause: Cause, verdict: &mut Verdict) -> Ended {
        // The longest that is sat out in one turn: a new key may take its time to be known everywhere.
        let patience = record.policy().propagation + 2 * SHORT;
        let mut watching = is_watched(record);
        let (mut waited, mut failures, mut overtaken) = (Duration::ZERO, 0, 0);
        loop {
            if self.stop.is_stopped() {
                return Ok(self.waits(Duration::ZERO, "told to stop; any process goes on from here".to_owned()));
            }
            let turn = match work.step(|event| self.events.tell(|| event)).await {
                Ok(turn) => turn,
                Err(RotationError::Backend(error)) if error.retry() != Retry::No && failures < TRIES => {
                    failures += 1;
                    let pause = match error.retry() {
                        Retry::After(pause) if pause > SHORT => return Ok(self.waits(pause, error.to_string())),
                        Retry::After(pause) => pause,
                        _ => backoff(failures),
                    };
                    self.rotator.clock().sleep(pause).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            failures = 0;
            overtaken = if matches!(turn, Turn::Overtaken) { overtaken + 1 } else { 0 };
            match turn {
                Turn::Overtaken if overtaken < OVERTAKEN => {}
                Turn::Overtaken => return Ok(self.waits(SHORT, "other processes are at it".to_owned())),
                Turn::Moved(moved) => {
                    watching = moved == Moved::Published;
                    match moved {
                        Moved::Published => *verdict = Verdict::Good,
                        Moved::GivenUp => *verdict = Verdict::Bad,
                        Moved::On => {}
                    }
                }
                Turn::Wait { at_most, why } => {
                    if watching || at_most > SHORT || waited + at_most > patience {
                        return Ok(self.waits(at_most, why));
                    }
                    waited += at_most;
                    self.stop.or(self.rotator.clock().sleep(at_most)).await;
                }
                Turn::Operator(what) => {
                    let until = self.after(at_most(cause, self.settings.operator_every));
                    return Ok(Outcome::NeedsOperator { what, until });
                }
                Turn::Done(outcome) => {
                    match outcome {
                        Outcome::Finished { outcome: RunOutcome::Completed, .. } => *verdict = Verdict::Good,
                        Outcome::Finished { outcome: RunOutcome::Aborted, .. } => *verdict = Verdict::Bad,
                        _ => {}
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// Sees to dead and dying versions.
    async fn tidy(&self, candidate: &Candidate, why: &Reason) -> Ended {
        let swept = self.rotator.sweep(&candidate.key, why.as_str()).await?;
        if let Some(what) = swept.needs_operator.into_iter().next() {
            return Ok(Outcome::NeedsOperator { what, until: self.after(self.settings.operator_every) });
        }
        match swept.pending.len() {
            0 => Ok(Outcome::Tidied { pending: 0 }),
            pending => {
                let pause = doubled(Duration::from_secs(5 * 60), candidate.failures);
                Ok(self.waits(pause, format!("versions given up and not seen dead yet: {pending}")))
            }
        }
    }

    /// No further version has room: see the condemned ones dead, then try again.
    async fn make_room(&self, candidate: &Candidate, why: &Reason, full: RotationError) -> Ended {
        match self.tidy(candidate, why).await? {
            Outcome::Tidied { .. } => Ok(self.waits(Duration::ZERO, "room was made for a new version".to_owned())),
            Outcome::Waiting { .. } => Err(full),
            outcome => Ok(outcome),
        }
    }

    fn failed(&self, error: RotationError, candidate: &Candidate, verdict: &mut Verdict) -> Outcome {
        if let RotationError::Backend(error) = &error
            && of_the_issuer(error.operation())
        {
            *verdict = Verdict::Bad;
        }
        let pause = doubled(Duration::from_secs(60), candidate.failures);
        let until = self.after(at_most(candidate.due.cause, pause));
        Outcome::Failed { error, until }
    }

    fn waits(&self, at_most: Duration, why: String) -> Outcome {
        Outcome::Waiting { until: self.after(at_most), why }
    }

    fn reason(&self, cause: Cause) -> Reason {
        Reason::lossy(&format!("{}: {cause}", self.settings.reason))
    }

    fn now(&self) -> DateTime<Utc> {
        self.rotator.clock().now()
    }

    fn after(&self, pause: Duration) -> DateTime<Utc> {
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        self.now().checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// True while both versions work and the new one is watched, which takes hours or days.
fn is_watched(record: &KeyRecord) -> bool {
    let phase = record.run().map(|run| &run.phase);
    matches!(phase, Some(RunPhase::Soaking { .. } | RunPhase::Suspended { .. }))
}

/// True when it is condemned versions that stand in the way.
fn is_crowded(error: &RotationError) -> bool {
    matches!(error, RotationError::IssuerFull { .. } | RotationError::Refused(TransitionError::TooManyWorking { .. }))
}

fn of_the_issuer(operation: Operation) -> bool {
    use Operation::{Create, Find, Probe, Revoke, Scope, Status, Switch};
    matches!(operation, Create | Find | Probe | Revoke | Scope | Status | Switch)
}

/// A leak is not left alone for longer than a minute.
fn at_most(cause: Cause, pause: Duration) -> Duration {
    if cause == Cause::Leak { pause.min(Duration::from_secs(60)) } else { pause }
}

/// `first`, doubled with each failure, up to an hour.
fn doubled(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(10)).min(Duration::from_secs(3_600))
}
