//! A service loads its own keys: all of them or one error, in memory, following rotations, never
//! printed.
//!
//! ```
//! use std::error::Error;
//! use keyward::core::{Environment, MemoryBackend};
//! use keyward::keyring::{Keyring, Outcome};
//!
//! async fn start(store: MemoryBackend) -> Result<(), Box<dyn Error>> {
//!     let keys = Keyring::builder(store)
//!         .environment(Environment::Production) // another environment's key cannot even be named
//!         .service("billing-api") // must be in each key's scope
//!         .require("payments/stripe-charges")
//!         .optional("messaging/twilio-send")
//!         .load()
//!         .await?; // all handles, or every problem with owner and runbook
//!     let _refresh = keys.spawn_refresh(); // stops when dropped
//!     let stripe = keys.handle("payments/stripe-charges")?;
//!
//!     let key = stripe.live()?; // wait-free; no old value when it cannot be trusted
//!     # async fn post(_: &str) -> u16 { 200 }
//!     let status = post(key.expose_str()?).await;
//!     key.report(Outcome::from_http_status(status)); // about this version
//!     Ok(())
//! }
//! ```
//!
//! # What is served
//! Exactly the version the key's record calls primary, and nothing else: no version that is
//! planned, staged, validated, being revoked, dead or leaked. What was once seen revoked or leaked
//! is never served again, also when the store later shows an older record.
//!
//! # How long
//! The store is asked every [`Keyring::SOFT_TTL`]. When it cannot be reached, values are served
//! until [`Keyring::HARD_TTL`] after it last confirmed them, and then no longer. A version's own
//! expiry is kept as well. Both deadlines run on a monotonic clock, which a change of the wall
//! clock does not move; on most systems it does not count the time a machine is suspended.
//!
//! # What this does not do
//! Hide a value from whoever reads the memory of the process, or lock it there. Values are wiped
//! when their version leaves service and the last [`LiveKey`] of it is gone.

mod arm;
mod bell;
mod builder;
mod error;
mod handle;
mod health;
mod judge;
mod keys;
mod names;
mod outcome;
mod problem;
mod refresh;
mod ring;
mod slot;
mod tick;

pub use builder::KeyringBuilder;
pub use error::{HandleError, LiveError, NotLive, NotText, Why};
pub use handle::{KeyHandle, LiveKey, Watch};
pub use health::ReportedHealth;
pub use keys::Keyring;
pub use outcome::Outcome;
pub use problem::{KeyProblem, LoadError, Problem};
pub use refresh::{RefreshGuard, Refreshed};
