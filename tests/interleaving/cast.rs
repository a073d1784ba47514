//! Who acts: a host with its rotator, and what it sets out to do.

use std::time::Duration;

use keyward::core::{Clock, ErrorKind, Evidence, Operation, Retry, VersionId};
use keyward::inventory::Inventory;
use keyward::leak::{LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{NeedsOperator, Reconciler, RotationError, Rotator, Step};
use keyward_conformance::strict::{Fault, FaultPlan, Faulty, Host};

use crate::careless::Careless;
use crate::dice::Dice;
use crate::support::{CHARGES, key};
use crate::world::World;

pub(crate) type HostRotator = Rotator<Faulty<Careless>>;

/// One thing a host does; the number is how many steps it takes before it turns to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Rotate(usize),
    Abort,
    RollBack,
    Leak(Which, usize),
    Reactivate,
    Reconcile,
    Sweep,
    Annotate,
}

/// Which version a leak report names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Current,
    NewOfTheRun,
    OldOfTheRun,
    Any(usize),
}

impl Act {
    pub(crate) fn pick(dice: &mut Dice, leaks_left: &mut usize) -> Self {
        match dice.below(15) {
            9 => Self::Reconcile,
            8 => Self::Reactivate,
            0 => Self::Abort,
            1 => Self::RollBack,
            2..=5 if *leaks_left > 0 => {
                *leaks_left -= 1;
                let which = match dice.below(4) {
                    0 => Which::Current,
                    1 => Which::NewOfTheRun,
                    2 => Which::OldOfTheRun,
                    _ => Which::Any(dice.below(6)),
                };
                Self::Leak(which, 1 + dice.below(25))
            }
            6 => Self::Sweep,
            7 => Self::Annotate,
            _ => Self::Rotate(1 + dice.below(20)),
        }
    }
}

/// What goes wrong on one host.
pub(crate) fn faults(dice: &mut Dice) -> FaultPlan {
    let mut plan = FaultPlan::none();
    for _ in 0..dice.below(4) {
        let fault = match dice.below(8) {
            0 => Fault::CrashBefore,
            1 => Fault::CrashAfter,
            2..=4 => Fault::LostReply,
            5 => Fault::Fail(ErrorKind::Throttled),
            _ => Fault::Fail(ErrorKind::Unavailable),
        };
        plan = plan.at(dice.below(70), fault);
    }
    plan
}

/// Does one act after the other. What a caller must expect from a busy key is passed over; the
/// rest is a defect.
pub(crate) async fn perform(world: &World, host: &Host, rotator: &HostRotator, acts: &[Act]) {
    for act in acts {
        match *act {
            Act::Rotate(steps) => rotate(world, rotator, steps).await,
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

async fn rotate(world: &World, rotator: &HostRotator, steps: usize) {
    let mut run = match rotator.start_or_resume(&key(CHARGES), "rotate").await {
        Ok(run) => run,
        Err(error) => return world.tolerate::<()>(Err(error)),
    };
    for _ in 0..steps {
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
        let record = self.record();
        let version: VersionId = match which {
            Which::Current => return Some(Leaked::Current),
            Which::NewOfTheRun => record.run()?.phase.version(),
            Which::OldOfTheRun => record.run()?.previous?,
            Which::Any(n) => record.versions().get(n % record.versions().len().max(1))?.id,
        };
        Some(Leaked::Version(version))
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
            Err(error) => self.defect(&error.to_string()),
        }
    }
}
