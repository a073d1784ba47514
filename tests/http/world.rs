//! A server on loopback, a key, and what is said to a log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{Context, KeyRecord, Material, SecretValue, Shape, Version};
use keyward_conformance::planned::Planned;
use keyward_conformance::servers::{Answer, Stub};

use crate::support::{CHARGES, charges, key};

/// A server and the runtime it lives on. The code under test runs outside of it.
pub(crate) struct Server {
    stub: Stub,
    _runtime: tokio::runtime::Runtime,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::slow(Duration::ZERO, answer)
    }

    pub(crate) fn slow(delay: Duration, answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let stub = runtime.block_on(Stub::start(delay, move |parts, body| {
            let url = reqwest::Url::parse(&format!("http://server{}", parts.uri)).expect("an address");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            answer(&Seen {
                method: parts.method.to_string(),
                path: url.path().to_owned(),
                query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
                headers: parts.headers.iter().map(|(n, v)| (n.to_string(), text(v.as_bytes()))).collect(),
                body: text(body),
            })
        }));
        Self { stub, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.stub.url()
    }

    pub(crate) fn requests(&self) -> usize {
        self.stub.requests()
    }
}

/// What a closure saw, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    pub(crate) fn add(&self, seen: &Seen) {
        self.0.lock().expect("no panic").push(seen.clone());
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.lock().expect("no panic").clone()
    }
}

pub(crate) fn cx() -> Context {
    Context::new("test", "testing").expect("a context")
}

pub(crate) fn one(value: &str) -> Material {
    Material::one(SecretValue::from(value)).expect("material")
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Material {
    let pairs = pairs.iter().map(|(name, value)| (name.parse().expect("a name"), SecretValue::from(*value)));
    Material::fields(pairs.collect::<Vec<_>>()).expect("material")
}

/// A record with a planned version.
pub(crate) fn record() -> (KeyRecord, Version) {
    let planned = Planned::scoped(&key(CHARGES), Shape::One, charges().scope);
    let version = planned.issue().version.clone();
    (planned.record, version)
}

/// Waits for an answer outside any runtime.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    block_on(answer)
}
