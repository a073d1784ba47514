//! Clocks and time limits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use futures_lite::future::{block_on, or};
use keyward_core::{Clock, Context, ManualClock, SystemClock};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_sleeper_wakes_when_the_clock_has_moved_far_enough() {
    let clock = ManualClock::default();
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut cx = TaskContext::from_waker(&waker);
    let mut sleep = pin!(clock.sleep(HOUR));
    for _ in 0..3 {
        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
    }
    clock.advance(HOUR / 2);
    assert_eq!(counter.0.load(Ordering::SeqCst), 1, "woken to look, once");
    assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending, "not far enough");
    clock.set_wall(clock.now() + TimeDelta::days(9));
    assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending, "wall time moves no sleeper");
    clock.advance(HOUR / 2);
    assert_eq!(counter.0.load(Ordering::SeqCst), 2);
    assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Ready(()));
}

#[test]
fn sleepers_on_other_threads_wake() {
    let clock: Arc<ManualClock> = Arc::default();
    let sleepers: Vec<_> = (1..=4)
        .map(|hours| {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || block_on(clock.sleep(HOUR * hours)))
        })
        .collect();
    let began = Instant::now();
    while sleepers.iter().any(|s| !s.is_finished()) {
        clock.advance(HOUR);
        std::thread::yield_now();
        assert!(began.elapsed() < Duration::from_secs(20), "a sleeper was forgotten");
    }
    sleepers.into_iter().for_each(|s| s.join().expect("no panic"));
}

#[test]
fn the_hands_of_a_manual_clock() {
    let clock = ManualClock::at(Utc::now());
    let (wall, steady) = (clock.now(), clock.monotonic());
    block_on(clock.sleep(Duration::ZERO));
    clock.advance(HOUR);
    assert_eq!((clock.now() - wall, clock.monotonic() - steady), (TimeDelta::hours(1), HOUR));
    clock.set_wall(wall - TimeDelta::days(1));
    assert_eq!(clock.monotonic() - steady, HOUR, "a correction of wall time moves no steady time");
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.monotonic(), Duration::MAX, "the end of time is no panic");
    let shared: Arc<dyn Clock> = Arc::new(clock);
    assert!(Arc::new(shared).monotonic() > HOUR);
}

#[test]
fn the_system_clock_sleeps_without_a_runtime() {
    let clock = SystemClock;
    let (began, steady) = (Instant::now(), clock.monotonic());
    block_on(clock.sleep(Duration::from_millis(30)));
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert!(clock.monotonic() - steady >= Duration::from_millis(30));
    block_on(clock.sleep(Duration::ZERO));
    assert!((clock.now() - Utc::now()).abs() < TimeDelta::minutes(1));
}

#[test]
fn sleeping_for_ever_is_no_panic() {
    let winner = block_on(or(
        async {
            SystemClock.sleep(Duration::MAX).await;
            "for ever"
        },
        async {
            SystemClock.sleep(Duration::from_millis(10)).await;
            "10 ms"
        },
    ));
    assert_eq!(winner, "10 ms");
}

#[test]
fn a_context_ends() {
    let cx = Context::new("tester", "limits").expect("a context");
    assert!(!cx.is_expired() && cx.remaining() <= Context::DEFAULT_TIMEOUT);
    let over = cx.within(Duration::ZERO);
    assert!(over.is_expired() && over.remaining().is_zero());
    assert_eq!(over.request, cx.request, "the same request");
    assert!(cx.within(Duration::MAX).remaining() > HOUR, "no limit is no panic");
    assert!(Context::new("", "x").is_err() && Context::new("x", "a\nb").is_err());
}
