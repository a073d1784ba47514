//! Stands in for the real issuer: the same abilities, made-up keys, on the clock of the drill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keyward_core::{
    ArmCounts, Clock, Context, CreateError, Created, Error, ErrorKind, Evidence, HealthQuery, HealthReport,
    HealthSignal, Issue, IssuerCapabilities, IssuerKey, IssuerRef, IssuerStatus, KeyIssuer, KeyRecord, ManualClock,
    Material, NewKey, Operation, Probe, Result, Revoke, Scope, SecretValue, Shape, Validator, VersionId,
};

const NAME: &str = "drill";

/// An issuer in memory with the abilities of a real one. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Understudy {
    able: Arc<IssuerCapabilities>,
    clock: Arc<ManualClock>,
    propagation: Duration,
    keys: Arc<Mutex<BTreeMap<VersionId, Key>>>,
}

#[derive(Debug)]
struct Key {
    material: Material,
    works_from: Duration,
    works_until: Option<Duration>,
    suspended: bool,
}

impl Understudy {
    pub(super) fn new(able: IssuerCapabilities, propagation: Duration, clock: Arc<ManualClock>) -> Self {
        Self { able: Arc::new(able), clock, propagation, keys: Arc::default() }
    }

    /// A key that was there before the drill.
    pub(super) fn has(&self, version: VersionId, material: Material, suspended: bool) {
        let key = Key { material, works_from: Duration::ZERO, works_until: None, suspended };
        self.keys().insert(version, key);
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<VersionId, Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn switch(&self, issue: Issue<'_>, suspended: bool) -> Result<()> {
        if !self.able.reversible {
            return Err(error(ErrorKind::Unsupported, Operation::Switch));
        }
        let mut keys = self.keys();
        let key = keys.get_mut(&issue.version.id).filter(|key| key.works_until.is_none());
        key.ok_or_else(|| error(ErrorKind::NotFound, Operation::Switch)).map(|key| key.suspended = suspended)
    }

    fn mint(&self, new: Issue<'_>) -> Option<NewKey> {
        let material = dummy(new.record.shape())?;
        let works_from = self.clock.monotonic().saturating_add(self.propagation);
        let key = Key { material: material.duplicate(), works_from, works_until: None, suspended: false };
        self.keys().insert(new.version.id, key);
        Some(NewKey::new(material).reference(reference(new.version.id)?))
    }
}

fn reference(version: VersionId) -> Option<IssuerRef> {
    format!("drill-{version}").parse().ok()
}

/// Material that was never anybody's, of a shape. Absent when the system has no randomness.
pub(super) fn dummy(shape: &Shape) -> Option<Material> {
    let value = || {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).ok()?;
        let text = random.iter().fold("drill_".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        Some(SecretValue::new(text.into_bytes()))
    };
    match shape {
        Shape::One => Material::one(value()?).ok(),
        Shape::Fields(names) => {
            let fields: Option<Vec<_>> = names.iter().map(|name| Some((name.clone(), value()?))).collect();
            Material::fields(fields?).ok()
        }
    }
}

fn error(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, operation, NAME)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyIssuer for Understudy {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.able
    }

    async fn create(&self, _cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let live = self.keys().values().filter(|key| key.works_until.is_none()).count();
        if self.able.max_live.is_some_and(|cap| usize::try_from(cap).is_ok_and(|cap| live >= cap)) {
            return Err(CreateError::NotCreated(error(ErrorKind::Quota, Operation::Create)));
        }
        let failed = || CreateError::NotCreated(error(ErrorKind::Unavailable, Operation::Create));
        self.mint(new).map(Created::Key).ok_or_else(failed)
    }

    async fn find(&self, _cx: &Context, _: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        if !self.able.finds_by_label {
            return Err(error(ErrorKind::Unsupported, Operation::Find));
        }
        let keys = self.keys();
        let hit = keys.iter().filter(|(label, key)| key.works_until.is_none() && version.is_none_or(|v| v == **label));
        Ok(hit.filter_map(|(label, _)| Some(IssuerKey { label: *label, reference: reference(*label)? })).collect())
    }

    async fn status(&self, _cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let now = self.clock.monotonic();
        Ok(match self.keys().get(&issue.version.id) {
            None => IssuerStatus::Absent,
            Some(Key { works_until: Some(end), .. }) if *end <= now => {
                IssuerStatus::Revoked(Evidence::lossy("revoked in the drill"))
            }
            Some(key) if key.suspended => IssuerStatus::Suspended,
            Some(_) => IssuerStatus::Live,
        })
    }

    async fn scope(&self, _cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        Ok(Some(issue.record.scope().clone()))
    }

    async fn deactivate(&self, _cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(issue, true)
    }

    async fn activate(&self, _cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(issue, false)
    }

    async fn revoke(&self, _cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let end = self.clock.monotonic().saturating_add(self.able.revoke_latency);
        if let Some(key) = self.keys().get_mut(&issue.version.id) {
            key.works_until.get_or_insert(end);
        }
        Ok(Revoke::Accepted)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Validator for Understudy {
    async fn probe(&self, _cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let now = self.clock.monotonic();
        let keys = self.keys();
        let works = keys.get(&issue.version.id).is_some_and(|key| {
            let alive = key.works_from <= now && key.works_until.is_none_or(|end| now < end) && !key.suspended;
            alive && key.material.ct_eq(material)
        });
        Ok(match works {
            true => Probe::Accepted(Evidence::lossy("accepted in the drill")),
            false => Probe::Rejected(Evidence::lossy("refused in the drill")),
        })
    }
}

/// How requests with the new version fare, as the drill wants it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood(Arc<Mutex<bool>>);

impl Mood {
    /// From now on every consumer is refused.
    pub(super) fn turn_bad(&self, bad: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bad;
    }
}

#[async_trait]
impl HealthSignal for Mood {
    async fn health(&self, _cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let arm = |bad| {
            let mut arm = ArmCounts::default();
            arm.clients = 100;
            *if bad { &mut arm.auth_rejects } else { &mut arm.clean } = 10_000;
            arm
        };
        let bad = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = HealthReport::of(arm(bad));
        Ok(if query.old.is_some() { report.against(arm(false)) } else { report })
    }
}
