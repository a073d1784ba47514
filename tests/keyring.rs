//! A service loads its keys and follows the store: what is served, what is refused, for how long.

#[path = "keyring/flaky.rs"]
mod flaky;
#[path = "keyring/follow.rs"]
mod follow;
#[path = "keyring/load.rs"]
mod load;
#[path = "keyring/report.rs"]
mod report;
#[path = "keyring/setup.rs"]
mod setup;
#[path = "keyring/time.rs"]
mod time;

use std::sync::Arc;

use futures_lite::future::block_on;
use keyward::core::{Environment, ManualClock, MemoryBackend, SecretBackend};
use keyward::keyring::{KeyHandle, Keyring, KeyringBuilder, LoadError, Why};

/// The key most tests are about.
const CHARGES: &str = "production/payments/stripe-charges";
/// Its name in code.
const NAME: &str = "payments/stripe-charges";

/// A clock moved by hand and an empty store.
fn world() -> (Arc<ManualClock>, MemoryBackend) {
    let clock = Arc::new(ManualClock::default());
    (clock.clone(), MemoryBackend::with_clock(clock))
}

/// What billing declares in production.
fn billing(store: impl SecretBackend + 'static, clock: &Arc<ManualClock>) -> KeyringBuilder {
    Keyring::builder(store).environment(Environment::Production).service("billing-api").clock(clock.clone())
}

/// Billing with its one key.
fn load(store: impl SecretBackend + 'static, clock: &Arc<ManualClock>) -> Keyring {
    block_on(billing(store, clock).require(NAME).load()).expect("the keyring loads")
}

/// The text of a value. Panics with the error, which has none.
fn text(handle: &KeyHandle) -> String {
    handle.live().expect("a live key").expose_str().expect("text").to_owned()
}

/// Why a key has no live value.
fn why(handle: &KeyHandle) -> Why {
    handle.live().expect_err("no live key").why().clone()
}

/// The problems of a keyring that did not load.
fn refused(builder: KeyringBuilder) -> LoadError {
    block_on(builder.load()).expect_err("the keyring is refused")
}
