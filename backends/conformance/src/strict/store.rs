//! The strict fake: a store in memory that keeps the contract to the letter.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keyward_core::{
    Adopter, AdoptionLedger, AuditAction, AuditEvent, AuditSink, Capabilities, Clock, Context, Destroy, Error,
    ErrorKind, Expect, KeyId, KeyRecord, ListQuery, Location, Material, Operation, Page, PageToken, Pointer,
    PointerToken, PublicationId, Publish, Read, ReadItem, RequestId, Result, Retire, SecretBackend, Select, Stage,
    Stamped, Survey, Swap, SystemClock, Target, VersionId, Withdraw,
};

use super::state::{Jar, Misuse, Shelf, State, stamp};

/// A store in memory that keeps the contract to the letter, and no promise beyond it.
///
/// Clones share one store. Stricter than `MemoryBackend` where the contract leaves room: stamps,
/// pointer tokens and page tokens are good for one store and one key only; a listing may come in
/// short and empty pages; reads may be stale; material may outlive its withdrawal; and what
/// callers do wrong without being refused is written down in [`StrictFake::misuse`].
///
/// Put a [`Host`](super::Host) in front of it for faults.
#[derive(Clone, Debug)]
pub struct StrictFake {
    /// Told apart from every other store by this.
    pub(super) id: Arc<str>,
    pub(super) clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    capabilities: Arc<Capabilities>,
    audited: bool,
    pub(super) short_pages: bool,
}

impl StrictFake {
    /// An empty store that takes the time of its audit log from `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let mut capabilities = Capabilities::local();
        capabilities.multi_host = true;
        Self {
            id: RequestId::generate().to_string().into(),
            clock,
            state: Arc::default(),
            capabilities: Arc::new(capabilities),
            audited: true,
            short_pages: false,
        }
    }

    /// The same store without an audit log of its own.
    #[must_use]
    pub fn without_audit(mut self) -> Self {
        self.audited = false;
        self
    }

    /// The same store, where withdrawn material stays readable by its version.
    #[must_use]
    pub fn deferring(mut self) -> Self {
        Arc::make_mut(&mut self.capabilities).destroy = Destroy::Deferred;
        self
    }

    /// The same store, listing in pages that are empty or shorter than asked.
    #[must_use]
    pub fn short_pages(mut self) -> Self {
        self.short_pages = true;
        self
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, operation, "strict")
    }

    fn enter(&self, cx: &Context, operation: Operation) -> Result<MutexGuard<'_, State>> {
        if cx.is_expired() {
            return Err(self.error(ErrorKind::Unavailable, operation).with_detail("the deadline has passed"));
        }
        Ok(self.state())
    }

    /// Begins a call about material.
    fn open(&self, cx: &Context, operation: Operation, key: &Target) -> Result<MutexGuard<'_, State>> {
        if key.location != Location::Derived {
            return Err(self.error(ErrorKind::Unsupported, operation).with_key(&key.id));
        }
        self.enter(cx, operation).map_err(|e| e.with_key(&key.id))
    }

    fn log(&self, state: &mut State, event: AuditEvent) {
        if self.audited {
            self.write(state, event);
        }
    }

    fn load_item(&self, state: &State, key: &KeyId, stale: bool) -> Result<Option<Stamped<KeyRecord>>> {
        if state.damaged.contains(key) {
            return Err(self.error(ErrorKind::Tampered, Operation::Load).with_key(key));
        }
        Ok(state.record(&self.id, key, stale))
    }

    fn read_item(&self, cx: &Context, item: &ReadItem) -> Result<Read> {
        let id = &item.target.id;
        let missing = || self.error(ErrorKind::NotFound, Operation::Read).with_key(id);
        let mut state = self.open(cx, Operation::Read, &item.target)?;
        let shelf = state.shelves.get(id).ok_or_else(missing)?;
        let (version, publication) = match item.select {
            Select::Version(version) => (version, None),
            Select::Current | Select::CurrentUnless(_) if shelf.foreign => {
                return Err(self.error(ErrorKind::Conflict, Operation::Read).with_key(id));
            }
            Select::Current | Select::CurrentUnless(_) => {
                let (publication, version) = shelf.shows.ok_or_else(missing)?;
                if item.select == Select::CurrentUnless(publication) {
                    return Ok(Read::Unchanged);
                }
                (version, Some(publication))
            }
        };
        let material = shelf.jars.get(&version).ok_or_else(missing)?.material.duplicate();
        self.log(&mut state, AuditEvent::new(AuditAction::Read, cx).key(id).version(version));
        Ok(Read::Found { material, version, publication })
    }
}

impl Default for StrictFake {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for StrictFake {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        let stale = self.state().takes_stale();
        let one = |key: &KeyId| {
            let state = self.enter(cx, Operation::Load).map_err(|e| e.with_key(key))?;
            self.load_item(&state, key, stale)
        };
        keys.iter().map(one).collect()
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let mut state = self.enter(cx, Operation::Swap)?;
        let invalid = |detail| self.error(ErrorKind::Invalid, Operation::Swap).with_key(key).with_detail(detail);
        if next.id() != key {
            return Err(invalid("the record belongs to another key"));
        }
        next.encode().map_err(|_| invalid("the record is larger than 48 KiB"))?;
        let current = state.record(&self.id, key, false);
        let expected = match &expect {
            Expect::Absent => None,
            Expect::At(stamp) => Some(stamp),
        };
        if expected != current.as_ref().map(|c| &c.stamp) {
            let repeated =
                |c: &&Stamped<KeyRecord>| next.operation().is_some() && c.value.operation() == next.operation();
            return Ok(match current.as_ref().filter(repeated) {
                Some(mine) => Swap::Applied(mine.stamp.clone()),
                None => Swap::Conflict(current),
            });
        }
        if let Some(from) = current.map(|c| c.value.revision()).filter(|from| from + 1 != next.revision()) {
            state.misuse.push(Misuse::RevisionJump { key: key.clone(), from, to: next.revision() });
        }
        state.touched += 1;
        let revisions = state.records.entry(key.clone()).or_default();
        revisions.push(next.clone());
        let stamp = stamp(&self.id, key, revisions.len());
        let verb = next.operations().last().map_or("unknown", |o| o.verb.as_str());
        self.log(&mut state, AuditEvent::new(AuditAction::Change, cx).key(key).detail(verb));
        Ok(Swap::Applied(stamp))
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let mut state = self.enter(cx, Operation::List)?;
        let stale = state.takes_stale();
        self.list_page(query, page, &state.records, |key| self.load_item(&state, key, stale).transpose())
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        let mut state = self.open(cx, Operation::Stage, key)?;
        if material.shape() != key.shape {
            let error = self.error(ErrorKind::Invalid, Operation::Stage).with_key(&key.id);
            return Err(error.with_detail("the material has another shape than the key"));
        }
        let jars = &mut state.shelves.entry(key.id.clone()).or_default().jars;
        if let Some(jar) = jars.get(&version) {
            if jar.material.ct_eq(material) {
                return Ok(Stage::AlreadySame);
            }
            state.misuse.push(Misuse::VersionReused { key: key.id.clone(), version });
            return Ok(Stage::Conflict);
        }
        jars.insert(version, Jar { material: material.duplicate(), withdrawn: false });
        state.touched += 1;
        self.log(&mut state, AuditEvent::new(AuditAction::Stage, cx).key(&key.id).version(version));
        Ok(Stage::Stored)
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        let mut state = self.open(cx, Operation::Pointer, key)?;
        Ok(state.shelves.entry(key.id.clone()).or_default().pointer(&self.id, &key.id))
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let mut state = self.open(cx, Operation::Publish, key)?;
        let missing = || self.error(ErrorKind::NotFound, Operation::Publish).with_key(&key.id);
        let shelf = state.shelves.get_mut(&key.id).ok_or_else(missing)?;
        let pointer = shelf.pointer(&self.id, &key.id);
        if !shelf.foreign && shelf.shows == Some((publication, version)) {
            return Ok(Publish::AlreadyThere(pointer.token));
        }
        if pointer.token != *expect {
            return Ok(Publish::Conflict(pointer));
        }
        if !shelf.offers(version) {
            return Err(missing());
        }
        shelf.moves += 1;
        (shelf.shows, shelf.foreign) = (Some((publication, version)), false);
        let token = shelf.pointer(&self.id, &key.id).token;
        state.touched += 1;
        state.note_publish(&key.id, publication, version);
        self.log(&mut state, AuditEvent::new(AuditAction::Publish, cx).key(&key.id).version(version));
        Ok(Publish::Moved(token))
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        items.iter().map(|item| self.read_item(cx, item)).collect()
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let mut state = self.open(cx, Operation::Withdraw, key)?;
        let shelf = state.shelves.entry(key.id.clone()).or_default();
        if !shelf.foreign && shelf.shows.is_some_and(|(_, shown)| shown == version) {
            let error = self.error(ErrorKind::Conflict, Operation::Withdraw).with_key(&key.id);
            return Err(error.with_detail("the pointer shows this version; publish another one first"));
        }
        let Some(jar) = shelf.jars.get_mut(&version).filter(|jar| !jar.withdrawn) else {
            return Ok(Withdraw::Absent);
        };
        jar.withdrawn = true;
        let answer = match self.capabilities.destroy {
            Destroy::Deferred => Withdraw::Deferred { readable_until: None },
            _ => {
                shelf.jars.remove(&version);
                Withdraw::Destroyed
            }
        };
        state.touched += 1;
        self.log(&mut state, AuditEvent::new(AuditAction::Withdraw, cx).key(&key.id).version(version));
        Ok(answer)
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let mut state = self.open(cx, Operation::Survey, key)?;
        let shelf = state.shelves.entry(key.id.clone()).or_default();
        Ok(Survey::new(shelf.offered().collect(), shelf.pointer(&self.id, &key.id)))
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        let mut state = self.open(cx, Operation::Retire, key)?;
        let shelf = state.shelves.entry(key.id.clone()).or_default();
        if shelf.jars.is_empty() && shelf.shows.is_none() {
            return Ok(Retire::Absent);
        }
        let Shelf { moves, publications, .. } = std::mem::take(shelf);
        *shelf = Shelf { moves: moves + 1, publications, ..Shelf::default() };
        state.touched += 1;
        self.log(&mut state, AuditEvent::new(AuditAction::Retire, cx).key(&key.id));
        Ok(Retire::Retired)
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.audited.then_some(self as &dyn AuditSink)
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        None
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        None
    }
}
