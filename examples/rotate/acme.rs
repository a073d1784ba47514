//! The process of Acme, the vendor: sells charges to whoever has a key, and mints keys.
//!
//! In earnest it would keep hashes of keys, not the keys.

use std::io::stdin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::{Method, Request, body::Incoming};
use keyward::SecretValue;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Answer;
use crate::http::{bearer, serve};

/// Answers until it is killed. Who may mint comes in on standard input, never as an argument.
pub(crate) async fn run() -> Answer {
    let mut admin = String::new();
    stdin().read_line(&mut admin)?;
    let acme = Arc::new(Acme::new(SecretValue::from(admin.trim())));
    serve(move |request| {
        let acme = acme.clone();
        async move { acme.answer(&request) }
    })
    .await
}

struct Acme {
    admin: SecretValue,
    keys: Mutex<Vec<Key>>,
    requests: AtomicU64,
}

struct Key {
    label: String,
    token: SecretValue,
    revoked: bool,
    /// Half of Acme's servers do not know it.
    bad: bool,
}

impl Acme {
    fn new(admin: SecretValue) -> Self {
        Self { admin, keys: Mutex::default(), requests: AtomicU64::new(0) }
    }

    fn answer(&self, request: &Request<Incoming>) -> (u16, Value) {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/admin/") {
            Some(_) if !self.admin.ct_eq(&SecretValue::from(bearer(request))) => (401, Value::Null),
            Some(what) => self.administer(request.method(), what),
            None => self.sell(bearer(request), &path),
        }
    }

    /// The product. `/v1/me` says whose key it is, and every server knows every key there.
    fn sell(&self, token: &str, path: &str) -> (u16, Value) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let token = SecretValue::from(token);
        let server = self.requests.fetch_add(1, Ordering::Relaxed);
        match keys.iter().find(|key| !key.revoked && key.token.ct_eq(&token)) {
            None => (401, Value::Null),
            Some(key) if key.bad && path == "/v1/charges" && server.is_multiple_of(2) => (401, Value::Null),
            Some(_) => (200, json!({"charged": path == "/v1/charges"})),
        }
    }

    fn administer(&self, method: &Method, what: &str) -> (u16, Value) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match (method, &what.split('/').collect::<Vec<_>>()[..]) {
            (&Method::POST, ["keys" | "bad-keys", label]) => {
                let Ok(token) = secret() else { return (500, Value::Null) };
                let answer = json!({"id": format!("ak_{}", keys.len()), "token": token.as_str()});
                let token = SecretValue::from(token.as_str());
                keys.push(Key { label: (*label).to_owned(), token, revoked: false, bad: what.starts_with("bad") });
                (200, answer)
            }
            (&Method::GET, ["keys"]) => {
                let listed = |(at, key): (usize, &Key)| json!({"id": format!("ak_{at}"), "label": key.label, "revoked": key.revoked});
                (200, keys.iter().enumerate().map(listed).collect())
            }
            (&Method::DELETE, ["keys", id]) => {
                let key = id.strip_prefix("ak_").and_then(|at| keys.get_mut(at.parse::<usize>().ok()?));
                key.map_or((404, Value::Null), |key| {
                    key.revoked = true;
                    (200, Value::Null)
                })
            }
            _ => (404, Value::Null),
        }
    }
}

/// 256 random bits as text.
pub(crate) fn secret() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut_slice())?;
    Ok(Zeroizing::new(random.iter().fold("acme_".to_owned(), |text, byte| text + &format!("{byte:02x}"))))
}
