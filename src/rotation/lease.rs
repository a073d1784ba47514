//! The lease on a planned create: who may ask the issuer, and when another process gives it up.
//!
//! Safety rests on the conditional swap alone. The lease saves key slots: two processes that both
//! create cost one key too many. Every other phase may be gone on with by any process at once, so
//! only a plan is leased, and one call is all its holder makes: there is nothing to renew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{Run, RunId};

/// How long a holder may take until it asks the issuer, so that its call has ended when others give
/// the plan up.
pub(super) fn turn(takeover: Duration, call_limit: Duration) -> Duration {
    takeover.saturating_sub(call_limit.min(takeover / 2)).max(Duration::from_secs(1))
}

/// Plans of other processes, and since when this one has seen each unchanged on its own clock.
/// Clocks of two hosts are never compared.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<BTreeMap<RunId, (u64, Duration)>>);

impl Watches {
    /// More plans than that are not waited for at once; the one watched longest gives way.
    const MOST: usize = 1_024;

    /// How long the plan of this run was seen under its fence.
    pub(super) fn watched_for(&self, run: &Run, now: Duration) -> Duration {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&run.id) {
            Some((fence, since)) if *fence == run.fence => return now.saturating_sub(*since),
            _ => {}
        }
        if seen.len() >= Self::MOST {
            let longest = seen.iter().min_by_key(|(_, (_, since))| *since).map(|(run, _)| *run);
            longest.map(|run| seen.remove(&run));
        }
        seen.insert(run.id, (run.fence, now));
        Duration::ZERO
    }

    pub(super) fn forget(&self, run: RunId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_of_a_holder_has_ended_before_others_give_it_up() {
        let seconds = Duration::from_secs;
        assert_eq!(turn(seconds(120), seconds(30)), seconds(90));
        assert_eq!(turn(seconds(10), seconds(30)), seconds(5), "a long limit leaves half the time");
        assert_eq!(turn(Duration::ZERO, seconds(30)), seconds(1));
    }
}
