//! Why a store was not opened, and how the faults of a running store become errors of the contract.

use std::io;
use std::path::{Path, PathBuf};

use keyward_core::{Error, ErrorKind, Operation, Retry};
use keyward_seal::{SealError, WrapError};
use rusqlite::ffi;

/// The name of this backend in errors.
pub(crate) const NAME: &str = "file";

/// Why a store was not created or not opened. Nothing was written.
///
/// Holds paths, names and numbers, never text from SQLite and never anything that was in the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The audit log refused the entry that says who opens the store.
    #[error(
        "the store {path:?} cannot be written (SQLite code {code}), so opening it cannot be logged; free space or \
         make it writable, or open it with Audit::Relaxed to read without a log"
    )]
    AuditUnavailable {
        /// The store.
        path: PathBuf,
        /// The SQLite result code.
        code: u32,
    },

    /// Another process kept the store busy.
    #[error("the store {path:?} is kept busy by another process; try again, or find the process that holds it")]
    Busy {
        /// The store.
        path: PathBuf,
    },

    /// The file is a store, but not a sound one.
    #[error("the store {path:?} is damaged or was tampered with: {what}; keep a copy and restore it from a backup")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What does not hold.
        what: &'static str,
    },

    /// Everyone may replace files in the directory of the store.
    #[error("everyone may replace files in {path:?}; put the store in a directory that only its owner may write to")]
    Directory {
        /// The directory.
        path: PathBuf,
    },

    /// The file has no bytes.
    #[error("{path:?} is empty and no store; restore it from a backup, or delete it and create a store there")]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// There is something at the path already.
    #[error("there is something at {path:?} already and it is never overwritten; open it, or choose another path")]
    Exists {
        /// The path.
        path: PathBuf,
    },

    /// The file belongs to another user.
    #[error("{path:?} belongs to another user; run as its owner, or make the user of this process its owner")]
    ForeignOwner {
        /// The file.
        path: PathBuf,
    },

    /// The operating system refused; the kind is all that is kept of its answer.
    #[error("{path:?} could not be used ({kind}); check the path, its directory, the permissions and the disk")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        kind: io::ErrorKind,
    },

    /// The file has a second name, under which SQLite would keep a second journal.
    #[error("{path:?} has more than one hard link; keep a single one")]
    Linked {
        /// The file.
        path: PathBuf,
    },

    /// There is no file at the path.
    #[error("there is no store at {path:?}; check the path, or create a store there (opening never creates one)")]
    Missing {
        /// The path.
        path: PathBuf,
    },

    /// The store was written by a newer version of this library.
    #[error("the store {path:?} has format {found} and this version reads {known}; update keyward")]
    NewerFormat {
        /// The store.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this version reads.
        known: u32,
    },

    /// A symbolic link, a directory, a pipe, a socket or a device.
    #[error("{path:?} is not a regular file; symbolic links are refused too, give the path of the file itself")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },

    /// The file is something else.
    #[error("{path:?} is not a keyward store; check the path (it was left as it is)")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },

    /// The group or everyone may read or write the file.
    #[error(
        "{path:?} has mode {mode:04o}, so others than its owner can use it; set it to 0600, and rotate the keys in \
         it if others may have copied it together with its unlock"
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },

    /// SQLite refused for a reason that has no variant of its own.
    #[error("SQLite refused {path:?} with code {code}; look the code up, then check the disk and the permissions")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// The SQLite result code.
        code: u32,
    },

    /// The SQLite that was linked has a known bug that can damage stores.
    #[error("SQLite {found} is too old to be safe; build keyward with its bundled SQLite")]
    SqliteTooOld {
        /// The version number that SQLite gives.
        found: i32,
    },

    /// The store did not unlock, or the means to unlock it cannot be used.
    #[error("the store {path:?} was not unlocked: {problem}")]
    Unlock {
        /// The store.
        path: PathBuf,
        /// Why.
        problem: SealError,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), kind: error.kind() }
    }

    pub(crate) fn from_fault(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Audit { code } => Self::AuditUnavailable { path, code },
            Fault::Deadline | Fault::Sqlite { class: Class::Busy, .. } => Self::Busy { path },
            Fault::Sqlite { class: Class::Foreign, .. } => Self::NotAStore { path },
            Fault::Sqlite { class: Class::Damaged, .. } => {
                Self::Damaged { path, what: "SQLite finds it malformed, cut off or overwritten" }
            }
            Fault::Sqlite { code, .. } | Fault::Commit { code, .. } => Self::Sqlite { path, code },
            Fault::Seal(problem) => Self::Unlock { path, problem },
            Fault::Tampered(what) | Fault::Undecryptable(what) | Fault::TooMany(what) => Self::Damaged { path, what },
            Fault::NewerRecord => Self::Damaged { path, what: "it holds a record of a newer format" },
        }
    }

    fn kind(&self) -> (ErrorKind, &'static str) {
        match self {
            Self::AuditUnavailable { .. } => (ErrorKind::AuditUnavailable, "the opening cannot be logged"),
            Self::Busy { .. } => (ErrorKind::Unavailable, "another process keeps the store busy"),
            Self::Damaged { what, .. } => (ErrorKind::Tampered, what),
            Self::Directory { .. } => (ErrorKind::Denied, "everyone may replace files in the directory of the store"),
            Self::Empty { .. } => (ErrorKind::Tampered, "the file is empty"),
            Self::Exists { .. } => (ErrorKind::Conflict, "there is something at the path already"),
            Self::ForeignOwner { .. } => (ErrorKind::Denied, "the store belongs to another user"),
            Self::Io { .. } => (ErrorKind::Unavailable, "the operating system refused"),
            Self::Linked { .. } => (ErrorKind::Denied, "the store has more than one hard link"),
            Self::Missing { .. } => (ErrorKind::NotFound, "there is no store at the path"),
            Self::NewerFormat { .. } => (ErrorKind::Unsupported, "the store has a newer format; update keyward"),
            Self::NotAFile { .. } => (ErrorKind::Denied, "the path is not a regular file"),
            Self::NotAStore { .. } => (ErrorKind::Invalid, "the file is not a keyward store"),
            Self::NotPrivate { .. } => (ErrorKind::Denied, "others can use the file; set its mode to 0600"),
            Self::Sqlite { .. } => (ErrorKind::Unavailable, "SQLite refused"),
            Self::SqliteTooOld { .. } => (ErrorKind::Unsupported, "the linked SQLite is too old"),
            Self::Unlock { problem: SealError::Service { problem, .. }, .. } => match problem {
                WrapError::Denied => (ErrorKind::Denied, "the key service refused to unlock the store"),
                WrapError::Unavailable => (ErrorKind::Unavailable, "the key service did not answer"),
                _ => (ErrorKind::Undecryptable, "the key service did not unlock the store"),
            },
            Self::Unlock { .. } => (ErrorKind::Undecryptable, "the store was not unlocked"),
        }
    }
}

impl From<FileError> for Error {
    /// Keeps the kind and drops the path: for callers that handle one error type.
    fn from(error: FileError) -> Self {
        let (kind, detail) = error.kind();
        Self::new(kind, Operation::Open, NAME).with_detail(detail)
    }
}

/// What went wrong inside the store. Keeps result codes, never the text of SQLite: values could be in it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The audit log could not be written, so nothing was done.
    Audit { code: u32 },
    /// The outcome of a commit is the outcome of the call.
    Commit { class: Class, code: u32 },
    /// The caller stopped waiting.
    Deadline,
    /// A record of a newer library.
    NewerRecord,
    /// The envelope, the key derivation or the unlock.
    Seal(SealError),
    /// SQLite refused before anything was done for good.
    Sqlite { class: Class, code: u32 },
    /// Stored bytes contradict themselves.
    Tampered(&'static str),
    /// More than one key may hold.
    TooMany(&'static str),
    /// Sealed under a key that the header does not list.
    Undecryptable(&'static str),
}

/// What a result code of SQLite means to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    Busy,
    Damaged,
    Foreign,
    Full,
    Io,
    Other,
    ReadOnly,
}

impl Fault {
    pub(crate) fn is_tampering(&self) -> bool {
        matches!(self, Self::Tampered(_) | Self::Undecryptable(_) | Self::Sqlite { class: Class::Damaged, .. })
    }

    /// True when it may or may not have happened.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Commit { class: Class::Io | Class::Other, .. })
    }

    /// The fault of a transaction whose only purpose is the audit log.
    pub(crate) fn of_audit(self) -> Self {
        match self {
            Self::Sqlite { class: Class::Busy | Class::Damaged | Class::Foreign, .. } => self,
            Self::Commit { class: Class::Busy, code } => Self::Sqlite { class: Class::Busy, code },
            Self::Sqlite { code, .. } | Self::Commit { code, .. } => Self::Audit { code },
            other => other,
        }
    }

    /// The fault of a commit.
    pub(crate) fn of_commit(error: &rusqlite::Error) -> Self {
        let (class, code) = classify(error);
        Self::Commit { class, code }
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let error = |kind, detail| Error::new(kind, operation, NAME).with_detail(detail);
        match self {
            Self::Audit { code } => {
                error(ErrorKind::AuditUnavailable, ErrorKind::AuditUnavailable.advice()).with_code(code)
            }
            Self::Commit { code, .. } if self.is_unknown() => {
                error(ErrorKind::Unknown, "the disk failed while the change was made durable; repeat the call")
                    .with_code(code)
            }
            Self::Commit { class, code } | Self::Sqlite { class, code } => {
                let (kind, detail) = class.kind();
                error(kind, detail).with_code(code)
            }
            Self::Deadline => error(ErrorKind::Unavailable, "the deadline has passed"),
            Self::NewerRecord => error(ErrorKind::Unsupported, "the record has a newer format; update keyward"),
            Self::Seal(SealError::NoRandomness) => {
                error(ErrorKind::Unavailable, "the operating system gave no random bytes; nothing was done")
            }
            Self::Seal(_) => error(ErrorKind::Invalid, "the data cannot be sealed").with_retry(Retry::No),
            Self::Tampered(what) => error(ErrorKind::Tampered, what),
            Self::TooMany(what) => error(ErrorKind::Quota, what),
            Self::Undecryptable(what) => error(ErrorKind::Undecryptable, what),
        }
    }
}

impl Class {
    fn kind(self) -> (ErrorKind, &'static str) {
        match self {
            Self::Busy => (ErrorKind::Unavailable, "another process or call kept the store busy; repeat later"),
            Self::Damaged => (ErrorKind::Tampered, "SQLite finds the store malformed; keep a copy and investigate"),
            Self::Foreign => (ErrorKind::Tampered, "the file is no longer a store; keep a copy and investigate"),
            Self::Full => (ErrorKind::Quota, "the disk, or the size limit of the store, is full; nothing was done"),
            Self::Io => (ErrorKind::Unavailable, "the disk failed and nothing was done; check it, then repeat"),
            Self::Other => (ErrorKind::Unavailable, "SQLite refused and nothing was done; look the code up"),
            Self::ReadOnly => (ErrorKind::Denied, "the store cannot be written; check the permissions and the mount"),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let (class, code) = classify(&error);
        Self::Sqlite { class, code }
    }
}

impl From<SealError> for Fault {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Rejected => Self::Tampered("a sealed row was rejected: it was changed, moved or replaced"),
            other => Self::Seal(other),
        }
    }
}

/// The error for a key whose material is elsewhere.
pub(crate) fn adopts_nothing(operation: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, operation, NAME).with_detail("this store adopts no existing secrets")
}

fn classify(error: &rusqlite::Error) -> (Class, u32) {
    let Some(failure) = error.sqlite_error() else {
        // A row that is missing or a column of another type, where the schema allows neither.
        return (Class::Damaged, 0);
    };
    let class = match failure.extended_code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Class::Busy,
        ffi::SQLITE_CORRUPT
        | ffi::SQLITE_ERROR
        | ffi::SQLITE_CONSTRAINT
        | ffi::SQLITE_MISMATCH
        | ffi::SQLITE_TOOBIG
        | ffi::SQLITE_SCHEMA => Class::Damaged,
        ffi::SQLITE_NOTADB => Class::Foreign,
        ffi::SQLITE_FULL => Class::Full,
        ffi::SQLITE_IOERR if failure.extended_code == ffi::SQLITE_IOERR_SHORT_READ => Class::Damaged,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN | ffi::SQLITE_NOLFS => Class::Io,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => Class::ReadOnly,
        _ => Class::Other,
    };
    (class, failure.extended_code.unsigned_abs())
}
