//! A backend of a third party, complete: records and material in a key-value server that knows
//! set-if-absent and compare-and-set.
//!
//! ```text
//! cargo run --example write_a_backend             # a service and a rotation on it
//! cargo test --example write_a_backend            # every rule of the contract
//! ```
//!
//! - `write_a_backend/backend.rs` is the backend. In a crate of its own it needs `keyward-core`, and
//!   `keyward-conformance` for its tests.
//! - `write_a_backend/kv.rs` stands for the server and its client; each `.await` on it is a network call.
//!
//! Material lies in the server as it is: protect it there, and on the way.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "write_a_backend/backend.rs"]
mod backend;
#[path = "write_a_backend/kv.rs"]
mod kv;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backend::KvBackend;
use keyward::core::ManualClock;
use keyward::issuer::GeneratedIssuer;
use keyward::keyring::ReportedHealth;
use keyward::rotation::{GatePolicy, RunReport};
use keyward::{
    AccessLevel, Environment, Inventory, KeyDraft, KeyId, Keyring, Outcome, Ownership, Rotator, Scope, SecretBackend,
    Step,
};
use kv::Kv;

type Answer<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Answer {
    let kv = Kv::default();
    kv.lose_replies();
    let report = futures_lite::future::block_on(rotate_on(KvBackend::new(kv)))?;
    println!("{report}");
    println!("a key was registered, served and rotated on a store whose every second write lost its answer");
    println!("every rule of the contract: cargo test --example write_a_backend");
    Ok(())
}

/// A key is registered, given its first value, served to a service, and rotated, on any backend.
async fn rotate_on(store: impl SecretBackend + Clone + 'static) -> Answer<RunReport> {
    let (clock, health) = (Arc::new(ManualClock::default()), Arc::new(ReportedHealth::default()));
    let key: KeyId = "staging/analytics/reports".parse()?;
    let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("reporting")?;
    let draft = KeyDraft::new(key.clone(), owners, scope, "own-tokens".parse()?);
    Inventory::new(&store).actor("ada@example.com").clock(clock.clone()).register(draft).await?;

    let rotator = Rotator::builder(&store)
        .issuer_and_validator("own-tokens", GeneratedIssuer::new("reports")?)
        .health(health.clone())
        .gate(GatePolicy::default().with_clients(1))
        .clock(clock.clone())
        .poll_every(Duration::from_secs(3 * 3_600))
        .build()?;
    for reason in ["first value", "quarterly"] {
        let mut run = rotator.start_or_resume(&key, reason).await?;
        let report = loop {
            match run.step().await? {
                Step::Wait { at_most, .. } => clock.advance(at_most), // in earnest: sleep(at_most).await
                Step::NeedsOperator(what) => return Err(what.into()),
                Step::Finished(report) => break report,
                done => println!("{done}"),
            }
            let keys = Keyring::builder(store.clone()).environment(Environment::Staging).service("reporting");
            let keys = keys.optional("analytics/reports").consumer_instance("reporting-1").clock(clock.clone());
            let keys = keys.reports_to(health.clone()).load().await?;
            for _ in 0..10 {
                keys.live("analytics/reports").into_iter().for_each(|key| key.report(Outcome::Ok));
                clock.advance(Duration::from_secs(60)); // the gate counts minutes, not requests
            }
        };
        if report.from.is_some() {
            return Ok(report);
        }
    }
    Err("nothing was rotated".into())
}

#[cfg(test)]
mod conformance {
    keyward_conformance::suite!(super::KvBackend::new(super::Kv::default()));
}

#[cfg(test)]
mod lost_replies {
    use super::{Kv, KvBackend, rotate_on};

    #[test]
    fn a_rotation_survives_them() {
        let kv = Kv::default();
        kv.lose_replies();
        let report = keyward_conformance::block_on(rotate_on(KvBackend::new(kv))).expect("a rotation");
        assert_eq!(report.outcome, keyward::core::RunOutcome::Completed);
    }
}
