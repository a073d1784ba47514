//! Following the store: one pass, the loop of passes, and the thread that runs it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_lite::future;
use keyward_core::{
    Adoption, Clock, Context, Error, ErrorKind, KeyId, Operation, Read, ReadItem, Result, Select, VersionId,
};

use super::bell::Bell;
use super::ring::Ring;
use super::slot::{Moment, Plan, Serving, Slot};
use super::tick::{Tick, nanos};
use super::{KeyProblem, Problem};

/// What one refresh found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Refreshed {
    /// Keys that serve another version now.
    pub changed: Vec<(KeyId, VersionId)>,
    /// Keys that could not be confirmed or may not be served, and why.
    pub problems: Vec<KeyProblem>,
}

/// Reads all records in one batch, then the material of every version that is new here.
pub(super) async fn pass(ring: &Ring, cx: &Context) -> Refreshed {
    ring.write_refusals(cx).await;
    let backend = &ring.settings.backend;
    let moment = ring.moment();
    let keys: Vec<KeyId> = ring.slots.iter().map(|slot| (*slot.key).clone()).collect();
    if keys.is_empty() {
        return Refreshed::default();
    }
    let mut records = backend.load(cx, &keys).await.into_iter();
    let plans: Vec<Plan> = ring
        .slots
        .iter()
        .map(|slot| match records.next() {
            Some(Ok(Some(stamped))) => slot.consider(&stamped.value, &ring.settings.service, moment),
            Some(Ok(None)) => Plan::Failed(Problem::Missing),
            Some(Err(error)) => Plan::Failed(Problem::Store(error)),
            None => Plan::Failed(Problem::Store(short_answer(Operation::Load, &slot.key))),
        })
        .collect();

    let wanted: Vec<ReadItem> = plans.iter().filter_map(read_item).collect();
    let found = if wanted.is_empty() { Vec::new() } else { backend.read(cx, &wanted).await };
    let mut found = found.into_iter();

    let mut refreshed = Refreshed::default();
    for (slot, plan) in ring.slots.iter().zip(plans) {
        let problems = match plan {
            Plan::Confirmed => continue,
            Plan::Withheld(problems) => problems,
            Plan::Failed(problem) => {
                slot.fail(&problem);
                vec![problem]
            }
            Plan::Read { version, expires, linger, target } => {
                let answer = found.next().unwrap_or_else(|| Err(short_answer(Operation::Read, &slot.key)));
                match settle(ring, slot, version, expires, moment, &target.shape, answer) {
                    Ok(()) => {
                        refreshed.changed.push(((*slot.key).clone(), version));
                        continue;
                    }
                    Err(problem) if linger => vec![problem],
                    Err(problem) => {
                        slot.withhold(problem.clone());
                        vec![problem]
                    }
                }
            }
        };
        let contacts = slot.contacts();
        let of = |problem| KeyProblem::of(Some(&slot.key), slot.place, problem).known(contacts.as_ref());
        refreshed.problems.extend(problems.into_iter().map(of));
    }
    note_adoption(ring, cx, moment).await;
    refreshed
}

fn read_item(plan: &Plan) -> Option<ReadItem> {
    match plan {
        Plan::Read { target, version, .. } => {
            Some(ReadItem { target: target.clone(), select: Select::Version(*version) })
        }
        _ => None,
    }
}

/// Puts what was read in service, if it is what was asked for.
fn settle(
    ring: &Ring,
    slot: &Slot,
    wanted: VersionId,
    expires: Tick,
    moment: Moment,
    shape: &keyward_core::Shape,
    answer: Result<Read>,
) -> Result<(), Problem> {
    let material = match answer {
        Ok(Read::Found { material, version, .. }) if version == wanted && material.shape() == *shape => material,
        Ok(Read::Found { version, .. }) if version == wanted => {
            return Err(Problem::Contradiction("the material has another shape"));
        }
        Ok(_) => return Err(Problem::Contradiction("it answered another version than asked for")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Problem::MaterialMissing { version: wanted }),
        Err(error) => return Err(Problem::Store(error)),
    };
    let arm = ring.settings.health.arm(&slot.key, wanted, &ring.settings);
    slot.serve(Serving::new(wanted, material, arm), expires, moment);
    Ok(())
}

/// Notes in the store's ledger which versions this instance uses. Tried again in the next pass
/// when it fails: a key is never withheld for it.
async fn note_adoption(ring: &Ring, cx: &Context, moment: Moment) {
    let (Some(instance), Some(ledger)) = (&ring.settings.instance, ring.settings.backend.adoption()) else { return };
    for slot in &ring.slots {
        let Some(version) = slot.to_note() else { continue };
        let service = ring.settings.service.clone();
        let adoption = Adoption { service, instance: instance.to_string(), version, seen_at: moment.now };
        if ledger.note(cx, &slot.key, &adoption).await.is_ok() {
            slot.noted(version);
        }
    }
}

/// Passes at the soft limit, and out of turn when a handle asks. Ends with the ring.
pub(super) fn run(
    ring: Weak<Ring>,
    bell: Arc<Bell>,
    clock: Arc<dyn Clock>,
    soft: Duration,
) -> impl Future<Output = ()> + Send + use<> {
    // Counted from now, not from the first poll.
    let mut due = nanos(clock.monotonic().saturating_add(spread(soft)));
    async move {
        loop {
            let heard = bell.rings();
            let Some(alive) = ring.upgrade() else { return };
            alive.write_refusals(&alive.context("refused a handle")).await;
            let now = clock.monotonic();
            let forced = alive.forced_from();
            let next = forced.map_or(due, |from| from.min(due));
            if nanos(now) >= next {
                if forced.is_some() {
                    alive.forced_at(now);
                }
                alive.refresh(if forced.is_some() { "a key was rejected" } else { "refresh keys" }).await;
                due = nanos(clock.monotonic().saturating_add(spread(soft)));
                continue;
            }
            drop(alive);
            future::or(clock.sleep(Duration::from_nanos(next - nanos(now))), bell.after(heard)).await;
        }
    }
}

/// Stops the refreshes of [`Keyring::spawn_refresh`](super::Keyring::spawn_refresh) when dropped.
#[derive(Debug)]
#[must_use = "the refreshes stop when this is dropped"]
pub struct RefreshGuard {
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl RefreshGuard {
    pub(super) fn spawn(bell: Arc<Bell>, passes: impl Future<Output = ()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stopped(stop.clone(), bell.clone());
        let work = move || future::block_on(future::or(stopped, passes));
        let thread = Builder::new().name("keyward-refresh".to_owned()).spawn(work);
        Self { stop, bell, thread: Some(thread.expect("the system starts a thread")) }
    }

    /// Stops the refreshes and waits until the thread is gone. Dropping does not wait.
    pub fn stop(mut self) {
        self.ring_off();
        if let Some(thread) = self.thread.take() {
            // A panic of the backend ended the refreshes already; stopping has nothing to add.
            let _ = thread.join();
        }
    }

    fn ring_off(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.ring_off();
    }
}

async fn stopped(stop: Arc<AtomicBool>, bell: Arc<Bell>) {
    loop {
        let heard = bell.rings();
        if stop.load(Ordering::SeqCst) {
            return;
        }
        bell.after(heard).await;
    }
}

/// The soft limit, up to a fifth longer or shorter, so that a fleet does not ask in step.
fn spread(soft: Duration) -> Duration {
    let random = getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX));
    soft.mul_f64(0.8 + 0.4 * random)
}

fn short_answer(operation: Operation, key: &KeyId) -> Error {
    let error = Error::new(ErrorKind::Unknown, operation, "keyward").with_key(key);
    error.with_detail("the backend answered fewer items than asked")
}
