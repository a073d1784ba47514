//! How answers of the server, and the lack of one, become errors of the contract.
//!
//! Only what stands here is kept of a foreign error: its class and an HTTP status. Texts of the server and of
//! client libraries can hold a value or a token and are dropped.

use keyward_core::{Error, ErrorKind, Operation, Retry};
use vaultrs::error::ClientError;

use crate::client::{Answer, Reply};

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

/// What a status means when the answer did not come from a plain success or a plain refusal.
///
/// # Errors
/// Everything but success, 404 and 400, which the caller must tell apart itself.
pub(crate) fn reply(answer: Answer, operation: Operation, write: bool) -> Result<Reply, Error> {
    let status = answer.status;
    match status {
        200..=299 if answer.body.is_some() || answer.empty => Ok(Reply::Done(answer.body.unwrap_or_default())),
        200..=299 => Err(not_vault(operation, write).with_code(status.into())),
        404 if answer.body.as_ref().is_some_and(is_vaults) => Ok(Reply::Missing(answer.body.unwrap_or_default())),
        404 => Err(not_vault(operation, false).with_code(404)),
        400 => Ok(Reply::Refused),
        _ => Err(of_status(status, answer.body.is_some(), operation, write, answer.retry_after)),
    }
}

/// True for what Vault says when something is missing; what stands in front of it says something else.
fn is_vaults(body: &crate::client::Json) -> bool {
    !body.get("errors").is_null() || !body.get("data").is_null()
}

/// The error of a status that is neither success nor one the caller tells apart.
pub(crate) fn of_status(status: u16, own: bool, operation: Operation, write: bool, wait: Option<u64>) -> Error {
    let (kind, detail) = match status {
        300..=399 => {
            let detail = "the server redirects, which is never followed; give the address of the active node";
            (ErrorKind::Unavailable, detail)
        }
        401 | 403 => (ErrorKind::Denied, "the token may not do this; check the policies of its role"),
        404 => (ErrorKind::NotFound, "the server knows no such path; check mount, role and namespace"),
        412 => (ErrorKind::Unavailable, "the node has not yet seen an earlier write; repeat"),
        413 => (ErrorKind::Invalid, "the request is larger than the server accepts"),
        429 => (ErrorKind::Throttled, "the server limits the rate of requests"),
        // From Vault itself it says that nothing was done; in front of it, nobody knows.
        503 if own => (ErrorKind::Unavailable, "the server is sealed or has no active node"),
        400..=499 => (ErrorKind::Invalid, "the server refused the request as malformed"),
        _ => (lost(write), "the server failed"),
    };
    let error = fault(kind, operation, detail).with_code(status.into());
    match (status, wait) {
        (300..=399, _) => error.with_retry(Retry::No),
        (412 | 429 | 503, Some(seconds)) => error.with_retry(Retry::After(std::time::Duration::from_secs(seconds))),
        _ => error,
    }
}

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
pub(crate) fn library(error: &ClientError, operation: Operation) -> Error {
    match error {
        ClientError::APIError { code: 400, .. } => {
            fault(ErrorKind::Invalid, operation, "the server refused the request").with_code(400)
        }
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
