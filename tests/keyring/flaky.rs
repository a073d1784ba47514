//! A store over the memory store that fails, counts and forgets as told.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, Error, ErrorKind, Expect, KeyId, KeyRecord, ListQuery,
    Material, MemoryBackend, Operation, Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read, ReadItem,
    Result, Retire, SecretBackend, Stage, Stamp, Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};

/// Fails, counts and forgets as told.
#[derive(Clone, Debug)]
pub(crate) struct Flaky {
    inner: MemoryBackend,
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    loads: AtomicU64,
    reads: AtomicU64,
    load_errors: Mutex<HashMap<KeyId, ErrorKind>>,
    read_errors: Mutex<HashMap<KeyId, ErrorKind>>,
    list_errors: Mutex<HashMap<KeyId, ErrorKind>>,
    older: Mutex<HashMap<KeyId, KeyRecord>>,
    swap_lost: Mutex<u32>,
}

impl Flaky {
    /// A store that works until told otherwise.
    pub(crate) fn over(inner: &MemoryBackend) -> Self {
        Self { inner: inner.clone(), told: Arc::default() }
    }

    /// How many batches of records were asked for.
    pub(crate) fn loads(&self) -> u64 {
        self.told.loads.load(Ordering::SeqCst)
    }

    /// How many pieces of material were asked for.
    pub(crate) fn reads(&self) -> u64 {
        self.told.reads.load(Ordering::SeqCst)
    }

    /// From now on the record of a key cannot be loaded.
    pub(crate) fn fail_load(&self, key: &str, kind: Option<ErrorKind>) {
        set(&self.told.load_errors, key, kind);
    }

    /// From now on the material of a key cannot be read.
    pub(crate) fn fail_read(&self, key: &str, kind: Option<ErrorKind>) {
        set(&self.told.read_errors, key, kind);
    }

    /// From now on a key is an error in listings.
    pub(crate) fn fail_list(&self, key: &str, kind: Option<ErrorKind>) {
        set(&self.told.list_errors, key, kind);
    }

    /// From now on this record is shown, whatever is stored.
    pub(crate) fn replay(&self, key: &str, record: Option<KeyRecord>) {
        set(&self.told.older, key, record);
    }

    /// The replies of the next swaps are lost, after their effect.
    pub(crate) fn lose_replies(&self, swaps: u32) {
        *self.told.swap_lost.lock().expect("no panic under the lock") = swaps;
    }
}

fn set<T>(map: &Mutex<HashMap<KeyId, T>>, key: &str, value: Option<T>) {
    let key = key.parse().expect("a key id");
    let mut map = map.lock().expect("no panic under the lock");
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn told<T: Clone>(map: &Mutex<HashMap<KeyId, T>>, key: &KeyId) -> Option<T> {
    map.lock().expect("no panic under the lock").get(key).cloned()
}

fn error(kind: ErrorKind, operation: Operation, key: &KeyId) -> Error {
    Error::new(kind, operation, "flaky").with_key(key)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SecretBackend for Flaky {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        self.told.loads.fetch_add(1, Ordering::SeqCst);
        let answers = self.inner.load(cx, keys).await;
        let one = |(key, answer)| match (told(&self.told.load_errors, key), told(&self.told.older, key)) {
            (Some(kind), _) => Err(error(kind, Operation::Load, key)),
            (None, Some(value)) => Ok(Some(Stamped { value, stamp: Stamp::new("0") })),
            (None, None) => answer,
        };
        keys.iter().zip(answers).map(one).collect()
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let answer = self.inner.swap(cx, key, expect, next).await;
        let mut lost = self.told.swap_lost.lock().expect("no panic under the lock");
        if *lost > 0 {
            *lost -= 1;
            return Err(error(ErrorKind::Unknown, Operation::Swap, key));
        }
        answer
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let mut listed = self.inner.list(cx, query, page).await?;
        for item in &mut listed.items {
            let key = item.as_ref().ok().map(|found| found.value.id().clone());
            if let Some((key, kind)) = key.and_then(|key| told(&self.told.list_errors, &key).map(|kind| (key, kind))) {
                *item = Err(error(kind, Operation::List, &key));
            }
        }
        Ok(listed)
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        self.inner.stage(cx, key, version, material).await
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        self.inner.pointer(cx, key).await
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        self.inner.publish(cx, key, version, publication, expect).await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        self.told.reads.fetch_add(items.len() as u64, Ordering::SeqCst);
        let answers = self.inner.read(cx, items).await;
        let one = |(item, answer): (&ReadItem, _)| match told(&self.told.read_errors, &item.target.id) {
            Some(kind) => Err(error(kind, Operation::Read, &item.target.id)),
            None => answer,
        };
        items.iter().zip(answers).map(one).collect()
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        self.inner.withdraw(cx, key, version).await
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        self.inner.survey(cx, key).await
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        self.inner.retire(cx, key, grace).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.inner.audit()
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.inner.adoption()
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.inner.adopter()
    }
}
