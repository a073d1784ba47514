//! An issuer in memory: what it is told before a test, and what it can be asked after.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward_core::{IssuerCapabilities, IssuerRef, KeyId, Material, Scope, SecretValue, VersionId};

/// An issuer in memory that labels its keys, counts creates and obeys a script.
///
/// Clones are the same issuer. Every key it makes is one value, different from all others. A
/// second create under one version id makes a second key, as a careless vendor would: see
/// [`FakeIssuer::creates`].
///
/// Put a [`Host`](super::Host) in front of it for faults.
#[derive(Clone, Debug, Default)]
pub struct FakeIssuer {
    state: Arc<Mutex<State>>,
    pub(super) capabilities: Arc<IssuerCapabilities>,
}

/// When the effect of a create arrives whose answer was "unknown".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "by hand, or by counting")]
pub enum Late {
    /// With [`FakeIssuer::land_late`].
    ByHand,
    /// Before the call that follows this many further calls of the issuer.
    AfterCalls(usize),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) keys: Vec<Key>,
    pub(super) creates: BTreeMap<VersionId, u32>,
    /// For the next creates, in order: late or not.
    pub(super) script: Vec<Option<Late>>,
    /// Made, but not there yet; with the calls left to wait.
    pub(super) late: Vec<(Option<usize>, Key)>,
    pub(super) made: u64,
    pub(super) linger: u32,
    pub(super) forgets: bool,
    /// Keys that carry no label.
    pub(super) strangers: BTreeMap<KeyId, usize>,
    /// Calls answered, and changes made behind everybody's back.
    pub(super) touched: u64,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) label: VersionId,
    pub(super) of: KeyId,
    pub(super) reference: IssuerRef,
    pub(super) material: Material,
    pub(super) scope: Scope,
    pub(super) life: Life,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    Live,
    Suspended,
    /// Revoked; accepted for this many probes more.
    Revoked(u32),
}

impl FakeIssuer {
    /// An issuer with these capabilities. Its cap on live keys is `max_live`.
    #[must_use]
    pub fn new(capabilities: IssuerCapabilities) -> Self {
        Self { state: Arc::default(), capabilities: Arc::new(capabilities) }
    }

    /// An issuer that can switch keys off and on.
    #[must_use]
    pub fn reversible() -> Self {
        let mut capabilities = IssuerCapabilities::default();
        capabilities.reversible = true;
        Self::new(capabilities)
    }

    /// An issuer that refuses a further key while `keys` are live.
    #[must_use]
    pub fn capped(keys: u32) -> Self {
        let mut capabilities = IssuerCapabilities::default();
        capabilities.max_live = Some(keys);
        Self::new(capabilities)
    }

    /// Lets the next creates answer "unknown" and their keys appear later; `None` is a create as
    /// usual.
    pub fn delay_creates(&self, script: impl IntoIterator<Item = Option<Late>>) {
        self.state().script.extend(script);
    }

    /// Lets every late create land now. Answers how many did.
    pub fn land_late(&self) -> usize {
        let mut state = self.state();
        state.touched += 1;
        let late = std::mem::take(&mut state.late);
        let landed = late.len();
        state.keys.extend(late.into_iter().map(|(_, key)| key));
        landed
    }

    /// Lets every late create land now, and none be late from now on, whatever was scripted.
    pub fn be_punctual(&self) {
        self.state().script.clear();
        self.land_late();
    }

    /// Somebody makes this many keys without a label: they take places, and no call finds them.
    pub fn add_strangers(&self, key: &KeyId, keys: usize) {
        *self.state().strangers.entry(key.clone()).or_default() += keys;
    }

    /// From now on a revoked key is accepted for so many probes more.
    pub fn revokes_linger(&self, probes: u32) {
        self.state().linger = probes;
    }

    /// From now on revoked keys are `Absent` instead of `Revoked`.
    pub fn forgets_revoked(&self) {
        self.state().forgets = true;
    }

    /// Gives a version another scope at the issuer than was asked for.
    pub fn change_scope(&self, version: VersionId, scope: &Scope) {
        for key in self.state().keys.iter_mut().filter(|key| key.label == version) {
            key.scope = scope.clone();
        }
    }

    /// Ends a version behind everybody's back.
    pub fn kill(&self, version: VersionId) {
        let mut state = self.state();
        state.touched += 1;
        for key in state.keys.iter_mut().filter(|key| key.label == version) {
            key.life = Life::Revoked(0);
        }
    }

    /// How often create was called for a version. More than once breaks the contract.
    pub fn creates(&self, version: VersionId) -> u32 {
        self.state().creates.get(&version).copied().unwrap_or(0)
    }

    /// How often create was called for the version it was called for most. More than once breaks
    /// the contract.
    pub fn most_creates(&self) -> u32 {
        self.state().creates.values().copied().max().unwrap_or(0)
    }

    /// Rises with everything that may have changed what the issuer has: cheap to ask after every
    /// call.
    pub fn touched(&self) -> u64 {
        self.state().touched
    }

    /// How often create was called for every version it was called for.
    pub fn all_creates(&self) -> BTreeMap<VersionId, u32> {
        self.state().creates.clone()
    }

    /// The labels of the keys of `key` that are live or suspended, oldest first, with doubles.
    pub fn working(&self, key: &KeyId) -> Vec<VersionId> {
        let state = self.state();
        let works = |k: &&Key| k.of == *key && !matches!(k.life, Life::Revoked(_));
        state.keys.iter().filter(works).map(|k| k.label).collect()
    }

    /// The labels of the keys of `key` that are live, oldest first, with doubles.
    pub fn live(&self, key: &KeyId) -> Vec<VersionId> {
        let state = self.state();
        state.keys.iter().filter(|k| k.of == *key && k.life == Life::Live).map(|k| k.label).collect()
    }

    /// Whether material is accepted now. A lingering revoked key counts the question as a probe.
    pub fn accepts(&self, material: &Material) -> bool {
        let mut state = self.state();
        let Some(key) = state.keys.iter_mut().find(|key| key.material.ct_eq(material)) else { return false };
        match &mut key.life {
            Life::Live => true,
            Life::Suspended | Life::Revoked(0) => false,
            Life::Revoked(left) => {
                *left -= 1;
                true
            }
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a call, and lets what is due land.
    pub(super) fn tick(&mut self) {
        self.touched += 1;
        let (due, waiting) = std::mem::take(&mut self.late).into_iter().partition(|(left, _)| *left == Some(0));
        self.late = waiting;
        let due: Vec<(Option<usize>, Key)> = due;
        self.keys.extend(due.into_iter().map(|(_, key)| key));
        for (left, _) in &mut self.late {
            *left = left.map(|n| n - 1);
        }
    }

    /// How many places are taken: also by what has not appeared yet, and by what carries no label.
    pub(super) fn taken(&self, of: &KeyId) -> usize {
        let late = self.late.iter().map(|(_, key)| key);
        let ours = self.keys.iter().chain(late).filter(|k| k.of == *of && !matches!(k.life, Life::Revoked(_)));
        ours.count() + self.strangers.get(of).copied().unwrap_or(0)
    }

    /// A value nobody has had before.
    pub(super) fn mint(&mut self, version: VersionId) -> SecretValue {
        self.made += 1;
        SecretValue::from(format!("fake_{version}_{}", self.made).as_str())
    }
}
