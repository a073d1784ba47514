//! A server that answers as told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::http::request::Parts;

use super::fault::Answer;
use super::listen::{Listening, Tasks, whole};
use super::proxy::made;

/// An HTTP server on loopback that answers from a function, each request after the same time. For measurements
/// where a real server would be measured instead, and for tests of HTTP itself; ends when it is dropped.
///
/// ```no_run
/// use keyward_conformance::servers::{Answer, Stub};
/// # async fn test() {
/// let delay = std::time::Duration::from_millis(5);
/// let stub = Stub::start(delay, |request, _body| Answer::new(200, request.uri.path().to_owned())).await;
/// // ... a client, with stub.url() for its endpoint ...
/// # }
/// ```
pub struct Stub {
    listening: Listening,
    requests: Arc<AtomicUsize>,
}

impl Stub {
    /// Starts a server.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn start(delay: Duration, answer: impl Fn(&Parts, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        let (requests, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let counter = requests.clone();
        let listening = Listening::start(Tasks::new(), move |request| {
            let (counter, answer) = (counter.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = whole(body).await?;
                counter.fetch_add(1, Ordering::Relaxed);
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(made(answer(&parts, &body)))
            }
        });
        Self { listening: listening.await, requests }
    }

    /// The address for the client.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url()
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub").field("url", &self.url()).field("requests", &self.requests()).finish_non_exhaustive()
    }
}
