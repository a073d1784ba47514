//! Clients that log more than they should.

use std::sync::LazyLock;

use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Runs a call of a client library with its log lines dropped, at every level: client libraries log
/// answers and errors of servers word for word, and those may repeat what was sent.
///
/// Only this call is silenced; what the application does with the same library itself is not. One
/// thing changes for the whole process: `tracing` hands its events to the `log` crate only until the
/// first subscriber is set, and this sets one. A client would otherwise log to an application that
/// uses `log` alone.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let answer = keyward_remote::quiet(async {
///     tracing::trace!("never seen");
///     42
/// });
/// assert_eq!(answer.await, 42);
/// # });
/// ```
pub async fn quiet<F: Future>(call: F) -> F::Output {
    static SILENCE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Silence));
    call.with_subscriber(SILENCE.clone()).await
}

/// Takes nothing, and decides so each time: `Dispatch::none` would switch the place that logs off
/// for the whole process when it is reached here first.
struct Silence;

impl Subscriber for Silence {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
