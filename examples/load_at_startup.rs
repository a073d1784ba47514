//! A service that starts: its own keys, in memory, followed through a rotation, never printed.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{Link, ManualClock, SecretBackendExt};
use keyward::file::{FileBackend, KeyFile};
use keyward::issuer::GeneratedIssuer;
use keyward::{
    AccessLevel, Context, Environment, Inventory, KeyDraft, KeyId, Keyring, Mode, Outcome, Ownership, RotationPolicy,
    Rotator, Scope, SecretValue, Step,
};

type Answer<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Answer {
    block_on(run())
}

async fn run() -> Answer {
    let directory = tempfile::tempdir()?;
    let unlock = KeyFile::create(directory.path().join("unlock.key"))?;
    let store = FileBackend::create(directory.path().join("keys.keyward"), unlock).await?;
    let charges: KeyId = "production/payments/stripe-charges".parse()?;
    register(&store, &charges).await?;

    println!("1. Nothing is provisioned yet: the service does not start, and says whom to ask.\n");
    let declare = || {
        Keyring::builder(store.clone())
            .environment(Environment::Production) // another environment's key cannot even be named
            .service("billing-api") // must be in each key's scope
            .require("payments/stripe-charges")
            .optional("messaging/twilio-send")
    };
    if let Err(error) = declare().require("staging/payments/stripe-charges").load().await {
        println!("{error}\n");
    }

    println!("2. After the first rotation it does.\n");
    let vendor = GeneratedIssuer::new("acme")?;
    rotate(&store, &vendor, &charges).await?;
    let keys = declare().load().await?;
    let _refresh = keys.spawn_refresh(); // stops when dropped
    let stripe = keys.handle("payments/stripe-charges")?;
    let key = stripe.live()?; // wait-free; an error when it cannot be trusted any more
    println!("{key:?}\n");

    println!("3. A rotation goes by. The old key is rejected once, and the new one is there.\n");
    rotate(&store, &vendor, &charges).await?;
    let mut watch = stripe.watch();
    let status = call(&store, &vendor, &charges, key.expose_secret()).await?;
    println!("the service answers {status} to the old key");
    key.report(Outcome::from_http_status(status)); // about the version that was used
    println!("now serving version {}", watch.changed().await);
    let key = stripe.live()?;
    key.report(Outcome::from_http_status(call(&store, &vendor, &charges, key.expose_secret()).await?));
    let counts = keys.health().counts(&charges, key.version());
    println!("reported about it: {} clean, {} rejected", counts.clean, counts.rejects());
    Ok(())
}

async fn register(store: &FileBackend, key: &KeyId) -> Answer {
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write")?;
    let draft = KeyDraft::new(
        key.clone(),
        Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?,
        scope.endpoint("POST /v1/charges")?.service("billing-api")?,
        "acme".parse()?,
    );
    let runbook = Link::runbook("Charges stop", "https://runbooks.example.com/charges")?;
    // No soak and one validation, so that the example is short. Keep the defaults in earnest.
    let policy = RotationPolicy::default()
        .with_windows(Duration::ZERO, Duration::ZERO, Duration::ZERO)
        .with_validation(1, Duration::from_secs(10));
    Inventory::new(store).actor("ada").register(draft.link(runbook).policy(policy)).await?;
    Ok(())
}

/// Another process rotates; see `rotate_embedded.rs`. A person overrides the gate, to save time.
async fn rotate(store: &FileBackend, vendor: &GeneratedIssuer, key: &KeyId) -> Answer {
    let rotator = Rotator::builder(store.clone())
        .issuer_and_validator("acme", vendor.clone())
        .clock(Arc::new(ManualClock::at(chrono::Utc::now())))
        .build()?;
    let mut run = rotator.start_or_resume(key, "for the example").await?;
    loop {
        match run.step().await? {
            Step::Finished(_) => return Ok(()),
            Step::NeedsOperator(_) => rotator.override_gate(key, "nobody calls in an example").await?,
            _ => {}
        }
    }
}

/// Stands for the vendor's service: it verifies the key that is presented.
async fn call(store: &FileBackend, vendor: &GeneratedIssuer, key: &KeyId, presented: &[u8]) -> Answer<u16> {
    let record = store.load_existing(&Context::new("acme", "verify a key")?, key).await?.value;
    Ok(if vendor.verify(&record, &SecretValue::from(presented)).is_some() { 200 } else { 401 })
}
