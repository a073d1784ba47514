//! What one interleaving is: who sets out to do what, what goes wrong, and in which order.
//!
//! A seed makes a plan; a plan that fails is made smaller as long as it still fails.

use keyward::core::ErrorKind;
use keyward_conformance::strict::{Fault, FaultPlan};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

/// One interleaving.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Decides whose turn it is, and the weather.
    pub(crate) schedule: u64,
    /// The key has a first version before the hosts begin.
    pub(crate) in_service: bool,
    /// Callers are refused with every new version.
    pub(crate) failing: bool,
    /// How many keys the issuer allows.
    pub(crate) cap: Option<u32>,
    /// The issuer can switch keys off and on.
    pub(crate) reversible: bool,
    /// So many leak reports count; further ones are not made.
    pub(crate) leaks: usize,
    pub(crate) hosts: Vec<HostPlan>,
}

/// One host: at which of its calls what goes wrong, and what it does, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub(crate) faults: Vec<(usize, Fault)>,
    pub(crate) acts: Vec<Act>,
}

/// One thing a host does; the number is how many steps it takes before it turns to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Rotate(usize),
    /// Rotates until the pointer is in play, takes the new version back, and goes on.
    TakeBack(usize),
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

impl HostPlan {
    pub(crate) fn fault_plan(&self) -> FaultPlan {
        self.faults.iter().fold(FaultPlan::none(), |plan, (call, fault)| plan.at(*call, *fault))
    }
}

pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let cap = weighted(0.3, Just(2));
    let flags = (prop::bool::weighted(0.75), prop::bool::weighted(0.2), any::<bool>());
    (any::<u64>().no_shrink(), flags, cap, 0..4_usize, vec(host(), 2..=3)).prop_map(
        |(schedule, (in_service, failing, reversible), cap, leaks, hosts)| Plan {
            schedule,
            in_service,
            failing,
            cap,
            reversible,
            leaks,
            hosts,
        },
    )
}

fn host() -> impl Strategy<Value = HostPlan> {
    let faults = vec((0..70_usize, fault()), 0..4);
    (faults, vec(act(), 1..=5)).prop_map(|(faults, acts)| HostPlan { faults, acts })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter),
        3 => Just(Fault::LostReply),
        1 => Just(Fault::Fail(ErrorKind::Throttled)),
        2 => Just(Fault::Fail(ErrorKind::Unavailable)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (1..=20_usize).prop_map(Act::Rotate),
        3 => (1..=20_usize).prop_map(Act::TakeBack),
        1 => Just(Act::Abort),
        1 => Just(Act::RollBack),
        4 => (which(), 1..=25_usize).prop_map(|(which, steps)| Act::Leak(which, steps)),
        1 => Just(Act::Reactivate),
        1 => Just(Act::Reconcile),
        2 => Just(Act::Sweep),
        1 => Just(Act::Annotate),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        Just(Which::Current),
        Just(Which::NewOfTheRun),
        Just(Which::OldOfTheRun),
        (0..6_usize).prop_map(Which::Any),
    ]
}
