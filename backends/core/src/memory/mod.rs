//! The reference store: everything in this process, gone with it.

mod log;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::log::MemoryLog;
use crate::{
    Adopter, AdoptionLedger, AuditAction, AuditEvent, AuditSink, Capabilities, Clock, Context, Error, ErrorKind,
    Expect, KeyId, KeyRecord, ListQuery, Location, Material, Operation, Page, PageToken, Pointer, PointerToken,
    PublicationId, Publish, Read, ReadItem, Result, Retire, SecretBackend, Select, Shows, Stage, Stamp, Stamped,
    Survey, Swap, SystemClock, Target, VersionId, Withdraw,
};

const NAME: &str = "memory";
const PAGE: usize = 100;

/// Records and material in the memory of this process. For docs and tests: nothing survives it.
///
/// Clones share one store. Keeps an audit log of its own, unprotected.
///
/// ```
/// use keyward_core::{MemoryBackend, SecretBackend};
/// let store = MemoryBackend::default();
/// assert!(!store.capabilities().multi_host);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
    log: MemoryLog,
    capabilities: Arc<Capabilities>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<KeyId, (u64, KeyRecord)>,
    keys: BTreeMap<KeyId, KeyMaterial>,
}

#[derive(Debug, Default)]
struct KeyMaterial {
    moves: u64,
    shows: Option<(PublicationId, VersionId)>,
    versions: BTreeMap<VersionId, Material>,
}

impl KeyMaterial {
    fn pointer(&self) -> Pointer {
        let shows = match self.shows {
            None => Shows::Nothing,
            Some((publication, version)) => Shows::Ours { publication, version },
        };
        Pointer { token: PointerToken::new(self.moves.to_string()), shows }
    }
}

impl MemoryBackend {
    /// An empty store that takes the time of its log from `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), log: MemoryLog::new(clock), capabilities: Arc::new(Capabilities::local()) }
    }

    fn enter(&self, cx: &Context, operation: Operation) -> Result<MutexGuard<'_, State>> {
        if cx.is_expired() {
            return Err(Error::new(ErrorKind::Unavailable, operation, NAME).with_detail("the deadline has passed"));
        }
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters with a material call. Nothing is adopted here: every secret is at its derived place.
    fn enter_with(&self, cx: &Context, operation: Operation, key: &Target) -> Result<MutexGuard<'_, State>> {
        let state = self.enter(cx, operation).map_err(|e| e.with_key(&key.id))?;
        if key.location != Location::Derived {
            let error = Error::new(ErrorKind::Unsupported, operation, NAME).with_key(&key.id);
            return Err(error.with_detail("this store adopts no existing secrets"));
        }
        Ok(state)
    }

    fn read_item(&self, cx: &Context, item: &ReadItem) -> Result<Read> {
        let state = self.enter_with(cx, Operation::Read, &item.target)?;
        let id = &item.target.id;
        let missing = || Error::new(ErrorKind::NotFound, Operation::Read, NAME).with_key(id);
        let key = state.keys.get(id).ok_or_else(missing)?;
        let (version, publication) = match item.select {
            Select::Version(version) => (version, None),
            Select::Current | Select::CurrentUnless(_) => {
                let (publication, version) = key.shows.ok_or_else(missing)?;
                if item.select == Select::CurrentUnless(publication) {
                    return Ok(Read::Unchanged);
                }
                (version, Some(publication))
            }
        };
        let material = key.versions.get(&version).ok_or_else(missing)?.duplicate();
        self.log.write(&AuditEvent::new(AuditAction::Read, cx).key(id).version(version));
        Ok(Read::Found { material, version, publication })
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

#[async_trait]
impl SecretBackend for MemoryBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        let one = |key: &KeyId| {
            let state = self.enter(cx, Operation::Load)?;
            Ok(state.records.get(key).map(stamped))
        };
        keys.iter().map(|key| one(key).map_err(|e: Error| e.with_key(key))).collect()
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let mut state = self.enter(cx, Operation::Swap)?;
        let invalid = |detail| Error::new(ErrorKind::Invalid, Operation::Swap, NAME).with_key(key).with_detail(detail);
        if next.id() != key {
            return Err(invalid("the record belongs to another key"));
        }
        next.encode().map_err(|_| invalid("the record is larger than 48 KiB"))?;
        let current = state.records.get(key);
        let count = match (current, &expect) {
            (None, Expect::Absent) => 1,
            (Some((count, _)), Expect::At(stamp)) if stamp.as_str() == count.to_string() => count + 1,
            (Some((count, record)), _) if record.operation() == next.operation() && record.operation().is_some() => {
                return Ok(Swap::Applied(Stamp::new(count.to_string())));
            }
            (current, _) => return Ok(Swap::Conflict(current.map(stamped))),
        };
        state.records.insert(key.clone(), (count, next.clone()));
        let verb = next.operations().last().map_or("unknown", |o| o.verb.as_str());
        self.log.write(&AuditEvent::new(AuditAction::Change, cx).key(key).detail(verb));
        Ok(Swap::Applied(Stamp::new(count.to_string())))
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let state = self.enter(cx, Operation::List)?;
        let foreign =
            |_| Error::new(ErrorKind::Invalid, Operation::List, NAME).with_detail("not a page token of this store");
        let after = page.map(|token| token.as_str().parse::<KeyId>()).transpose().map_err(foreign)?;
        let limit = query.limit.unwrap_or(PAGE).max(1);
        let mut hits = state
            .records
            .iter()
            .filter(|(id, _)| query.matches(id) && after.as_ref().is_none_or(|after| *id > after))
            .map(|(_, entry)| Ok(stamped(entry)));
        let items: Vec<Result<Stamped<KeyRecord>>> = hits.by_ref().take(limit).collect();
        let last = items.iter().flatten().last().map(|s| PageToken::new(s.value.id().as_str()));
        Ok(Page { next: hits.next().and(last), items })
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        let mut state = self.enter_with(cx, Operation::Stage, key)?;
        if material.shape() != key.shape {
            let error = Error::new(ErrorKind::Invalid, Operation::Stage, NAME).with_key(&key.id);
            return Err(error.with_detail("the material has another shape than the key"));
        }
        let versions = &mut state.keys.entry(key.id.clone()).or_default().versions;
        if let Some(found) = versions.get(&version) {
            return Ok(if found.ct_eq(material) { Stage::AlreadySame } else { Stage::Conflict });
        }
        versions.insert(version, material.duplicate());
        self.log.write(&AuditEvent::new(AuditAction::Stage, cx).key(&key.id).version(version));
        Ok(Stage::Stored)
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        let state = self.enter_with(cx, Operation::Pointer, key)?;
        Ok(state.keys.get(&key.id).map_or_else(|| KeyMaterial::default().pointer(), KeyMaterial::pointer))
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let mut state = self.enter_with(cx, Operation::Publish, key)?;
        let missing = || Error::new(ErrorKind::NotFound, Operation::Publish, NAME).with_key(&key.id);
        let entry = state.keys.get_mut(&key.id).ok_or_else(missing)?;
        let pointer = entry.pointer();
        if entry.shows == Some((publication, version)) {
            return Ok(Publish::AlreadyThere(pointer.token));
        }
        if pointer.token != *expect {
            return Ok(Publish::Conflict(pointer));
        }
        if !entry.versions.contains_key(&version) {
            return Err(missing());
        }
        entry.moves += 1;
        entry.shows = Some((publication, version));
        self.log.write(&AuditEvent::new(AuditAction::Publish, cx).key(&key.id).version(version));
        Ok(Publish::Moved(entry.pointer().token))
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        items.iter().map(|item| self.read_item(cx, item)).collect()
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let mut state = self.enter_with(cx, Operation::Withdraw, key)?;
        let Some(entry) = state.keys.get_mut(&key.id) else { return Ok(Withdraw::Absent) };
        if entry.shows.is_some_and(|(_, shown)| shown == version) {
            let error = Error::new(ErrorKind::Conflict, Operation::Withdraw, NAME).with_key(&key.id);
            return Err(error.with_detail("the pointer shows this version; publish another one first"));
        }
        if entry.versions.remove(&version).is_none() {
            return Ok(Withdraw::Absent);
        }
        self.log.write(&AuditEvent::new(AuditAction::Withdraw, cx).key(&key.id).version(version));
        Ok(Withdraw::Destroyed)
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let state = self.enter_with(cx, Operation::Survey, key)?;
        Ok(match state.keys.get(&key.id) {
            None => Survey::new(Vec::new(), KeyMaterial::default().pointer()),
            Some(entry) => Survey::new(entry.versions.keys().copied().collect(), entry.pointer()),
        })
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        let mut state = self.enter_with(cx, Operation::Retire, key)?;
        let Some(entry) = state.keys.get_mut(&key.id) else { return Ok(Retire::Absent) };
        if entry.versions.is_empty() && entry.shows.is_none() {
            return Ok(Retire::Absent);
        }
        // The count of moves stays, so that no token of before is good again.
        entry.versions.clear();
        entry.shows = None;
        entry.moves += 1;
        self.log.write(&AuditEvent::new(AuditAction::Retire, cx).key(&key.id));
        Ok(Retire::Retired)
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        Some(&self.log)
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        None
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        None
    }
}

fn stamped((count, record): &(u64, KeyRecord)) -> Stamped<KeyRecord> {
    Stamped { value: record.clone(), stamp: Stamp::new(count.to_string()) }
}
