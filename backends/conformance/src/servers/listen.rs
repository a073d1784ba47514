//! A listening socket on loopback, and everything that runs because of it.

use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// No request or reply of a test is as large.
const LARGEST: usize = 64 << 20;

/// Ends a connection without a reply.
#[derive(Debug)]
pub(super) struct Hangup;

impl fmt::Display for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed")
    }
}

impl Error for Hangup {}

/// All of a body.
pub(super) async fn whole<B>(body: B) -> Result<Bytes, Hangup>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    Limited::new(body, LARGEST).collect().await.map(|body| body.to_bytes()).map_err(|_| Hangup)
}

/// Answers requests on a port of its own until it is dropped.
pub(super) struct Listening {
    address: SocketAddr,
    tasks: Tasks,
}

impl Listening {
    pub(super) async fn start<A, F, B>(tasks: Tasks, answer: A) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<B>, Hangup>> + Send + 'static,
        B: Body<Data = Bytes, Error = Hangup> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("the port that was bound");
        tasks.spawn(accept(listener, tasks.clone(), answer));
        Self { address, tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

async fn accept<A, F, B>(listener: TcpListener, tasks: Tasks, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, Hangup>> + Send + 'static,
    B: Body<Data = Bytes, Error = Hangup> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The client is gone again, or there are no handles left for now.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let service = service_fn(answer.clone());
        tasks.spawn(async move {
            let _ = stream.set_nodelay(true);
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What was started for one socket; all of it ends together, and nothing starts after that.
#[derive(Clone)]
pub(super) struct Tasks(Arc<Mutex<Option<JoinSet<()>>>>);

impl Tasks {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(JoinSet::new()))))
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = &mut *self.0.lock().expect("no holder of the lock panics") {
            while running.try_join_next().is_some() {}
            running.spawn(task);
        }
    }

    fn end(&self) {
        let running = self.0.lock().expect("no holder of the lock panics").take();
        drop(running);
    }
}
