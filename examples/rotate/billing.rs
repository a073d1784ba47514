//! A process of the service `billing-api`: loads its key at start, follows it, and charges as fast
//! as it can. Every request takes the key anew, and reports how it went.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward::core::VersionId;
use keyward::file::{FileBackend, KeyFile};
use keyward::keyring::KeyHandle;
use keyward::{Environment, KeyId, Keyring, Outcome};
use serde_json::json;

use crate::http::serve;
use crate::{Answer, KEY};

pub(crate) async fn run(directory: &Path, acme: &str) -> Answer {
    let store = FileBackend::open(directory.join("keys.keyward"), KeyFile::at(directory.join("unlock.key"))).await?;
    let keys = Keyring::builder(store)
        .environment(Environment::Production)
        .service("billing-api")
        .require("payments/acme-charges")
        .soft_ttl(Duration::from_millis(300))
        .hard_ttl(Duration::from_secs(3))
        .load()
        .await?;
    let _refresh = keys.spawn_refresh();
    let done = Arc::new(Done::default());
    for _ in 0..4 {
        let (charges, acme, done) = (keys.handle("payments/acme-charges")?, acme.to_owned(), done.clone());
        tokio::spawn(async move { charge_for_ever(&charges, &acme, &done).await });
    }
    // What its monitoring would scrape: totals, and what was reported about one version.
    let (health, key): (_, KeyId) = (keys.health(), KEY.parse()?);
    serve(move |request| {
        let version = request.uri().path().trim_start_matches('/').parse::<VersionId>();
        let counts = version.map(|version| health.counts(&key, version)).unwrap_or_default();
        let answer = json!({
            "requests": done.requests.load(Ordering::Relaxed),
            "failed": done.failed.load(Ordering::Relaxed),
            "clean": counts.clean,
            "auth_rejects": counts.auth_rejects,
            "scope_rejects": counts.scope_rejects,
            "clients": counts.clients,
        });
        async move { (200, answer) }
    })
    .await
}

#[derive(Default)]
struct Done {
    requests: AtomicU64,
    failed: AtomicU64,
}

async fn charge_for_ever(charges: &KeyHandle, acme: &str, done: &Done) {
    let client = reqwest::Client::new();
    loop {
        let outcome = charge(&client, charges, acme).await;
        done.requests.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Ok {
            done.failed.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One request, with the key as it is now.
async fn charge(client: &reqwest::Client, charges: &KeyHandle, acme: &str) -> Outcome {
    let Ok(key) = charges.live() else { return Outcome::AuthRejected };
    let Ok(token) = key.expose_str() else { return Outcome::RequestError };
    let answer = client.post(format!("{acme}/v1/charges")).bearer_auth(token).send().await;
    let outcome = answer.map_or(Outcome::NetworkError, |answer| Outcome::from_http_status(answer.status()));
    key.report(outcome); // about this version, even if a rotation came between
    outcome
}
