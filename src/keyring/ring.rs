//! What a keyring, its handles and its refresher share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward_core::{
    Actor, AuditAction, AuditEvent, Clock, Context, Environment, KeyId, NameError, Reason, SecretBackend, ServiceName,
};

use super::bell::{Bell, Gate};
use super::names::Names;
use super::refresh::{Refreshed, pass};
use super::slot::{Moment, Slot};
use super::tick::{Ticker, nanos};
use super::{HandleError, Keyring, ReportedHealth};

/// Everything that was decided when the keyring was built.
pub(super) struct Settings {
    pub(super) backend: Arc<dyn SecretBackend>,
    pub(super) environment: Environment,
    pub(super) service: ServiceName,
    pub(super) actor: Actor,
    pub(super) instance: Option<Box<str>>,
    /// Under which name this keyring counts as a client.
    pub(super) client: Box<str>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ticker: Ticker,
    pub(super) soft: Duration,
    pub(super) hard: Duration,
    pub(super) health: Arc<ReportedHealth>,
}

pub(super) struct Ring {
    pub(super) settings: Settings,
    pub(super) slots: Vec<Arc<Slot>>,
    /// Wakes the refresher; outlives the ring, whose end it rings for.
    pub(super) bell: Arc<Bell>,
    names: Names<Arc<Slot>>,
    asked: AtomicBool,
    /// The earliest moment of the next forced refresh, by the clock's monotonic hand.
    forced_from: AtomicU64,
    gate: Gate,
    begun: AtomicU64,
    last: Mutex<(u64, Refreshed)>,
    refusals: Mutex<Vec<AuditEvent>>,
}

impl Ring {
    const REFUSALS: usize = 64;

    pub(super) fn new(settings: Settings, slots: Vec<Arc<Slot>>) -> Self {
        let names = slots.iter().map(|slot| (short(&slot.key).into(), slot.clone())).collect();
        Self {
            settings,
            slots,
            bell: Arc::default(),
            names,
            asked: AtomicBool::new(false),
            forced_from: AtomicU64::new(0),
            gate: Gate::default(),
            begun: AtomicU64::new(0),
            last: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    #[inline]
    pub(super) fn slot(&self, name: &str) -> Result<&Arc<Slot>, Box<HandleError>> {
        match self.names.get(name) {
            Some(slot) => Ok(slot),
            None => self.slot_in_full(name).map_err(Box::new),
        }
    }

    /// One pass over all keys. Callers who come while one runs share the next.
    pub(super) async fn refresh(&self, why: &'static str) -> Refreshed {
        let before = self.begun.load(Ordering::SeqCst);
        let _inside = self.gate.enter().await;
        {
            let last = self.last();
            if last.0 > before {
                return last.1.clone();
            }
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.asked.store(false, Ordering::SeqCst);
        let refreshed = pass(self, &self.context(why)).await;
        *self.last() = (number, refreshed.clone());
        refreshed
    }

    /// Asks whoever runs the refreshes for one out of turn.
    pub(super) fn ask(&self) {
        if !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// When an asked-for refresh may begin; absent when nobody asked.
    pub(super) fn forced_from(&self) -> Option<u64> {
        self.asked.load(Ordering::SeqCst).then(|| self.forced_from.load(Ordering::SeqCst))
    }

    pub(super) fn forced_at(&self, now: Duration) {
        let interval = Keyring::FORCED_INTERVAL.min(self.settings.soft);
        self.forced_from.store(nanos(now.saturating_add(interval)), Ordering::SeqCst);
    }

    pub(super) fn moment(&self) -> Moment {
        let Settings { clock, ticker, hard, .. } = &self.settings;
        Moment { tick: ticker.now(), now: clock.now(), hard: *hard }
    }

    pub(super) fn context(&self, why: &'static str) -> Context {
        context(&self.settings.actor, why)
    }

    /// Puts the refusals of handles on the audit log; those it does not take are kept.
    pub(super) async fn write_refusals(&self, cx: &Context) {
        let Some(log) = self.settings.backend.audit() else { return };
        loop {
            let Some(event) = self.refusals().first().cloned() else { return };
            if log.append(cx, &event).await.is_err() {
                return;
            }
            self.refusals().retain(|e| e.request != event.request);
        }
    }

    #[cold]
    fn slot_in_full(&self, name: &str) -> Result<&Arc<Slot>, HandleError> {
        let key = parse(&self.settings.environment, name).map_err(HandleError::BadName)?;
        if *key.environment() != self.settings.environment {
            self.refuse(&key);
            return Err(HandleError::OtherEnvironment { key, declared: self.settings.environment.clone() });
        }
        let known = self.names.get(short(&key)).filter(|_| key.page().is_none());
        known.ok_or(HandleError::NotDeclared { key })
    }

    fn refuse(&self, key: &KeyId) {
        let event = refusal(&self.context("asked for a handle"), key, &self.settings.environment);
        let mut refusals = self.refusals();
        if refusals.len() < Self::REFUSALS {
            refusals.push(event);
            drop(refusals);
            self.bell.ring();
        }
    }

    fn last(&self) -> MutexGuard<'_, (u64, Refreshed)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<AuditEvent>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { environment, service, .. } = &self.settings;
        let mut debug = f.debug_struct("Ring");
        debug.field("environment", environment).field("service", service).field("slots", &self.slots);
        debug.finish_non_exhaustive()
    }
}

/// A key named `function/name` in the declared environment, or in full.
pub(super) fn parse(environment: &Environment, name: &str) -> Result<KeyId, NameError> {
    let full = match name.split('/').count() {
        2 => format!("{environment}/{name}").parse::<KeyId>()?,
        _ => name.parse()?,
    };
    if full.page().is_some() { Err(NameError::Reserved { part: "name suffix" }) } else { Ok(full) }
}

pub(super) fn refusal(cx: &Context, key: &KeyId, declared: &Environment) -> AuditEvent {
    let detail = format!("a process that declared {declared} asked for a key of another environment");
    AuditEvent::new(AuditAction::Refuse, cx).key(key).detail(&detail)
}

pub(super) fn context(actor: &Actor, why: &'static str) -> Context {
    let reason: Reason = why.parse().expect("the reasons in this module are fixed and well-formed");
    Context::by(actor.clone(), reason)
}

/// The id without its environment: `function/name`.
fn short(key: &KeyId) -> &str {
    key.as_str().split_once('/').map_or(key.as_str(), |(_, rest)| rest)
}
