//! A process that falls asleep just before a call.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use keyward::core::Operation;
use keyward_conformance::strict::Host;

/// Something a process does, polled by hand.
pub(crate) struct Paused<'a, T> {
    host: Host,
    life: Pin<Box<dyn Future<Output = T> + 'a>>,
}

impl<'a, T> Paused<'a, T> {
    /// Runs `life` on `host` until it has begun its next call of this kind; nothing is done yet.
    pub(crate) fn before(operation: Operation, host: &Host, life: impl Future<Output = T> + 'a) -> Self {
        let mut paused = Self { host: host.clone(), life: Box::pin(life) };
        let calls = host.calls();
        for _ in 0..1_000 {
            let ended = paused.poll();
            assert!(ended.is_none(), "the process ended before it called {operation:?}");
            let begun = host.calls() > calls && host.last_call().is_some_and(|call| call.operation == operation);
            if begun {
                return paused;
            }
        }
        panic!("the process never calls {operation:?}");
    }

    /// Goes on as far as the next moment something else may happen.
    pub(crate) fn poll(&mut self) -> Option<T> {
        match self.life.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    /// Wakes up and goes on to the end.
    pub(crate) fn wake(mut self) -> T {
        for _ in 0..10_000 {
            if let Some(done) = self.poll() {
                return done;
            }
        }
        panic!("{} hangs", self.host.name());
    }
}
