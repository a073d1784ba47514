//! A service starts with 1,000 keys: 1,000 records and 1,000 values, from a server that takes 5 ms for each
//! request. Beside it the same requests without this library: batches of 20 by the SDK of AWS, one request each by
//! a bare HTTP client for Vault, as many under way at once. Ends with the ratios of this run.
//!
//! Clients are made and connections opened before the measurement, on all sides.
#![expect(clippy::print_stdout, reason = "the ratios are the result")]

mod aws;
#[path = "../../tests/keyring/setup.rs"]
mod setup;
mod vault;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use keyward::core::{
    Environment, Expect, KeyId, Material, MemoryBackend, Publish, SecretBackend, SecretValue, Stage, Swap, SystemClock,
};
use keyward::keyring::Keyring;
use keyward_remote::fan_out;
use tokio::runtime::{Builder, Runtime};

const KEYS: usize = 1_000;
const DELAY: Duration = Duration::from_millis(5);
const ROUNDS: usize = 21;

/// A store with 1,000 keys, the same requests made by hand, and a thread of its own for the server.
trait Side {
    /// The store.
    type Store: SecretBackend + Clone + 'static;

    /// What the library reads through.
    fn store(&self) -> Self::Store;

    /// Asks for all records, then for all values, and counts what came.
    async fn by_hand(&self) -> usize;
}

fn start(c: &mut Criterion) {
    let (server, client) = (runtime(), runtime());
    let mut group = c.benchmark_group("start with 1,000 keys");
    group.sample_size(10);
    let aws = aws::side(&server, &client);
    group.bench_function("AWS: SDK in batches", |b| b.iter(|| client.block_on(aws.by_hand())));
    group.bench_function("AWS: keyward", |b| b.iter(|| client.block_on(load(&aws))));
    let vault = vault::side(&server, &client);
    group.bench_function("Vault: bare HTTP", |b| b.iter(|| client.block_on(vault.by_hand())));
    group.bench_function("Vault: keyward", |b| b.iter(|| client.block_on(load(&vault))));
    group.finish();
}

criterion_group!(benches, start);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();

    let (server, client) = (runtime(), runtime());
    println!();
    compare("AWS, batches of 20", &client, &aws::side(&server, &client));
    compare("Vault, one by one", &client, &vault::side(&server, &client));
}

/// Prints the medians of rounds that take turns: what else the machine does meanwhile meets both alike.
fn compare(name: &str, client: &Runtime, side: &impl Side) {
    let mut times = [(); 2].map(|()| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        let began = Instant::now();
        assert_eq!(client.block_on(side.by_hand()), 2 * KEYS);
        times[0].push(began.elapsed());
        let began = Instant::now();
        client.block_on(load(side));
        times[1].push(began.elapsed());
    }
    let [by_hand, keyward] = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1e3
    });
    let ratio = keyward / by_hand;
    println!("{name}: by hand {by_hand:.0} ms, keyward {keyward:.0} ms: {ratio:.2} x (goal 1.2)");
}

/// The start of a service.
async fn load(side: &impl Side) -> Keyring {
    let builder = Keyring::builder(side.store()).environment(Environment::Production).service("billing-api");
    let builder = (0..KEYS).fold(builder, |builder, n| builder.require(&name(n)));
    builder.load().await.expect("the keyring loads")
}

fn name(n: usize) -> String {
    format!("payments/stripe-charges-tenant-{n:04}")
}

fn id(n: usize) -> KeyId {
    setup::id(&format!("production/{}", name(n)))
}

/// Brings the keys into a store, each with one live version; answers the versions.
async fn fill(store: &impl SecretBackend) -> Vec<String> {
    let (memory, clock) = (MemoryBackend::default(), SystemClock);
    let value = |n: usize| format!("sk_live_{n:032}");
    let version = |n| setup::provision(&memory, &clock, id(n).as_str(), &value(n));
    let versions: Vec<_> = (0..KEYS).map(version).collect();
    let cx = setup::cx();
    fan_out(0..KEYS, 16, async |n: usize| {
        let record = setup::record(&memory, id(n).as_str());
        let publication = record.publications().last().expect("a publication").id;
        let target = record.target();
        let material = Material::one(SecretValue::from(value(n).as_str())).expect("material");
        let swap = store.swap(&cx, &id(n), Expect::Absent, &record).await.expect("a swap");
        assert!(matches!(swap, Swap::Applied(_)));
        let stage = store.stage(&cx, &target, versions[n], &material).await.expect("a stage");
        assert_eq!(stage, Stage::Stored);
        let pointer = store.pointer(&cx, &target).await.expect("a pointer").token;
        let publish = store.publish(&cx, &target, versions[n], publication, &pointer).await.expect("a publish");
        assert!(matches!(publish, Publish::Moved(_)));
    })
    .await;
    versions.iter().map(ToString::to_string).collect()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
