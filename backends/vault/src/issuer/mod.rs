#![doc = include_str!("docs.md")]

mod app_role;
mod app_role_config;
mod app_role_probe;
mod label;
mod secret_ids;
mod token;
mod token_calls;
mod token_config;
mod token_probe;

pub use app_role::AppRoleIssuer;
pub use app_role_config::AppRoleBuilder;
pub use app_role_probe::AppRoleValidator;
pub use token::TokenIssuer;
pub use token_config::TokenBuilder;
pub use token_probe::TokenValidator;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{Clock, CreateError, Error, ErrorKind, Operation, SystemClock};
use serde_json::Value;

use crate::error::fault;

/// Nothing was created, unless the error says that nobody knows.
fn create_error(error: Error) -> CreateError {
    match error.kind() {
        ErrorKind::Unknown => CreateError::Unknown(error),
        _ => CreateError::NotCreated(error),
    }
}

/// There was a success, so there is a key, but its answer cannot be used.
fn lost_key() -> CreateError {
    let detail = "the server made a key but its answer cannot be used";
    CreateError::Unknown(fault(ErrorKind::Unknown, Operation::Create, detail))
}

/// When something ends that has so many seconds left; nothing when it never does.
fn end_of(seconds: &Value) -> Option<DateTime<Utc>> {
    let left = seconds.as_u64().filter(|seconds| *seconds > 0)?;
    let left = TimeDelta::from_std(Duration::from_secs(left)).ok()?;
    SystemClock.now().checked_add_signed(left)
}

/// How many lookups of a search are under way at once.
const AT_ONCE: usize = 16;
