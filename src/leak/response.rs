//! The resumable answer to one leaked version.

use std::fmt;
use std::time::Duration;

use keyward_core::{
    AuditAction, AuditEvent, Context, IncidentId, IncidentState, KeyId, KeyRecord, Reason, Retry, RunKind, RunOutcome,
    RunPhase, SecretBackend, SecretBackendExt, Shows, Stamped, Transition, VersionId, VersionState,
};

use super::report::{IncidentReport, LeakReport, Leaked};
use crate::commit::Commit;
use crate::rotation::{Death, NeedsOperator, RotationError, RotationRun, Rotator, RunReport, Step, backoff};

/// What one step of a response did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LeakStep {
    /// The pointer was moved away from the leaked version, or that was tried once.
    Fenced {
        /// What became of it.
        outcome: String,
    },
    /// The leaked version was seen dead: the exposure window has an end.
    Revoked {
        /// The version.
        version: VersionId,
    },
    /// The issuer did not confirm the revoke yet; the replacement goes on and it is tried again.
    RevokeUnconfirmed {
        /// Why.
        why: String,
    },
    /// The replacement made a step.
    Replacing(Step),
    /// Nothing to do for now: step again after at most this long.
    Wait {
        /// How long.
        at_most: Duration,
        /// What is waited for.
        why: String,
    },
    /// A person must decide or do something.
    NeedsOperator(NeedsOperator),
    /// Revoked and replaced. The exposure window waits to be reviewed.
    AwaitingReview(IncidentReport),
}

impl fmt::Display for LeakStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced { outcome } => write!(f, "moved the pointer off the leaked version: {outcome}"),
            Self::Revoked { version } => write!(f, "saw leaked version {version} dead"),
            Self::RevokeUnconfirmed { why } => {
                write!(f, "the revoke is not confirmed yet ({why}); replacing meanwhile")
            }
            Self::Replacing(step) => write!(f, "replacing: {step}"),
            Self::Wait { at_most, why } => write!(f, "waiting up to {} s: {why}", at_most.as_secs()),
            Self::NeedsOperator(what) => write!(f, "needs an operator: {what}"),
            Self::AwaitingReview(report) => write!(f, "awaiting review: {report}"),
        }
    }
}

/// Why a response cannot go on. The same call may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeakError {
    /// The report names nothing the record knows. It was noted; nothing was rotated on a guess.
    #[error("{key}: the report matches no version of the key; check which key leaked (nothing was changed)")]
    Unmatched {
        /// The key.
        key: KeyId,
    },
    /// The record knows no such incident.
    #[error("{key}: no incident {incident}; it may have moved to a history page")]
    NoIncident {
        /// The key.
        key: KeyId,
        /// The incident.
        incident: IncidentId,
    },
    /// The replacement or the store failed.
    #[error(transparent)]
    Rotation(#[from] RotationError),
}

impl From<keyward_core::Error> for LeakError {
    fn from(error: keyward_core::Error) -> Self {
        Self::Rotation(error.into())
    }
}

/// The answer to one leaked version, in the hands of one process. Dropping it loses nothing.
#[derive(Debug)]
pub struct LeakResponse<'a, B> {
    rotator: &'a Rotator<B>,
    key: KeyId,
    incident: IncidentId,
    reason: Reason,
    run: Option<RotationRun<'a, B>>,
    fence_tried: bool,
    unconfirmed: Option<Unconfirmed>,
    /// Replacements that came to nothing, one after the other.
    aborted: u32,
}

/// Why the leaked version is not seen dead yet.
#[derive(Debug)]
enum Unconfirmed {
    Pending(String),
    Operator(NeedsOperator),
}

impl<'a, B: SecretBackend> LeakResponse<'a, B> {
    /// Writes the leak into the record and condemns the version, in one swap. A repeated report
    /// finds the incident that is open and can only widen its window.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::leak::{LeakError, LeakReport, LeakResponse};
    /// use keyward::rotation::Rotator;
    /// async fn answer(rotator: &Rotator<MemoryBackend>, report: &LeakReport) -> Result<(), LeakError> {
    ///     let mut response = LeakResponse::open(rotator, report).await?;
    ///     println!("{}", response.run_to_review().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LeakError::Unmatched`] when the report names no known version; a failing store.
    pub async fn open(rotator: &'a Rotator<B>, report: &LeakReport) -> Result<Self, LeakError> {
        let reason = reason_of(report);
        let cx = rotator.context(&reason);
        let backend = rotator.backend();
        for _ in 0..8 {
            let read = backend.load_existing(&cx, &report.key).await?;
            let shown = shown_now(backend, &cx, report, &read.value).await;
            let Some(version) = report.find(&read.value, shown) else {
                note_unmatched(backend, &cx, report).await?;
                return Err(LeakError::Unmatched { key: report.key.clone() });
            };
            let known = read.value.version(version).and_then(|v| v.compromised.as_ref());
            let incident = known.map_or(report.incident, |c| c.incident);
            let compromise = Transition::Compromise {
                version,
                incident,
                // Whatever the report says: what was seen now was exposed by now.
                exposed_from: report.exposed_from.map(|at| at.min(rotator.clock().now())),
                source: report.source.clone(),
                publication: keyward_core::PublicationId::generate(),
            };
            if let Commit::Done(_) = rotator.commit(&cx, &read, &compromise).await? {
                return Ok(Self::of(rotator, report.key.clone(), incident, reason));
            }
        }
        Err(RotationError::Contended { key: report.key.clone() }.into())
    }

    /// Goes on with an incident, whoever opened it.
    ///
    /// ```
    /// use keyward::core::{IncidentId, KeyId, MemoryBackend};
    /// use keyward::leak::{LeakError, LeakResponse};
    /// use keyward::rotation::Rotator;
    /// async fn take_over(rotator: &Rotator<MemoryBackend>, key: &KeyId, incident: IncidentId) -> Result<(), LeakError> {
    ///     LeakResponse::resume(rotator, key, incident).await?.run_to_review().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LeakError::NoIncident`] when the record does not know it; a failing store.
    pub async fn resume(rotator: &'a Rotator<B>, key: &KeyId, incident: IncidentId) -> Result<Self, LeakError> {
        let reason = Reason::lossy("resume the answer to a leak");
        let response = Self::of(rotator, key.clone(), incident, reason);
        let read = rotator.backend().load_existing(&response.context(), key).await?;
        response.find(&read.value)?;
        Ok(response)
    }

    /// The incident.
    pub fn incident(&self) -> IncidentId {
        self.incident
    }

    /// Makes one step.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::leak::{LeakError, LeakReport, LeakResponse, LeakStep};
    /// use keyward::rotation::Rotator;
    /// async fn one_step(rotator: &Rotator<MemoryBackend>, report: &LeakReport) -> Result<(), LeakError> {
    ///     match LeakResponse::open(rotator, report).await?.step().await? {
    ///         LeakStep::AwaitingReview(incident) => println!("review {incident}"),
    ///         step => println!("{step:?}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LeakError`]; everything done so far stays done and the step may be repeated.
    pub async fn step(&mut self) -> Result<LeakStep, LeakError> {
        let cx = self.context();
        let read = self.rotator.backend().load_existing(&cx, &self.key).await?;
        let incident = self.find(&read.value)?.clone();
        if incident.state == IncidentState::AwaitingReview {
            return Ok(LeakStep::AwaitingReview(IncidentReport::of(&read.value, &incident)));
        }
        let condemned = read.value.version(incident.version).is_some_and(|v| v.state == VersionState::RevokePending);
        if condemned && !self.fence_tried && pointer_in_flight(&read.value) {
            return Ok(self.fence().await);
        }
        if condemned && self.unconfirmed.is_none() {
            return self.revoke(&cx, &read, incident.version).await;
        }
        self.replace(&read.value).await
    }

    /// Steps until the incident awaits its review, waiting on the rotator's clock in between.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::leak::{LeakError, LeakReport, LeakResponse};
    /// use keyward::rotation::Rotator;
    /// async fn to_the_end(rotator: &Rotator<MemoryBackend>, report: &LeakReport) -> Result<(), LeakError> {
    ///     let incident = LeakResponse::open(rotator, report).await?.run_to_review().await?;
    ///     assert!(incident.revoked_at.is_some());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::NeedsOperator`] when a person is needed; otherwise the first error that says
    /// it will not help to repeat it, or any after 10 in a row.
    pub async fn run_to_review(&mut self) -> Result<IncidentReport, LeakError> {
        let mut failures = 0;
        loop {
            match self.step().await {
                Ok(LeakStep::AwaitingReview(report)) => return Ok(report),
                Ok(LeakStep::NeedsOperator(what)) => return Err(RotationError::from(what).into()),
                Ok(LeakStep::Wait { at_most, .. }) => self.rotator.clock().sleep(at_most).await,
                Ok(_) => {}
                Err(LeakError::Rotation(RotationError::Backend(error)))
                    if error.retry() != Retry::No && failures < 10 =>
                {
                    failures += 1;
                    self.rotator.clock().sleep(backoff(failures)).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            failures = 0;
        }
    }

    fn of(rotator: &'a Rotator<B>, key: KeyId, incident: IncidentId, reason: Reason) -> Self {
        Self { rotator, key, incident, reason, run: None, fence_tried: false, unconfirmed: None, aborted: 0 }
    }

    fn context(&self) -> Context {
        self.rotator.context(&self.reason)
    }

    fn find<'r>(&self, record: &'r KeyRecord) -> Result<&'r keyward_core::Incident, LeakError> {
        let missing = || LeakError::NoIncident { key: self.key.clone(), incident: self.incident };
        record.incidents().iter().find(|i| i.id == self.incident).ok_or_else(missing)
    }

    /// One call to get the pointer away from the leaked version; a dead key hurts less than a live
    /// leaked one, so whatever comes of it the revoke is next.
    async fn fence(&mut self) -> LeakStep {
        self.fence_tried = true;
        let outcome = match self.step_run().await {
            Ok(step) => step.to_string(),
            Err(error) => format!("not fenced ({error}); revoking all the same"),
        };
        LeakStep::Fenced { outcome }
    }

    async fn revoke(
        &mut self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        version: VersionId,
    ) -> Result<LeakStep, LeakError> {
        let unconfirmed = match self.rotator.kill(cx, read, version).await {
            Ok(Death::Stored(_, Step::Revoked { version })) => return Ok(LeakStep::Revoked { version }),
            Ok(Death::Stored(_, step)) => return Ok(LeakStep::Replacing(step)),
            Ok(Death::Overtaken) => return Ok(LeakStep::Replacing(Step::Overtaken)),
            Ok(Death::Later { why, .. } | Death::NotYet { why, .. }) => Unconfirmed::Pending(why),
            Ok(Death::NeedsOperator(what)) => Unconfirmed::Operator(what),
            Err(error) => Unconfirmed::Pending(error.to_string()),
        };
        let why = match &unconfirmed {
            Unconfirmed::Pending(why) => why.clone(),
            Unconfirmed::Operator(what) => what.to_string(),
        };
        self.unconfirmed = Some(unconfirmed);
        Ok(LeakStep::RevokeUnconfirmed { why })
    }

    /// An ordinary run of kind `Leak`, unless a clean version serves already.
    async fn replace(&mut self, record: &KeyRecord) -> Result<LeakStep, LeakError> {
        let unconfirmed = self.unconfirmed.take();
        if !wants_replacement(record) {
            // Only the revoke is left: the next step tries it again.
            return Ok(match unconfirmed {
                Some(Unconfirmed::Operator(what)) => LeakStep::NeedsOperator(what),
                Some(Unconfirmed::Pending(why)) => LeakStep::Wait { at_most: AGAIN, why },
                None => LeakStep::Wait { at_most: AGAIN, why: "the revoke is not confirmed".to_owned() },
            });
        }
        Ok(match self.step_run().await? {
            Step::Wait { at_most, why } if unconfirmed.is_some() => LeakStep::Wait { at_most: at_most.min(AGAIN), why },
            Step::Wait { at_most, why } => LeakStep::Wait { at_most, why },
            Step::NeedsOperator(what) => LeakStep::NeedsOperator(what),
            Step::Finished(RunReport { outcome: RunOutcome::Aborted, evidence, .. }) if self.aborted + 1 == ABORTED => {
                self.aborted = 0;
                let why = evidence.last().cloned().unwrap_or_else(|| "it was aborted".to_owned());
                LeakStep::NeedsOperator(NeedsOperator::NotReplaced { key: self.key.clone(), why })
            }
            step => {
                let aborted = matches!(&step, Step::Finished(report) if report.outcome == RunOutcome::Aborted);
                self.aborted += u32::from(aborted);
                // The run goes on at once; the revoke is tried again when it waits.
                self.unconfirmed = unconfirmed;
                LeakStep::Replacing(step)
            }
        })
    }

    async fn step_run(&mut self) -> Result<Step, RotationError> {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.rotator.start_or_resume_kind(&self.key, self.reason.as_str(), RunKind::Leak).await?,
        };
        let step = run.step().await;
        if !matches!(step, Ok(Step::Finished(_)) | Err(RotationError::RunVanished { .. })) {
            self.run = Some(run);
        }
        step
    }
}

/// How soon an unconfirmed revoke is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// After so many replacements that came to nothing a person is asked: another would most likely
/// fail the same way and only make one more key.
const ABORTED: u32 = 3;

/// True until a clean version serves, and while the pointer is on its way to it. An ordinary run
/// that has nothing to do with the leak goes its own way, and a key that is given up wants none.
fn wants_replacement(record: &KeyRecord) -> bool {
    let answers = record.run().is_some_and(|run| run.kind == RunKind::Leak) || pointer_in_flight(record);
    answers || (record.primary().is_none() && !record.is_retiring())
}

/// What native readers are shown while a run moves the pointer: then the record alone cannot say
/// which version is current. When the store does not tell, the record's word stands.
async fn shown_now<B: SecretBackend>(
    backend: &B,
    cx: &Context,
    report: &LeakReport,
    record: &KeyRecord,
) -> Option<VersionId> {
    if report.leaked != Leaked::Current || (record.primary().is_some() && !pointer_in_flight(record)) {
        return None;
    }
    match backend.pointer(cx, &record.target()).await.ok()?.shows {
        Shows::Ours { version, .. } => Some(version),
        Shows::Nothing | Shows::Foreign => None,
    }
}

/// True while the pointer may be moving onto the leaked version, or away from it.
fn pointer_in_flight(record: &KeyRecord) -> bool {
    let phase = record.run().map(|run| &run.phase);
    matches!(phase, Some(RunPhase::Promoting { .. } | RunPhase::RollingBack { .. }))
}

fn reason_of(report: &LeakReport) -> Reason {
    Reason::lossy(&format!("leak: {}", report.source))
}

/// An unmatched report is on the log: somebody has seen *something*.
async fn note_unmatched<B: SecretBackend>(
    backend: &B,
    cx: &Context,
    report: &LeakReport,
) -> Result<(), keyward_core::Error> {
    let Some(log) = backend.audit() else { return Ok(()) };
    let event = AuditEvent::new(AuditAction::Note, cx).key(&report.key).detail("a leak report matched no version");
    log.append(cx, &event).await.map(|_| ())
}
