#![doc = include_str!("docs.md")]
#![doc = concat!("```json\n", include_str!("../../policies/access-keys.json"), "```\n")]

mod attribution;
mod calls;
mod config;
mod iam;
mod probe;
mod usage;
mod user;

pub use config::IamBuilder;
pub use iam::IamIssuer;
pub use probe::IamValidator;
pub use usage::IamUsage;

/// The name of this issuer in errors.
const NAME: &str = "aws-iam";
/// The fields of the material.
const KEY_ID: &str = "access_key_id";
const SECRET: &str = "secret_access_key";
