//! What can go wrong, sorted by what the caller can do about it.

use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::unlock::SlotKind;
use crate::wrapper::WrapError;

/// Why sealing, opening or unlocking failed.
///
/// Values hold names, numbers and paths, never secret bytes and never the text of a foreign error, so they are safe
/// to log. Two variants are opaque on purpose: [`Rejected`](Self::Rejected) and
/// [`UnlockRejected`](Self::UnlockRejected) do not say which check failed, because the answer would help someone
/// who guesses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A passphrase of no characters.
    #[error("the passphrase is empty; choose one with at least one character")]
    EmptyPassphrase,

    /// The machine could not give the memory that the key derivation asks for.
    #[error("{memory_kib} KiB of memory for the key derivation are not available; free memory, then try again")]
    KdfMemory {
        /// The memory asked for, in KiB.
        memory_kib: u32,
    },

    /// Key derivation parameters outside the allowed range. Nothing was allocated and nothing was computed.
    #[error(
        "the key derivation was refused: {what} is {found}, allowed is {} to {}; restore the slot from a backup, or \
         create a new one within the policy",
        allowed.start(),
        allowed.end()
    )]
    KdfRefused {
        /// The parameter, in words.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The values that would be accepted.
        allowed: RangeInclusive<u64>,
    },

    /// The key file cannot be used.
    #[error("the key file {path:?} {problem}")]
    KeyFile {
        /// Where the key file was looked for.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyFileProblem,
    },

    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes; nothing was written, try again later")]
    NoRandomness,

    /// A slot that another kind of service wrapped than the one that was asked.
    #[error(
        "the slot was wrapped by another service than {given}; bring the service it was made with, or use another slot"
    )]
    OtherService {
        /// The service that was brought.
        given: &'static str,
    },

    /// Wrong key, wrong context, or damaged bytes. Which of them is not said.
    #[error(
        "the sealed bytes were rejected: the key or the context is not the one used to seal, or the bytes were \
         changed; check which key and record were meant, then restore from a backup"
    )]
    Rejected,

    /// The service that wraps the key of a slot did not do so.
    #[error("the key service {service} {problem}")]
    Service {
        /// The service.
        service: &'static str,
        /// Why.
        problem: WrapError,
    },

    /// The bytes are not an encoded slot of a kind this version reads.
    #[error("the unlock slot cannot be read: {0}")]
    SlotMalformed(SlotProblem),

    /// More plaintext than one envelope may hold (4 PiB).
    #[error("{found} bytes are too many for one envelope; split the data")]
    TooLong {
        /// The length of the plaintext.
        found: usize,
    },

    /// The passphrase, key file or service is not the right one, or the slot is damaged. Which of them is not said.
    #[error(
        "the slot did not open: the passphrase, key file or service is not the one of this slot, or the slot is \
         damaged; try again, or use another slot"
    )]
    UnlockRejected,

    /// The slot wants another kind of unlock than was given.
    #[error("the slot opens with {needed}, but {given} was given; bring {needed}, or use another slot")]
    WrongUnlock {
        /// What the slot was made for.
        needed: SlotKind,
        /// What was brought.
        given: SlotKind,
    },
}

/// What is wrong with a key file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileProblem {
    /// There is something at the path already; a key file is never overwritten.
    #[error("exists already and is never overwritten; choose another path")]
    Exists,

    /// The file belongs to another user than the one this process acts as.
    #[error("belongs to another user; make the user of this process its owner")]
    ForeignOwner,

    /// The operating system refused; the kind is all that is kept of its answer.
    #[error("could not be used ({0}); check the path, its directory and the permissions")]
    Io(ErrorKind),

    /// The file has a second name (a hard link), so deleting the one leaves the other.
    #[error("has more than one hard link; keep a single one")]
    Linked,

    /// The length is right, the content is not a key.
    #[error("is not a keyward key file; it must be one line, `keyward-key-v1:` and 64 lower-case hex digits")]
    Malformed,

    /// There is nothing at the path, or no directory to create it in.
    #[error("does not exist, or its directory does not; check the path, or create the file with `KeyFile::create`")]
    Missing,

    /// A symbolic link, a directory, a pipe, a socket or a device.
    #[error("is not a regular file; symbolic links are refused too, give the path of the file itself")]
    NotAFile,

    /// The group or everyone may read, write or run the file.
    #[error(
        "has mode {mode:04o}, so others than its owner can use it; set it to 0600, and replace the key if others may have read it"
    )]
    NotPrivate {
        /// The permission bits found.
        mode: u32,
    },

    /// The file does not have the length of a key file.
    #[error("has {found} bytes where a key file has 80; it is cut off or is another kind of file")]
    WrongLength {
        /// The length found.
        found: u64,
    },
}

/// Why bytes are not an encoded [`Slot`](crate::Slot).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotProblem {
    /// What it says of its service, or of the key there, is nothing that is ever written.
    #[error("its {what} is empty, too long, or has characters that are never written; restore it from a backup")]
    BadWrapping {
        /// Which part.
        what: &'static str,
    },

    /// The first four bytes are not those of a slot.
    #[error("it does not start like a slot; check that the right bytes were passed")]
    NotASlot,

    /// Bytes follow the end of the slot.
    #[error("{extra} bytes follow its end; restore it from a backup")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },

    /// The slot ends too early.
    #[error("it has {found} bytes and needs {needed}; restore it from a backup")]
    Truncated {
        /// How many bytes the slot needs.
        needed: usize,
        /// How many there are.
        found: usize,
    },

    /// A key derivation function this version does not know.
    #[error("it uses key derivation {found}, which this version does not know; use a newer version")]
    UnknownKdf {
        /// The number found.
        found: u8,
    },

    /// A kind of slot this version does not know.
    #[error("it is of kind {found}, which this version does not know; use a newer version or another slot")]
    UnknownKind {
        /// The number found.
        found: u8,
    },

    /// A format version this version does not know.
    #[error("it has format version {found}, which this version does not know; use a newer version")]
    UnknownVersion {
        /// The number found.
        found: u8,
    },
}

impl From<SlotProblem> for SealError {
    fn from(problem: SlotProblem) -> Self {
        Self::SlotMalformed(problem)
    }
}
