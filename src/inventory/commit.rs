//! One change of a record: move, spill, swap.

use keyward_core::{
    Change, Context, Error, ErrorKind, Expect, KeyRecord, Operation, SecretBackend, Stamp, Stamped, Swap, Transition,
    TransitionError,
};

/// The record after a change, and where it stands in the store.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) record: KeyRecord,
    /// The expectation of whoever changes the record next.
    #[expect(dead_code, reason = "the rotation engine, which takes one step after another, will use it")]
    pub(crate) stamp: Stamp,
}

/// Why a change was not stored.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The move is not legal from here.
    Refused(TransitionError),
    /// The record is another one: the one that is there now.
    Moved(Option<Box<Stamped<KeyRecord>>>),
    /// The store failed; `Unknown` means that it may have happened.
    Store(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Makes one legal move on a record and stores it.
///
/// What makes the record too long goes to a history page first, so that history is on two places
/// after a crash, never on none.
pub(crate) async fn commit<B: SecretBackend + ?Sized>(
    backend: &B,
    cx: &Context,
    current: &Stamped<KeyRecord>,
    transition: &Transition,
    change: &Change,
) -> Result<Committed, CommitError> {
    let next = current.value.apply(transition, change).map_err(CommitError::Refused)?;
    let next = spill(backend, cx, next).await?;
    match backend.swap(cx, next.id(), Expect::At(current.stamp.clone()), &next).await? {
        Swap::Applied(stamp) => Ok(Committed { record: next, stamp }),
        Swap::Conflict(found) => Err(CommitError::Moved(found.map(Box::new))),
    }
}

/// Writes the page a record needs, if it needs one, and answers the record without what is on it.
async fn spill<B: SecretBackend + ?Sized>(backend: &B, cx: &Context, record: KeyRecord) -> Result<KeyRecord, Error> {
    /// More pages than that are not left behind by crashes.
    const TRIES: u32 = 32;
    for number in (record.pages() + 1..).take(TRIES as usize) {
        let Some(spill) = record.spill(number) else { return Ok(record) };
        // A page that is there already was left by a writer who crashed: never overwritten.
        if let Swap::Applied(_) = backend.swap(cx, spill.page.id(), Expect::Absent, &spill.page).await? {
            return Ok(spill.rest);
        }
    }
    let error = Error::new(ErrorKind::Conflict, Operation::Swap, "keyward").with_key(record.id());
    Err(error.with_detail("too many history pages are taken; check who else writes to the store"))
}
