//! What several tests share: a key, a store with it, a rotator on a clock that is moved by hand.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use keyward::core::{
    AccessLevel, ArmCounts, Change, Clock, Context, Edit, Expect, HealthQuery, HealthReport, HealthSignal, KeyDraft,
    KeyId, KeyRecord, ManualClock, MemoryBackend, Mode, Ownership, Result, Scope, SecretBackend, SecretBackendExt,
    Transition, async_trait,
};
use keyward::issuer::GeneratedIssuer;
use keyward::rotation::{RotationError, RotationRun, Rotator, RotatorBuilder, RunReport, Step};

pub(crate) const CHARGES: &str = "production/payments/stripe-charges";
pub(crate) const REPORTS: &str = "production/analytics/warehouse-read";

pub(crate) fn key(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

pub(crate) fn cx() -> Context {
    Context::new("test", "testing").expect("a context")
}

pub(crate) fn owners() -> Ownership {
    Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall").expect("owners")
}

pub(crate) fn charges() -> KeyDraft {
    let scope = Scope::new(AccessLevel::Write)
        .mode(Mode::Live)
        .permission("charges:write")
        .and_then(|s| s.endpoint("POST /v1/charges"))
        .and_then(|s| s.service("billing-api"))
        .expect("a scope");
    KeyDraft::new(key(CHARGES), owners(), scope, "acme".parse().expect("an issuer"))
}

pub(crate) fn reports() -> KeyDraft {
    let scope = Scope::new(AccessLevel::ReadOnly)
        .permission("reports:read-only")
        .and_then(|s| s.service("reporting"))
        .expect("a scope");
    KeyDraft::new(key(REPORTS), owners(), scope, "acme".parse().expect("an issuer"))
}

pub(crate) async fn register<B: SecretBackend>(store: &B, clock: &ManualClock, draft: KeyDraft) {
    let change = Change::new("ada".parse().expect("an actor"), clock.now());
    let record = KeyRecord::register(&draft, &change).expect("a record");
    store.swap(&cx(), &draft.id, Expect::Absent, &record).await.expect("register");
}

/// Somebody writes a note into the record, by `clock`.
pub(crate) async fn note<B: SecretBackend>(store: &B, clock: &ManualClock) {
    let read = store.load_existing(&cx(), &key(CHARGES)).await.expect("load");
    let change = Change::new("ada".parse().expect("an actor"), clock.now());
    let note = Transition::Edit(Edit::Note("a note".parse().expect("a note")));
    let next = read.value.apply(&note, &change).expect("a note");
    store.swap(&cx(), next.id(), Expect::At(read.stamp), &next).await.expect("swap");
}

pub(crate) async fn load<B: SecretBackend>(store: &B, key: &KeyId) -> KeyRecord {
    store.load_existing(&cx(), key).await.expect("load").value
}

pub(crate) fn issuer() -> GeneratedIssuer {
    GeneratedIssuer::new("acme_live").expect("a prefix")
}

/// A health signal that always answers the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts(pub(crate) u64, pub(crate) u64);

#[async_trait]
impl HealthSignal for Counts {
    async fn health(&self, _cx: &Context, _query: &HealthQuery) -> Result<HealthReport> {
        let mut new = ArmCounts::default();
        (new.clean, new.auth_rejects, new.clients) = (self.0, self.1, 2);
        Ok(HealthReport::of(new))
    }
}

pub(crate) const HEALTHY: Counts = Counts(500, 0);
pub(crate) const FAILING: Counts = Counts(0, 5);
pub(crate) const SILENT: Counts = Counts(0, 0);

pub(crate) fn builder<B: SecretBackend>(store: B, clock: &Arc<ManualClock>) -> RotatorBuilder<B> {
    Rotator::builder(store)
        .actor("rotator")
        .issuer_and_validator("acme", issuer())
        .clock(clock.clone())
        .takeover_after(Duration::from_secs(10))
        .poll_every(Duration::from_secs(3_600))
}

pub(crate) fn rotator(store: &MemoryBackend, clock: &Arc<ManualClock>, health: Counts) -> Rotator<MemoryBackend> {
    builder(store.clone(), clock).health(health).build().expect("a rotator")
}

/// Steps to the end, moving the clock by hand; panics after too many steps.
pub(crate) async fn finish<B: SecretBackend>(
    run: &mut RotationRun<'_, B>,
    clock: &ManualClock,
) -> std::result::Result<RunReport, RotationError> {
    for _ in 0..500 {
        match run.step().await? {
            Step::Finished(report) => return Ok(report),
            Step::NeedsOperator(what) => return Err(what.into()),
            Step::Wait { at_most, .. } => clock.advance(at_most),
            _ => {}
        }
    }
    panic!("the run does not end");
}

/// Steps until `stop` says so.
pub(crate) async fn until<B: SecretBackend>(
    run: &mut RotationRun<'_, B>,
    clock: &ManualClock,
    stop: impl Fn(&Step) -> bool,
) {
    for _ in 0..500 {
        match run.step().await.expect("a step") {
            step if stop(&step) => return,
            Step::Wait { at_most, .. } => clock.advance(at_most),
            _ => {}
        }
    }
    panic!("the run does not get there");
}
