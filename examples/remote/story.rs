//! What both remote examples do, once their store is open: a key from registration to its second
//! version. Knows nothing of the store but its trait.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use keyward::core::{ArmCounts, HealthQuery, HealthReport, HealthSignal, ManualClock, Result};
use keyward::inventory::Filter;
use keyward::issuer::GeneratedIssuer;
use keyward::{
    AccessLevel, Context, Environment, Inventory, KeyDraft, KeyId, Keyring, Mode, Ownership, Rotator, Scope,
    SecretBackend, Step, async_trait,
};

pub(crate) type Answer<T = ()> = std::result::Result<T, Box<dyn Error>>;

pub(crate) const KEY: &str = "production/payments/stripe-charges";

/// Registers, provisions, loads, rotates and lists a key.
pub(crate) async fn tell<B: SecretBackend + Clone + 'static>(store: B) -> Answer {
    // A clock moved by hand stands for the days of soak; a real application leaves it out.
    let clock = Arc::new(ManualClock::default());
    let key: KeyId = KEY.parse()?;
    let inventory = Inventory::new(store.clone()).actor("ada@example.com").clock(clock.clone());
    inventory.register(draft(&key)?).await?;
    println!("registered {key}: owner, backup owner, team, scope; no value yet");

    let rotator = Rotator::builder(store.clone())
        .actor("billing-rotator")
        .issuer_and_validator("acme", GeneratedIssuer::new("acme_live")?)
        .health(Healthy)
        .clock(clock.clone())
        .poll_every(Duration::from_secs(6 * 3_600))
        .build()?;
    rotate(&rotator, &clock, &key, "first value").await?;

    let keys = Keyring::builder(store)
        .environment(Environment::Production)
        .service("billing-api")
        .clock(clock.clone())
        .require("payments/stripe-charges")
        .load()
        .await?;
    let stripe = keys.handle("payments/stripe-charges")?;
    println!("\nthe service has it: {:?}", stripe.live()?);

    println!("\nthe plan of a rotation (nothing is done):\n{}", rotator.plan(&key).await?);
    rotate(&rotator, &clock, &key, "quarterly").await?;
    keys.refresh().await;
    println!("\nthe service follows: {:?}", stripe.live()?);

    println!("\nthe inventory:\n{}", inventory.list(&Filter::all()).await?);
    Ok(())
}

fn draft(key: &KeyId) -> Answer<KeyDraft> {
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write")?;
    Ok(KeyDraft::new(
        key.clone(),
        Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?,
        scope.endpoint("POST /v1/charges")?.service("billing-api")?,
        "acme".parse()?,
    ))
}

async fn rotate<B: SecretBackend>(rotator: &Rotator<B>, clock: &ManualClock, key: &KeyId, reason: &str) -> Answer {
    let mut run = rotator.start_or_resume(key, reason).await?;
    loop {
        match run.step().await? {
            Step::Wait { at_most, .. } => clock.advance(at_most),
            Step::NeedsOperator(what) => return Err(what.into()),
            Step::Finished(report) => {
                println!("{report}");
                return Ok(());
            }
            done => println!("  {done}"),
        }
    }
}

/// Every request with the new key went well.
#[derive(Clone, Copy, Debug)]
struct Healthy;

#[async_trait]
impl HealthSignal for Healthy {
    async fn health(&self, _: &Context, _: &HealthQuery) -> Result<HealthReport> {
        let mut seen = ArmCounts::default();
        (seen.clean, seen.clients) = (500, 2);
        Ok(HealthReport::of(seen))
    }
}
