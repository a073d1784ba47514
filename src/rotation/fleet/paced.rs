//! A store that is written to no faster than it bears.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Clock, Context, Error, ErrorKind, Expect, IncidentState, KeyId,
    KeyRecord, ListQuery, Material, Operation, Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read,
    ReadItem, Result, Retire, Retry, RunKind, SecretBackend, Stage, Stamped, Survey, Swap, SystemClock, Target,
    VersionId, Withdraw,
};

use super::budget::Budget;

const NAME: &str = "paced";

/// A store that is written to no faster than its [`Budget`] allows. Clones share one budget: give
/// every rotator of a process a clone of the same.
///
/// A write waits its turn on the clock; one that would wait beyond its deadline is refused as
/// `Throttled` and not done. A record changed as often as it bears in a day is refused likewise,
/// with the time to come back; a run is not begun when only 12 changes are left, so that one that
/// has begun can end, and what answers a leak is never refused. Reads are not slowed down, and
/// what [`SecretBackend::adopter`] writes is not counted.
///
/// The changes of a record are counted by this process; of those before it started it sees the
/// last [`KeyRecord::OPERATIONS`].
///
/// ```
/// use keyward::core::MemoryBackend;
/// use keyward::rotation::{Budget, Paced, Rotator};
/// let store = Paced::new(MemoryBackend::default()); // as the store's capabilities say
/// let rotator = Rotator::builder(store.clone()).actor("fleet").build()?;
/// # let _ = (rotator, Budget::aws());
/// # Ok::<(), keyward::rotation::RotationError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Paced<B> {
    inner: B,
    pace: Arc<Pace>,
}

#[derive(Debug)]
struct Pace {
    budget: Budget,
    clock: Arc<dyn Clock>,
    /// When the next write may begin.
    next: Mutex<Duration>,
    /// When each record was changed, in the last day.
    changes: Mutex<BTreeMap<KeyId, VecDeque<DateTime<Utc>>>>,
}

impl<B: SecretBackend> Paced<B> {
    /// Paces a store by what its capabilities say.
    #[must_use]
    pub fn new(store: B) -> Self {
        let budget = Budget::of(store.capabilities());
        Self::with(store, budget, Arc::new(SystemClock))
    }

    /// Paces a store by this budget and clock.
    #[must_use]
    pub fn with(store: B, budget: Budget, clock: Arc<dyn Clock>) -> Self {
        Self { inner: store, pace: Arc::new(Pace { budget, clock, next: Mutex::default(), changes: Mutex::default() }) }
    }

    /// What is behind it.
    pub fn inner(&self) -> &B {
        &self.inner
    }
}

impl Pace {
    /// Waits until `writes` writes may be made.
    async fn turn(&self, cx: &Context, operation: Operation, key: &KeyId, writes: u32) -> Result<()> {
        let Some(per_second) = self.budget.writes_per_second else { return Ok(()) };
        let wait = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.monotonic();
            let turn = now.max(*next);
            let wait = turn - now;
            if wait > cx.remaining() {
                return Err(throttled(operation, key, wait).with_detail("the write budget of the store is used up"));
            }
            *next = turn + Duration::from_secs(1) * writes / per_second.get();
            wait
        };
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        Ok(())
    }

    /// Counts a change of a record, or says when it can be made.
    fn count(&self, key: &KeyId, next: &KeyRecord) -> Result<()> {
        let Some(limit) = self.budget.changes_per_day else { return Ok(()) };
        let now = self.clock.now();
        let today = |at: &DateTime<Utc>| now - *at < TimeDelta::days(1);
        let mut all = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(key) && all.len() % 1_024 == 1_023 {
            all.retain(|_, changes| changes.back().is_some_and(today));
        }
        let before = |next: &KeyRecord| {
            let earlier = next.operations().split_last().map_or(&[][..], |(_, earlier)| earlier);
            earlier.iter().map(|operation| operation.at).filter(today).collect()
        };
        let changes = all.entry(key.clone()).or_insert_with(|| before(next));
        changes.retain(today);
        let most = if begins(next) { limit - FOR_A_RUN.min(limit / 2) } else { limit }.max(1);
        let over = changes.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX));
        if let Some(until) = over.and_then(|over| changes.get(over)).filter(|_| !answers_leak(next)) {
            let wait = (*until + TimeDelta::days(1) - now).to_std().unwrap_or_default();
            let error = throttled(Operation::Swap, key, wait);
            return Err(error.with_detail("the record was changed as often as the store bears in a day"));
        }
        changes.push_back(now);
        Ok(())
    }
}

/// What a run that has begun may still need.
const FOR_A_RUN: u32 = 12;

fn begins(next: &KeyRecord) -> bool {
    next.operations().last().is_some_and(|operation| operation.verb == "begin")
}

/// True while an incident is open, and for the change that ends the run which answers it.
fn answers_leak(next: &KeyRecord) -> bool {
    let open = next.incidents().iter().any(|incident| incident.state != IncidentState::AwaitingReview);
    let (now, last) = (next.operations().last().map(|operation| operation.at), next.history().last());
    let ends = last.is_some_and(|run| run.kind == RunKind::Leak && Some(run.ended_at) == now);
    open || ends || next.run().is_some_and(|run| run.kind == RunKind::Leak)
}

fn throttled(operation: Operation, key: &KeyId, wait: Duration) -> Error {
    Error::new(ErrorKind::Throttled, operation, NAME).with_key(key).with_retry(Retry::After(wait))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: SecretBackend> SecretBackend for Paced<B> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.inner.load(cx, keys).await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        self.pace.count(key, next)?;
        self.pace.turn(cx, Operation::Swap, key, self.pace.budget.writes_per_change.get()).await?;
        self.inner.swap(cx, key, expect, next).await
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        self.inner.list(cx, query, page).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        self.pace.turn(cx, Operation::Stage, &key.id, 1).await?;
        self.inner.stage(cx, key, version, material).await
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        self.inner.pointer(cx, key).await
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        self.pace.turn(cx, Operation::Publish, &key.id, 1).await?;
        self.inner.publish(cx, key, version, publication, expect).await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        self.inner.read(cx, items).await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        self.pace.turn(cx, Operation::Withdraw, &key.id, 1).await?;
        self.inner.withdraw(cx, key, version).await
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        self.inner.survey(cx, key).await
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        self.pace.turn(cx, Operation::Retire, &key.id, 1).await?;
        self.inner.retire(cx, key, grace).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.inner.audit()
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.inner.adoption()
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.inner.adopter()
    }
}
