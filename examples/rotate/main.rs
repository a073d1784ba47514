//! A key is rotated under load, with real processes and zero failed requests; then with a bad new
//! key, which the health gate catches and takes back.
//!
//! ```text
//! cargo run --example rotate
//! ```
//!
//! Three more processes run beside this one: Acme, the vendor, which sells charges and mints keys;
//! and two of the service `billing-api`, which load their key from the store at start, follow it and
//! charge as fast as they can. This process rotates. The windows last seconds here and days in
//! earnest.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod acme;
mod billing;
mod http;
mod issuer;
mod metrics;
mod processes;

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use keyward::core::{Mode, RunOutcome};
use keyward::file::{FileBackend, KeyFile};
use keyward::{AccessLevel, Inventory, KeyDraft, KeyId, Ownership, RotationPolicy, Rotator, Scope};

use crate::issuer::Acme;
use crate::metrics::Metrics;
use crate::processes::Processes;

type Answer<T = ()> = Result<T, Box<dyn StdError + Send + Sync>>;

const KEY: &str = "production/payments/acme-charges";

#[tokio::main]
async fn main() -> Answer {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["acme"] => acme::run().await,
        ["billing", directory, acme] => billing::run(Path::new(directory), acme).await,
        _ => story().await,
    }
}

async fn story() -> Answer {
    let directory = tempfile::tempdir()?;
    let mut processes = Processes::default();
    let (acme_url, admin) = processes.start_acme().await?;
    let acme = Acme::at(&acme_url, admin);

    let (store, unlock) = (directory.path().join("keys.keyward"), directory.path().join("unlock.key"));
    let store = FileBackend::create(&store, KeyFile::create(&unlock)?).await?;
    let key: KeyId = KEY.parse()?;
    Inventory::new(store.clone()).actor("ada@example.com").register(draft(&key)?).await?;

    let metrics = Metrics::default();
    let rotator = Rotator::builder(store)
        .actor("billing-rotator")
        .issuer_and_validator("acme", acme.clone())
        .health(metrics.clone())
        .poll_every(Duration::from_millis(500))
        .probe_gap(Duration::from_millis(200))
        .build()?;
    println!("the first key");
    rotator.start_or_resume(&key, "first value").await?.run_to_completion().await?;

    println!("two processes of billing-api start and charge as fast as they can");
    for _ in 0..2 {
        metrics.follow(processes.start_billing(directory.path(), &acme_url).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    println!("\na rotation under load");
    let outcome = rotate(&rotator, &key, "quarterly").await?;
    let good = metrics.totals().await?;
    println!("   {good}");
    expect(outcome == RunOutcome::Completed && good.failed == 0, "a rotation without a failed request")?;

    println!("\nanother one, and Acme hands out a key that half of its own servers refuse");
    acme.next_key_is_bad();
    let outcome = rotate(&rotator, &key, "quarterly, again").await?;
    let after = metrics.totals().await?;
    println!("   {}", after.since(&good));
    expect(outcome == RunOutcome::RolledBack && after.failed > good.failed, "the bad key was taken back")?;

    tokio::time::sleep(Duration::from_secs(1)).await; // the services follow the old key again
    let calm = metrics.totals().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let end = metrics.totals().await?;
    println!("\nafterwards, on the old key: {}", end.since(&calm));
    expect(end.failed == calm.failed, "the old key serves as if nothing had been")?;
    println!("Acme: {}", acme.census().await?);
    Ok(())
}

async fn rotate(rotator: &Rotator<FileBackend>, key: &KeyId, reason: &str) -> Answer<RunOutcome> {
    let mut run = rotator.start_or_resume(key, reason).await?;
    let mut waited_for = String::new();
    loop {
        match run.step().await? {
            keyward::Step::Wait { at_most, why } => {
                if why != waited_for {
                    println!("   waiting: {why}");
                    waited_for = why;
                }
                tokio::time::sleep(at_most.min(Duration::from_millis(500))).await;
            }
            keyward::Step::NeedsOperator(what) => return Err(what.into()),
            keyward::Step::Finished(report) => {
                println!("   {report}");
                report.evidence.iter().for_each(|seen| println!("   evidence: {seen}"));
                return Ok(report.outcome);
            }
            done => println!("   {done}"),
        }
    }
}

/// The usual policy, at the pace of an example.
fn draft(key: &KeyId) -> Answer<KeyDraft> {
    let owners = Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?;
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write")?;
    let scope = scope.endpoint("POST /v1/charges")?.service("billing-api")?;
    let seconds = Duration::from_secs;
    let policy = RotationPolicy::default().with_windows(seconds(4), seconds(4), seconds(60));
    Ok(KeyDraft::new(key.clone(), owners, scope, "acme".parse()?).policy(policy))
}

fn expect(holds: bool, what: &str) -> Answer {
    if holds { Ok(()) } else { Err(format!("this was not {what}").into()) }
}
