//! A planted secret never appears: not in `Debug`, `Display`, error chains, JSON, traces, panics,
//! audit rows, files, or what examples print; in no form; over every public call and every fault.
//!
//! `secret` plants and searches, `witness` looks and counts, `controls` prove that both work.

#![expect(clippy::print_stdout, reason = "each test says how much it looked at")]

mod support;

#[path = "canary/cast.rs"]
mod cast;
#[path = "canary/controls.rs"]
mod controls;
#[path = "canary/examples.rs"]
mod examples;
#[path = "canary/faults.rs"]
mod faults;
#[path = "canary/files.rs"]
mod files;
#[path = "canary/hooks.rs"]
mod hooks;
#[path = "canary/inputs.rs"]
mod inputs;
#[cfg(all(feature = "aws", feature = "vault"))]
#[path = "everywhere/stores.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod opened;
#[path = "canary/panics.rs"]
mod panics;
#[path = "canary/readers.rs"]
mod readers;
#[cfg(all(feature = "aws", feature = "vault"))]
#[path = "canary/remote.rs"]
mod remote;
#[path = "canary/secret.rs"]
mod secret;
#[path = "canary/stores.rs"]
mod stores;
#[path = "canary/tour.rs"]
mod tour;
#[path = "canary/witness.rs"]
mod witness;
