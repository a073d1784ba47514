//! What goes wrong, and at which call.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::{Clock, ErrorKind, Operation};

/// What happens to one call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a crash matrix walks through every case")]
pub enum Fault {
    /// The call is refused with this kind and nothing is done.
    Fail(ErrorKind),
    /// The process dies before the call: nothing is done, the call never returns.
    CrashBefore,
    /// The call is done and its reply is lost: `Unknown` after a change, `Unavailable` after a read.
    LostReply,
    /// The call is done and the process dies: the call never returns.
    CrashAfter,
}

impl Fault {
    /// The three a crash matrix injects at every call.
    pub const CRASHES: [Self; 3] = [Self::CrashBefore, Self::LostReply, Self::CrashAfter];

    /// True when what was asked for is done all the same.
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::LostReply | Self::CrashAfter)
    }
}

/// Which calls of a host go wrong. Calls are numbered from 0, over everything the host wraps.
///
/// ```
/// use keyward_conformance::strict::{Fault, FaultPlan};
/// use keyward_core::{ErrorKind, Operation};
/// let plan = FaultPlan::none()
///     .at(7, Fault::LostReply)
///     .nth(Operation::Publish, 0, Fault::CrashBefore)
///     .always(Operation::Revoke, Fault::Fail(ErrorKind::Denied));
/// # let _ = plan;
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    rules: Vec<(Place, Fault)>,
    pub(super) delay: Option<(Arc<dyn Clock>, Duration)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    At(usize),
    Nth(Operation, usize),
    Always(Operation),
    Everywhere,
}

impl FaultPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// At one call of the host.
    #[must_use]
    pub fn at(self, call: usize, fault: Fault) -> Self {
        self.with(Place::At(call), fault)
    }

    /// At the `n`-th call of one operation, counted from 0.
    #[must_use]
    pub fn nth(self, operation: Operation, n: usize, fault: Fault) -> Self {
        self.with(Place::Nth(operation, n), fault)
    }

    /// At every call of one operation.
    #[must_use]
    pub fn always(self, operation: Operation, fault: Fault) -> Self {
        self.with(Place::Always(operation), fault)
    }

    /// At every call.
    #[must_use]
    pub fn everywhere(self, fault: Fault) -> Self {
        self.with(Place::Everywhere, fault)
    }

    /// Every call takes this long on `clock`, before its effect.
    #[must_use]
    pub fn latency(mut self, clock: Arc<dyn Clock>, each: Duration) -> Self {
        self.delay = Some((clock, each));
        self
    }

    /// The fault for a call; a rule added earlier wins.
    pub(super) fn fault(&self, call: usize, operation: Operation, nth: usize) -> Option<Fault> {
        let hit = |place: &Place| match *place {
            Place::At(at) => at == call,
            Place::Nth(of, n) => of == operation && n == nth,
            Place::Always(of) => of == operation,
            Place::Everywhere => true,
        };
        self.rules.iter().find(|(place, _)| hit(place)).map(|(_, fault)| *fault)
    }

    fn with(mut self, place: Place, fault: Fault) -> Self {
        self.rules.push((place, fault));
        self
    }
}
