//! Waking whoever waits, without a runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A bell that any number of tasks can wait for. A ring between two looks is never missed: the
/// waiter says how many rings it has heard.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rings: u64,
    next_place: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Bell {
    pub(super) fn ring(&self) {
        let woken = {
            let mut state = self.lock();
            state.rings += 1;
            std::mem::take(&mut state.waiting)
        };
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(super) fn rings(&self) -> u64 {
        self.lock().rings
    }

    /// Completes once the bell has rung more often than `heard`.
    pub(super) fn after(&self, heard: u64) -> Wait<'_> {
        Wait { bell: self, heard, place: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Wait<'a> {
    bell: &'a Bell,
    heard: u64,
    place: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.bell.lock();
        if state.rings != self.heard {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or(state.next_place);
        match state.waiting.iter_mut().find(|(at, _)| *at == place) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                state.next_place += 1;
                state.waiting.push((place, cx.waker().clone()));
            }
        }
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.bell.lock().waiting.retain(|(at, _)| *at != place);
        }
    }
}

/// One at a time, without blocking a thread; leaving also when the future is dropped.
#[derive(Debug, Default)]
pub(super) struct Gate {
    busy: Mutex<bool>,
    freed: Bell,
}

impl Gate {
    pub(super) async fn enter(&self) -> Inside<'_> {
        loop {
            let heard = self.freed.rings();
            if !std::mem::replace(&mut *self.busy.lock().unwrap_or_else(PoisonError::into_inner), true) {
                return Inside(self);
            }
            self.freed.after(heard).await;
        }
    }
}

#[derive(Debug)]
pub(super) struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.ring();
    }
}
