//! What can be chosen when a store is created or opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{Actor, Clock, SystemClock};
use keyward_seal::{KdfPolicy, KeyWrapper, Unlock};

use crate::FileBackend;
use crate::error::{Fault, FileError};
use crate::store::{Entrance, Handle, new_id, unwrapped_for, wrapped_for};

/// When a read is put on the audit log. Changes are always logged in their own transaction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Audit {
    /// Before the value is released. A read that cannot be logged is refused with `AuditUnavailable`.
    #[default]
    Strict,
    /// After the value was read, if that is possible soon. A full disk, or a writer that does not finish, then
    /// leaves reads that are on no log.
    Relaxed,
}

/// Settings of a store, and the ways into it.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward_file::{Audit, FileBackend, KeyFile};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("keys.keyward");
/// # let key = KeyFile::create(directory.path().join("unlock.key"))?;
/// let store = FileBackend::builder().actor("billing-api".parse()?).audit(Audit::Strict).create(&path, key).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FileBuilder {
    pub(crate) actor: Option<Actor>,
    pub(crate) audit: Audit,
    pub(crate) busy_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) kdf: KdfPolicy,
    pub(crate) max_bytes: Option<u64>,
}

impl FileBuilder {
    /// How long a call waits for another writer unless said otherwise.
    pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(30);

    /// Who creates or opens the store, for its audit log; `keyward` unless said otherwise.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// When a read is put on the audit log.
    pub fn audit(mut self, audit: Audit) -> Self {
        self.audit = audit;
        self
    }

    /// The longest a call waits for another process to finish writing. The deadline of the call bounds it too.
    pub fn busy_timeout(mut self, limit: Duration) -> Self {
        self.busy_timeout = limit;
        self
    }

    /// Where the times on the audit log come from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What a passphrase costs a guesser in a new store, and what this process is willing to compute for a store
    /// it opens.
    pub fn kdf(mut self, policy: KdfPolicy) -> Self {
        self.kdf = policy;
        self
    }

    /// The largest the store file may become through this process. A change beyond it is refused with `Quota`; a
    /// read whose audit entry has no room is refused with `AuditUnavailable`.
    pub fn max_bytes(mut self, limit: u64) -> Self {
        self.max_bytes = Some(limit);
        self
    }

    /// Creates a store at `path` that opens with `unlock`, and opens it.
    ///
    /// The store appears at the path whole or not at all; if the process is killed on the way, a file named
    /// `.keyward-new-...` may stay behind in the directory and can be deleted.
    ///
    /// # Errors
    /// [`FileError::Exists`] when anything is at the path, which is then untouched; [`FileError::Unlock`] when the
    /// key file cannot be used; otherwise as [`FileBuilder::open`].
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward_file::{FileBackend, FileError, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// let key = KeyFile::create(directory.path().join("unlock.key"))?;
    /// let store = FileBackend::builder().create(&path, key.clone()).await?;
    /// let again = FileBackend::builder().create(&path, key).await;
    /// assert!(matches!(again, Err(FileError::Exists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn create(self, path: impl AsRef<Path>, unlock: impl Into<Unlock>) -> Result<FileBackend, FileError> {
        let path = path.as_ref().to_owned();
        let id = new_id().map_err(|problem| FileError::from_fault(&path, Fault::Seal(problem)))?;
        self.enter(path, unlock.into(), Entrance::Create(id)).await
    }

    /// Opens the store at `path`. Never creates one; writes nothing unless the store is sound and unlocked.
    ///
    /// # Errors
    /// [`FileError`], which says what is wrong and what to do next.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward_file::{FileBackend, FileError, KeyFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("keys.keyward");
    /// let key = KeyFile::create(directory.path().join("unlock.key"))?;
    /// let refused = FileBackend::builder().open(&path, key).await;
    /// assert!(matches!(refused, Err(FileError::Missing { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn open(self, path: impl AsRef<Path>, unlock: impl Into<Unlock>) -> Result<FileBackend, FileError> {
        self.enter(path.as_ref().to_owned(), unlock.into(), Entrance::Open).await
    }

    /// Creates a store at `path` whose key `wrapper` wraps, such as an AWS KMS key or a Vault transit key, and opens it.
    ///
    /// From then on the service decides who gets in: whoever loses the right to decrypt with that key can no longer
    /// open the store, and if the key itself is lost, so is the store.
    ///
    /// # Errors
    /// [`FileError::Exists`] when anything is at the path, which is then untouched and the service not asked;
    /// [`FileError::Unlock`] when the service does not wrap, which says why; otherwise as [`FileBuilder::open`].
    ///
    /// ```no_run
    /// # async fn example(kms: &dyn keyward_file::KeyWrapper) -> Result<(), keyward_file::FileError> {
    /// use keyward_file::FileBackend;
    /// let store = FileBackend::builder().create_wrapped("keys.keyward", kms).await?;
    /// drop(store);
    /// let store = FileBackend::builder().open_wrapped("keys.keyward", kms).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_wrapped(
        self,
        path: impl AsRef<Path>,
        wrapper: &dyn KeyWrapper,
    ) -> Result<FileBackend, FileError> {
        let path = path.as_ref().to_owned();
        let (id, unlock) = wrapped_for(&path, wrapper).await?;
        self.enter(path, unlock, Entrance::Create(id)).await
    }

    /// Opens the store at `path` with the service that wraps its key.
    ///
    /// The service is asked once for each slot it may have wrapped, and only if the file is a store. Then as
    /// [`FileBuilder::open`].
    ///
    /// # Errors
    /// [`FileError::Unlock`] when the service refuses, is away, or says that the wrapped key is none of its own;
    /// otherwise as [`FileBuilder::open`].
    ///
    /// ```no_run
    /// # async fn example(kms: &dyn keyward_file::KeyWrapper) -> Result<(), keyward_file::FileError> {
    /// use keyward_file::{FileBackend, FileError};
    /// match FileBackend::builder().open_wrapped("keys.keyward", kms).await {
    ///     Err(FileError::Unlock { problem, .. }) => eprintln!("the service did not let us in: {problem}"),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_wrapped(
        self,
        path: impl AsRef<Path>,
        wrapper: &dyn KeyWrapper,
    ) -> Result<FileBackend, FileError> {
        let path = path.as_ref().to_owned();
        let unlock = unwrapped_for(&self, &path, wrapper).await?;
        self.enter(path, unlock, Entrance::Open).await
    }

    async fn enter(self, path: PathBuf, unlock: Unlock, entrance: Entrance) -> Result<FileBackend, FileError> {
        Ok(FileBackend::over(Handle::start(self, path, unlock, entrance).await?))
    }
}

impl Default for FileBuilder {
    fn default() -> Self {
        Self {
            actor: None,
            audit: Audit::default(),
            busy_timeout: Self::DEFAULT_BUSY_TIMEOUT,
            clock: Arc::new(SystemClock),
            kdf: KdfPolicy::default(),
            max_bytes: None,
        }
    }
}
