//! What one step of a rotation costs beside its calls: whole rotations on the memory store, with the
//! time inside the store, the issuer, the validator and the health signal taken off. Beside it the
//! least a step can do: parse the record it read and write the one it stores.
#![expect(clippy::print_stdout, reason = "the figures are the result")]

#[path = "../../tests/support/mod.rs"]
mod support;
mod watched;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group};
use futures_lite::future::block_on;
use keyward::core::{KeyRecord, ManualClock, MemoryBackend, RunOutcome};
use keyward::rotation::{Rotator, Step};
use support::{CHARGES, HEALTHY, charges, issuer, key, load, register};
use watched::{Stopwatch, Watched, cpu};

const ROUNDS: usize = 31;
const ROTATIONS: usize = 40;

/// One key that has been rotated often enough to look like one in service.
struct Lab {
    clock: Arc<ManualClock>,
    stopwatch: Stopwatch,
    rotator: Rotator<Watched<MemoryBackend>>,
}

impl Lab {
    fn new() -> Self {
        let (clock, stopwatch, store) =
            (Arc::new(ManualClock::default()), Stopwatch::default(), MemoryBackend::default());
        block_on(register(&store, &clock, charges()));
        let rotator = Rotator::builder(stopwatch.watch(store))
            .issuer("acme", stopwatch.watch(issuer()))
            .validator("acme", stopwatch.watch(issuer()))
            .health(stopwatch.watch(HEALTHY))
            .clock(clock.clone())
            .poll_every(Duration::from_secs(43_200))
            .build()
            .expect("a rotator");
        let lab = Self { clock, stopwatch, rotator };
        lab.rotations(20);
        lab
    }

    /// How many steps that many rotations took, and how long outside of all calls.
    fn rotations(&self, number: usize) -> (u32, Duration) {
        let each = (0..number).map(|_| block_on(self.rotate()));
        each.fold((0, Duration::ZERO), |(steps, time), (more, longer)| (steps + more, time + longer))
    }

    async fn rotate(&self) -> (u32, Duration) {
        let key = key(CHARGES);
        let (began, called) = (cpu(), self.stopwatch.total());
        let mut run = self.rotator.start_or_resume(&key, "a measurement").await.expect("a run");
        let mut steps = 1;
        loop {
            steps += 1;
            match run.step().await.expect("a step") {
                Step::Wait { at_most, .. } => self.clock.advance(at_most),
                Step::Finished(report) => {
                    assert_eq!(report.outcome, RunOutcome::Completed);
                    break;
                }
                Step::NeedsOperator(what) => panic!("{what}"),
                _ => {}
            }
        }
        let taken = (cpu() - began).saturating_sub(self.stopwatch.total() - called);
        // Daily in earnest: a record in service does not gather its dead.
        self.clock.advance(Duration::from_secs(8 * 86_400));
        self.rotator.sweep(&key, "housekeeping").await.expect("a sweep");
        (steps, taken)
    }

    fn record(&self) -> KeyRecord {
        block_on(load(self.rotator.backend(), &key(CHARGES)))
    }
}

fn step(c: &mut Criterion) {
    let lab = Lab::new();
    let record = lab.record().encode().expect("a record");
    let mut group = c.benchmark_group("one step of a rotation");
    group.bench_function("keyward, beside its calls", |b| {
        b.iter_custom(|iterations| {
            let (steps, taken) = lab.rotations(usize::try_from(iterations).expect("a few").min(200));
            taken / steps * u32::try_from(iterations).expect("a few")
        });
    });
    group.bench_function("parse and write the record", |b| b.iter(|| round_trip(black_box(&record))));
    group.finish();
}

criterion_group!(benches, step);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();

    let lab = Lab::new();
    let record = lab.record().encode().expect("a record");
    let ours = median((0..ROUNDS).map(|_| {
        let (steps, taken) = lab.rotations(ROTATIONS);
        taken / steps
    }));
    let least = median((0..ROUNDS).map(|_| {
        let began = cpu();
        (0..200).for_each(|_| round_trip(black_box(&record)));
        (cpu() - began) / 200
    }));
    println!(
        "\none step: {:.1} us beside its calls; parse and write of its record of {} bytes: {:.1} us",
        us(ours),
        record.len(),
        us(least)
    );
}

fn round_trip(record: &[u8]) {
    let parsed = KeyRecord::decode(record).expect("a record");
    black_box(parsed.encode().expect("a record"));
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
