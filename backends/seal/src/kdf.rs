//! Passphrase to key: Argon2id, with limits that are checked before anything is allocated.

use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::ExposeSecretMut;
use zeroize::Zeroizing;

use crate::error::SealError;
use crate::secret::Secret32;
use crate::unlock::Passphrase;

/// The cost of one Argon2id run. A value of this type is always within the limits of [`new`](Self::new).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParams {
    /// What new slots get unless the caller decides otherwise: 64 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// The least that is accepted: 19 MiB, 2 passes, 1 lane.
    pub const MINIMUM: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// Takes 19 MiB to 1 GiB of memory, 2 to 16 passes, 1 to 16 lanes, and a product of memory and passes of at
    /// most 4 GiB (some ten seconds on a small machine). Nothing is allocated here or on refusal.
    ///
    /// # Errors
    /// [`SealError::KdfRefused`] with the first value that is out of its range.
    ///
    /// ```
    /// # use keyward_seal::{KdfParams, SealError};
    /// let strong = KdfParams::new(256 * 1024, 4, 4)?;
    /// let bomb = KdfParams::new(u32::MAX, u32::MAX, 1);
    /// assert!(matches!(bomb, Err(SealError::KdfRefused { what: "memory in KiB", .. })));
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, SealError> {
        check("memory in KiB", memory_kib.into(), MEMORY_KIB)?;
        check("number of passes", passes.into(), PASSES)?;
        check("number of lanes", lanes.into(), LANES)?;
        check("memory in KiB times passes", u64::from(memory_kib) * u64::from(passes), WORK_KIB)?;
        Ok(Self { memory_kib, passes, lanes })
    }

    /// The memory that is filled, in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often the memory is filled.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// How many lanes the memory is divided into.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }
}

impl Default for KdfParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What this process writes, and what it is willing to compute for a slot it reads.
///
/// New slots, and slots that are wrapped again, get the parameters of the policy, never those of a file.
///
/// ```
/// # use keyward_seal::{KdfParams, KdfPolicy};
/// assert_eq!(KdfPolicy::default().params(), KdfParams::DEFAULT);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KdfPolicy {
    params: KdfParams,
    max_memory_kib: Option<u32>,
}

impl KdfPolicy {
    /// A policy that writes `params` and reads everything within the limits of [`KdfParams`].
    #[must_use]
    pub const fn new(params: KdfParams) -> Self {
        Self { params, max_memory_kib: None }
    }

    /// The cheapest policy: [`KdfParams::MINIMUM`]. For tests, and for machines with very little memory.
    #[must_use]
    pub const fn minimum() -> Self {
        Self::new(KdfParams::MINIMUM)
    }

    /// Refuses to read slots that need more than `kib` of memory. What the policy itself writes is always read.
    #[must_use]
    pub const fn with_max_memory_kib(mut self, kib: u32) -> Self {
        self.max_memory_kib = Some(kib);
        self
    }

    /// The parameters of new slots.
    #[must_use]
    pub const fn params(&self) -> KdfParams {
        self.params
    }

    /// Whether `found` costs an attacker at least as much memory, and as many passes, as the parameters of this
    /// policy. A slot that does not should be wrapped again.
    #[must_use]
    pub const fn is_met_by(&self, found: KdfParams) -> bool {
        found.memory_kib >= self.params.memory_kib && found.passes >= self.params.passes
    }

    /// Whether this process is willing to run the key derivation of a slot that it read.
    pub(crate) fn check(&self, found: KdfParams) -> Result<(), SealError> {
        let Some(max) = self.max_memory_kib else {
            return Ok(());
        };
        let max = max.max(self.params.memory_kib);
        check("memory in KiB", found.memory_kib.into(), *MEMORY_KIB.start()..=max.into())
    }
}

/// Runs Argon2id. The memory is ours, so that it is wiped afterwards, and its allocation may fail.
pub(crate) fn stretch(passphrase: &Passphrase, salt: &[u8; SALT], params: KdfParams) -> Result<Secret32, SealError> {
    let memory = SealError::KdfMemory { memory_kib: params.memory_kib };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, argon2_params(params));
    let count = argon2.params().block_count();
    let mut blocks = Zeroizing::new(Vec::new());
    blocks.try_reserve_exact(count).map_err(|_| memory.clone())?;
    blocks.resize(count, Block::new());

    let mut key = Secret32::default();
    argon2
        .hash_password_into_with_memory(passphrase.expose(), salt, key.expose_secret_mut(), blocks.as_mut_slice())
        .map_err(|_| memory)?;
    Ok(key)
}

fn argon2_params(params: KdfParams) -> Params {
    Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .expect("the limits of KdfParams are narrower than those of Argon2")
}

fn check(what: &'static str, found: u64, allowed: RangeInclusive<u64>) -> Result<(), SealError> {
    if allowed.contains(&found) { Ok(()) } else { Err(SealError::KdfRefused { what, found, allowed }) }
}

/// The length of the salt of Argon2id.
pub(crate) const SALT: usize = 16;

const MEMORY_KIB: RangeInclusive<u64> = 19 * 1024..=1024 * 1024;
const PASSES: RangeInclusive<u64> = 2..=16;
const LANES: RangeInclusive<u64> = 1..=16;
const WORK_KIB: RangeInclusive<u64> = 2 * 19 * 1024..=4 * 1024 * 1024;
