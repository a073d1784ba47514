//! Names that would be something else on some backend.

use std::sync::Arc;

use keyward::core::{KeyId, ManualClock};
use keyward::inventory::Inventory;
use keyward::keyring::Keyring;
use keyward_conformance::strict::Host;

use crate::world::{Store, World};

const HOSTILE: [&str; 23] = [
    "",
    "production",
    "production/payments",
    "production/payments/",
    "/production/payments/charges",
    "production//charges",
    "production/payments/charges/extra",
    "production/../payments",
    "production/payments/..",
    "production/payments/.",
    "production/payments/%2e%2e",
    "production/payments/a%2fb",
    "production/payments/a\\b",
    "production/payments/a b",
    "production/payments/a?version=1",
    "production/payments/a#b",
    "production/payments/a*",
    "production/payments/a\0b",
    "production/payments/a\nb",
    "production/payments/\u{202e}segrahc",
    "production/payments/schl\u{fc}ssel",
    "Production/Payments/Charges",
    "production/payments/charges.key",
];

pub(crate) async fn f55_hostile_names_are_refused_before_any_call(store: impl Store, clock: Arc<ManualClock>) {
    let world = World::in_service(store, clock).await;
    let host = Host::steady("a");
    let inventory = Inventory::new(host.wrap(world.store.clone()));
    assert!(inventory.actor("ada").get(&"production/payments/stripe-charges".parse().expect("an id")).await.is_ok());
    let calls = host.calls();
    for name in HOSTILE {
        let refused = name.parse::<KeyId>().expect_err(name).to_string();
        assert!(name.is_empty() || !refused.contains(name), "the error repeats what it was given: {refused}");
        // A name within the environment has two parts; with three it is another environment's key.
        let Some(within) = name.strip_prefix("production/").filter(|rest| rest.matches('/').count() == 1) else {
            continue;
        };
        let loaded = Keyring::builder(host.wrap(world.store.clone()))
            .environment(keyward::core::Environment::Production)
            .service("billing-api")
            .require(within)
            .load()
            .await;
        assert!(loaded.is_err(), "{name:?} was loaded");
        assert_eq!(host.calls(), calls, "{name:?} reached the store: {:?}", host.trace());
    }
}
