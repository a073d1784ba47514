//! The header of a slot: what is sealed, how, and the key that seals it.

use crate::context::ContextBuilder;
use crate::envelope::OVERHEAD;
use crate::error::{SealError, SlotProblem};
use crate::kdf::{self, KdfParams, KdfPolicy};
use crate::key::{RootKey, SealKey};
use crate::secret;
use crate::slot::wrapped::{self, Wrapped};
use crate::unlock::{SlotKind, Unlock};

/// Everything in front of the sealed key. All of it is part of the context of the envelope.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) kind: SlotKind,
    /// Present exactly if the kind needs a passphrase.
    stretch: Option<Stretch>,
    /// Present exactly if the kind needs a service.
    pub(super) wrapped: Option<Wrapped>,
}

#[derive(Clone, Eq, PartialEq)]
struct Stretch {
    params: KdfParams,
    salt: [u8; kdf::SALT],
}

impl Header {
    pub(super) fn new(unlock: &Unlock, policy: &KdfPolicy) -> Result<Self, SealError> {
        let kind = unlock.kind();
        let stretch = if kind.needs_passphrase() { Some(Stretch::new(policy)?) } else { None };
        let wrapped = unlock.service().map(Wrapped::by).transpose()?;
        Ok(Self { kind, stretch, wrapped })
    }

    pub(super) fn params(&self) -> Option<KdfParams> {
        self.stretch.as_ref().map(|stretch| stretch.params)
    }

    pub(super) fn seal(&self, store_id: &[u8; 16], root: &RootKey, unlock: &Unlock) -> Result<[u8; SEALED], SealError> {
        let kek = self.kek(store_id, unlock)?;
        let sealed = kek.seal_key(root.as_seal_key(), &self.context(store_id))?;
        Ok(sealed.try_into().expect("a sealed key always has the same length"))
    }

    pub(super) fn open(
        &self,
        store_id: &[u8; 16],
        sealed: &[u8; SEALED],
        unlock: &Unlock,
    ) -> Result<RootKey, SealError> {
        let kek = self.kek(store_id, unlock)?;
        let root = kek.open_key(sealed, &self.context(store_id)).map_err(|_| SealError::UnlockRejected)?;
        Ok(RootKey::from_seal_key(root))
    }

    /// The key that seals the root key: from the stretched passphrase, then the key file, whichever there are, or from
    /// the key a service unwrapped.
    fn kek(&self, store_id: &[u8; 16], unlock: &Unlock) -> Result<SealKey, SealError> {
        let (needed, given) = (self.kind, unlock.kind());
        if needed != given {
            return Err(SealError::WrongUnlock { needed, given });
        }
        // The file first: a missing one is cheap to find out.
        let file_key = unlock.key_file().map(|file| file.load()).transpose()?;
        let stretched = match (&self.stretch, unlock.passphrase()) {
            (Some(stretch), Some(passphrase)) => Some(kdf::stretch(passphrase, &stretch.salt, stretch.params)?),
            _ => None,
        };
        let unwrapped = unlock.service().map(|service| service.key_for(store_id).ok_or(SealError::UnlockRejected));
        let mut material = Vec::with_capacity(2);
        material.extend(stretched.as_ref());
        material.extend(file_key.as_ref().map(|key| key.secret()));
        material.extend(unwrapped.transpose()?);
        Ok(SealKey::from_secret(secret::extract(store_id, &material, "kek", &[code(self.kind)])))
    }

    fn context(&self, store_id: &[u8; 16]) -> Vec<u8> {
        ContextBuilder::new("keyward-seal/slot/v1").bytes(store_id).bytes(&self.encode()).finish()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_LEN + SEALED);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, code(self.kind)]);
        if let Some(Stretch { params, salt }) = &self.stretch {
            bytes.push(ARGON2ID);
            for number in [params.memory_kib(), params.passes(), params.lanes()] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(salt);
        }
        if let Some(wrapped) = &self.wrapped {
            wrapped.encode_to(&mut bytes);
        }
        bytes
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SealError> {
        if reader.take()? != MAGIC {
            return Err(SlotProblem::NotASlot.into());
        }
        let [version] = reader.take()?;
        if version != VERSION {
            return Err(SlotProblem::UnknownVersion { found: version }.into());
        }
        let [found] = reader.take()?;
        let kind = kind(found).ok_or(SlotProblem::UnknownKind { found })?;
        let stretch = if kind.needs_passphrase() { Some(Stretch::decode(reader)?) } else { None };
        let wrapped = if kind == SlotKind::Wrapped { Some(Wrapped::decode(reader)?) } else { None };
        Ok(Self { kind, stretch, wrapped })
    }
}

impl Stretch {
    fn new(policy: &KdfPolicy) -> Result<Self, SealError> {
        let mut salt = [0; kdf::SALT];
        secret::fill_random(&mut salt)?;
        Ok(Self { params: policy.params(), salt })
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, SealError> {
        let [found] = reader.take()?;
        if found != ARGON2ID {
            return Err(SlotProblem::UnknownKdf { found }.into());
        }
        let [memory_kib, passes, lanes] = [reader.number()?, reader.number()?, reader.number()?];
        let salt = reader.take()?;
        Ok(Self { params: KdfParams::new(memory_kib, passes, lanes)?, salt })
    }
}

/// Takes fixed-size fields from the front.
pub(super) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// How many bytes are left.
    pub(super) fn rest(&self) -> usize {
        self.all.len() - self.at
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], SlotProblem> {
        let needed = self.at + N;
        let truncated = SlotProblem::Truncated { needed, found: self.all.len() };
        let field = self.all[self.at..].first_chunk().ok_or(truncated)?;
        self.at = needed;
        Ok(*field)
    }

    /// Takes so many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], SlotProblem> {
        let needed = self.at + count;
        let truncated = SlotProblem::Truncated { needed, found: self.all.len() };
        let field = self.all.get(self.at..needed).ok_or(truncated)?;
        self.at = needed;
        Ok(field)
    }

    fn number(&mut self) -> Result<u32, SlotProblem> {
        self.take().map(u32::from_be_bytes)
    }
}

const fn code(kind: SlotKind) -> u8 {
    match kind {
        SlotKind::KeyFile => 1,
        SlotKind::Passphrase => 2,
        SlotKind::KeyFileAndPassphrase => 3,
        SlotKind::Wrapped => 4,
    }
}

const fn kind(code: u8) -> Option<SlotKind> {
    match code {
        1 => Some(SlotKind::KeyFile),
        2 => Some(SlotKind::Passphrase),
        3 => Some(SlotKind::KeyFileAndPassphrase),
        4 => Some(SlotKind::Wrapped),
        _ => None,
    }
}

const MAGIC: [u8; 4] = *b"KWSL";
const VERSION: u8 = 1;
const ARGON2ID: u8 = 1;
/// Function, three numbers, salt.
const STRETCH: usize = 1 + 3 * 4 + kdf::SALT;
/// A wrapped key is longer than the parameters of a passphrase, and no slot has both.
pub(super) const MAX_LEN: usize = MAGIC.len() + 2 + wrapped::MAX_LEN;
const _: () = assert!(wrapped::MAX_LEN > STRETCH);
pub(super) const SEALED: usize = 32 + OVERHEAD;
