//! Stores whose key a service wraps: the service is asked before the owner thread enters, because it takes its time and
//! may refuse.

use std::path::Path;
use std::thread::Builder;

use keyward_seal::{KeyWrapper, SealError, ServiceUnlock, SlotKind, Unlock, WrapError};

use super::keys::{StoreId, new_id};
use super::{create, open};
use crate::config::FileBuilder;
use crate::error::{Fault, FileError};

/// The id of a new store at `path`, and its unlock. The service is not asked for a store that cannot be created.
pub(crate) async fn wrapped_for(path: &Path, wrapper: &dyn KeyWrapper) -> Result<(StoreId, Unlock), FileError> {
    let vacant = path.to_owned();
    aside(path, move || create::vacant(&vacant).map(drop)).await?;
    let refuse = |problem| FileError::from_fault(path, Fault::Seal(problem));
    let id = new_id().map_err(refuse)?;
    let unlock = ServiceUnlock::wrap(wrapper, &id).await.map_err(refuse)?;
    Ok((id, unlock.into()))
}

/// The unlock of the store at `path`. The service is asked only about a file that is a store, and only about slots of
/// its own.
pub(crate) async fn unwrapped_for(
    settings: &FileBuilder,
    path: &Path,
    wrapper: &dyn KeyWrapper,
) -> Result<Unlock, FileError> {
    let (store, settings) = (path.to_owned(), settings.clone());
    let (id, slots) = aside(path, move || open::slots(&store, &settings)).await?;
    let mut problem = SealError::UnlockRejected;
    for slot in &slots {
        match ServiceUnlock::unwrap(wrapper, &id, slot).await {
            Ok(unlock) => return Ok(unlock.into()),
            // Another slot may be one that the service wrapped with this key.
            Err(error @ SealError::Service { problem: WrapError::Rejected, .. }) => problem = error,
            Err(error @ (SealError::WrongUnlock { .. } | SealError::OtherService { .. })) => {
                if problem == SealError::UnlockRejected || slot.kind() == SlotKind::Wrapped {
                    problem = error;
                }
            }
            Err(error) => return Err(FileError::from_fault(path, Fault::Seal(error))),
        }
    }
    Err(FileError::from_fault(path, Fault::Seal(problem)))
}

/// Runs `work` on a thread of its own: files and SQLite stay off the threads of any runtime.
async fn aside<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let (answer, waiting) = async_channel::bounded(1);
    // Nobody waits any more if the caller gave up.
    let body = move || drop(answer.try_send(work()));
    let thread = Builder::new().name("keyward-file".to_owned()).spawn(body);
    thread.map_err(|error| FileError::io(path, &error))?;
    let stopped = || FileError::Io { path: path.to_owned(), kind: std::io::ErrorKind::Other };
    waiting.recv().await.map_err(|_| stopped())?
}
