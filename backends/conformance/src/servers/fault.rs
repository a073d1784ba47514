//! What goes wrong between a client and a server, and at which request.

use std::fmt;
use std::time::Duration;

use hyper::body::Bytes;

/// What happens to one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is closed; the server never sees the request.
    Refuse,
    /// The server acts; its reply is dropped and the connection closed.
    LoseReply,
    /// This reply comes instead of the server's, which never sees the request.
    Answer(Answer),
    /// The request waits, then goes to the server, even if the client has given up by then.
    Delay(Duration),
    /// The server acts; the connection is closed in the middle of its reply. A reply without a body is lost.
    Truncate,
}

impl Fault {
    /// For the request with this number, counted from 0 since the proxy was started.
    #[must_use]
    pub fn at(self, number: usize) -> FaultRule {
        self.when(move |call| call.number == number)
    }

    /// For every request of this operation of AWS, such as `PutSecretValue`.
    #[must_use]
    pub fn on(self, operation: &str) -> FaultRule {
        let operation = operation.to_owned();
        self.when(move |call| call.operation.as_deref() == Some(&*operation))
    }

    /// For every request that passes a test.
    #[must_use]
    pub fn when(self, matches: impl Fn(&Call) -> bool + Send + Sync + 'static) -> FaultRule {
        FaultRule { fault: self, matches: Box::new(matches), after: 0, times: usize::MAX }
    }

    /// For every request.
    #[must_use]
    pub fn always(self) -> FaultRule {
        self.when(|_| true)
    }

    /// Its name in the log of the proxy.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refused",
            Self::LoseReply => "reply lost",
            Self::Answer(_) => "answered by the proxy",
            Self::Delay(_) => "delayed",
            Self::Truncate => "reply cut",
        }
    }
}

/// A fault and the requests it is for.
pub struct FaultRule {
    fault: Fault,
    matches: Box<dyn Fn(&Call) -> bool + Send + Sync>,
    after: usize,
    times: usize,
}

impl FaultRule {
    /// The first `requests` that it is for are spared.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.after = requests;
        self
    }

    /// At most so many requests are met.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.times = requests;
        self
    }

    /// The fault for this request; counts it.
    pub(super) fn meet(&mut self, call: &Call) -> Option<Fault> {
        if self.times == 0 || !(self.matches)(call) {
            return None;
        }
        if let Some(after) = self.after.checked_sub(1) {
            self.after = after;
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("FaultRule");
        debug.field("fault", &self.fault).field("after", &self.after).field("times", &self.times);
        debug.finish_non_exhaustive()
    }
}

/// A request as a [`FaultRule`] sees it: never its body.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// Its number, counted from 0.
    pub number: usize,
    /// `GET`, `POST`, `LIST`.
    pub method: String,
    /// The path, without what follows a `?`.
    pub path: String,
    /// The operation of AWS, such as `GetSecretValue`.
    pub operation: Option<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.method, self.path)?;
        self.operation.iter().try_for_each(|operation| write!(f, " {operation}"))
    }
}

/// A reply. `Debug` shows its status and the length of its body.
///
/// ```
/// use keyward_conformance::servers::{Answer, Fault};
/// let sealed = Answer::new(503, r#"{"errors":["Vault is sealed"]}"#).header("content-type", "application/json");
/// let twice_slow_down = Fault::Answer(Answer::aws(400, "ThrottlingException")).on("GetSecretValue").times(2);
/// # let _ = (sealed, twice_slow_down);
/// ```
#[derive(Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// A reply with this status and body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error as AWS writes it in JSON.
    #[must_use]
    pub fn aws(status: u16, code: &str) -> Self {
        Self::new(status, format!(r#"{{"__type":"{code}","message":"made for a test"}}"#))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amzn-errortype", code)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Answer");
        debug.field("status", &self.status).field("body", &self.body.len()).finish_non_exhaustive()
    }
}
