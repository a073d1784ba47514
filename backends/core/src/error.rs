//! The one error of backends and issuers.

use std::fmt;
use std::time::Duration;

use crate::KeyId;

/// What a call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about a failed call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Strict audit is on and the audit log cannot be written: nothing was done.
    AuditUnavailable,
    /// Another writer won, or the request contradicts the state; read again and decide.
    Conflict,
    /// Our credentials are missing, wrong or too weak.
    Denied,
    /// The request can never succeed as it is.
    Invalid,
    /// No such key, version or publication.
    NotFound,
    /// Scheduled for deletion; never restored or created again by us.
    PendingDeletion,
    /// A limit that waiting does not cure.
    Quota,
    /// The store is locked and wants an operator.
    Sealed,
    /// Stored bytes contradict themselves: damage or tampering.
    Tampered,
    /// Too many requests; wait.
    Throttled,
    /// The store is away or the deadline passed *before* anything was done.
    Unavailable,
    /// The bytes are there but cannot be decrypted: wrong key, or the key service refused.
    Undecryptable,
    /// It may or may not have happened, and reading back did not tell.
    Unknown,
    /// This backend can never do this; see `Capabilities`.
    Unsupported,
}

impl ErrorKind {
    /// What the kind means and what to do next.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AuditUnavailable => {
                "the audit log cannot be written, so nothing was done; repair the log, then repeat"
            }
            Self::Conflict => "the state is not what the request expects; read again and decide",
            Self::Denied => "access was refused; check the credentials and their permissions",
            Self::Invalid => "the request can never succeed as it is; correct it",
            Self::NotFound => "nothing is stored under that name; check it, or register the key first",
            Self::PendingDeletion => "it is scheduled for deletion; an operator must restore it or wait",
            Self::Quota => "a quota is used up and waiting will not help; remove what is not needed or raise it",
            Self::Sealed => "the store is locked; an operator must unlock it",
            Self::Tampered => "stored data contradicts itself; stop, keep a copy and investigate",
            Self::Throttled => "too many requests; repeat later",
            Self::Unavailable => "the store did not answer and nothing was done; repeat later",
            Self::Undecryptable => "the data is there but cannot be decrypted; check the unlock key",
            Self::Unknown => "it may or may not have happened; repeat the same call, it is idempotent",
            Self::Unsupported => "this backend cannot do that; see its capabilities",
        }
    }

    fn retry(self) -> Retry {
        match self {
            Self::Throttled | Self::Unavailable | Self::Unknown => Retry::Yes,
            _ => Retry::No,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuditUnavailable => "audit unavailable",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::PendingDeletion => "pending deletion",
            Self::Quota => "quota",
            Self::Sealed => "sealed",
            Self::Tampered => "tampered",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Undecryptable => "undecryptable",
            Self::Unknown => "unknown outcome",
            Self::Unsupported => "unsupported",
        })
    }
}

/// Whether the same call may be repeated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Retry {
    /// Repeating cannot help.
    No,
    /// It may help.
    Yes,
    /// It may help after this long.
    After(Duration),
}

/// Which call failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// `SecretBackend::load`
    Load,
    /// `SecretBackend::swap`
    Swap,
    /// `SecretBackend::list`
    List,
    /// `SecretBackend::stage`
    Stage,
    /// `SecretBackend::pointer`
    Pointer,
    /// `SecretBackend::publish`
    Publish,
    /// `SecretBackend::read`
    Read,
    /// `SecretBackend::withdraw`
    Withdraw,
    /// `SecretBackend::survey`
    Survey,
    /// `SecretBackend::retire`
    Retire,
    /// The audit log.
    Audit,
    /// The adoption ledger.
    Adoption,
    /// Opening or creating a store.
    Open,
    /// `KeyIssuer::create`
    Create,
    /// `KeyIssuer::find`
    Find,
    /// `KeyIssuer::status`
    Status,
    /// `KeyIssuer::deactivate` or `KeyIssuer::activate`
    Switch,
    /// `KeyIssuer::revoke`
    Revoke,
    /// `KeyIssuer::scope`
    Scope,
    /// A validation probe.
    Probe,
    /// A health, usage or adoption signal.
    Signal,
}

/// Why a call to a backend or an issuer failed: what, where, on which key, and what to do next.
///
/// One pointer wide. Holds no foreign error and no text from a remote body: nothing that could
/// carry a value.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    backend: &'static str,
    key: Option<KeyId>,
    retry: Retry,
    code: Option<u32>,
    request_id: Option<Box<str>>,
    detail: Option<&'static str>,
}

impl Error {
    /// An error of `operation` on `backend` (a fixed name such as `file`).
    pub fn new(kind: ErrorKind, operation: Operation, backend: &'static str) -> Self {
        let retry = kind.retry();
        Self(Box::new(Inner { kind, operation, backend, key: None, retry, code: None, request_id: None, detail: None }))
    }

    /// Names the key.
    #[must_use]
    pub fn with_key(mut self, key: &KeyId) -> Self {
        self.0.key = Some(key.clone());
        self
    }

    /// Says what exactly, in words fixed at compile time.
    #[must_use]
    pub fn with_detail(mut self, detail: &'static str) -> Self {
        self.0.detail = Some(detail);
        self
    }

    /// Overrides the retry hint of the kind.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// A numeric code of the store: an HTTP status, an SQLite result code.
    #[must_use]
    pub fn with_code(mut self, code: u32) -> Self {
        self.0.code = Some(code);
        self
    }

    /// The id the remote side gave the request. Anything but 1 to 128 letters, digits and `-_.:`
    /// is dropped.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        self.0.request_id = ((1..=128).contains(&id.len()) && id.bytes().all(plain)).then(|| id.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Which call failed.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The name of the backend or issuer.
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// The key, when the call was about one.
    pub fn key(&self) -> Option<&KeyId> {
        self.0.key.as_ref()
    }

    /// Whether the same call may be repeated.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The numeric code of the store.
    pub fn code(&self) -> Option<u32> {
        self.0.code
    }

    /// The id the remote side gave the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What exactly, when more is known than the kind says.
    pub fn detail(&self) -> Option<&'static str> {
        self.0.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, backend, key, code, request_id, detail, .. } = &*self.0;
        write!(f, "{backend}: {operation:?}")?;
        if let Some(key) = key {
            write!(f, " of {key}")?;
        }
        write!(f, ": {kind}")?;
        if let Some(code) = code {
            write!(f, " (code {code})")?;
        }
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        match detail {
            Some(detail) => write!(f, ": {detail}"),
            None => write!(f, ": {}", kind.advice()),
        }
    }
}

impl std::error::Error for Error {}
