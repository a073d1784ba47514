//! A read on the hot path, beside what a user would write instead: an `ArcSwap`, or an `ArcSwap`
//! of a map. Ends with the ratios of this run.
#![expect(clippy::print_stdout, reason = "the ratios are the result")]

#[path = "../tests/keyring/setup.rs"]
mod setup;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use criterion::{Criterion, criterion_group};
use futures_lite::future::block_on;
use keyward::core::{Environment, MemoryBackend, SecretValue, SystemClock};
use keyward::keyring::{KeyHandle, Keyring, LiveKey, Outcome};

const KEYS: usize = 1_000;

/// The keyring and its rivals, with the same names and values in the same random order.
struct Shelf<S> {
    names: Vec<String>,
    handles: Vec<KeyHandle>,
    swaps: Vec<Arc<ArcSwap<SecretValue>>>,
    map: ArcSwap<HashMap<Box<str>, SecretValue, S>>,
    keys: Keyring,
}

impl<S: BuildHasher + Default> Shelf<S> {
    fn full() -> Self {
        let (store, clock) = (MemoryBackend::default(), SystemClock);
        let names: Vec<_> = (0..KEYS).map(|n| format!("payments/stripe-charges-tenant-{n:04}")).collect();
        let value = |n: usize| format!("sk_live_{n:032}");
        for (n, name) in names.iter().enumerate() {
            setup::provision(&store, &clock, &format!("production/{name}"), &value(n));
        }
        let builder = Keyring::builder(store).environment(Environment::Production).service("billing-api");
        let builder = names.iter().fold(builder, |builder, name| builder.require(name));
        let keys = block_on(builder.load()).expect("the keyring loads");
        let secret = |n: usize| SecretValue::from(value(n).as_str());
        let map = names.iter().enumerate().map(|(n, name)| (name.as_str().into(), secret(n))).collect();

        let order = (0..KEYS).map(|n| n * 617 % KEYS);
        Self {
            handles: order.clone().map(|n| keys.handle(&names[n]).expect("a handle")).collect(),
            swaps: order.clone().map(|n| Arc::new(ArcSwap::from_pointee(secret(n)))).collect(),
            names: order.map(|n| names[n].clone()).collect(),
            map: ArcSwap::from_pointee(map),
            keys,
        }
    }

    fn by_handle(&self, at: usize) -> u8 {
        self.handles[at].live().map_or(0, |key| key.expose_secret()[0])
    }

    fn by_handle_reported(&self, at: usize) -> u8 {
        let read = |key: LiveKey<'_>| {
            key.report(Outcome::Ok);
            key.expose_secret()[0]
        };
        self.handles[at].live().map_or(0, read)
    }

    fn by_arc_swap(&self, at: usize) -> u8 {
        self.swaps[at].load().expose_secret()[0]
    }

    fn by_name(&self, at: usize) -> u8 {
        self.keys.live(&self.names[at]).map_or(0, |key| key.expose_secret()[0])
    }

    fn by_map(&self, at: usize) -> u8 {
        self.map.load().get(self.names[at].as_str()).map_or(0, |value| value.expose_secret()[0])
    }
}

fn one_by_one<S: BuildHasher + Default>(shelf: &Shelf<S>, read: fn(&Shelf<S>, usize) -> u8) -> impl FnMut() -> u8 {
    let mut at = 0;
    move || {
        at = (at + 1) % KEYS;
        read(shelf, at)
    }
}

type Std = std::hash::RandomState;

fn read(c: &mut Criterion) {
    let shelf = Shelf::<Std>::full();
    let mut group = c.benchmark_group("read");
    group.bench_function("by handle: ArcSwap load", |b| b.iter(one_by_one(&shelf, Shelf::by_arc_swap)));
    group.bench_function("by handle: keyward", |b| b.iter(one_by_one(&shelf, Shelf::by_handle)));
    group.bench_function("by handle, with a report", |b| b.iter(one_by_one(&shelf, Shelf::by_handle_reported)));
    group.bench_function("by name: ArcSwap<HashMap>", |b| b.iter(one_by_one(&shelf, Shelf::by_map)));
    group.bench_function("by name: keyward", |b| b.iter(one_by_one(&shelf, Shelf::by_name)));
    group.finish();
}

criterion_group!(benches, read);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();

    let shelf = Shelf::<Std>::full();
    let cases = [Shelf::by_arc_swap, Shelf::by_handle, Shelf::by_handle_reported, Shelf::by_map, Shelf::by_name];
    let [swap, handle, reported, map, name] = interleaved(&shelf, cases);
    println!(
        "\nmedians of interleaved rounds, ns: ArcSwap {swap:.1}, handle {handle:.1}, map {map:.1}, name {name:.1}"
    );
    println!("a report:  {:.1} ns", reported - handle);
    println!("by handle: {:.2} x ArcSwap load (goal 2)", handle / swap);
    println!("by name:   {:.2} x ArcSwap<HashMap> (goal 1.5)", name / map);
}

/// Nanoseconds a read, the median over many short rounds that take turns: what else the machine
/// does meanwhile meets all alike.
fn interleaved<const N: usize>(shelf: &Shelf<Std>, cases: [fn(&Shelf<Std>, usize) -> u8; N]) -> [f64; N] {
    const ROUNDS: usize = 401;
    const READS: usize = 20 * KEYS;
    let mut times = [(); N].map(|()| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (read, times) in cases.iter().zip(&mut times) {
            let start = Instant::now();
            for at in 0..READS {
                black_box(read(shelf, black_box(at % KEYS)));
            }
            times.push(start.elapsed());
        }
    }
    times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1e9 / READS as f64
    })
}
