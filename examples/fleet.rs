//! A fleet of keys: what is due and why, a pass with its events, a leak that comes first, a key that
//! needs a person and holds nobody up, and a drill.
//!
//! ```text
//! cargo run --example fleet             # in memory
//! cargo run --example fleet -- DIR      # an encrypted file in DIR, which exists and holds no store
//! ```
//!
//! A clock that is moved by hand stands for the weeks. A real fleet leaves it out and calls
//! `run_forever`.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use keyward::core::{
    ArmCounts, Clock, HealthQuery, HealthReport, HealthSignal, KeyIssuer, ManualClock, MemoryBackend, Result,
    SecretBackendExt, SystemClock,
};
use keyward::file::{FileBackend, KeyFile};
use keyward::issuer::{GeneratedIssuer, ManualIssuer};
use keyward::leak::{LeakReport, LeakResponse, Leaked};
use keyward::rotation::drill::{Consumer, Drill};
use keyward::rotation::{FleetReport, FleetRotator, Paced, Schedule};
use keyward::{
    AccessLevel, Context, Inventory, KeyDraft, KeyId, Ownership, Rotator, Scope, SecretBackend, async_trait,
};

type Answer<T = ()> = std::result::Result<T, Box<dyn StdError>>;
type Store = Paced<Arc<dyn SecretBackend>>;

const DAY: Duration = Duration::from_secs(86_400);

fn main() -> Answer {
    future::block_on(async {
        let clock = Arc::new(ManualClock::default());
        let store: Arc<dyn SecretBackend> = match std::env::args().nth(1) {
            None => Arc::new(MemoryBackend::with_clock(clock.clone())),
            Some(directory) => Arc::new(file(Path::new(&directory), &clock).await?),
        };
        run(Paced::new(store), &clock).await
    })
}

async fn file(directory: &Path, clock: &Arc<ManualClock>) -> Answer<FileBackend> {
    let unlock = KeyFile::create(directory.join("unlock.key"))?;
    Ok(FileBackend::builder().clock(clock.clone()).create(directory.join("keys.keyward"), unlock).await?)
}

async fn run(store: Store, clock: &Arc<ManualClock>) -> Answer {
    println!("seven keys of three issuers; one of the issuers is a person");
    let inventory = Inventory::new(store.clone()).actor("ada@example.com").clock(clock.clone());
    for name in ["charges", "refunds", "reports", "exports", "invoices", "search"] {
        inventory.register(draft(name, if name < "f" { "globex" } else { "acme" })?).await?;
    }
    inventory.register(draft("letters", "post-office")?).await?;

    let rotator = Arc::new(rotator(store.clone(), clock)?);
    let mut fleet = FleetRotator::builder(rotator.clone()).schedule(Schedule::default().first_versions()).build()?;
    println!("\nwhat is due (nothing is done)\n{}", fleet.dry_run().await);
    println!("\nthe first pass\n{}", while_time_goes_by(clock, fleet.pass()).await);

    println!("\na hundred days later: the keys are old, Ada has left, and one key was seen in a paste");
    clock.advance(DAY * 100);
    let leak = LeakReport::of(key("search")?, Leaked::Current, "a paste site")?;
    LeakResponse::open(&rotator, &leak).await?;
    let schedule = Schedule::default().person_left("ada@example.com", clock.now());
    let mut fleet = FleetRotator::builder(rotator.clone()).schedule(schedule).build()?;
    let mut events = fleet.events();
    let mut report = while_time_goes_by(clock, fleet.pass()).await;
    while let Some(event) = events.try_next() {
        println!("   {event}");
    }
    println!("{report}");

    println!("\nuntil all is done, a process killed or not");
    for _ in 0..20 {
        clock.advance(until(&report, clock));
        report = while_time_goes_by(clock, fleet.pass()).await;
        println!("   {}: {}", clock.now().format("%Y-%m-%d %H:%M"), report.summary());
        if report.keys.iter().all(|key| key.issuer.as_str() == "post-office") {
            break;
        }
    }

    println!("\na drill of one key, before its next rotation");
    let record = store.load_existing(&Context::new("ada@example.com", "a drill")?, &key("charges")?).await?.value;
    let nightly = Consumer::caching("nightly export", DAY);
    let issuer = GeneratedIssuer::new("acme")?;
    let drill = Drill::of(record, issuer.capabilities()).at(clock.now()).ask(&store);
    println!("{}", drill.consumer(Consumer::library("billing-api")).consumer(nightly).run().await?);
    Ok(())
}

fn rotator(store: Store, clock: &Arc<ManualClock>) -> Answer<Rotator<Store>> {
    Ok(Rotator::builder(store)
        .actor("fleet")
        .issuer_and_validator("acme", GeneratedIssuer::new("acme")?)
        .issuer_and_validator("globex", GeneratedIssuer::new("globex")?)
        .issuer("post-office", ManualIssuer::new("ask at the counter", "tell them at the counter")?)
        .health(AllIsWell)
        .clock(clock.clone())
        .poll_every(Duration::from_secs(6 * 3_600))
        .build()?)
}

fn key(name: &str) -> Answer<KeyId> {
    Ok(format!("production/analytics/{name}").parse()?)
}

fn draft(name: &str, issuer: &str) -> Answer<KeyDraft> {
    let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("billing-api")?;
    Ok(KeyDraft::new(key(name)?, owners, scope, issuer.parse()?))
}

/// When the fleet wants to go on, a few hours at least.
fn until(report: &FleetReport, clock: &ManualClock) -> Duration {
    let next = report.next_due.map_or(DAY, |at| (at - clock.now()).to_std().unwrap_or_default());
    next.clamp(DAY / 4, DAY)
}

/// A second of the clock for every millisecond: the fleet sits out waits of a few seconds.
async fn while_time_goes_by<T>(clock: &ManualClock, work: impl Future<Output = T>) -> T {
    let time = async {
        loop {
            SystemClock.sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_secs(1));
        }
    };
    future::or(work, time).await
}

/// Stands for the metrics of an application.
#[derive(Clone, Copy, Debug)]
struct AllIsWell;

#[async_trait]
impl HealthSignal for AllIsWell {
    async fn health(&self, _cx: &Context, _query: &HealthQuery) -> Result<HealthReport> {
        let mut arm = ArmCounts::default();
        (arm.clean, arm.clients) = (1_000, 3);
        Ok(HealthReport::of(arm))
    }
}
