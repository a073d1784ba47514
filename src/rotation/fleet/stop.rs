//! How a fleet is told to stop.

use std::convert::Infallible;

use async_channel::{Receiver, Sender};
use futures_lite::future;

/// Tells a fleet to stop. Clones tell the same fleet; dropping one tells nothing.
///
/// Steps under way are finished, no new one is begun, and the pass returns. What is left is in the
/// records, for the next start or for any other process.
#[derive(Clone, Debug)]
pub struct StopHandle(Sender<Infallible>);

impl StopHandle {
    /// Stops the fleet for good.
    pub fn stop(&self) {
        self.0.close();
    }
}

/// Nothing is ever sent: the channel is closed, and that is the message.
#[derive(Debug)]
pub(super) struct Stop {
    sender: Sender<Infallible>,
    receiver: Receiver<Infallible>,
}

impl Stop {
    pub(super) fn new() -> Self {
        let (sender, receiver) = async_channel::bounded(1);
        Self { sender, receiver }
    }

    pub(super) fn handle(&self) -> StopHandle {
        StopHandle(self.sender.clone())
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.receiver.is_closed()
    }

    /// Waits for `sleep`, or until it is told to stop.
    pub(super) async fn or(&self, sleep: impl Future<Output = ()>) {
        let stopped = async {
            let _ = self.receiver.recv().await;
        };
        future::or(stopped, sleep).await;
    }
}
