//! One transition, stored: apply, spill older history, swap, and read back what is unclear.

use keyward_core::{Change, Context, ErrorKind, Expect, KeyRecord, SecretBackend, Stamped, Swap, Transition};

use super::builder::Rotator;
use super::error::Answer;

/// What became of a commit.
pub(crate) enum Commit {
    /// Stored: the record as it stands now.
    Done(Stamped<KeyRecord>),
    /// Another writer moved the record first (or right after).
    Overtaken,
}

impl<B: SecretBackend> Rotator<B> {
    /// Applies a transition to the record read and stores the result.
    pub(crate) async fn commit(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        transition: &Transition,
    ) -> Answer<Commit> {
        let change = Change::new(self.actor.clone(), self.clock.now());
        commit(&self.backend, cx, read, transition, &change).await
    }
}

impl<B: SecretBackend> Rotator<B> {
    /// Stores a transition; `None` when another writer came first.
    pub(crate) async fn stored(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        transition: &Transition,
    ) -> Answer<Option<Stamped<KeyRecord>>> {
        Ok(match self.commit(cx, read, transition).await? {
            Commit::Done(stored) => Some(stored),
            Commit::Overtaken => None,
        })
    }
}

/// Applies a transition to the record read and stores the result.
pub(crate) async fn commit<B: SecretBackend>(
    backend: &B,
    cx: &Context,
    read: &Stamped<KeyRecord>,
    transition: &Transition,
    change: &Change,
) -> Answer<Commit> {
    let next = spill(backend, cx, read.value.apply(transition, change)?).await?;
    next.encode()?;
    let key = next.id().clone();
    let expect = Expect::At(read.stamp.clone());
    let swap = match backend.swap(cx, &key, expect.clone(), &next).await {
        // The reply was lost: the operation id makes the same swap safe to repeat.
        Err(error) if error.kind() == ErrorKind::Unknown => backend.swap(cx, &key, expect, &next).await?,
        answer => answer?,
    };
    Ok(match swap {
        Swap::Applied(stamp) => Commit::Done(Stamped { value: next, stamp }),
        Swap::Conflict(Some(found)) if found.value.operation() == Some(change.operation) => Commit::Done(found),
        Swap::Conflict(_) => Commit::Overtaken,
    })
}

/// Moves older history to a page, written first, when the record has grown.
async fn spill<B: SecretBackend>(backend: &B, cx: &Context, next: KeyRecord) -> Answer<KeyRecord> {
    let mut number = next.pages() + 1;
    while let Some(spill) = next.spill(number) {
        let id = spill.page.id().clone();
        match backend.swap(cx, &id, Expect::Absent, &spill.page).await? {
            Swap::Applied(_) => return Ok(spill.rest),
            // A crashed writer has used this number; its page is left as it is.
            Swap::Conflict(_) => number += 1,
        }
    }
    Ok(next)
}
