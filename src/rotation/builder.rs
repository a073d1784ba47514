//! Putting a rotator together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{
    Actor, AdoptionSignal, Change, Clock, Context, Fingerprint, HealthSignal, HolderId, IssuerName, KeyIssuer,
    KeyRecord, Lease, Material, Reason, SecretBackend, Stamped, SystemClock, Transition, UsageSignal, Validator,
};
use keyward_seal::InventoryKey;

use crate::commit::{Commit, commit};
use crate::keyring::Keyring;
use crate::leak::fingerprint;

use super::error::{Answer, RotationError};
use super::gate::GatePolicy;
use super::lease::Watches;
use super::timed::Timed;

/// Drives rotations on one store. Cheap to share; one value is one holder of planned creates.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward::core::MemoryBackend;
/// use keyward::issuer::GeneratedIssuer;
/// use keyward::rotation::Rotator;
///
/// let rotator = Rotator::builder(MemoryBackend::default())
///     .actor("billing-rotator")
///     .issuer_and_validator("acme", GeneratedIssuer::new("acme_live")?)
///     .build()?;
/// # let _ = rotator;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Rotator<B> {
    pub(super) backend: B,
    pub(super) actor: Actor,
    pub(super) issuers: BTreeMap<IssuerName, Arc<dyn KeyIssuer>>,
    pub(super) validators: BTreeMap<IssuerName, Arc<dyn Validator>>,
    pub(super) health: Option<Arc<dyn HealthSignal>>,
    pub(super) usage: Option<Arc<dyn UsageSignal>>,
    pub(super) adoption: Option<Arc<dyn AdoptionSignal>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: GatePolicy,
    pub(super) inventory_key: Option<Arc<InventoryKey>>,
    pub(super) settings: Settings,
    pub(super) holder: HolderId,
    pub(super) watches: Watches,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) takeover: Duration,
    pub(super) poll: Duration,
    pub(super) probe_gap: Duration,
    pub(super) call_limit: Duration,
    pub(super) reader_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            takeover: Duration::from_secs(120),
            poll: Duration::from_secs(60),
            probe_gap: Duration::from_secs(2),
            call_limit: Context::DEFAULT_TIMEOUT,
            reader_ttl: Keyring::HARD_TTL,
        }
    }
}

impl<B: SecretBackend> Rotator<B> {
    /// Starts to put a rotator on `backend` together.
    pub fn builder(backend: B) -> RotatorBuilder<B> {
        RotatorBuilder {
            backend,
            actor: "keyward".to_owned(),
            issuers: Vec::new(),
            validators: Vec::new(),
            health: None,
            usage: None,
            adoption: None,
            clock: Arc::new(SystemClock),
            gate: GatePolicy::default(),
            inventory_key: None,
            settings: Settings::default(),
        }
    }

    /// The store.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The same call with time of its own: a signal that never answers, or a slow issuer, may have
    /// used up all the time of what came before.
    pub(super) fn renewed(&self, cx: &Context) -> Context {
        cx.within(self.settings.call_limit)
    }

    pub(crate) fn context(&self, reason: &Reason) -> Context {
        Context::by(self.actor.clone(), reason.clone()).within(self.settings.call_limit)
    }

    /// Applies a transition to the record that was read and stores the result.
    pub(crate) async fn commit(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        transition: &Transition,
    ) -> Answer<Commit> {
        self.commit_under(cx, read, transition, None).await
    }

    /// As [`Rotator::commit`], refused once another process has taken the lease over.
    pub(super) async fn commit_under(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        transition: &Transition,
        lease: Option<Lease>,
    ) -> Answer<Commit> {
        let mut change = Change::new(self.actor.clone(), self.clock.now());
        change.lease = lease;
        // What a slow call has learnt must still be written down.
        let cx = &self.renewed(cx);
        Ok(commit(&self.backend, cx, read, transition, &change).await?)
    }

    pub(super) fn issuer_of(&self, record: &KeyRecord) -> Answer<&Arc<dyn KeyIssuer>> {
        let name = record.issuer();
        self.issuers.get(name).ok_or_else(|| RotationError::NoIssuer { name: name.clone() })
    }

    pub(super) fn validator_of(&self, record: &KeyRecord) -> Option<&Arc<dyn Validator>> {
        self.validators.get(record.issuer())
    }

    pub(super) fn fingerprint(&self, material: &Material) -> Option<Fingerprint> {
        Some(fingerprint(self.inventory_key.as_ref()?, material))
    }
}

/// Puts a [`Rotator`] together. `Debug` counts what was given and repeats no name
/// that is not parsed yet: whoever mixes up arguments gives a value for a name.
#[must_use]
pub struct RotatorBuilder<B> {
    backend: B,
    actor: String,
    issuers: Vec<(String, Arc<dyn KeyIssuer>)>,
    validators: Vec<(String, Arc<dyn Validator>)>,
    health: Option<Arc<dyn HealthSignal>>,
    usage: Option<Arc<dyn UsageSignal>>,
    adoption: Option<Arc<dyn AdoptionSignal>>,
    clock: Arc<dyn Clock>,
    gate: GatePolicy,
    inventory_key: Option<Arc<InventoryKey>>,
    settings: Settings,
}

impl<B> fmt::Debug for RotatorBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RotatorBuilder");
        debug.field("issuers", &self.issuers.len()).field("validators", &self.validators.len());
        debug.field("gate", &self.gate).field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<B: SecretBackend> RotatorBuilder<B> {
    /// Who acts, for the audit log. Default `keyward`.
    pub fn actor(mut self, actor: &str) -> Self {
        actor.clone_into(&mut self.actor);
        self
    }

    /// Registers an issuer under the name that records use.
    pub fn issuer(mut self, name: &str, issuer: impl KeyIssuer + 'static) -> Self {
        self.issuers.push((name.to_owned(), Arc::new(Timed(issuer))));
        self
    }

    /// Registers how keys of an issuer are tried out. Without one, the issuer's own word counts.
    pub fn validator(mut self, issuer: &str, validator: impl Validator + 'static) -> Self {
        self.validators.push((issuer.to_owned(), Arc::new(Timed(validator))));
        self
    }

    /// Registers an issuer that is its own validator.
    pub fn issuer_and_validator(self, name: &str, issuer: impl KeyIssuer + Validator + Clone + 'static) -> Self {
        self.issuer(name, issuer.clone()).validator(name, issuer)
    }

    /// How requests made with the new version fare. Without a signal the gate never passes by
    /// itself.
    pub fn health(mut self, signal: impl HealthSignal + 'static) -> Self {
        self.health = Some(Arc::new(Timed(signal)));
        self
    }

    /// When the old version was last used. It must then be silent for half the overlap, at least an
    /// hour, before it is given up. Without a signal nobody looks, and the history says so.
    pub fn usage(mut self, signal: impl UsageSignal + 'static) -> Self {
        self.usage = Some(Arc::new(Timed(signal)));
        self
    }

    /// Which consumers use which version. All must then have the new one before the old one is given
    /// up, or be out of their time to live. A store that keeps a ledger is asked without this.
    pub fn adoption(mut self, signal: impl AdoptionSignal + 'static) -> Self {
        self.adoption = Some(Arc::new(Timed(signal)));
        self
    }

    /// How long a reader serves a value after the store last confirmed it: the longest
    /// [`hard_ttl`](crate::keyring::KeyringBuilder::hard_ttl) of any service. Default
    /// [`Keyring::HARD_TTL`].
    pub fn reader_ttl(mut self, ttl: Duration) -> Self {
        self.settings.reader_ttl = ttl;
        self
    }

    /// When the health gate passes.
    pub fn gate(mut self, gate: GatePolicy) -> Self {
        self.gate = gate;
        self
    }

    /// Where time comes from. Default: this machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Fingerprints new material under this key, so that a leaked string can be matched.
    pub fn inventory_key(self, key: InventoryKey) -> Self {
        self.shared_inventory_key(Some(Arc::new(key)))
    }

    pub(crate) fn shared_inventory_key(mut self, key: Option<Arc<InventoryKey>>) -> Self {
        self.inventory_key = key;
        self
    }

    /// How long one call of the store, an issuer, a validator or a signal may take.
    /// Default 30 s. A create that takes longer counts as unknown and is never repeated.
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.settings.call_limit = limit;
        self
    }

    /// How long a planned create of another process is left alone before it is given up: watched
    /// by this rotator, on its own clock. Default 120 s. The process that planned it asks the
    /// issuer so early that its call has ended by then, or not at all.
    pub fn takeover_after(mut self, after: Duration) -> Self {
        self.settings.takeover = after;
        self
    }

    /// How often the gates are asked. Default 60 s.
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.settings.poll = every;
        self
    }

    /// How far apart validations are. Default 2 s.
    pub fn probe_gap(mut self, gap: Duration) -> Self {
        self.settings.probe_gap = gap;
        self
    }

    /// Checks the settings together. Contacts nobody.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::rotation::Rotator;
    /// assert!(Rotator::builder(MemoryBackend::default()).actor("billing-rotator").build().is_ok());
    /// assert!(Rotator::builder(MemoryBackend::default()).actor("").build().is_err());
    /// ```
    ///
    /// # Errors
    /// [`RotationError::Text`] or [`RotationError::Name`] when the actor or the name of an issuer
    /// is not acceptable.
    pub fn build(self) -> Result<Rotator<B>, RotationError> {
        Ok(Rotator {
            backend: self.backend,
            actor: self.actor.parse()?,
            issuers: parsed(self.issuers)?,
            validators: parsed(self.validators)?,
            health: self.health,
            usage: self.usage,
            adoption: self.adoption,
            clock: self.clock,
            gate: self.gate,
            inventory_key: self.inventory_key,
            settings: self.settings,
            holder: HolderId::generate(),
            watches: Watches::default(),
        })
    }
}

fn parsed<T: ?Sized + fmt::Debug>(named: Vec<(String, Arc<T>)>) -> Answer<BTreeMap<IssuerName, Arc<T>>> {
    named.into_iter().map(|(name, value)| Ok((name.parse()?, value))).collect()
}
