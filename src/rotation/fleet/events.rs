//! What a fleet does, as it does it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_channel::{Receiver, Sender};
use chrono::{DateTime, Utc};
use futures_lite::{Stream, StreamExt};
use keyward_core::{IssuerName, KeyId};

use super::super::schedule::Due;
use super::super::step::Step;
use super::outcome::{KeyReport, Outcome};
use super::report::Summary;
use crate::leak::LeakStep;

/// Something a fleet did. No value in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FleetEvent {
    /// A key's turn has come.
    Started {
        /// The key.
        key: KeyId,
        /// Why it is due.
        due: Due,
    },
    /// Its run made a step.
    Stepped {
        /// The key.
        key: KeyId,
        /// What was done.
        step: Step,
    },
    /// The answer to its leak made a step.
    Answered {
        /// The key.
        key: KeyId,
        /// What was done.
        step: LeakStep,
    },
    /// Nothing is left to do for it now: it waits.
    Waiting(KeyReport),
    /// Its run has ended, or there was nothing to do.
    Finished(KeyReport),
    /// A person must decide or do something.
    NeedsOperator(KeyReport),
    /// It cannot go on.
    Failed(KeyReport),
    /// Run after run failed at an issuer: no new run is begun there.
    IssuerHeld {
        /// The issuer.
        issuer: IssuerName,
        /// When one run is tried again.
        until: DateTime<Utc>,
    },
    /// A pass has ended.
    PassEnded(Summary),
}

impl FleetEvent {
    pub(super) fn of(report: &KeyReport) -> Self {
        let report = report.clone();
        match report.outcome {
            Outcome::Waiting { .. } | Outcome::Held(_) => Self::Waiting(report),
            Outcome::NeedsOperator { .. } => Self::NeedsOperator(report),
            Outcome::Failed { .. } => Self::Failed(report),
            _ => Self::Finished(report),
        }
    }
}

impl fmt::Display for FleetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { key, due } => write!(f, "{key}: due, {due}"),
            Self::Stepped { key, step } => write!(f, "{key}: {step}"),
            Self::Answered { key, step } => write!(f, "{key}: {step}"),
            Self::Waiting(KeyReport { key, outcome, .. }) => match outcome.until() {
                Some(until) => write!(f, "{key}: waiting until {}: {outcome}", until.format("%Y-%m-%d %H:%M UTC")),
                None => write!(f, "{key}: waiting: {outcome}"),
            },
            Self::Finished(KeyReport { key, outcome, .. }) => write!(f, "{key}: {outcome}"),
            Self::NeedsOperator(KeyReport { outcome, .. }) => write!(f, "needs an operator: {outcome}"),
            Self::Failed(KeyReport { key, outcome, .. }) => write!(f, "{key}: failed: {outcome}"),
            Self::IssuerHeld { issuer, until } => {
                let until = until.format("%Y-%m-%d %H:%M UTC");
                write!(f, "issuer {issuer}: run after run failed; no new run before {until}")
            }
            Self::PassEnded(summary) => write!(f, "pass ended: {summary}"),
        }
    }
}

/// The events of a fleet from the moment it was asked for, in order; a [`Stream`] that ends with
/// the fleet.
///
/// A reader that falls behind never holds the fleet up: beyond [`Events::CAPACITY`] the oldest
/// events are dropped and counted.
#[derive(Debug)]
pub struct Events {
    receiver: Pin<Box<Receiver<FleetEvent>>>,
    missed: Arc<AtomicU64>,
}

impl Events {
    /// How many events wait for a slow reader.
    pub const CAPACITY: usize = 4_096;

    /// The next event; `None` once the fleet is gone.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        self.receiver.next().await
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<FleetEvent> {
        self.receiver.try_recv().ok()
    }

    /// How many events this reader was too slow for.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Stream for Events {
    type Item = FleetEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FleetEvent>> {
        self.receiver.as_mut().poll_next(cx)
    }
}

/// Tells every reader.
#[derive(Debug, Default)]
pub(super) struct Broadcast(Vec<(Sender<FleetEvent>, Arc<AtomicU64>)>);

impl Broadcast {
    pub(super) fn listen(&mut self) -> Events {
        self.0.retain(|(sender, _)| !sender.is_closed());
        let (sender, receiver) = async_channel::bounded(Events::CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        self.0.push((sender, missed.clone()));
        Events { receiver: Box::pin(receiver), missed }
    }

    pub(super) fn tell(&self, event: impl FnOnce() -> FleetEvent) {
        if self.0.iter().all(|(sender, _)| sender.is_closed()) {
            return;
        }
        let event = event();
        for (sender, missed) in &self.0 {
            if let Ok(Some(_)) = sender.force_send(event.clone()) {
                missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
