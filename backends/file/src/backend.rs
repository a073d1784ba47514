//! The backend: the contract on top of the store thread.

use std::path::Path;
use std::time::Duration;

use keyward_core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, Error, ErrorKind, Expect, KeyId, KeyRecord, ListQuery,
    Location, Material, Operation, Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read, ReadItem,
    Result, Retire, SecretBackend, Stage, Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};
use keyward_seal::{InventoryKey, Unlock};

use crate::config::FileBuilder;
use crate::error::{Fault, FileError, NAME, adopts_nothing};
use crate::info::{StoreInfo, Verified};
use crate::log::FileLog;
use crate::store::{Handle, Position, Refused, Shown};

/// Records and material in an encrypted local file.
///
/// Clones share one connection on one thread; the last one to go closes the file, and waits for that. Other
/// processes, and other openings in this one, may use the file at the same time.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward_core::{Context, ListQuery, SecretBackend};
/// use keyward_file::{FileBackend, KeyFile};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("keys.keyward");
/// # let key_path = directory.path().join("unlock.key");
/// FileBackend::create(&path, KeyFile::create(&key_path)?).await?;
///
/// let store = FileBackend::open(&path, KeyFile::at(&key_path)).await?;
/// let page = store.list(&Context::new("doc", "example")?, &ListQuery::all(), None).await?;
/// assert!(page.items.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FileBackend {
    handle: Handle,
    log: FileLog,
    capabilities: Capabilities,
}

impl FileBackend {
    /// Creates a store at `path` that opens with `unlock`, and opens it. Never overwrites.
    ///
    /// # Errors
    /// As [`FileBuilder::create`].
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward_file::{FileBackend, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// let key = KeyFile::create(directory.path().join("unlock.key"))?;
    /// let store = FileBackend::create(&path, key).await?;
    /// assert!(FileBackend::exists(&path));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn create(path: impl AsRef<Path>, unlock: impl Into<Unlock>) -> Result<Self, FileError> {
        Self::builder().create(path, unlock).await
    }

    /// Opens the store at `path`. Never creates one.
    ///
    /// # Errors
    /// As [`FileBuilder::open`].
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward_file::{FileBackend, FileError, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// let key = KeyFile::create(directory.path().join("unlock.key"))?;
    /// let other = KeyFile::create(directory.path().join("other.key"))?;
    /// FileBackend::create(&path, key).await?;
    /// assert!(matches!(FileBackend::open(&path, other).await, Err(FileError::Unlock { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn open(path: impl AsRef<Path>, unlock: impl Into<Unlock>) -> Result<Self, FileError> {
        Self::builder().open(path, unlock).await
    }

    /// Settings other than the default ones.
    pub fn builder() -> FileBuilder {
        FileBuilder::default()
    }

    /// True when there is anything at `path`, so that a store cannot be created there.
    #[must_use]
    pub fn exists(path: impl AsRef<Path>) -> bool {
        path.as_ref().symlink_metadata().is_ok()
    }

    /// The path the store was opened under.
    pub fn path(&self) -> &Path {
        self.handle.path()
    }

    /// What the store is, how it opens, what it holds, and what it cannot notice.
    ///
    /// # Errors
    /// `Tampered`, `Unavailable`.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # use keyward_core::Context;
    /// # use keyward_file::{FileBackend, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// # let store = FileBackend::create(&path, KeyFile::create(directory.path().join("unlock.key"))?).await?;
    /// let info = store.info(&Context::new("doc", "example")?).await?;
    /// assert!(info.freshness.starts_with("none"));
    /// println!("{info}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn info(&self, cx: &Context) -> Result<StoreInfo> {
        let asked = cx.clone();
        self.handle.call(cx, Operation::Open, move |store| store.info(&asked)).await
    }

    /// Checks everything: each row decrypts where it lies, none is missing, added or put back, and the audit log is
    /// whole. Decrypts material to check it, and releases none. Takes time in proportion to the store: give it a
    /// deadline to match.
    ///
    /// # Errors
    /// `Tampered` when anything does not hold; `Unavailable` when the deadline passes first.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # use keyward_core::Context;
    /// # use keyward_file::{FileBackend, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// # let store = FileBackend::create(&path, KeyFile::create(directory.path().join("unlock.key"))?).await?;
    /// let verified = store.verify(&Context::new("doc", "nightly check")?).await?;
    /// assert_eq!(verified.audit_entries, 2); // created, opened
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn verify(&self, cx: &Context) -> Result<Verified> {
        let asked = cx.clone();
        self.handle.call(cx, Operation::Audit, move |store| store.verify(&asked)).await
    }

    /// The key behind the fingerprints of this store. Whoever has it can check guesses: hand it to tools, not to
    /// services.
    pub fn inventory_key(&self) -> InventoryKey {
        self.handle.inventory_key()
    }

    pub(crate) fn over(handle: Handle) -> Self {
        Self { log: FileLog::over(handle.clone()), handle, capabilities: Capabilities::local() }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for FileBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        let (asked, wanted) = (cx.clone(), keys.to_vec());
        let answers = self.handle.call(cx, Operation::Load, move |store| store.load(&asked, &wanted)).await;
        answers.unwrap_or_else(|error| keys.iter().map(|key| Err(error.clone().with_key(key))).collect())
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        in_time(cx, Operation::Swap)?;
        let invalid = |detail| Error::new(ErrorKind::Invalid, Operation::Swap, NAME).with_key(key).with_detail(detail);
        if next.id() != key {
            return Err(invalid("the record belongs to another key"));
        }
        let encoded = next.encode().map_err(|_| invalid("the record is larger than 48 KiB"))?;
        let (asked, next) = (cx.clone(), next.clone());
        let work = self.handle.call(cx, Operation::Swap, move |store| store.swap(&asked, &expect, &next, &encoded));
        work.await.map_err(|error| error.with_key(key))
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        in_time(cx, Operation::List)?;
        let foreign =
            || Error::new(ErrorKind::Invalid, Operation::List, NAME).with_detail("not a page token of this store");
        let after = page.map(|token| Position::parse(token.as_str()).ok_or_else(foreign)).transpose()?;
        let (asked, query) = (cx.clone(), query.clone());
        self.handle.call(cx, Operation::List, move |store| store.list(&asked, &query, after.as_ref())).await
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        enter(cx, Operation::Stage, key)?;
        if material.shape() != key.shape {
            let error = Error::new(ErrorKind::Invalid, Operation::Stage, NAME).with_key(&key.id);
            return Err(error.with_detail("the material has another shape than the key"));
        }
        let (asked, id, encoded) = (cx.clone(), key.id.clone(), material.encode());
        let work = self.handle.call(cx, Operation::Stage, move |store| store.stage(&asked, &id, version, &encoded));
        work.await.map_err(|error| error.with_key(&key.id))
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        enter(cx, Operation::Pointer, key)?;
        let (asked, id) = (cx.clone(), key.id.clone());
        let work = self.handle.call(cx, Operation::Pointer, move |store| store.pointer(&asked, &id));
        work.await.map_err(|error| error.with_key(&key.id))
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        enter(cx, Operation::Publish, key)?;
        let (asked, id, shown, expect) = (cx.clone(), key.id.clone(), Shown { publication, version }, expect.clone());
        let work = self.handle.call(cx, Operation::Publish, move |store| store.publish(&asked, &id, shown, &expect));
        let answer = work.await.and_then(|answer| answer.map_err(|refused| refusal(refused, Operation::Publish)));
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let (asked, wanted) = (cx.clone(), items.to_vec());
        let answers = self.handle.call(cx, Operation::Read, move |store| Ok(store.read(&asked, &wanted))).await;
        answers.unwrap_or_else(|error| items.iter().map(|item| Err(error.clone().with_key(&item.target.id))).collect())
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        enter(cx, Operation::Withdraw, key)?;
        let (asked, id) = (cx.clone(), key.id.clone());
        let work = self.handle.call(cx, Operation::Withdraw, move |store| store.withdraw(&asked, &id, version));
        let answer = work.await.and_then(|answer| answer.map_err(|refused| refusal(refused, Operation::Withdraw)));
        answer.map_err(|error| error.with_key(&key.id))
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        enter(cx, Operation::Survey, key)?;
        let (asked, id) = (cx.clone(), key.id.clone());
        let work = self.handle.call(cx, Operation::Survey, move |store| store.survey(&asked, &id));
        work.await.map_err(|error| error.with_key(&key.id))
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        enter(cx, Operation::Retire, key)?;
        let (asked, id) = (cx.clone(), key.id.clone());
        let work = self.handle.call(cx, Operation::Retire, move |store| store.retire(&asked, &id));
        work.await.map_err(|error| error.with_key(&key.id))
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

fn in_time(cx: &Context, operation: Operation) -> Result<()> {
    if cx.is_expired() { Err(Fault::Deadline.into_error(operation)) } else { Ok(()) }
}

/// What holds for every call about material.
fn enter(cx: &Context, operation: Operation, key: &Target) -> Result<()> {
    in_time(cx, operation).map_err(|error| error.with_key(&key.id))?;
    if key.location == Location::Derived { Ok(()) } else { Err(adopts_nothing(operation).with_key(&key.id)) }
}

fn refusal(refused: Refused, operation: Operation) -> Error {
    match refused {
        Refused::NotFound => Error::new(ErrorKind::NotFound, operation, NAME),
        Refused::Shown => Error::new(ErrorKind::Conflict, operation, NAME)
            .with_detail("the pointer shows this version; publish another one first"),
    }
}
