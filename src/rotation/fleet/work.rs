//! One thing to step: a run, or the answer to a leak.

use std::time::Duration;

use keyward_core::{KeyId, RunOutcome, SecretBackend};

use super::super::error::{NeedsOperator, RotationError};
use super::super::run::RotationRun;
use super::super::step::Step;
use super::events::FleetEvent;
use super::outcome::Outcome;
use crate::leak::{LeakError, LeakResponse, LeakStep};

/// One thing to step: a run, or the answer to a leak.
pub(super) enum Work<'a, B> {
    Run(RotationRun<'a, B>),
    Leak(KeyId, LeakResponse<'a, B>),
}

/// What a step means for whoever drives it.
pub(super) enum Turn {
    /// Something was done: step on.
    Moved(Moved),
    /// Another process was faster: step on.
    Overtaken,
    /// Nothing to do for so long.
    Wait { at_most: Duration, why: String },
    /// A person is needed.
    Operator(NeedsOperator),
    /// The end.
    Done(Outcome),
}

/// How far a run has come, as far as waiting goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moved {
    /// The new version serves; both work, for hours or days.
    Published,
    /// The new version came to nothing.
    GivenUp,
    /// Anything else.
    On,
}

impl<B: SecretBackend> Work<'_, B> {
    /// Makes one step. What was done is told; that something waits or has ended is for the caller to
    /// tell.
    pub(super) async fn step(&mut self, told: impl FnOnce(FleetEvent)) -> Result<Turn, RotationError> {
        let (next, event) = match self {
            Self::Run(run) => {
                let step = run.step().await?;
                (turn(&step), FleetEvent::Stepped { key: run.key().clone(), step })
            }
            Self::Leak(key, response) => match response.step().await {
                Ok(step) => (leak_turn(&step), FleetEvent::Answered { key: key.clone(), step }),
                Err(LeakError::Rotation(error)) => return Err(error),
                // Closed, and moved to a history page.
                Err(_) => return Ok(Turn::Done(Outcome::DoneElsewhere)),
            },
        };
        if matches!(next, Turn::Moved(_)) {
            told(event);
        }
        Ok(next)
    }
}

fn turn(step: &Step) -> Turn {
    match step {
        Step::Overtaken => Turn::Overtaken,
        Step::Wait { at_most, why } => Turn::Wait { at_most: *at_most, why: why.clone() },
        Step::NeedsOperator(what) => Turn::Operator(what.clone()),
        Step::Finished(report) => {
            Turn::Done(Outcome::Finished { outcome: report.outcome, pending: report.pending.len() })
        }
        Step::Published { .. } => Turn::Moved(Moved::Published),
        Step::Abandoned { .. } | Step::RollingBack { .. } => Turn::Moved(Moved::GivenUp),
        _ => Turn::Moved(Moved::On),
    }
}

/// A leak is not left alone for longer.
const LEAK_LOOK: Duration = Duration::from_secs(60);

fn leak_turn(step: &LeakStep) -> Turn {
    match step {
        LeakStep::Replacing(step) => match turn(step) {
            // Another process may have planned the replacement; a leak is looked at all the same.
            Turn::Wait { at_most, why } => Turn::Wait { at_most: at_most.min(LEAK_LOOK), why },
            // The run has ended; the incident says what is left.
            Turn::Done(Outcome::Finished { outcome: RunOutcome::Aborted, .. }) => Turn::Moved(Moved::GivenUp),
            Turn::Done(_) => Turn::Moved(Moved::On),
            turn => turn,
        },
        LeakStep::Wait { at_most, why } => Turn::Wait { at_most: (*at_most).min(LEAK_LOOK), why: why.clone() },
        LeakStep::NeedsOperator(what) => Turn::Operator(what.clone()),
        LeakStep::AwaitingReview(_) => Turn::Done(Outcome::Contained),
        _ => Turn::Moved(Moved::On),
    }
}
