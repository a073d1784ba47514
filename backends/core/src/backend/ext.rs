//! Conveniences on top of the contract, for callers.

use async_trait::async_trait;

use super::{ListQuery, Pages, Read, ReadItem, SecretBackend, Select};
use crate::{Context, Error, ErrorKind, KeyId, KeyRecord, Operation, Result, Stamped, Target};

/// Single-item forms and loops over pages, on every backend.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward_core::{Context, MemoryBackend, SecretBackendExt};
/// let store = MemoryBackend::default();
/// let cx = Context::new("doc", "example")?;
/// assert!(store.load_one(&cx, &"dev/analytics/reports".parse()?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait SecretBackendExt: SecretBackend {
    /// Reads one record.
    ///
    /// # Errors
    /// As [`SecretBackend::load`].
    async fn load_one(&self, cx: &Context, key: &KeyId) -> Result<Option<Stamped<KeyRecord>>> {
        let mut answers = self.load(cx, std::slice::from_ref(key)).await;
        answers.pop().unwrap_or_else(|| Err(short_answer(Operation::Load).with_key(key)))
    }

    /// Reads one record that must exist.
    ///
    /// # Errors
    /// `NotFound` when there is none, otherwise as [`SecretBackend::load`].
    async fn load_existing(&self, cx: &Context, key: &KeyId) -> Result<Stamped<KeyRecord>> {
        let missing = || Error::new(ErrorKind::NotFound, Operation::Load, "keyward").with_key(key);
        self.load_one(cx, key).await?.ok_or_else(missing)
    }

    /// Reads one piece of material.
    ///
    /// # Errors
    /// As [`SecretBackend::read`].
    async fn read_one(&self, cx: &Context, target: &Target, select: Select) -> Result<Read> {
        let mut answers = self.read(cx, &[ReadItem { target: target.clone(), select }]).await;
        answers.pop().unwrap_or_else(|| Err(short_answer(Operation::Read).with_key(&target.id)))
    }

    /// Lists all pages.
    ///
    /// # Errors
    /// As [`SecretBackend::list`], and [`Pages::after`].
    async fn list_all(&self, cx: &Context, query: &ListQuery) -> Result<Vec<Result<Stamped<KeyRecord>>>> {
        let (mut all, mut pages) = (Vec::new(), Pages::of(Operation::List));
        let mut page = self.list(cx, query, None).await?;
        loop {
            all.append(&mut page.items);
            match pages.after(page.next)? {
                None => return Ok(all),
                next => page = self.list(cx, query, next).await?,
            }
        }
    }
}

impl<B: SecretBackend + ?Sized> SecretBackendExt for B {}

fn short_answer(operation: Operation) -> Error {
    Error::new(ErrorKind::Unknown, operation, "keyward").with_detail("the backend answered fewer items than asked")
}
