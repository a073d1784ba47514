//! Stands between a client and a server and breaks what passes, by plan.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, EXPECT, HeaderMap, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::fault::{Answer, Call, Fault, FaultRule};
use super::listen::{Hangup, Listening, Tasks, whole};

/// No server of a test is as slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many requests are remembered in the log.
const REMEMBERED: usize = 10_000;

/// An HTTP proxy on loopback before one server. It passes everything on, `Host` header included, until a
/// [plan](Proxy::plan) says otherwise, and ends with all its connections when it is dropped.
///
/// ```no_run
/// use keyward_conformance::servers::{Fault, Proxy, server_url};
/// # async fn test() {
/// let proxy = Proxy::start(&server_url("AWS_ENDPOINT_URL_SECRETS_MANAGER")).await;
/// proxy.plan(Fault::LoseReply.on("PutSecretValue").times(1));
/// // ... the code under test, with proxy.url() for its endpoint ...
/// assert_eq!(proxy.requests_of("PutSecretValue"), 2);
/// # }
/// ```
pub struct Proxy {
    listening: Listening,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    plan: Vec<FaultRule>,
    requests: usize,
    log: VecDeque<(Call, Option<&'static str>)>,
}

impl Proxy {
    /// Starts a proxy before the server at this `http` address.
    ///
    /// # Panics
    /// When the address is no `http` address, and outside a Tokio runtime.
    pub async fn start(server: &str) -> Self {
        let server: Uri = server.parse().expect("the address of a server");
        assert_eq!(server.scheme_str(), Some("http"), "the proxy speaks http only");
        let host = server.host().expect("an address with a host");
        let server = (host.trim_matches(['[', ']']).to_owned(), server.port_u16().unwrap_or(80));

        let (state, tasks) = (Arc::new(Mutex::new(State::default())), Tasks::new());
        let route = Route { server: server.into(), state: state.clone(), tasks: tasks.clone() };
        let listening = Listening::start(tasks, move |request| route.clone().pass(request)).await;
        Self { listening, state }
    }

    /// The address for the client.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url()
    }

    /// Adds a fault. Of two that are for the same request, the one added earlier wins.
    pub fn plan(&self, rule: FaultRule) {
        self.state().plan.push(rule);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.state().plan.clear();
    }

    /// How many requests came, broken ones included.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// How many of the last 10,000 requests were of this operation of AWS.
    #[must_use]
    pub fn requests_of(&self, operation: &str) -> usize {
        self.count(|call| call.operation.as_deref() == Some(operation))
    }

    /// How many of the last 10,000 requests pass a test.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&Call) -> bool) -> usize {
        self.state().log.iter().filter(|(call, _)| matches(call)).count()
    }

    /// A line for each of the last 10,000 requests: number, method, path, operation, what went wrong. No bodies.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let line = |(call, fault): &(Call, Option<&str>)| match fault {
            Some(fault) => format!("{call}: {fault}"),
            None => call.to_string(),
        };
        self.state().log.iter().map(line).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a test of a fault rule panicked")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url()).field("requests", &self.requests()).finish_non_exhaustive()
    }
}

impl State {
    /// Numbers and remembers a request; answers what happens to it.
    fn meet(&mut self, parts: &Parts, body: &Bytes) -> Option<Fault> {
        let call = Call {
            number: self.requests,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            operation: operation(&parts.headers, body),
        };
        self.requests += 1;
        let fault = self.plan.iter_mut().find_map(|rule| rule.meet(&call));
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back((call, fault.as_ref().map(Fault::name)));
        fault
    }
}

/// The operation of AWS: the target of a JSON request, the first field of a form.
fn operation(headers: &HeaderMap, body: &Bytes) -> Option<String> {
    if let Some(target) = headers.get("x-amz-target") {
        return target.to_str().ok()?.rsplit('.').next().map(str::to_owned);
    }
    let field = body.strip_prefix(b"Action=")?.split(|byte| *byte == b'&').next()?;
    let name = std::str::from_utf8(field).ok()?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| name.to_owned())
}

pub(super) type Reply = Response<BoxBody<Bytes, Hangup>>;

#[derive(Clone)]
struct Route {
    server: Arc<(String, u16)>,
    state: Arc<Mutex<State>>,
    tasks: Tasks,
}

impl Route {
    /// Runs apart from the connection: a request is not called back when its client gives up.
    async fn pass(self, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let (parts, body) = request.into_parts();
        let body = whole(body).await?;
        let fault = self.state.lock().expect("a test of a fault rule panicked").meet(&parts, &body);
        let (answer, answered) = oneshot::channel();
        self.tasks.clone().spawn(async move {
            let _ = answer.send(self.act(fault, parts, body).await);
        });
        answered.await.map_err(|_| Hangup)?
    }

    async fn act(&self, fault: Option<Fault>, parts: Parts, body: Bytes) -> Result<Reply, Hangup> {
        match fault {
            Some(Fault::Refuse) => return Err(Hangup),
            Some(Fault::Answer(answer)) => return Ok(made(answer)),
            Some(Fault::Delay(time)) => sleep(time).await,
            _ => {}
        }
        let reply = timeout(PATIENCE, self.forward(parts, body)).await.map_err(|_| Hangup)??;
        match fault {
            Some(Fault::LoseReply) => Err(Hangup),
            Some(Fault::Truncate) => cut(reply),
            _ => Ok(reply.map(full)),
        }
    }

    /// Asks the server, on a connection of its own.
    async fn forward(&self, mut parts: Parts, body: Bytes) -> Result<Response<Bytes>, Hangup> {
        let (host, port) = &*self.server;
        let stream = TcpStream::connect((&**host, *port)).await.map_err(|_| Hangup)?;
        let (mut server, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Hangup)?;
        self.tasks.spawn(async move {
            let _ = connection.await;
        });
        without_hops(&mut parts.headers);
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = server.send_request(request).await.map_err(|_| Hangup)?.into_parts();
        let mut reply = Response::new(whole(body).await?);
        *reply.status_mut() = parts.status;
        *reply.headers_mut() = parts.headers;
        without_hops(reply.headers_mut());
        Ok(reply)
    }
}

/// Takes off what is between two neighbours only; bodies are passed on whole.
fn without_hops(headers: &mut HeaderMap) {
    for name in [CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// # Panics
/// In the task of one request, when a test made an answer that HTTP cannot carry.
pub(super) fn made(answer: Answer) -> Reply {
    let reply = Response::builder().status(answer.status);
    let reply = answer.headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value));
    reply.body(full(answer.body)).expect("an answer with a valid status and valid headers")
}

fn full(body: Bytes) -> BoxBody<Bytes, Hangup> {
    Full::new(body).map_err(|never| match never {}).boxed()
}

/// The first half of a reply whose length says that it is whole.
fn cut(reply: Response<Bytes>) -> Result<Reply, Hangup> {
    let length = reply.body().len();
    if length == 0 {
        return Err(Hangup);
    }
    let mut reply = reply.map(|body| Half { first: Some(body.slice(..length / 2)), flushed: false }.boxed());
    reply.headers_mut().insert(hyper::header::CONTENT_LENGTH, length.into());
    Ok(reply)
}

/// Half a body, then the end of the connection.
struct Half {
    first: Option<Bytes>,
    flushed: bool,
}

impl Body for Half {
    type Data = Bytes;
    type Error = Hangup;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Hangup>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        // The connection sends what it holds when there is nothing more to take.
        if !self.flushed {
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Hangup)))
    }
}
