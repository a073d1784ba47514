//! Slots: the root key of a store, sealed under what one user brings.

use std::fmt;

use crate::error::{SealError, SlotProblem};
use crate::kdf::{KdfParams, KdfPolicy};
use crate::key::RootKey;
use crate::unlock::{SlotKind, Unlock};
use crate::wrapper::Wrapping;

mod header;
mod wrapped;

use header::{Header, Reader, SEALED};

/// One way into a store: its [`RootKey`], sealed under a key file, a passphrase, both, or a key that a service unwraps.
///
/// A slot belongs to one store and to one set of key derivation parameters: neither can be changed without the
/// slot being rejected. It is safe to store and to print.
#[derive(Clone, Eq, PartialEq)]
pub struct Slot {
    header: Header,
    sealed: [u8; SEALED],
}

impl Slot {
    /// The longest an encoded slot gets.
    pub const MAX_ENCODED_LEN: usize = header::MAX_LEN + SEALED;

    /// Seals `root` for `unlock` with the parameters of `policy`.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] when the key file cannot be used, [`SealError::KdfMemory`],
    /// [`SealError::NoRandomness`].
    ///
    /// ```
    /// # use keyward_seal::{KdfPolicy, Passphrase, RootKey, SealError, Slot, Unlock};
    /// let store_id = [7; 16];
    /// let root = RootKey::generate()?;
    /// let unlock = Unlock::from(Passphrase::new("correct horse battery staple".into())?);
    /// let policy = KdfPolicy::minimum(); // an example has to be quick; otherwise `KdfPolicy::default()`
    ///
    /// let slot = Slot::create(&store_id, &root, &unlock, &policy)?;
    /// let bytes = slot.encode();
    /// let root = Slot::decode(&bytes)?.open(&store_id, &unlock, &policy)?;
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn create(store_id: &[u8; 16], root: &RootKey, unlock: &Unlock, policy: &KdfPolicy) -> Result<Self, SealError> {
        let header = Header::new(unlock, policy)?;
        let sealed = header.seal(store_id, root, unlock)?;
        Ok(Self { header, sealed })
    }

    /// Opens the slot.
    ///
    /// # Errors
    /// - [`SealError::WrongUnlock`] when the slot needs another kind of unlock.
    /// - [`SealError::KdfRefused`] when `policy` does not allow the memory this slot asks for.
    /// - [`SealError::KeyFile`] when the key file cannot be used.
    /// - [`SealError::UnlockRejected`] for the wrong passphrase, key file, service or store, and for a damaged slot.
    /// - [`SealError::KdfMemory`].
    ///
    /// ```
    /// # use keyward_seal::{KdfPolicy, KeyFile, RootKey, SealError, Slot, Unlock};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("unlock.key");
    /// let unlock = Unlock::from(KeyFile::create(path)?);
    /// let policy = KdfPolicy::default();
    /// let slot = Slot::create(&[7; 16], &RootKey::generate()?, &unlock, &policy)?;
    /// assert!(slot.open(&[7; 16], &unlock, &policy).is_ok());
    /// assert_eq!(slot.open(&[8; 16], &unlock, &policy).unwrap_err(), SealError::UnlockRejected);
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn open(&self, store_id: &[u8; 16], unlock: &Unlock, policy: &KdfPolicy) -> Result<RootKey, SealError> {
        if let Some(params) = self.kdf() {
            policy.check(params)?;
        }
        self.header.open(store_id, &self.sealed, unlock)
    }

    /// Opens this slot with `unlock` and makes the slot that replaces it, for `next`. The new slot has the
    /// parameters of `policy`; nothing is taken over from this one but the root key.
    ///
    /// Someone who has an old copy of the store and the old unlock still gets in with them: after a leak, rotate
    /// the keys that are kept in the store.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), then those of [`create`](Self::create).
    ///
    /// ```
    /// # use keyward_seal::{KdfPolicy, Passphrase, RootKey, SealError, Slot, Unlock};
    /// # let policy = KdfPolicy::minimum();
    /// let old = Unlock::from(Passphrase::new("old".into())?);
    /// let new = Unlock::from(Passphrase::new("new".into())?);
    /// let slot = Slot::create(&[7; 16], &RootKey::generate()?, &old, &policy)?;
    /// let slot = slot.rewrap(&[7; 16], &old, &new, &policy)?;
    /// assert!(slot.open(&[7; 16], &new, &policy).is_ok());
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn rewrap(
        &self,
        store_id: &[u8; 16],
        unlock: &Unlock,
        next: &Unlock,
        policy: &KdfPolicy,
    ) -> Result<Self, SealError> {
        let root = self.open(store_id, unlock, policy)?;
        Self::create(store_id, &root, next, policy)
    }

    /// What opens this slot.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        self.header.kind
    }

    /// The key derivation parameters of this slot; none if no passphrase is involved.
    #[must_use]
    pub fn kdf(&self) -> Option<KdfParams> {
        self.header.params()
    }

    /// The service that wraps the key of this slot, and what it answered; none if no service is involved.
    #[must_use]
    pub fn wrapping(&self) -> Option<(&str, &Wrapping)> {
        self.header.wrapped.as_ref().map(|wrapped| (wrapped.service(), wrapped.wrapping()))
    }

    /// The slot as bytes: 110 of them with a key file, 139 with a passphrase, at most
    /// [`MAX_ENCODED_LEN`](Self::MAX_ENCODED_LEN) with a service.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header.encode();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else: one slot has one encoding.
    ///
    /// # Errors
    /// [`SealError::SlotMalformed`] when the bytes are not exactly one slot of this version;
    /// [`SealError::KdfRefused`] when its parameters are out of range, before anything is allocated for them.
    ///
    /// ```
    /// # use keyward_seal::{SealError, Slot, SlotProblem};
    /// let error = Slot::decode(b"not a slot").unwrap_err();
    /// assert_eq!(error, SealError::SlotMalformed(SlotProblem::NotASlot));
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, SealError> {
        let mut reader = Reader::new(bytes);
        let header = Header::decode(&mut reader)?;
        let sealed = reader.take()?;
        match reader.rest() {
            0 => Ok(Self { header, sealed }),
            extra => Err(SlotProblem::TrailingBytes { extra }.into()),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut slot = f.debug_struct("Slot");
        slot.field("kind", &self.kind()).field("kdf", &self.kdf());
        slot.field("wrapping", &self.wrapping()).finish_non_exhaustive()
    }
}
