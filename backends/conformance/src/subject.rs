//! The store under test, and short words for what cases do with it.

use std::fmt::Debug;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use futures_lite::future;
use keyward_core::{
    AccessLevel, Change, Clock, Context, Edit, Environment, ErrorKind, Expect, KeyDraft, KeyId, KeyRecord, Location,
    Material, Ownership, PointerToken, PublicationId, Publish, Read, RequestId, Result, Scope, SecretBackend,
    SecretBackendExt, SecretValue, Select, Shape, Stage, Stamped, Swap, SystemClock, Target, Transition, VersionId,
};

use crate::BoxFuture;

/// Runs a future to its end, in the thread that calls it.
pub type Executor = for<'a> fn(BoxFuture<'a>);

/// The store under test. Every subject uses names of its own, so cases may run side by side on
/// one store that others have left things in.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(crate) backend: &'a dyn SecretBackend,
    environment: Environment,
    run: Executor,
}

impl<'a> Subject<'a> {
    /// A store that needs no runtime.
    pub fn new(backend: &'a dyn SecretBackend) -> Self {
        Self::on(backend, |task| future::block_on(task))
    }

    /// A store whose futures are run by `run`, also in threads of their own.
    pub fn on(backend: &'a dyn SecretBackend, run: Executor) -> Self {
        Self { backend, environment: unique_environment(), run }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Nobody else's actor, reason and request.
    pub(crate) fn cx(&self) -> Context {
        let actor = format!("suite of {}", self.environment);
        Context::new(&actor, "a rule is checked").expect("a plain actor and reason")
    }

    /// A caller who has stopped waiting.
    pub(crate) fn late(&self) -> Context {
        self.cx().within(Duration::ZERO)
    }

    /// A key of this subject.
    pub(crate) fn key(&self, name: &str) -> KeyId {
        format!("{}/messaging/{name}", self.environment).parse().expect("a valid key id")
    }

    /// A key of one value.
    pub(crate) fn target(&self, name: &str) -> Target {
        Target::new(self.key(name), Location::Derived, Shape::One)
    }

    /// What a person would say of a key.
    pub(crate) fn draft(&self, key: KeyId) -> KeyDraft {
        let ownership = Ownership::new("platform", "ada@example.com", "grace@example.com", "#platform");
        let scope = Scope::new(AccessLevel::ReadOnly).permission("messages:read-only").expect("a valid permission");
        let scope = scope.service("reporting").expect("a valid service");
        KeyDraft::new(key, ownership.expect("a valid ownership"), scope, "acme".parse().expect("a valid issuer"))
    }

    pub(crate) fn change(&self) -> Change {
        Change::new(self.cx().actor, SystemClock.now())
    }

    /// The first record of a key, not stored yet.
    pub(crate) fn first(&self, name: &str) -> KeyRecord {
        self.first_of(self.key(name))
    }

    pub(crate) fn first_of(&self, key: KeyId) -> KeyRecord {
        KeyRecord::register(&self.draft(key), &self.change()).expect("a valid draft")
    }

    /// The record with one more note.
    pub(crate) fn noted(&self, record: &KeyRecord, note: &str) -> KeyRecord {
        let note = Edit::Note(note.parse().expect("a valid note"));
        record.apply(&Transition::Edit(note), &self.change()).expect("a legal edit")
    }

    /// Stores the first record of a key.
    pub(crate) async fn registered(&self, name: &str) -> Stamped<KeyRecord> {
        self.written(self.first(name), Expect::Absent).await
    }

    /// Swaps a record in that must be accepted.
    pub(crate) async fn written(&self, value: KeyRecord, expect: Expect) -> Stamped<KeyRecord> {
        match self.backend.swap(&self.cx(), value.id(), expect, &value).await {
            Ok(Swap::Applied(stamp)) => Stamped { value, stamp },
            other => panic!("a swap of the record just read must be applied, but: {other:?}"),
        }
    }

    /// The record that is stored.
    pub(crate) async fn loaded(&self, key: &KeyId) -> Option<Stamped<KeyRecord>> {
        self.backend.load_one(&self.cx(), key).await.expect("a record can be loaded")
    }

    /// Stages bytes under a fresh version.
    pub(crate) async fn staged(&self, target: &Target, bytes: &[u8]) -> VersionId {
        let version = VersionId::generate();
        let answer = self.backend.stage(&self.cx(), target, version, &one(bytes)).await;
        assert_eq!(answer.expect("a stage under a fresh version"), Stage::Stored);
        version
    }

    /// Publishes a staged version under its first publication, from wherever the pointer is.
    pub(crate) async fn published(&self, target: &Target, version: VersionId) -> PointerToken {
        self.published_as(target, version, PublicationId::first(version)).await
    }

    pub(crate) async fn published_as(
        &self,
        target: &Target,
        version: VersionId,
        publication: PublicationId,
    ) -> PointerToken {
        let token = self.backend.pointer(&self.cx(), target).await.expect("a pointer").token;
        match self.backend.publish(&self.cx(), target, version, publication, &token).await {
            Ok(Publish::Moved(token)) => token,
            other => panic!("a publish from the pointer just seen must move it, but: {other:?}"),
        }
    }

    /// Stages and publishes.
    pub(crate) async fn shown(&self, target: &Target, bytes: &[u8]) -> VersionId {
        let version = self.staged(target, bytes).await;
        self.published(target, version).await;
        version
    }

    pub(crate) async fn read(&self, target: &Target, select: Select) -> Result<Read> {
        self.backend.read_one(&self.cx(), target, select).await
    }

    /// The pointer shows this version with these bytes.
    pub(crate) async fn assert_current(&self, target: &Target, version: VersionId, bytes: &[u8]) {
        assert_found(self.read(target, Select::Current).await, version, &one(bytes));
    }

    /// Waits until a listing shows what was written.
    pub(crate) async fn settle(&self) {
        let staleness = self.backend.capabilities().list_staleness;
        if !staleness.is_zero() {
            SystemClock.sleep(staleness).await;
        }
    }

    /// Does the same in `count` threads at once; the answers in the order of the threads.
    pub(crate) fn race<T: Send, F: Future<Output = T> + Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> F + Sync,
    ) -> Vec<T> {
        let (start, run, work) = (&Barrier::new(count), self.run, &work);
        thread::scope(|scope| {
            let spawn = |n| {
                scope.spawn(move || {
                    let mut answer = None;
                    start.wait();
                    run(Box::pin(async { answer = Some(work(n).await) }));
                    answer.expect("the executor runs a future to its end")
                })
            };
            let threads: Vec<_> = (0..count).map(spawn).collect();
            threads.into_iter().map(|t| t.join().expect("a racing call does not panic")).collect()
        })
    }
}

fn unique_environment() -> Environment {
    let id: String = RequestId::generate().to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("t{}", &id[1..]).parse().expect("a valid environment")
}

/// Material of one value.
pub(crate) fn one(bytes: &[u8]) -> Material {
    Material::one(SecretValue::from(bytes)).expect("material within the limits")
}

/// Material came back as it went in. Never prints any of it.
pub(crate) fn assert_found(answer: Result<Read>, version: VersionId, expected: &Material) -> Option<PublicationId> {
    match answer {
        Ok(Read::Found { material, version: found, publication }) => {
            assert_eq!(found, version, "the answer names another version");
            assert!(material.ct_eq(expected), "the material is not what was staged");
            publication
        }
        other => panic!("material was expected, but: {other:?}"),
    }
}

/// A call was refused, with this kind.
pub(crate) fn assert_refused<T: Debug>(answer: Result<T>, kind: ErrorKind, what: &str) {
    match answer {
        Err(error) => assert_eq!(error.kind(), kind, "{what}: refused as another kind: {error}"),
        Ok(answer) => panic!("{what}: must be refused as {kind}, but: {answer:?}"),
    }
}

/// The record that is there is exactly this one.
pub(crate) fn assert_same(found: Option<&Stamped<KeyRecord>>, expected: &KeyRecord) {
    let found = found.expect("a record is stored");
    assert_eq!(&found.value, expected, "the stored record is another one");
}
