//! The copy a drill plays on: the record, made-up material, a stand-in for the issuer, a clock.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::{
    Change, Clock, Context, Error, ErrorKind, Expect, IncidentState, IssuerCapabilities, KeyDraft, KeyRecord, Location,
    ManualClock, MemoryBackend, Operation, RecordError, SecretBackend, Swap, Target, Version, VersionState,
};

use super::super::builder::Rotator;
use super::super::error::RotationError;
use super::understudy::{Mood, Understudy, dummy};

/// Everything a rehearsal touches. Nothing of it is real.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) store: MemoryBackend,
    pub(super) clock: Arc<ManualClock>,
    pub(super) issuer: Understudy,
    pub(super) mood: Mood,
    pub(super) target: Target,
    pub(super) policy: keyward_core::RotationPolicy,
    name: String,
}

impl Scene {
    /// Copies a record: as it stands when it is at rest, or else what its draft said. `why` says
    /// why not as it stands.
    pub(super) async fn copy(
        record: &KeyRecord,
        able: &IssuerCapabilities,
        propagation: Duration,
        clock: Arc<ManualClock>,
        cx: &Context,
        why: Option<&str>,
    ) -> Result<Self, RotationError> {
        let copy = match why {
            None => moved_here(record)?,
            Some(_) => drafted(record, &Change::new(cx.actor.clone(), clock.now()))?,
        };
        let scene = Self {
            store: MemoryBackend::with_clock(clock.clone()),
            issuer: Understudy::new(able.clone(), propagation, clock.clone()),
            clock,
            mood: Mood::default(),
            target: copy.target(),
            policy: copy.policy().clone(),
            name: copy.issuer().to_string(),
        };
        match scene.store.swap(cx, copy.id(), Expect::Absent, &copy).await? {
            Swap::Applied(_) => {}
            Swap::Conflict(_) => return Err(failed("the copy is there already").into()),
        }
        for version in copy.versions() {
            scene.furnish(cx, version).await?;
        }
        if let Some(primary) = copy.primary() {
            let shown = copy.publications().iter().rfind(|publication| publication.version == primary.id);
            let publication =
                shown.ok_or_else(|| failed("the record says nothing of how its version was published"))?;
            let token = scene.store.pointer(cx, &scene.target).await?.token;
            scene.store.publish(cx, &scene.target, primary.id, publication.id, &token).await?;
        }
        Ok(scene)
    }

    /// Material, and a key at the issuer, for a version that has them.
    async fn furnish(&self, cx: &Context, version: &Version) -> Result<(), RotationError> {
        if version.state == VersionState::Gone || !version.was_created() {
            return Ok(());
        }
        let material = dummy(&self.target.shape).ok_or_else(|| failed("the system gives no randomness"))?;
        self.store.stage(cx, &self.target, version.id, &material).await?;
        if version.state.may_work() {
            self.issuer.has(version.id, material, version.state == VersionState::Suspended);
        }
        Ok(())
    }

    pub(super) fn rotator(&self, poll: Duration) -> Result<Rotator<MemoryBackend>, RotationError> {
        let window = self.policy.soak.max(self.policy.overlap);
        Rotator::builder(self.store.clone())
            .actor("drill")
            .issuer_and_validator(&self.name, self.issuer.clone())
            .health(self.mood.clone())
            .clock(self.clock.clone())
            // Windows of years do not make a drill of hours.
            .poll_every(poll.max(window / 2_000))
            .build()
    }
}

/// Why a record is not copied as it stands.
pub(super) fn not_at_rest(record: &KeyRecord) -> Option<&'static str> {
    let open = record.incidents().iter().any(|i| i.state != IncidentState::AwaitingReview);
    if open {
        Some("an incident is open")
    } else if record.run().is_some() {
        Some("a run is under way")
    } else if record.is_retiring() || record.retired_at().is_some() {
        Some("the key is retired or being retired")
    } else {
        None
    }
}

/// The record word for word, but at a place the copy's store has.
fn moved_here(record: &KeyRecord) -> Result<KeyRecord, RecordError> {
    const ODD: RecordError = RecordError::Inconsistent("its stored form is not what it was");
    if *record.location() == Location::Derived {
        return Ok(record.clone());
    }
    let mut stored = serde_json::to_value(record).map_err(|_| ODD)?;
    stored["record"]["location"] = serde_json::to_value(Location::Derived).map_err(|_| ODD)?;
    serde_json::from_value(stored).map_err(|_| ODD)
}

fn drafted(record: &KeyRecord, change: &Change) -> Result<KeyRecord, RecordError> {
    let (id, owners, scope) = (record.id().clone(), record.ownership().clone(), record.scope().clone());
    let draft = KeyDraft::new(id, owners, scope, record.issuer().clone());
    KeyRecord::register(&draft.policy(record.policy().clone()).shape(record.shape().clone()), change)
}

fn failed(detail: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, Operation::Open, "drill").with_detail(detail)
}
