//! What an AWS service answered when it did not do what was asked, reduced to what may be kept: a
//! class, a status, a request id.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use keyward_core::{Error, ErrorKind, KeyId, Operation, Retry};

/// The name of this backend in errors.
pub(crate) const NAME: &str = "aws";
/// What is said of an answer that lacks what every answer of the service has.
pub(crate) const NOT_THE_SERVICE: &str =
    "the answer is not one of AWS; look at what stands in between: a proxy, a gateway, a login page";

/// Why a backend, an issuer or an unlock slot on AWS was not opened. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// The SDK would print values.
    #[error("LOG_SENSITIVE_BODIES is set, so the AWS SDK would log secret values; unset it")]
    BodiesLogged,
    /// No credentials could be had.
    #[error("no AWS credentials could be had; set a credentials provider in the SdkConfig, and check that it answers")]
    Credentials,
    /// Values would travel in the clear.
    #[error("the endpoint is neither https nor on this machine (http to a loopback address); correct it")]
    Endpoint,
    /// The prefix of names is not acceptable.
    #[error(
        "the prefix is bad at byte {at}; use 1 to {max} letters, digits and '/_+=.@-', no '/' at its ends and no empty part"
    )]
    Prefix {
        /// Byte offset.
        at: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// No region is configured.
    #[error("no AWS region is configured; set AWS_REGION, or a region in the SdkConfig")]
    Region,
    /// An IAM user name is not acceptable, or two keys would share a user.
    #[error("an IAM user name is not 1 to 64 letters, digits and '_+=,.@-', or is given to two keys; correct it")]
    User,
}

/// What a caller decides on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// There is no such thing.
    Absent,
    /// The service did not get to it: nothing was done.
    Away,
    /// We may not.
    Denied,
    /// It is there already, or changed meanwhile.
    Exists,
    /// The reply is lost: it may have been done.
    Lost,
    /// A parameter does not fit, or does not fit the state.
    Malformed,
    /// A limit that waiting does not cure.
    Quota,
    /// The state of the thing forbids it.
    Refused,
    /// Too many requests.
    Throttled,
    /// The key service refused.
    Undecryptable,
}

/// A call that failed. Holds nothing of the answer but what is listed here.
#[derive(Debug)]
pub(crate) struct Fault {
    class: Class,
    code: Option<&'static str>,
    /// Something else answered in place of the service: a proxy, a gateway, a login page.
    foreign: bool,
    error: Error,
}

impl Fault {
    pub(crate) fn new(class: Class, system: &'static str, operation: Operation) -> Self {
        Self { class, code: None, foreign: false, error: Error::new(kind(class), operation, system) }
    }

    /// Takes what may be kept out of an SDK error and drops the rest.
    pub(crate) fn of<E: ProvideErrorMetadata + StdError>(
        failed: &SdkError<E, HttpResponse>,
        system: &'static str,
        operation: Operation,
    ) -> Self {
        let (class, code) = classify(failed);
        let mut fault = Self { code, foreign: is_foreign(failed), ..Self::new(class, system, operation) };
        if let Some(detail) = detail(failed, class, code) {
            fault = fault.with_detail(detail);
        }
        if let Some(response) = failed.raw_response() {
            fault.error = fault.error.with_code(response.status().as_u16().into());
            if let Some(wait) = asked_to_wait(response).filter(|_| class == Class::Throttled) {
                fault.error = fault.error.with_retry(Retry::After(wait));
            }
        }
        let id = failed.request_id().or_else(|| failed.as_service_error()?.meta().request_id());
        if let Some(id) = id {
            fault.error = fault.error.with_request_id(id);
        }
        fault
    }

    /// One item of a batch that failed, by the code the service gave.
    pub(crate) fn of_code(code: &str, system: &'static str, operation: Operation) -> Self {
        let (class, code) = known(code).map_or((Class::Away, None), |(class, code)| (class, Some(code)));
        Self { code, ..Self::new(class, system, operation) }
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// The code of the service, when it is one of those known here.
    #[cfg_attr(not(any(feature = "iam", feature = "kms")), expect(dead_code, reason = "for issuers and unlock slots"))]
    pub(crate) fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// True when the same call may be repeated with some hope.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.class, Class::Away | Class::Lost | Class::Throttled)
    }

    pub(crate) fn about(mut self, key: &KeyId) -> Self {
        self.error = self.error.with_key(key);
        self
    }

    pub(crate) fn with_detail(mut self, detail: &'static str) -> Self {
        self.error = self.error.with_detail(detail);
        self
    }

    /// The same where nothing can have been changed: a lost reply then only means no answer.
    pub(crate) fn of_a_read(mut self) -> Self {
        if self.class == Class::Lost {
            self.class = Class::Away;
            self.error = same_but(&self.error, ErrorKind::Unavailable);
        }
        self
    }

    /// The same for the one attempt of a call that must not be repeated: only the service itself can say that nothing
    /// was done.
    pub(crate) fn of_one_attempt(mut self) -> Self {
        if self.foreign {
            self.class = Class::Lost;
            self.error = same_but(&self.error, ErrorKind::Unknown);
        }
        self
    }

    /// The same where a label was to be moved: what is called a bad parameter is a label that is not where it was
    /// seen.
    pub(crate) fn of_a_move(mut self) -> Self {
        if self.class == Class::Malformed && !self.foreign {
            self.class = Class::Exists;
            self.error = same_but(&self.error, ErrorKind::Conflict).with_detail("the label is not where it was seen");
        }
        self
    }

    /// Made again from the error that a retry handed back.
    pub(crate) fn again(error: Error) -> Self {
        let class = match error.kind() {
            ErrorKind::Throttled => Class::Throttled,
            ErrorKind::Unavailable => Class::Away,
            _ => Class::Lost,
        };
        Self { class, code: None, foreign: false, error }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// The same for another item of the same batch.
    pub(crate) fn again_for(&self) -> Self {
        Self { class: self.class, code: self.code, foreign: self.foreign, error: self.error.clone() }
    }

    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// The same error under another kind.
pub(crate) fn same_but(error: &Error, kind: ErrorKind) -> Error {
    let mut same = Error::new(kind, error.operation(), error.backend());
    if let Some(key) = error.key() {
        same = same.with_key(key);
    }
    if let Some(code) = error.code() {
        same = same.with_code(code);
    }
    if let Some(id) = error.request_id() {
        same = same.with_request_id(id);
    }
    match error.detail() {
        Some(detail) => same.with_detail(detail),
        None => same,
    }
}

fn kind(class: Class) -> ErrorKind {
    match class {
        Class::Absent => ErrorKind::NotFound,
        Class::Away => ErrorKind::Unavailable,
        Class::Denied => ErrorKind::Denied,
        Class::Exists | Class::Refused => ErrorKind::Conflict,
        Class::Lost => ErrorKind::Unknown,
        Class::Malformed => ErrorKind::Invalid,
        Class::Quota => ErrorKind::Quota,
        Class::Throttled => ErrorKind::Throttled,
        Class::Undecryptable => ErrorKind::Undecryptable,
    }
}

fn classify<E: ProvideErrorMetadata>(failed: &SdkError<E, HttpResponse>) -> (Class, Option<&'static str>) {
    match failed {
        SdkError::ServiceError(said) => {
            let code = said.err().meta().code();
            let unknown = || (by_status(said.raw(), code.is_some()), None);
            code.and_then(known).map_or_else(unknown, |(class, code)| (class, Some(code)))
        }
        SdkError::ConstructionFailure(_) => (Class::Malformed, None),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(cause) => (unsent(cause).unwrap_or(Class::Lost), None),
            None => (Class::Lost, None),
        },
        _ => (Class::Lost, None),
    }
}

/// Why a request was certainly not sent; `None` when it may have been.
fn unsent(cause: &(dyn StdError + 'static)) -> Option<Class> {
    if never_connected(cause) {
        return Some(Class::Away);
    }
    match causes(cause).find_map(|error| error.downcast_ref::<CredentialsError>())? {
        CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => Some(Class::Away),
        _ => Some(Class::Denied),
    }
}

fn causes<'a>(first: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(first), |error| (*error).source())
}

/// True when the other side never heard of the request.
fn never_connected(cause: &(dyn StdError + 'static)) -> bool {
    causes(cause).filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
        )
    })
}

/// True when the answer has no error code: the services always say which error it is.
fn is_foreign<E: ProvideErrorMetadata>(failed: &SdkError<E, HttpResponse>) -> bool {
    failed.as_service_error().is_some_and(|said| said.meta().code().is_none())
}

/// For answers whose code, if they have one, is not known here. Without a code, not even a clear status says what the
/// service did or has.
fn by_status(response: &HttpResponse, has_code: bool) -> Class {
    match response.status().as_u16() {
        401 | 403 | 407 => Class::Denied,
        404 | 409 | 410 | 412 if has_code => Class::Away,
        429 => Class::Throttled,
        // Too large for whatever is on the way, each time.
        413 | 414 | 431 => Class::Malformed,
        400..=499 if has_code => Class::Malformed,
        _ => Class::Lost,
    }
}

fn detail<E: ProvideErrorMetadata>(
    failed: &SdkError<E, HttpResponse>,
    class: Class,
    code: Option<&'static str>,
) -> Option<&'static str> {
    match (failed, class, code) {
        (SdkError::ConstructionFailure(_), ..) => Some("the request could not be built"),
        (SdkError::DispatchFailure(_), Class::Denied, _) => Some("no credentials could be had to sign the request"),
        (SdkError::ResponseError(_), ..) => Some("the answer could not be understood"),
        (SdkError::TimeoutError(_), ..) => Some("no answer in time"),
        (_, Class::Quota, Some("LimitExceededException")) => {
            Some("a quota of the service is used up (labels, versions or secrets); waiting does not help")
        }
        (_, Class::Denied, Some("ExpiredTokenException" | "ExpiredToken" | "RequestExpired")) => {
            Some("the credentials have expired, or the clock of this host is wrong")
        }
        (SdkError::ServiceError(said), ..) if is_foreign(failed) && !said.raw().status().is_server_error() => {
            Some(NOT_THE_SERVICE)
        }
        _ => None,
    }
}

/// How long the service asks us to wait, where it says so in whole seconds.
fn asked_to_wait(response: &HttpResponse) -> Option<Duration> {
    let seconds: u64 = response.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

fn known(code: &str) -> Option<(Class, &'static str)> {
    CODES.iter().find(|(known, _)| *known == code).map(|(code, class)| (*class, *code))
}

/// Every code that is told apart. What is not listed is classed by its HTTP status.
const CODES: &[(&str, Class)] = &[
    // Secrets Manager
    ("ResourceNotFoundException", Class::Absent),
    ("ResourceExistsException", Class::Exists),
    ("PreconditionNotMetException", Class::Exists),
    ("InvalidRequestException", Class::Refused),
    ("InvalidParameterException", Class::Malformed),
    ("InvalidNextTokenException", Class::Malformed),
    ("MalformedPolicyDocumentException", Class::Malformed),
    ("ValidationException", Class::Malformed),
    ("ValidationError", Class::Malformed),
    ("EncryptionFailure", Class::Undecryptable),
    ("DecryptionFailure", Class::Undecryptable),
    ("InternalServiceError", Class::Lost),
    // A quota, whatever the SDK takes it for.
    ("LimitExceededException", Class::Quota),
    ("LimitExceeded", Class::Quota),
    // IAM and STS
    ("NoSuchEntity", Class::Absent),
    ("EntityAlreadyExists", Class::Exists),
    ("EntityTemporarilyUnmodifiable", Class::Refused),
    ("DeleteConflict", Class::Refused),
    ("InvalidInput", Class::Malformed),
    ("ServiceFailure", Class::Lost),
    // KMS
    ("NotFoundException", Class::Absent),
    ("DisabledException", Class::Undecryptable),
    ("KMSInvalidStateException", Class::Undecryptable),
    ("InvalidCiphertextException", Class::Undecryptable),
    ("IncorrectKeyException", Class::Undecryptable),
    ("InvalidKeyUsageException", Class::Malformed),
    ("InvalidArnException", Class::Malformed),
    ("KeyUnavailableException", Class::Away),
    ("DependencyTimeoutException", Class::Lost),
    ("KMSInternalException", Class::Lost),
    // Every service
    ("AccessDenied", Class::Denied),
    ("AccessDeniedException", Class::Denied),
    ("AuthFailure", Class::Denied),
    ("ExpiredToken", Class::Denied),
    ("ExpiredTokenException", Class::Denied),
    ("IncompleteSignature", Class::Denied),
    ("IncompleteSignatureException", Class::Denied),
    ("InvalidAccessKeyId", Class::Denied),
    ("InvalidClientTokenId", Class::Denied),
    ("InvalidSignatureException", Class::Denied),
    ("MissingAuthenticationToken", Class::Denied),
    ("MissingAuthenticationTokenException", Class::Denied),
    ("NotAuthorized", Class::Denied),
    ("OptInRequired", Class::Denied),
    ("RequestExpired", Class::Denied),
    ("SignatureDoesNotMatch", Class::Denied),
    ("UnrecognizedClientException", Class::Denied),
    ("BandwidthLimitExceeded", Class::Throttled),
    ("PriorRequestNotComplete", Class::Throttled),
    ("RequestLimitExceeded", Class::Throttled),
    ("RequestThrottled", Class::Throttled),
    ("RequestThrottledException", Class::Throttled),
    ("SlowDown", Class::Throttled),
    ("Throttling", Class::Throttled),
    ("ThrottlingException", Class::Throttled),
    ("ThrottledException", Class::Throttled),
    ("TooManyRequestsException", Class::Throttled),
    ("InternalError", Class::Lost),
    ("InternalFailure", Class::Lost),
    ("ServiceUnavailable", Class::Lost),
    ("ServiceUnavailableException", Class::Lost),
];
