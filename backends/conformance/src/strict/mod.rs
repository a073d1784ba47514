//! Fakes to test callers of the contract with: a store and an issuer that keep the rules to the
//! letter, and hosts that die, lose replies and are refused exactly where a script says so.
//!
//! - [`StrictFake`] is the store, [`FakeIssuer`] the issuer, [`FakeValidator`] the probe.
//! - A [`Host`] stands for one process. [`Host::wrap`] puts it in front of any store, issuer or
//!   validator; all its calls share one numbering, which a [`FaultPlan`] refers to.
//! - [`run_until_crash`] drives a future as that process would, and stops where it dies.
//!
//! ```
//! use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake, run_until_crash};
//! use keyward_core::{Context, SecretBackend, SecretBackendExt};
//!
//! let store = StrictFake::default();
//! let cx = Context::new("docs", "example")?;
//! let key = "dev/payments/charges".parse()?;
//!
//! let host = Host::new("a", FaultPlan::none().at(1, Fault::CrashBefore));
//! let seen = host.wrap(store.clone());
//! let done = run_until_crash(&host, async {
//!     seen.load_one(&cx, &key).await?;
//!     seen.load_one(&cx, &key).await
//! });
//! assert!(done.is_none() && host.crashed());
//! assert_eq!(host.calls(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod faulty;
mod faulty_issuer;
mod host;
mod issuer;
mod issuer_calls;
mod listing;
mod plan;
mod run;
mod script;
mod state;
mod store;
mod validator;

pub use faulty::Faulty;
pub use host::{Call, Host};
pub use issuer::{FakeIssuer, Late};
pub use plan::{Fault, FaultPlan};
pub use run::{run_on_clock, run_until_crash};
pub use state::{Misuse, Move};
pub use store::StrictFake;
pub use validator::{FakeValidator, Flap};
