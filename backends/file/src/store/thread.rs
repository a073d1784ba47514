//! The owner thread of a store, and the handle to it. Keeps SQLite and Argon2 off the threads of any runtime, and
//! needs none.

use std::future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use async_channel::{Receiver, Sender};
use futures_lite::future::or;
use keyward_core::{Clock, Context, Error, ErrorKind, Operation, Result, SystemClock};
use keyward_seal::{InventoryKey, RootKey, Unlock};

use super::keys::StoreId;
use super::{Store, create};
use crate::config::FileBuilder;
use crate::error::{Fault, FileError, NAME};

/// How many calls may wait for the thread before callers wait to be let in.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Which door a store is entered by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entrance {
    /// A new store with this id.
    Create(StoreId),
    Open,
}

/// A handle to an open store. The last one to go closes it.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    owner: Arc<Owner>,
    root: Arc<RootKey>,
}

#[derive(Debug)]
struct Owner {
    path: PathBuf,
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Starts the thread and lets it create or open the store.
    pub(crate) async fn start(
        settings: FileBuilder,
        path: PathBuf,
        unlock: Unlock,
        entrance: Entrance,
    ) -> Result<Self, FileError> {
        let (jobs, queue) = async_channel::bounded(QUEUE);
        let (ready, opened) = async_channel::bounded(1);
        let shown = path.clone();
        let body = move || {
            let entered = match entrance {
                Entrance::Create(id) => create::create(&path, &settings, &id, &unlock),
                Entrance::Open => Ok(()),
            };
            match entered.and_then(|()| Store::open(&path, settings, &unlock)) {
                Ok(store) => {
                    // Nobody waits any more if the caller gave up; the queue then ends at once.
                    ready.try_send(Ok(store.root())).ok();
                    serve(store, &queue);
                }
                Err(error) => drop(ready.try_send(Err(error))),
            }
        };
        let thread = Builder::new().name("keyward-file".to_owned()).spawn(body);
        let thread = thread.map_err(|error| FileError::io(&shown, &error))?;
        let owner = Owner { path: shown, jobs, thread: Some(thread) };
        match opened.recv().await {
            Ok(answer) => answer.map(|root| Self { owner: Arc::new(owner), root }),
            Err(_) => Err(FileError::Io { path: owner.path.clone(), kind: std::io::ErrorKind::Other }),
        }
    }

    /// The path the store was opened under.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.owner.path
    }

    /// The key behind fingerprints.
    pub(crate) fn inventory_key(&self) -> InventoryKey {
        InventoryKey::derive_from(&self.root)
    }

    /// Runs `work` on the store. Given up before it began, it is not done; once begun, it is done whole.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        cx: &Context,
        operation: Operation,
        work: impl FnOnce(&mut Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        if cx.is_expired() {
            return Err(Fault::Deadline.into_error(operation));
        }
        let claim = Claim::default();
        let _called_off_when_dropped = CallOff(claim.clone());
        let (answer, waiting) = async_channel::bounded(1);
        let (theirs, deadline) = (claim.clone(), cx.clone());
        let job: Job = Box::new(move |store| {
            if deadline.is_expired() || !theirs.take() {
                return;
            }
            // Nobody waits any more if the future was dropped; the work is done all the same.
            answer.try_send(store.mend().and_then(|()| work(store))).ok();
        });
        let served = async {
            if self.owner.jobs.send(job).await.is_err() {
                return Err(stopped(ErrorKind::Unavailable, operation));
            }
            match waiting.recv().await {
                Ok(answer) => answer.map_err(|fault| fault.into_error(operation)),
                Err(_) if cx.is_expired() => Err(Fault::Deadline.into_error(operation)),
                // Still ours to call off: the thread stopped before it began.
                Err(_) if claim.take() => Err(stopped(ErrorKind::Unavailable, operation)),
                Err(_) => Err(stopped(ErrorKind::Unknown, operation)),
            }
        };
        let given_up = async {
            SystemClock.sleep(cx.remaining()).await;
            if !claim.take() {
                // It has begun, and is bounded by the deadline itself: the answer is near.
                future::pending::<()>().await;
            }
            Err(Fault::Deadline.into_error(operation))
        };
        or(served, given_up).await
    }
}

impl Drop for Owner {
    /// Waits for the thread, so that the files are closed when this returns.
    fn drop(&mut self) {
        self.jobs.close();
        if let Some(thread) = self.thread.take() {
            // A panic on the thread was answered with `Unknown` to whoever waited.
            thread.join().ok();
        }
    }
}

/// The right to do, or to call off, one piece of work: whoever takes it first has it.
#[derive(Clone, Debug, Default)]
struct Claim(Arc<AtomicBool>);

impl Claim {
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Calls the work off when the caller's future is dropped, unless it has begun.
struct CallOff(Claim);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.take();
    }
}

fn serve(mut store: Store, queue: &Receiver<Job>) {
    // Dropped first, also when a job panics.
    let _refuses_the_rest = RefuseTheRest(queue);
    while let Ok(job) = queue.recv_blocking() {
        job(&mut store);
    }
}

/// Drops what is still queued when the thread ends, so that its callers hear of it at once and its material is wiped.
struct RefuseTheRest<'a>(&'a Receiver<Job>);

impl Drop for RefuseTheRest<'_> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

fn stopped(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, operation, NAME).with_detail("the thread of the store has stopped; open the store again")
}
