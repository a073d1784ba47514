//! Issuers that need no vendor: tokens generated here, and keys supplied by a person.
//!
//! - [`GeneratedIssuer`]: your own service is the issuer. Tokens carry a prefix and a checksum;
//!   only their hashes are kept, in the key's record, and verified in constant time.
//! - [`ManualIssuer`]: a person makes and revokes the keys; the engine asks, waits and checks.
//!
//! Cloud issuers live with their backends.

mod generated;
mod manual;
mod token;

pub use generated::GeneratedIssuer;
pub use manual::ManualIssuer;
pub use token::{PrefixError, TokenPrefix};
