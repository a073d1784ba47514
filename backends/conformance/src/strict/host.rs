//! One process, as a store and an issuer see it.

use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::future::yield_now;
use keyward_core::{ErrorKind, Operation};

use super::{Fault, FaultPlan, Faulty};

/// One process. Everything it wraps shares its numbering of calls, its faults and its death.
///
/// Clones are the same host. After a crash every call made through it, begun or new, is pending
/// for ever; what other hosts share with it goes on.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    name: String,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    plan: FaultPlan,
    trace: Vec<Call>,
    crashed: bool,
}

/// One call a host made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// Its number, from 0.
    pub number: usize,
    /// Which call.
    pub operation: Operation,
    /// What went wrong with it.
    pub fault: Option<Fault>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, operation, fault } = self;
        match fault {
            None => write!(f, "{number}: {operation:?}"),
            Some(fault) => write!(f, "{number}: {operation:?}, {fault:?}"),
        }
    }
}

impl Host {
    /// A process with this script of faults.
    #[must_use]
    pub fn new(name: &str, plan: FaultPlan) -> Self {
        let life = Mutex::new(Life { plan, ..Life::default() });
        Self(Arc::new(Inner { name: name.to_owned(), life }))
    }

    /// A process without faults.
    #[must_use]
    pub fn steady(name: &str) -> Self {
        Self::new(name, FaultPlan::none())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Puts this process in front of a store, an issuer or a validator.
    #[must_use]
    pub fn wrap<T>(&self, inner: T) -> Faulty<T> {
        Faulty::new(inner, self.clone())
    }

    /// How many calls it has begun. With no fault this is how many a crash matrix must visit.
    pub fn calls(&self) -> usize {
        self.life().trace.len()
    }

    /// The call it has begun last.
    pub fn last_call(&self) -> Option<Call> {
        self.life().trace.last().copied()
    }

    /// Every call it has begun, in order.
    pub fn trace(&self) -> Vec<Call> {
        self.life().trace.clone()
    }

    /// True once it has died.
    pub fn crashed(&self) -> bool {
        self.life().crashed
    }

    /// Kills it now.
    pub fn crash(&self) {
        self.life().crashed = true;
    }

    /// Exchanges the script, such as when a permission comes back. Numbers go on.
    pub fn follow(&self, plan: FaultPlan) {
        self.life().plan = plan;
    }

    /// Makes one call of this process: `effect` is what is done, `fail` makes an error of a kind,
    /// `lost` is the kind that stands for a lost reply.
    pub(super) async fn call<R>(
        &self,
        operation: Operation,
        lost: ErrorKind,
        effect: impl Future<Output = R> + Send,
        fail: impl FnOnce(ErrorKind) -> R + Send,
    ) -> R {
        self.alive().await;
        let (fault, delay) = self.begin(operation);
        match delay {
            Some((clock, each)) => clock.sleep(each).await,
            // A call to something far away is never done at the first poll.
            None => yield_now().await,
        }
        self.alive().await;
        let reply = match fault {
            Some(Fault::Fail(kind)) => fail(kind),
            Some(Fault::CrashBefore) => return self.die().await,
            Some(Fault::CrashAfter) => {
                effect.await;
                return self.die().await;
            }
            Some(Fault::LostReply) => {
                effect.await;
                fail(lost)
            }
            None => effect.await,
        };
        yield_now().await;
        self.alive().await;
        reply
    }

    fn begin(&self, operation: Operation) -> (Option<Fault>, Delay) {
        let mut life = self.life();
        let number = life.trace.len();
        let nth = life.trace.iter().filter(|call| call.operation == operation).count();
        let fault = life.plan.fault(number, operation, nth);
        life.trace.push(Call { number, operation, fault });
        (fault, life.plan.delay.clone())
    }

    async fn die<R>(&self) -> R {
        self.crash();
        pending().await
    }

    async fn alive(&self) {
        if self.crashed() {
            pending().await
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Delay = Option<(Arc<dyn keyward_core::Clock>, std::time::Duration)>;

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = self.life();
        f.debug_struct("Host")
            .field("name", &self.0.name)
            .field("calls", &life.trace.len())
            .field("crashed", &life.crashed)
            .finish_non_exhaustive()
    }
}
