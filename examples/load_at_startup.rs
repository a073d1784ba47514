//! A service that starts: its own keys, in memory, followed through a rotation, never printed.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use futures_lite::future::block_on;
use keyward::core::{
    AccessLevel, Actor, Change, Context, Environment, Expect, HolderId, KeyDraft, KeyId, Link, Material, MemoryBackend,
    Mode, Ownership, Proof, PublicationId, RunId, RunKind, Scope, SecretBackend, SecretBackendExt, SecretValue,
    Transition, VersionId,
};
use keyward::inventory::Inventory;
use keyward::keyring::{Keyring, Outcome};

fn main() -> Result<(), Box<dyn Error>> {
    block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let store = MemoryBackend::default();
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
    rotate(&store, &charges, "sk_live_first").await?;
    let keys = declare().load().await?;
    let _refresh = keys.spawn_refresh(); // stops when dropped
    let stripe = keys.handle("payments/stripe-charges")?;
    let key = stripe.live()?; // wait-free; an error when it cannot be trusted any more
    println!("{key:?}\n");

    println!("3. A rotation goes by. The old key is rejected once, and the new one is there.\n");
    rotate(&store, &charges, "sk_live_second").await?;
    let mut watch = stripe.watch();
    key.report(Outcome::from_http_status(call(key.expose_str()?))); // about the version that was used
    println!("now serving version {}", watch.changed().await);
    let key = stripe.live()?;
    key.report(Outcome::from_http_status(call(key.expose_str()?)));
    let counts = keys.health().counts(&charges, key.version());
    println!("reported about it: {} clean, {} rejected", counts.clean, counts.rejects());
    Ok(())
}

/// Stands for the service the key is for: it knows the second key only.
fn call(key: &str) -> u16 {
    if key == "sk_live_second" { 200 } else { 401 }
}

async fn register(store: &MemoryBackend, key: &KeyId) -> Result<(), Box<dyn Error>> {
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write")?;
    let draft = KeyDraft::new(
        key.clone(),
        Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?,
        scope.endpoint("POST /v1/charges")?.service("billing-api")?,
        "acme".parse()?,
    );
    let runbook = Link::runbook("Charges stop", "https://runbooks.example.com/charges")?;
    Inventory::new(store).actor("ada").register(draft.link(runbook)).await?;
    Ok(())
}

/// What a rotator does, without its care: no validation, no soak. For the example only.
async fn rotate(store: &MemoryBackend, key: &KeyId, value: &str) -> Result<(), Box<dyn Error>> {
    let (cx, version) = (Context::new("example", "show a rotation")?, VersionId::generate());
    let target = store.load_existing(&cx, key).await?.value.target();
    store.stage(&cx, &target, version, &Material::one(SecretValue::from(value))?).await?;
    let expect = store.pointer(&cx, &target).await?.token;
    let publication = PublicationId::first(version);
    store.publish(&cx, &target, version, publication, &expect).await?;

    let (kind, reason) = (RunKind::Manual, cx.reason.clone());
    let moves = [
        Transition::Begin { run: RunId::generate(), kind, version, holder: HolderId::generate(), reason },
        Transition::Store { version, issuer_ref: None, issuer_state: None, fingerprint: None, expires_at: None },
        Transition::Validate { proof: Proof::new(chrono::Utc::now(), 1, "assumed".parse()?) },
        Transition::Promote { publication, expect },
        Transition::Confirm,
    ];
    let actor: Actor = "example".parse()?;
    for transition in moves {
        let current = store.load_existing(&cx, key).await?;
        let next = current.value.apply(&transition, &Change::new(actor.clone(), chrono::Utc::now()))?;
        store.swap(&cx, key, Expect::At(current.stamp), &next).await?;
    }
    Ok(())
}
