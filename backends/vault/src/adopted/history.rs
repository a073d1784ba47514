//! What the history of an adopted path has of ours. It is someone else's: old versions of it stay readable there.

use keyward_core::{Context, ErrorKind, Operation, Result, Shows, Target, VersionId, Withdraw};

use super::journal::Claim;
use super::{Place, Seen};
use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::Found;
use crate::material::SHOWN;

impl VaultBackend {
    pub(crate) async fn withdraw_adopted(
        &self,
        cx: &Context,
        place: &Place<'_>,
        key: &Target,
        version: VersionId,
    ) -> Result<Withdraw> {
        let operation = Operation::Withdraw;
        let seen = self.seen(cx, operation, place, key).await?;
        if matches!(seen.pointer.shows, Shows::Ours { version: current, .. } if current == version) {
            return Err(fault(ErrorKind::Conflict, operation, SHOWN));
        }
        let was_there = self.was_shown(cx, operation, place, key, &seen, version).await?;
        if !was_there {
            self.strike(cx, operation, place, key, &seen, version).await?;
        }
        if !self.remove_staged(cx, operation, &key.id, version).await? {
            return Ok(Withdraw::Absent);
        }
        Ok(if was_there { Withdraw::Deferred { readable_until: None } } else { Withdraw::Destroyed })
    }

    /// Whether a version of the path is a publication of the key, by one of its claims. What was only attempted, under a
    /// number that never came or that another writer took, is not.
    pub(super) async fn has_published(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        key: &Target,
        seen: &Seen,
    ) -> Result<bool> {
        let claims = seen.holder(place, key).map(|holder| holder.claims.as_slice()).unwrap_or_default();
        for claim in claims.iter().filter(|claim| !claim.adopted && claim.number <= seen.number) {
            if self.was_written(cx, operation, place, key, claim).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the path's version of a claim has its value. What can no longer be compared counts as written.
    async fn was_written(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        key: &Target,
        claim: &Claim,
    ) -> Result<bool> {
        let staged = match self.staged(cx, operation, key, claim.version).await {
            Ok(staged) => staged,
            Err(error) if error.kind() == ErrorKind::Tampered => None,
            Err(error) => return Err(error),
        };
        let there = place.kv.get(cx, operation, place.path, Some(claim.number)).await?;
        let (Some(staged), Found::Here(data, _)) = (staged, there) else { return Ok(true) };
        Ok(place.material(&data.into_native(), &key.shape).is_some_and(|there| there.ct_eq(&staged)))
    }

    /// Whether the history of the path has, or may have, the material of a version.
    async fn was_shown(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        key: &Target,
        seen: &Seen,
        version: VersionId,
    ) -> Result<bool> {
        let Some(holder) = seen.holder(place, key) else { return Ok(false) };
        for claim in holder.claims.iter().filter(|claim| is_decided(claim, version, seen)) {
            if claim.adopted || self.was_written(cx, operation, place, key, claim).await? {
                return Ok(true);
            }
        }
        // A claim that was there may have made room.
        Ok(holder.is_full())
    }

    /// Takes claims of a version off the journal that came to nothing: once its material is gone, nobody can tell any
    /// more that they did.
    async fn strike(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        key: &Target,
        seen: &Seen,
        version: VersionId,
    ) -> Result<()> {
        let Some(holder) = seen.holder(place, key) else { return Ok(()) };
        if !holder.claims.iter().any(|claim| is_decided(claim, version, seen)) {
            return Ok(());
        }
        self.note(cx, operation, place, |journal| {
            if let Some(mut holder) = journal.holder(place).filter(|holder| holder.key == key.id).cloned() {
                holder.claims.retain(|claim| !is_decided(claim, version, seen));
                journal.set(place, Some(holder));
            }
            Ok(())
        })
        .await
    }
}

/// A claim of a version whose number came, by our hand or another.
fn is_decided(claim: &Claim, version: VersionId, seen: &Seen) -> bool {
    claim.version == version && claim.number <= seen.number
}
