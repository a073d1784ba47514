//! What happens in the quickstart, in order.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use keyward::core::{ManualClock, SecretBackendExt};
use keyward::file::{FileBackend, KeyFile};
use keyward::issuer::GeneratedIssuer;
use keyward::keyring::ReportedHealth;
use keyward::leak::{LeakStep, Leaked};
use keyward::{Context, Environment, Inventory, KeyId, Keyring, LeakReport, LeakResponse, Rotator, SecretValue, Step};

use crate::cast::{self, Billing, CHARGES, REPORTS};
use crate::{Answer, key_path, show, store_path};

pub(crate) async fn tell(directory: &Path) -> Answer {
    let began = Instant::now();
    let clock = Arc::new(ManualClock::at(Utc::now()));

    title("1. Create an encrypted store");
    let unlock = KeyFile::create(key_path(directory))?;
    let store = FileBackend::builder().clock(clock.clone()).create(store_path(directory), unlock).await?;
    say("the store is one file of sealed records; the key file next to it opens it (keep them apart in earnest)");

    title("2. Register keys: owner, backup owner, team, scope, links");
    let inventory = Inventory::new(store.clone())
        .actor("ada@example.com")
        .clock(clock.clone())
        .inventory_key(store.inventory_key());
    let mut keys = Vec::new();
    for draft in cast::drafts()? {
        let record = inventory.register(draft).await?;
        say(&format!("{}: {}, for {}", record.id(), record.scope().access(), record.ownership().team()));
        keys.push(record.id().clone());
    }
    let (draft, value) = cast::brought_in()?;
    let imported = inventory.import(draft, value, "moved out of the deploy script").await?;
    say(&format!("{}: brought in with the value it had", imported.id()));

    title("3. Give every key its first value");
    let health = Arc::new(ReportedHealth::default());
    let issuer = GeneratedIssuer::new("acme")?;
    let rotator = Rotator::builder(store.clone())
        .actor("billing-rotator")
        .issuer_and_validator("acme", issuer.clone())
        .health(health.clone())
        .clock(clock.clone())
        .poll_every(Duration::from_secs(1_800))
        .inventory_key(store.inventory_key())
        .build()?;
    for key in &keys {
        let mut run = rotator.start_or_resume(key, "first value").await?;
        loop {
            match run.step().await? {
                Step::Wait { at_most, .. } => clock.advance(at_most),
                Step::NeedsOperator(what) => return Err(what.into()),
                Step::Finished(_) => break,
                _ => {}
            }
        }
    }
    say("each was created, stored, validated three times in a row and published");

    title("4. Load them as a service would");
    let first = Billing::start(store.clone(), clock.clone(), health.clone(), "billing-1").await?;
    let second = Billing::start(store.clone(), clock.clone(), health.clone(), "billing-2").await?;
    say(&format!("billing-api holds {} keys of production and of no other environment", first.keys().keys().count()));
    let refused = Keyring::builder(store.clone())
        .environment(Environment::Production)
        .service("billing-api")
        .require("staging/payments/stripe-charges")
        .require("analytics/warehouse-read")
        .load()
        .await;
    match refused {
        Ok(_) => return Err("a key of another environment was handed out".into()),
        Err(error) => say(&format!("refused, and on the audit log:\n{error}")),
    }

    title("5. Rotate one key through the whole playbook (days of soak pass on a clock moved by hand)");
    let charges: KeyId = CHARGES.parse()?;
    print!("{}", rotator.plan(&charges).await?);
    let vendor = async |token: SecretValue| {
        let cx = Context::new("acme", "verify a token");
        let record = match cx {
            Ok(cx) => store.load_one(&cx, &charges).await.ok().flatten(),
            Err(_) => None,
        };
        record.is_some_and(|record| issuer.verify(&record.value, &token).is_some())
    };
    let mut run = rotator.start_or_resume(&charges, "quarterly").await?;
    let mut waited = Duration::ZERO;
    loop {
        match run.step().await? {
            Step::Wait { at_most, .. } => {
                first.work(vendor).await?;
                second.work(vendor).await?;
                waited += at_most;
                clock.advance(at_most);
            }
            Step::Finished(report) => {
                say(&format!("{report} after {} hours on that clock", waited.as_secs() / 3_600));
                break;
            }
            Step::NeedsOperator(what) => return Err(what.into()),
            step => say(&step.to_string()),
        }
    }

    title("6. Answer a leak of another key");
    let reports: KeyId = REPORTS.parse()?;
    let leaked = inventory.get(&reports).await?.primary().and_then(|v| v.fingerprint).ok_or("no fingerprint")?;
    let report = LeakReport::of(reports, Leaked::Fingerprint(leaked), "seen in a public repository")?;
    let mut response =
        LeakResponse::open(&rotator, &report.exposed_from(Utc::now() - chrono::TimeDelta::hours(2))).await?;
    say(&format!("reported by its fingerprint {}, so that nobody pastes the value into a ticket", leaked.short()));
    loop {
        match response.step().await? {
            LeakStep::Wait { at_most, .. } => clock.advance(at_most),
            step => {
                say(&step.to_string());
                if matches!(step, LeakStep::AwaitingReview(_)) {
                    break;
                }
            }
        }
    }

    title("7. The inventory and the verified audit log");
    show(&store).await?;

    title("Done");
    say(&format!("in {:.1} s, and no value was printed", began.elapsed().as_secs_f32()));
    let place = directory.display();
    say(&format!("look again: cargo run --example quickstart -- {place} show"));
    say(&format!("remove it:  rm -r {place}"));
    Ok(())
}

fn title(text: &str) {
    println!("\n{text}");
}

fn say(text: &str) {
    for line in text.lines() {
        println!("   {line}");
    }
}
