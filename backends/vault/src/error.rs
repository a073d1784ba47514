//! How answers of the server, and the lack of one, become errors of the contract.
//!
//! Only what stands here is kept of a foreign error: its class and an HTTP status. Texts of the server and of
//! client libraries can hold a value or a token and are dropped.

use keyward_core::{Error, ErrorKind, Operation, Retry};
use vaultrs::error::ClientError;

use crate::client::{Answer, Json, Reply};

/// The name of this backend in errors.
pub(crate) const NAME: &str = "vault";

/// Shorthand for an error of this backend with a detail.
pub(crate) fn fault(kind: ErrorKind, operation: Operation, detail: &'static str) -> Error {
    Error::new(kind, operation, NAME).with_detail(detail)
}

/// The deadline passed before anything was done.
pub(crate) fn too_late(operation: Operation) -> Error {
    fault(ErrorKind::Unavailable, operation, "the deadline has passed")
}

/// The server answered something only another program would.
pub(crate) fn not_vault(operation: Operation, write: bool) -> Error {
    let detail = "the answer is not one of Vault or OpenBao; check the address and what stands in front of the server";
    fault(lost(write), operation, detail)
}

/// What an answer means.
///
/// Only what Vault itself says counts: its errors are a JSON object with a list `errors`. What stands in front of it
/// answers with other JSON, or with HTML, and proves nothing, whatever the status: a write may have happened.
///
/// # Errors
/// Everything but success, 400, 403 and 404, which the caller must tell apart itself.
pub(crate) fn reply(answer: Answer, operation: Operation, write: bool) -> Result<Reply, Error> {
    let Answer { status, body, empty, retry_after } = answer;
    match (status, body) {
        (200..=299, Some(json)) => Ok(Reply::Done(json)),
        (204, None) if empty => Ok(Reply::Done(Json::default())),
        (404, Some(said)) if said.is_silent() || said.is_envelope() => Ok(Reply::Missing(said)),
        (404, Some(said)) if said.is_refusal() => Err(no_such_path(operation)),
        (400, Some(said)) if said.mentions(UPGRADING) => {
            Err(fault(ErrorKind::Unavailable, operation, "the mount is being upgraded; repeat").with_code(400))
        }
        (400, Some(said)) if said.is_refusal() => Ok(Reply::Refused(said)),
        (403, Some(said)) if said.is_refusal() => Ok(Reply::Denied(said)),
        (_, Some(said)) if said.is_refusal() => {
            let nothing_done = status != 503 || AWAY.iter().any(|text| said.mentions(text));
            Err(of_status(status, nothing_done, operation, write, retry_after))
        }
        _ => Err(foreign(status, operation, write, retry_after)),
    }
}

/// What Vault says of a mount that was made, or given versions, a moment ago.
const UPGRADING: &str = "Upgrading from non-versioned to versioned";
/// What Vault says when it did nothing because it is sealed, or a standby without an active node.
const AWAY: [&str; 3] = ["Vault is sealed", "standby", "not active"];

/// The error of a status that Vault itself gave and the caller does not tell apart.
fn of_status(status: u16, nothing_done: bool, operation: Operation, write: bool, wait: Option<u64>) -> Error {
    let (kind, detail) = match status {
        401 => (ErrorKind::Denied, DENIED),
        412 => (ErrorKind::Unavailable, "the node has not yet seen an earlier write; repeat"),
        413 => (ErrorKind::Invalid, "the request is larger than the server accepts"),
        429 => (ErrorKind::Throttled, "the server limits the rate of requests"),
        503 if nothing_done => (ErrorKind::Unavailable, "the server is sealed or has no active node"),
        400..=499 => (ErrorKind::Invalid, "the server refused the request as malformed"),
        _ => (lost(write), "the server failed"),
    };
    waiting(fault(kind, operation, detail).with_code(status.into()), wait)
}

/// The error of a status that something else gave.
fn foreign(status: u16, operation: Operation, write: bool, wait: Option<u64>) -> Error {
    let error = match status {
        // Says that the request was not carried out; Vault answers so on a standby, without a body.
        307 | 308 => {
            let detail = "the server redirects, which is never followed; give the address of the active node";
            fault(ErrorKind::Unavailable, operation, detail).with_retry(Retry::No)
        }
        300..=399 => {
            let detail = "something in front of the server redirects, which is never followed";
            fault(lost(write), operation, detail).with_retry(Retry::No)
        }
        429 if !write => fault(ErrorKind::Throttled, operation, "the rate of requests is limited"),
        _ => not_vault(operation, write),
    };
    waiting(error.with_code(status.into()), wait)
}

fn waiting(error: Error, wait: Option<u64>) -> Error {
    match (error.code(), wait) {
        (Some(412 | 429 | 503), Some(seconds)) => {
            error.with_retry(Retry::After(std::time::Duration::from_secs(seconds)))
        }
        _ => error,
    }
}

/// A 404 with a reason: no such mount, or one of another kind. Not that nothing lies there, which is said without one.
fn no_such_path(operation: Operation) -> Error {
    let detail = "the server knows no such path; check mount, role and namespace";
    fault(ErrorKind::Unavailable, operation, detail).with_code(404).with_retry(Retry::No)
}

/// True for the server's own word that there is no such mount.
pub(crate) fn is_no_such_path(error: &Error) -> bool {
    (error.kind(), error.code(), error.retry()) == (ErrorKind::Unavailable, Some(404), Retry::No)
}

pub(crate) const DENIED: &str = "the token may not do this; check the policies of its role";

/// What is kept of a failed exchange.
pub(crate) fn transport(error: &reqwest::Error, operation: Operation, write: bool) -> Error {
    if error.is_connect() {
        return fault(
            ErrorKind::Unavailable,
            operation,
            "the server cannot be reached; check address, network and TLS",
        );
    }
    if error.is_builder() {
        return fault(ErrorKind::Invalid, operation, "the request cannot be built from these names");
    }
    fault(lost(write), operation, "the connection ended or the time was up before the answer was complete")
}

/// What is kept of a failure of vaultrs, which only makes calls that may be repeated.
pub(crate) fn through_vaultrs(error: &ClientError, operation: Operation) -> Error {
    match error {
        ClientError::APIError { code: 400, .. } => {
            fault(ErrorKind::Invalid, operation, "the server refused the request").with_code(400)
        }
        ClientError::APIError { code: 403, .. } => fault(ErrorKind::Denied, operation, DENIED).with_code(403),
        ClientError::APIError { code: 404, .. } => no_such_path(operation),
        ClientError::APIError { code, .. } => of_status(*code, true, operation, false, None),
        ClientError::RestClientError { .. } => {
            fault(ErrorKind::Unavailable, operation, "the server did not answer as Vault or OpenBao does")
        }
        _ => not_vault(operation, false),
    }
}

/// A read that got no answer did nothing; a write may have happened.
fn lost(write: bool) -> ErrorKind {
    if write { ErrorKind::Unknown } else { ErrorKind::Unavailable }
}
