//! One transition, stored: apply, spill older history, swap, and read back what is unclear.
//!
//! The engine, the leak response and the inventory all change records through here.

use keyward_core::{
    Change, Context, Error, ErrorKind, Expect, KeyRecord, Operation, RecordError, SecretBackend, Stamped, Swap,
    Transition, TransitionError,
};

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Commit {
    /// Stored: the record as it stands now, which may hold changes that came right after.
    Done(Stamped<KeyRecord>),
    /// Another writer was first: nothing was stored.
    Overtaken,
}

/// Why a change could not be stored.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The move is not legal from here.
    Refused(TransitionError),
    /// The record would grow too large.
    Record(RecordError),
    /// The store failed; `Unknown` means that it may have happened.
    Store(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Makes one legal move on the record that was read, and stores it.
pub(crate) async fn commit<B: SecretBackend + ?Sized>(
    backend: &B,
    cx: &Context,
    read: &Stamped<KeyRecord>,
    transition: &Transition,
    change: &Change,
) -> Result<Commit, CommitError> {
    let next = read.value.apply(transition, change).map_err(CommitError::Refused)?;
    let fits = |next: &KeyRecord| fits(&read.value, next, transition).map_err(CommitError::Record);
    let next = spill(backend, cx, next, fits).await?;
    let expect = Expect::At(read.stamp.clone());
    let swap = match backend.swap(cx, next.id(), expect.clone(), &next).await {
        // The reply was lost: the operation id makes the same swap safe to repeat.
        Err(error) if error.kind() == ErrorKind::Unknown => backend.swap(cx, next.id(), expect, &next).await?,
        answer => answer?,
    };
    Ok(match swap {
        Swap::Applied(stamp) => Commit::Done(Stamped { value: next, stamp }),
        // Stored by us after all, and changed by somebody else since.
        Swap::Conflict(Some(found)) if found.value.remembers(change.operation) => Commit::Done(found),
        Swap::Conflict(_) => Commit::Overtaken,
    })
}

/// What people write leaves this much room for a run and for the answer to a leak.
const ROOM: usize = 8 * 1024;

/// Refuses a record that is too large. An edit that grows it is refused earlier than a run is: a
/// leak must not find the record full of notes.
fn fits(before: &KeyRecord, next: &KeyRecord, transition: &Transition) -> Result<(), RecordError> {
    if next.size_bound() <= KeyRecord::MAX_ENCODED - ROOM {
        return Ok(());
    }
    let (found, max) = (next.encode()?.len(), KeyRecord::MAX_ENCODED - ROOM);
    let grows = || before.encode().is_ok_and(|before| before.len() < found);
    if matches!(transition, Transition::Edit(_)) && found > max && grows() {
        return Err(RecordError::TooLarge { found, max });
    }
    Ok(())
}

/// Moves older history to a page when the record has grown: the page first, so that history is in
/// two places after a crash, never in none. No page is written for a record that does not fit.
async fn spill<B: SecretBackend + ?Sized>(
    backend: &B,
    cx: &Context,
    next: KeyRecord,
    fits: impl Fn(&KeyRecord) -> Result<(), CommitError>,
) -> Result<KeyRecord, CommitError> {
    /// More pages than that are not left behind by crashes.
    const TRIES: u32 = 32;
    let first = next.pages() + 1;
    for number in first..first + TRIES {
        let Some(spill) = next.spill(number) else {
            fits(&next)?;
            return Ok(next);
        };
        fits(&spill.rest)?;
        // A page that is there already was left by a writer who crashed: never overwritten.
        if let Swap::Applied(_) = backend.swap(cx, spill.page.id(), Expect::Absent, &spill.page).await? {
            return Ok(spill.rest);
        }
    }
    let error = Error::new(ErrorKind::Conflict, Operation::Swap, "keyward").with_key(next.id());
    Err(error.with_detail("too many history pages are taken; check who else writes to the store").into())
}
