//! A stand-in for a key-value server, with the calls such servers have. Replace it by your client.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::future::yield_now;

/// A server that knows set-if-absent and compare-and-set. Clones are connections to the same one.
///
/// Every write of an entry gives it a revision that no entry has had before.
#[derive(Clone, Default)]
pub(crate) struct Kv {
    server: Arc<Mutex<Server>>,
    unreliable: Arc<AtomicBool>,
}

#[derive(Default)]
struct Server {
    revision: u64,
    entries: BTreeMap<String, Entry>,
    writes: u64,
}

/// What is stored, and under which revision.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) revision: u64,
    pub(crate) value: Vec<u8>,
}

/// What can go wrong on the way. Holds nothing the server said: that might be a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KvError {
    /// The request was sent and no answer came: it may have been done.
    NoReply,
}

impl Kv {
    /// From now on every second write is done and its answer lost.
    pub(crate) fn lose_replies(&self) {
        self.unreliable.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Option<Entry>, KvError> {
        yield_now().await; // the network: here a future may be dropped
        Ok(self.server().entries.get(path).cloned())
    }

    /// Stores an entry where there is none. Answers its revision, or nothing when there is one.
    pub(crate) async fn set_nx(&self, path: &str, value: &[u8]) -> Result<Option<u64>, KvError> {
        self.write(|server| (!server.entries.contains_key(path)).then(|| server.put(path, value))).await
    }

    /// Replaces an entry that has this revision. Answers the new one, or nothing when it has another.
    pub(crate) async fn cas(&self, path: &str, revision: u64, value: &[u8]) -> Result<Option<u64>, KvError> {
        let expected = |server: &Server| server.entries.get(path).is_some_and(|entry| entry.revision == revision);
        self.write(|server| expected(server).then(|| server.put(path, value))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), KvError> {
        self.write(|server| drop(server.entries.remove(path))).await
    }

    /// At most `limit` entries whose path begins with `prefix` and comes after `after`, in order.
    pub(crate) async fn scan(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, Entry)>, KvError> {
        yield_now().await;
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let server = self.server();
        let found = server.entries.range::<str, _>((from, Bound::Unbounded));
        let ours = found.take_while(|(path, _)| path.starts_with(prefix)).take(limit);
        Ok(ours.map(|(path, entry)| (path.clone(), entry.clone())).collect())
    }

    async fn write<T>(&self, effect: impl FnOnce(&mut Server) -> T) -> Result<T, KvError> {
        yield_now().await;
        let (answer, writes) = {
            let mut server = self.server();
            server.writes += 1;
            (effect(&mut server), server.writes)
        };
        yield_now().await;
        let lost = self.unreliable.load(Ordering::Relaxed) && writes.is_multiple_of(2);
        if lost { Err(KvError::NoReply) } else { Ok(answer) }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn put(&mut self, path: &str, value: &[u8]) -> u64 {
        self.revision += 1;
        self.entries.insert(path.to_owned(), Entry { revision: self.revision, value: value.to_vec() });
        self.revision
    }
}

/// The entries hold material, so `Debug` shows how many there are and nothing else.
impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").field("entries", &self.server().entries.len()).finish_non_exhaustive()
    }
}
