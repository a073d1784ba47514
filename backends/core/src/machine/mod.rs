//! The rotation state machine: pure, without I/O, the only way a record changes.
//!
//! Each [`Transition`] is one arrow of the specification (T1 to T16) or one edit by a person.
//! [`KeyRecord::apply`] answers the next record or a typed refusal; it never changes the record
//! it is asked about.

mod edit;
mod forward;
mod leak;
mod refuse;
mod repair;
mod retire;
mod rollback;
mod suspend;
mod transition;

pub use edit::Edit;
pub use refuse::TransitionError;
pub use transition::{Change, Death, Passed, Transition};

use crate::record::{Body, OperationNote, RunOutcome, RunPhase, RunSummary};
use crate::{KeyRecord, Run, Version, VersionId, VersionState};

type Answer<T = ()> = Result<T, TransitionError>;

impl KeyRecord {
    /// The most versions that may still work at the issuer; twice as many in the answer to a leak.
    pub const MAX_WORKING: usize = 8;

    /// Makes one legal move: the next record, one revision on, remembering `change`.
    ///
    /// ```
    /// use chrono::Utc;
    /// use keyward_core::{
    ///     AccessLevel, Change, HolderId, KeyDraft, KeyRecord, Ownership, RunId, RunKind, Scope, Transition,
    ///     TransitionError, VersionId,
    /// };
    /// let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// let id = "dev/analytics/warehouse-read".parse()?;
    /// let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// let change = || Change::new("ada".parse().expect("a name"), Utc::now());
    /// let record = KeyRecord::register(&draft, &change())?;
    ///
    /// let begin = Transition::Begin {
    ///     run: RunId::generate(),
    ///     kind: RunKind::Provision,
    ///     version: VersionId::generate(),
    ///     holder: HolderId::generate(),
    ///     reason: "first key".parse()?,
    /// };
    /// let running = record.apply(&begin, &change())?;
    /// assert_eq!(running.revision(), record.revision() + 1);
    /// assert!(matches!(running.apply(&Transition::Confirm, &change()), Err(TransitionError::WrongPhase { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A tombstone accepts only what may show that a version works after all: `Adopt`,
    /// `Compromise` and `Gone`. When it does, the key is retiring again and wants another `Bury`.
    ///
    /// # Errors
    /// [`TransitionError`] when the move is not legal from here; nothing is changed.
    pub fn apply(&self, transition: &Transition, change: &Change) -> Answer<Self> {
        if self.is_page() {
            return Err(TransitionError::Page);
        }
        let wakes =
            matches!(transition, Transition::Adopt { .. } | Transition::Compromise { .. } | Transition::Gone { .. });
        if self.retired_at().is_some() && !wakes {
            return Err(TransitionError::Retired);
        }
        self.check_fence(change)?;
        let mut next = (*self.0).clone();
        next.step(transition, change)?;
        if next.versions.iter().any(|v| v.state.may_work()) {
            next.retired_at = None;
        }
        next.settle_incidents();
        next.revision += 1;
        if next.operations.len() == Self::OPERATIONS {
            next.operations.remove(0);
        }
        next.operations.push(OperationNote {
            id: change.operation,
            verb: transition.verb().to_owned(),
            by: change.actor.clone(),
            at: change.at,
        });
        Ok(Self(Box::new(next)))
    }
}

impl KeyRecord {
    /// A change made under a lease that another process has taken over comes too late.
    fn check_fence(&self, change: &Change) -> Answer {
        let (Some(lease), Some(run)) = (change.lease, self.run()) else { return Ok(()) };
        if lease.run == run.id && lease.fence >= run.fence {
            return Ok(());
        }
        Err(TransitionError::Fenced { held: lease.fence, current: run.fence })
    }
}

impl Body {
    fn step(&mut self, transition: &Transition, change: &Change) -> Answer {
        match transition {
            Transition::Begin { run, kind, version, holder, reason } => {
                self.begin(*run, *kind, *version, *holder, reason, change)
            }
            Transition::Ask { version, instructions } => self.ask(*version, instructions, change),
            Transition::Store { version, issuer_ref, issuer_state, fingerprint, expires_at } => {
                self.store(*version, issuer_ref, issuer_state, *fingerprint, *expires_at, change)
            }
            Transition::Replan { abandoned, version, holder, evidence } => {
                self.replan(*abandoned, *version, *holder, evidence, change)
            }
            Transition::Abandon { evidence } => self.abandon(evidence, change),
            Transition::Validate { proof } => self.validate(proof, change),
            Transition::Promote { publication, expect } => self.promote(*publication, expect, change),
            Transition::Confirm => self.confirm(change),
            Transition::Observe { evidence } => {
                self.running()?.saw(evidence.clone());
                Ok(())
            }
            Transition::RollBack { publication, evidence } => self.roll_back(*publication, evidence, change),
            Transition::RolledBack => self.rolled_back(change),
            Transition::TurnRound { publication, evidence } => self.turn_round(*publication, evidence, change),
            Transition::Suspend { passed } => self.suspend(passed, change),
            Transition::SwitchedOff { evidence } => self.switched_off(evidence, change),
            Transition::Reactivate { evidence } => self.reactivate(evidence, change),
            Transition::Retire { passed } => self.begin_retiring(passed, change),
            Transition::Revoked { version, death } => self.revoked(*version, death, change),
            Transition::Gone { version } => self.gone(*version, change),
            Transition::Compromise { version, incident, exposed_from, source, publication } => {
                self.compromise(*version, *incident, *exposed_from, source, *publication, change)
            }
            Transition::Adopt { version, issuer_ref } => self.adopt(*version, issuer_ref, change),
            Transition::Republish { run, publication, expect, holder, reason } => {
                self.republish(*run, *publication, expect.clone(), *holder, reason, change)
            }
            Transition::Overwrite { publication, expect, evidence } => {
                self.overwrite(*publication, expect, evidence, change)
            }
            Transition::Recall { run, version, issuer_ref, fingerprint, holder, reason } => {
                self.recall(*run, *version, issuer_ref.clone(), *fingerprint, *holder, reason, change)
            }
            Transition::Decommission { reason } => self.decommission(reason, change),
            Transition::Release { reason } => self.release(reason, change),
            Transition::Bury => self.bury(change),
            Transition::Edit(edit) => self.edit(edit, change),
        }
    }

    /// The run under way.
    fn running(&mut self) -> Answer<&mut Run> {
        self.run.as_mut().ok_or(TransitionError::NoRun)
    }

    fn see_all(&mut self, evidence: Vec<crate::Evidence>) -> Answer {
        let run = self.running()?;
        evidence.into_iter().for_each(|seen| run.saw(seen));
        Ok(())
    }

    /// The refusal of a move that is not legal in the run's phase.
    fn wrong_phase(&self, transition: &'static str) -> TransitionError {
        match &self.run {
            None => TransitionError::NoRun,
            Some(run) => TransitionError::WrongPhase { transition, phase: run.phase.name() },
        }
    }

    fn find(&self, id: VersionId) -> Answer<&Version> {
        self.versions.iter().find(|v| v.id == id).ok_or(TransitionError::NoVersion { version: id })
    }

    fn find_mut(&mut self, id: VersionId) -> Answer<&mut Version> {
        self.versions.iter_mut().find(|v| v.id == id).ok_or(TransitionError::NoVersion { version: id })
    }

    fn enter_version(&mut self, id: VersionId, state: VersionState, change: &Change) -> Answer {
        self.find_mut(id)?.enter(state, change.at);
        Ok(())
    }

    /// Decides that a version is to be revoked. Final; a dead version stays dead.
    fn condemn(&mut self, id: VersionId, change: &Change) -> Answer {
        let version = self.find_mut(id)?;
        if version.state < VersionState::RevokePending {
            version.enter(VersionState::RevokePending, change.at);
        }
        Ok(())
    }

    fn enter_phase(&mut self, phase: RunPhase, change: &Change) -> Answer {
        self.running()?.enter(phase, change.at);
        Ok(())
    }

    /// Ends the run and files its summary.
    fn finish(&mut self, outcome: RunOutcome, change: &Change) -> Answer {
        let run = self.run.take().ok_or(TransitionError::NoRun)?;
        self.history.push(RunSummary {
            id: run.id,
            kind: run.kind,
            outcome,
            from: run.previous,
            to: run.phase.version(),
            started_at: run.started_at,
            ended_at: change.at,
            started_by: run.started_by,
            reason: run.reason,
            evidence: run.evidence,
        });
        Ok(())
    }
}
