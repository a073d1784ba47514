//! Who acts: a host with its rotator, and what it sets out to do.

use std::time::Duration;

use keyward::core::{Clock, Evidence, Operation, Retry, RunPhase, VersionId};
use keyward::inventory::Inventory;
use keyward::leak::{LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{NeedsOperator, Reconciler, RotationError, Rotator, Step};
use keyward_conformance::strict::{Faulty, Host};

use crate::careless::Careless;
use crate::plan::{Act, Which};
use crate::support::{CHARGES, key};
use crate::world::World;

pub(crate) type HostRotator = Rotator<Faulty<Careless>>;

/// Does one act after the other. What a caller must expect from a busy key is passed over; the
/// rest is a defect.
pub(crate) async fn perform(world: &World, host: &Host, rotator: &HostRotator, acts: &[Act]) {
    for act in acts {
        match *act {
            Act::Rotate(steps) => rotate(world, rotator, steps, false).await,
            Act::TakeBack(steps) => rotate(world, rotator, steps, true).await,
            Act::Abort => world.tolerate(rotator.abort(&key(CHARGES), "changed our minds").await),
            Act::Reactivate => world.tolerate(rotator.reactivate(&key(CHARGES), "still needed").await),
            Act::Reconcile => {
                let reconciler = Reconciler::of(rotator);
                world.tolerate(reconciler.repair(&key(CHARGES), "reconcile").await);
            }
            Act::RollBack => world.tolerate(rotator.rollback(&key(CHARGES), "looks bad").await),
            Act::Leak(which, steps) => leak(world, rotator, which, steps).await,
            Act::Sweep => world.tolerate(rotator.sweep(&key(CHARGES), "daily").await),
            Act::Annotate => {
                let inventory = Inventory::new(host.wrap(world.store.clone())).actor("ada").clock(world.clock.clone());
                drop(inventory.annotate(&key(CHARGES), "a note in between").await);
            }
        }
    }
}

async fn rotate(world: &World, rotator: &HostRotator, steps: usize, mut take_back: bool) {
    let mut run = match rotator.start_or_resume(&key(CHARGES), "rotate").await {
        Ok(run) => run,
        Err(error) => return world.tolerate::<()>(Err(error)),
    };
    for _ in 0..steps {
        if take_back && world.pointer_in_play() {
            take_back = false;
            world.tolerate(rotator.rollback(&key(CHARGES), "looks bad").await);
        }
        match run.step().await {
            Ok(Step::Finished(_)) => return,
            Ok(Step::Wait { at_most, .. }) => world.pass(at_most),
            Ok(Step::NeedsOperator(what)) => world.defect(&format!("an operator was asked: {what}")),
            Ok(_) => {}
            Err(error) => world.tolerate::<()>(Err(error)),
        }
    }
}

async fn leak(world: &World, rotator: &HostRotator, which: Which, steps: usize) {
    let Some(leaked) = world.leaked(which) else { return };
    let source = Evidence::lossy("seen in a gist");
    let report = LeakReport::of(key(CHARGES), leaked, source.as_str()).expect("a report");
    let report = report.exposed_from(world.clock.now());
    let mut response = match LeakResponse::open(rotator, &report).await {
        Ok(response) => response,
        Err(LeakError::Unmatched { .. }) => return,
        Err(LeakError::Rotation(error)) => return world.tolerate::<()>(Err(error)),
        Err(error) => return world.defect(&error.to_string()),
    };
    for _ in 0..steps {
        match response.step().await {
            Ok(LeakStep::AwaitingReview(_)) => return,
            Ok(LeakStep::Wait { at_most, .. }) => world.pass(at_most),
            // The others aborted every replacement.
            Ok(LeakStep::NeedsOperator(NeedsOperator::NotReplaced { .. })) => {}
            Ok(LeakStep::NeedsOperator(what)) => world.defect(&format!("an operator was asked: {what}")),
            Ok(_) => {}
            Err(LeakError::Rotation(error)) => world.tolerate::<()>(Err(error)),
            // An older revision was read, which does not know the incident yet.
            Err(LeakError::NoIncident { .. }) if world.reads_stale() => {}
            Err(error) => world.defect(&error.to_string()),
        }
    }
}

impl World {
    fn leaked(&self, which: Which) -> Option<Leaked> {
        self.leaks.set(self.leaks.get().checked_sub(1)?);
        let record = self.record();
        let version: VersionId = match which {
            Which::Current => return Some(Leaked::Current),
            Which::NewOfTheRun => record.run()?.phase.version(),
            Which::OldOfTheRun => record.run()?.previous?,
            Which::Any(n) => record.versions().get(n % record.versions().len().max(1))?.id,
        };
        Some(Leaked::Version(version))
    }

    fn pointer_in_play(&self) -> bool {
        let phase = self.record().run().map(|run| run.phase.clone());
        matches!(phase, Some(RunPhase::Promoting { .. } | RunPhase::Soaking { .. }))
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// What callers must expect while others work on the same key, or a scripted fault.
    fn tolerate<T>(&self, answer: Result<T, RotationError>) {
        match answer {
            Ok(_) | Err(RotationError::Refused(_) | RotationError::Contended { .. }) => {}
            // Another host switched it off in this very moment.
            Err(RotationError::CannotComeBack { .. }) => {}
            Err(RotationError::Backend(error)) if error.retry() != Retry::No => {}
            // The revision before the first: no record yet.
            Err(RotationError::Backend(error)) if error.operation() == Operation::Load && self.reads_stale() => {}
            Err(RotationError::RunVanished { .. }) if self.reads_stale() => {}
            Err(error) if self.is_full(&error) => {}
            Err(error) => self.defect(&error.to_string()),
        }
    }
}
