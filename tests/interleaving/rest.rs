//! The end of an interleaving: no more faults, and everything comes to rest.

use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{ErrorKind, IncidentState, KeyRecord, TransitionError};
use keyward::leak::{LeakError, LeakResponse, LeakStep};
use keyward::rotation::{Reconciler, RotationError, Step};
use keyward_conformance::strict::Host;

use crate::cast::HostRotator;
use crate::support::{CHARGES, key};
use crate::world::World;

impl World {
    /// Without faults everything comes to rest, and then the issuer knows the primary and nothing
    /// else.
    pub(crate) fn settle(&self) {
        self.store.store.serve_stale(0);
        self.issuer.revokes_linger(0);
        self.issuer.be_punctual();
        let rotator = self.rotator(&Host::steady("settler"));
        for _ in 0..60 {
            if !block_on(self.take_turn(&rotator)) {
                block_on(self.sweep(&rotator));
                // A create that lands beyond its horizon is found by the next sweep.
                self.issuer.land_late();
                block_on(self.sweep(&rotator));
                self.reconcile(&rotator);
                return self.check_rest();
            }
            self.check();
            if self.has_defects() {
                return;
            }
        }
        self.defect(&format!("I19: not at rest after 60 turns: {:?}", self.record().run()));
    }

    async fn take_turn(&self, rotator: &HostRotator) -> bool {
        let record = self.record();
        if let Some(incident) = record.incidents().iter().find(|i| i.state != IncidentState::AwaitingReview) {
            self.respond(rotator, &record, incident.id).await;
            return true;
        }
        if record.run().is_none() && record.primary().is_some() {
            return false;
        }
        // A record full of given-up creates refuses a run until the horizon has passed and a sweep
        // has seen them dead.
        let working = record.versions().iter().filter(|v| v.state.may_work()).count();
        if record.run().is_none() && working >= KeyRecord::MAX_WORKING {
            self.clock.advance(Duration::from_secs(2 * 3_600));
            self.sweep(rotator).await;
            return true;
        }
        self.drive_run(rotator, 12).await;
        true
    }

    async fn respond(&self, rotator: &HostRotator, record: &KeyRecord, incident: keyward::core::IncidentId) {
        let mut response = LeakResponse::resume(rotator, record.id(), incident).await.expect("resume");
        // A create that may still land is waited for up to an hour.
        for _ in 0..800 {
            match response.step().await {
                Ok(LeakStep::Wait { at_most, .. }) => self.clock.advance(at_most),
                Ok(LeakStep::AwaitingReview(_)) => break,
                Ok(LeakStep::NeedsOperator(what)) => self.defect(&format!("settling: {what}")),
                Ok(_) => {}
                Err(LeakError::Rotation(RotationError::RunVanished { .. })) => {}
                Err(LeakError::Rotation(error)) if self.is_full(&error) => self.sweep(rotator).await,
                Err(error) => self.defect(&format!("settling: {error}")),
            }
        }
    }

    pub(crate) async fn drive_run(&self, rotator: &HostRotator, steps: usize) {
        let mut run = match rotator.start_or_resume(&key(CHARGES), "settle").await {
            Ok(run) => run,
            // What was given up comes first, as the refusal says.
            Err(RotationError::Refused(TransitionError::TooManyWorking { .. })) => return self.sweep(rotator).await,
            Err(error) if self.is_full(&error) => return self.sweep(rotator).await,
            Err(error) => return self.defect(&format!("settling: {error}")),
        };
        for _ in 0..steps {
            match run.step().await {
                Ok(Step::Wait { at_most, .. }) => self.clock.advance(at_most),
                Ok(Step::Finished(_)) => return,
                Ok(Step::NeedsOperator(what)) => self.defect(&format!("settling: {what}")),
                Ok(_) => {}
                Err(error) if self.is_full(&error) => self.sweep(rotator).await,
                Err(error) => self.defect(&format!("settling: {error}")),
            }
        }
    }

    /// What sleepers did at the issuer is put right, and then everything agrees.
    fn reconcile(&self, rotator: &HostRotator) {
        match block_on(Reconciler::of(rotator).repair(&key(CHARGES), "reconcile")) {
            Ok(repaired) => repaired.left.iter().for_each(|finding| self.defect(&format!("at rest: {finding}"))),
            Err(error) => self.defect(&format!("reconciling: {error}")),
        }
    }

    async fn sweep(&self, rotator: &HostRotator) {
        for _ in 0..6 {
            match rotator.sweep(&key(CHARGES), "daily").await {
                Ok(swept) if swept.pending.is_empty() => return,
                Ok(_) => self.clock.advance(Duration::from_secs(3_600)),
                Err(error) => return self.defect(&format!("sweeping: {error}")),
            }
        }
    }

    /// The issuer allows no further key: what was given up must be swept first.
    pub(crate) fn is_full(&self, error: &RotationError) -> bool {
        match error {
            RotationError::IssuerFull { .. } => self.capped,
            RotationError::Backend(error) => self.capped && error.kind() == ErrorKind::Quota,
            _ => false,
        }
    }
}
