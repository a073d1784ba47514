//! Driving a future the way a process runs: until it is done, or until the process dies.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use keyward_core::ManualClock;

use super::Host;

/// How long a future may be pending without being woken.
const PATIENCE: Duration = Duration::from_secs(20);
/// How far a clock is moved when everybody sleeps, and how far in all.
const TICK: Duration = Duration::from_secs(1);
const MOST_TICKS: u32 = 14 * 24 * 3600;

/// Drives a future until it is done, or until `host` has crashed: then `None`, and the future is
/// dropped where it stood.
///
/// # Panics
/// When the future hangs: pending for 20 seconds without being woken.
pub fn run_until_crash<T>(host: &Host, future: impl Future<Output = T>) -> Option<T> {
    drive(host, future, |since: Instant| {
        let left = PATIENCE.saturating_sub(since.elapsed());
        thread::park_timeout(left);
        !left.is_zero()
    })
}

/// As [`run_until_crash`], moving `clock` one second whenever the future waits. For futures that
/// wait for nothing but that clock.
///
/// # Panics
/// When the future hangs: still waiting after 14 days of that clock.
pub fn run_on_clock<T>(host: &Host, clock: &ManualClock, future: impl Future<Output = T>) -> Option<T> {
    let mut ticks = 0;
    drive(host, future, |_| {
        clock.advance(TICK);
        ticks += 1;
        ticks < MOST_TICKS
    })
}

fn drive<T>(host: &Host, future: impl Future<Output = T>, mut wait: impl FnMut(Instant) -> bool) -> Option<T> {
    let alarm = Arc::new(Alarm { rung: AtomicBool::new(true), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut since = Instant::now();
    let mut patient = true;
    loop {
        if alarm.rung.swap(false, Ordering::AcqRel) {
            let polled = future.as_mut().poll(&mut cx);
            // A process that died while its last call was under way has no result.
            match polled {
                _ if host.crashed() => return None,
                Poll::Ready(done) => return Some(done),
                Poll::Pending => (since, patient) = (Instant::now(), true),
            }
        } else if patient {
            patient = wait(since);
        } else {
            let last = host.trace().last().map_or_else(|| "no call".to_owned(), ToString::to_string);
            panic!("host {} hangs; its last call was {last}", host.name());
        }
    }
}

struct Alarm {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
