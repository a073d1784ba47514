//! The contract of a store: [`SecretBackend`] for those who write one, [`SecretBackendExt`] for
//! those who call it.

mod ext;
mod forward;
mod page;
mod results;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use ext::SecretBackendExt;
pub use page::{Page, Pages};
pub use results::{
    Expect, ListQuery, Pointer, Publish, Read, ReadItem, Retire, Select, Shows, Stage, Survey, Swap, Withdraw,
};

use crate::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, KeyId, KeyRecord, Material, PageToken, PointerToken,
    PublicationId, Result, Stamped, Target, VersionId,
};

/// A store of records and material.
///
/// # Contract
/// Every rule below is a named case in `keyward-conformance`; a type that passes the suite is a
/// backend.
/// - Results are *resolved*: an ambiguous failure is read back into one of the answers, or is
///   `Unknown`; never a false failure.
/// - A refused or failed call changes nothing. A dropped future leaves its effect done or not
///   done, never half done.
/// - A call whose deadline has passed before it begins is refused with `Unavailable`.
/// - Operation, version and publication ids are chosen by the caller and are the idempotency
///   tokens: repeating a call is safe.
/// - No error, log line or `Debug` output holds material.
/// - Batches answer item by item, same length and order: one bad key never hides the others.
/// - A backend that does not adopt (see [`Capabilities::adopts`]) answers `Unsupported` to every
///   material call on a location that is not derived, and changes nothing.
///
/// # Wrappers
/// Forward every method; put `#[deny(clippy::missing_trait_methods)]` on the impl.
#[async_trait]
pub trait SecretBackend: fmt::Debug + Send + Sync {
    /// What this backend can do; constant for the life of the value.
    fn capabilities(&self) -> &Capabilities;

    /// Reads records.
    ///
    /// # Behavior
    /// - A key without a record is `Ok(None)`.
    /// - What a swap has stored is what a load reads, field for field.
    /// - The same key may stand twice; both places answer.
    /// - Needs no permission to read values.
    ///
    /// # Errors
    /// Per item: `Denied`, `Undecryptable`, `Tampered`, `Throttled`, `Sealed`, `Unavailable`.
    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>>;

    /// Stores a record in place of the one the caller read.
    ///
    /// # Behavior
    /// - Applied only when the stored record is the expected one; otherwise `Conflict` with the
    ///   record that is there, and nothing is changed.
    /// - Of several swaps with one expectation exactly one is applied.
    /// - Repeated after it was applied (same operation id), it answers `Applied` again and
    ///   changes nothing. Once another writer came after, it answers `Conflict`; the caller finds
    ///   its operation id among the remembered ones.
    /// - `next` must be the record of `key`, encoded at most 48 KiB.
    ///
    /// # Errors
    /// `Invalid` when `next` is another key's record or too large; `Denied`, `Throttled`,
    /// `Quota`, `Sealed`, `Unavailable`, `Unknown`.
    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap>;

    /// Lists records in the order of their ids.
    ///
    /// # Behavior
    /// - Every record that matches and existed throughout is listed exactly once over all pages.
    /// - A record that cannot be read is an error in its place; the others are listed.
    /// - History pages are left out unless asked for.
    /// - A limit bounds the items of a page.
    ///
    /// # Errors
    /// `Invalid` for a page token this backend did not make; `Denied`, `Throttled`, `Sealed`,
    /// `Unavailable`.
    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>>;

    /// Stores the material of a version where no native reader looks. Write-once.
    ///
    /// # Behavior
    /// - Never overwrites: the same bytes again are `AlreadySame` (compared in constant time),
    ///   other bytes are `Conflict`.
    /// - Readers of the current value see nothing of it.
    /// - Material comes back as it went in: any bytes, one value or fields.
    ///
    /// # Errors
    /// `Invalid` when the shape is not the target's or the material is larger than the
    /// capability says; `Denied`, `Throttled`, `Quota`, `Sealed`, `Unavailable`, `Unknown`.
    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage>;

    /// What native readers are shown.
    ///
    /// # Behavior
    /// - Answers a token also when nothing was ever published.
    /// - The token changes with every move.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Sealed`, `PendingDeletion`, `Unavailable`.
    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer>;

    /// Makes a staged version current. The only call that changes what native readers see.
    ///
    /// # Behavior
    /// - Moves only from the pointer the token stands for; otherwise `Conflict` with the pointer
    ///   that is there, and nothing is changed.
    /// - When the pointer already shows this publication: `AlreadyThere`, whatever the token.
    /// - A version may be published again under a fresh publication id; the token then changes.
    /// - Of several publishes with one token exactly one moves.
    ///
    /// # Errors
    /// `NotFound` when the version has no material; `Denied`, `Throttled`, `Quota`, `Sealed`,
    /// `PendingDeletion`, `Unavailable`, `Unknown`.
    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish>;

    /// Reads material.
    ///
    /// # Behavior
    /// - `Current` answers what the pointer shows, with its publication.
    /// - `CurrentUnless` answers `Unchanged` while the pointer shows that publication.
    /// - `Version` answers a version whether published or not, without a publication.
    /// - What another writer put in place of our publication is never served.
    /// - With strict audit a read is on the log before the value is released.
    ///
    /// # Errors
    /// Per item: `NotFound` when nothing is published or the version has no material; `Conflict`
    /// when the pointer shows what another writer put there; `Denied`, `Undecryptable`, `Tampered`, `AuditUnavailable`, `Throttled`, `Sealed`, `Unavailable`.
    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>>;

    /// Gives up the material of a version.
    ///
    /// # Behavior
    /// - Refuses the version the pointer shows with `Conflict`.
    /// - Afterwards the version cannot be published, and (with immediate destruction) not read.
    /// - Absent or already withdrawn: `Absent`.
    ///
    /// # Errors
    /// `Conflict`, `Denied`, `Throttled`, `Sealed`, `Unavailable`, `Unknown`.
    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw>;

    /// What the store holds of a key's material.
    ///
    /// # Behavior
    /// - Lists every staged version that was not withdrawn, and the pointer.
    /// - Nothing stored is an empty survey, not an error.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Sealed`, `Unavailable`.
    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey>;

    /// Gives up all material of a key and its pointer. The record stays as a tombstone.
    ///
    /// # Behavior
    /// - Afterwards reads are `NotFound` and the survey is empty, at once or when the grace is over.
    /// - Nothing there: `Absent`.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Sealed`, `Unavailable`, `Unknown`.
    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire>;

    /// The audit log this store keeps itself, in the transaction of each change, if it does.
    fn audit(&self) -> Option<&dyn AuditSink>;

    /// The ledger of which consumer uses which version, if this store keeps one.
    fn adoption(&self) -> Option<&dyn AdoptionLedger>;

    /// What brings existing secrets under management; present exactly where
    /// [`Capabilities::adopts`] is set.
    fn adopter(&self) -> Option<&dyn Adopter>;
}
