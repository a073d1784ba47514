//! Rehearse a rotation on a copy, with made-up material, on a clock that costs no time.
//!
//! What is real in a drill: the record, the policy, what the issuer says it can do, and what the
//! store answers to questions that change nothing. Everything else is made up and thrown away.

mod consumers;
mod permissions;
mod rehearsal;
mod report;
mod scene;
mod understudy;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{
    Adoption, Clock, Context, IssuerCapabilities, KeyRecord, Location, ManualClock, Reason, SecretBackend, SystemClock,
};

pub use consumers::{Consumer, ConsumerReport};
pub use permissions::{Permission, Proven};
pub use report::{DrillReport, Moment, Rollback};

use self::consumers::Crowd;
use self::rehearsal::{Forward, Rehearsal};
use self::scene::{Scene, not_at_rest};
use super::error::RotationError;

/// Rehearses the rotation of one key on a copy: forward to the end, then once more with errors on
/// the new version, so that it must be rolled back.
///
/// The real record is read by the caller and never written; the real material is not even read;
/// the real issuer is only asked what it can do. With [`Drill::ask`] the real store is asked what
/// can be asked without a write and without a value.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use std::time::Duration;
/// use keyward::core::{KeyIssuer, MemoryBackend, SecretBackendExt, Context};
/// use keyward::issuer::GeneratedIssuer;
/// use keyward::rotation::drill::{Consumer, Drill};
/// # use keyward::{AccessLevel, Inventory, KeyDraft, KeyId, Ownership, Scope};
/// # let store = MemoryBackend::default();
/// # let key: KeyId = "staging/analytics/reports".parse()?;
/// # let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
/// # let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("dashboard")?;
/// # Inventory::new(&store).actor("ada").register(KeyDraft::new(key.clone(), owners, scope, "acme".parse()?)).await?;
/// let record = store.load_existing(&Context::new("ada", "a drill")?, &key).await?.value;
/// let report = Drill::of(record, GeneratedIssuer::new("acme")?.capabilities())
///     .consumer(Consumer::library("dashboard"))
///     .consumer(Consumer::caching("nightly export", Duration::from_secs(86_400)))
///     .ask(&store)
///     .run()
///     .await?;
/// println!("{report}");
/// assert!(report.is_clear());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before run()"]
pub struct Drill<'a> {
    record: KeyRecord,
    issuer: IssuerCapabilities,
    consumers: Vec<Consumer>,
    propagation: Duration,
    poll: Duration,
    store: Option<&'a dyn SecretBackend>,
    at: Option<DateTime<Utc>>,
}

impl<'a> Drill<'a> {
    /// A drill for the key of a record, with an issuer that has these capabilities.
    pub fn of(record: KeyRecord, issuer: &IssuerCapabilities) -> Self {
        Self {
            record,
            issuer: issuer.clone(),
            consumers: Vec::new(),
            propagation: Duration::ZERO,
            poll: Duration::from_secs(60),
            store: None,
            at: None,
        }
    }

    /// Adds a consumer. Without any, each service of the key's scope is taken, as a consumer with
    /// the default limits.
    pub fn consumer(mut self, consumer: Consumer) -> Self {
        self.consumers.push(consumer);
        self
    }

    /// Adds the consumers an [`AdoptionSignal`](keyward_core::AdoptionSignal) knows, each with the
    /// default limits.
    pub fn known(mut self, adoptions: &[Adoption]) -> Self {
        self.consumers.extend(adoptions.iter().map(Consumer::known));
        self
    }

    /// How long a fresh key takes until the issuer accepts it. Default: no time.
    pub fn propagation(mut self, propagation: Duration) -> Self {
        self.propagation = propagation;
        self
    }

    /// How often the gate is asked, as in [`RotatorBuilder::poll_every`](super::RotatorBuilder::poll_every).
    /// Default 60 s; a two-thousandth of soak or overlap where that is longer.
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll = every.max(Duration::from_secs(1));
        self
    }

    /// Asks the real store what can be asked without a write and without a value: `load`,
    /// `pointer` and `survey`.
    pub fn ask(mut self, store: &'a dyn SecretBackend) -> Self {
        self.store = Some(store);
        self
    }

    /// The time at which the drill begins. Default: now.
    pub fn at(mut self, time: DateTime<Utc>) -> Self {
        self.at = Some(time);
        self
    }

    /// Plays both rehearsals. What goes wrong in them is in the report.
    ///
    /// ```
    /// use keyward::core::{IssuerCapabilities, KeyRecord};
    /// use keyward::rotation::RotationError;
    /// use keyward::rotation::drill::Drill;
    /// async fn rehearse(record: KeyRecord, issuer: &IssuerCapabilities) -> Result<(), RotationError> {
    ///     println!("{}", Drill::of(record, issuer).run().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::Record`] or [`RotationError::Backend`] when the record cannot be copied: it
    /// is a history page, or contradicts itself.
    pub async fn run(self) -> Result<DrillReport, RotationError> {
        let cx = Context::by("drill".parse()?, Reason::lossy("rehearse a rotation on a copy"));
        let clock = Arc::new(ManualClock::at(self.at.unwrap_or_else(|| SystemClock.now())));
        let consumers = self.cast();
        let permissions = permissions::ask(self.store, &cx, &self.record).await;
        let afresh = not_at_rest(&self.record);
        let scene = Scene::copy(&self.record, &self.issuer, self.propagation, clock, &cx, afresh).await?;
        let rotator = scene.rotator(self.poll)?;
        let mut rehearsal = Rehearsal::new(&scene, &rotator, &cx, Crowd::new(&consumers, scene.clock.monotonic()));

        let mut forward = match rehearsal.provision().await {
            Ok(()) => rehearsal.forward().await,
            Err(why) => Forward { stuck: Some(format!("no first version: {why}")), ..Forward::default() },
        };
        let rollback = match &forward.stuck {
            Some(_) => Rollback::NotTried { why: "the rotation did not come to its end".to_owned() },
            None => rehearsal.back(&mut forward.consumers).await,
        };
        Ok(DrillReport {
            key: self.record.id().clone(),
            copied_afresh: afresh.map(str::to_owned),
            steps: forward.steps,
            stuck: forward.stuck,
            revoked_after: forward.revoked_after,
            consumers: forward.consumers,
            rollback,
            permissions,
            notes: self.notes(),
        })
    }

    fn cast(&self) -> Vec<Consumer> {
        if self.consumers.is_empty() {
            return self.record.scope().services().map(|service| Consumer::library(service.as_str())).collect();
        }
        self.consumers.clone()
    }

    /// What stands in the way of the real one, and what no drill shows.
    fn notes(&self) -> Vec<String> {
        let record = &self.record;
        let mut notes = Vec::new();
        if let Some(run) = record.run() {
            notes.push(format!("run {} is under way in phase {}: it comes first", run.id, run.phase));
        }
        if record.is_retiring() || record.retired_at().is_some() {
            notes.push("the key is retired or being retired: it is not rotated any more".to_owned());
        }
        let live = record.versions().iter().filter(|version| version.state.may_work()).count();
        if let Some(cap) = self.issuer.max_live {
            notes.push(format!("issuer slots: {live} of {cap} in use, and a rotation needs one more"));
        }
        if *record.location() != Location::Derived {
            notes.push("the key lies where it was adopted; the copy lies at a derived place".to_owned());
        }
        if !self.issuer.finds_by_label && !self.issuer.absent_is_final {
            notes.push("the issuer has no labels: a create with an unknown outcome needs a person".to_owned());
        }
        notes.push("whether the issuer asks a person for the key is not rehearsed".to_owned());
        notes
    }
}
