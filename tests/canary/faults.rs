//! Every fault at every call: whatever fails while values are in hand, no answer, record or audit
//! row shows one.

use std::sync::Arc;

use futures_lite::future::block_on;
use keyward::audit::AuditLog;
use keyward::core::{
    AuditQuery, Environment, ErrorKind, IncidentState, KeyId, NewKey, SecretBackend, SecretBackendExt, Select,
};
use keyward::inventory::{Filter, Inventory};
use keyward::keyring::Keyring;
use keyward::leak::{LeakReport, LeakResponse, Leaked};
use keyward::rotation::Rotator;
use keyward_conformance::strict::{Fault, FaultPlan, Faulty, Host, StrictFake, run_until_crash};

use crate::cast::{CanaryIssuer, Hasty, builder, named, pair};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, charges, cx, key, register};
use crate::tour::{drive, respond};
use crate::witness::{Surface, Witness};

const KINDS: [ErrorKind; 8] = [
    ErrorKind::AuditUnavailable,
    ErrorKind::Conflict,
    ErrorKind::Denied,
    ErrorKind::NotFound,
    ErrorKind::Tampered,
    ErrorKind::Throttled,
    ErrorKind::Unavailable,
    ErrorKind::Unknown,
];

#[derive(Clone, Copy, Debug)]
enum Story {
    /// From the first key to the second, and a sweep.
    Rotation,
    /// A leaked key in service.
    Leak,
    /// What services and people do with a key in service.
    Use,
}

#[test]
fn no_fault_in_a_rotation_shows_a_secret() {
    every_fault(Story::Rotation);
}

#[test]
fn no_fault_in_the_answer_to_a_leak_shows_a_secret() {
    every_fault(Story::Leak);
}

#[test]
fn no_fault_in_daily_use_shows_a_secret() {
    every_fault(Story::Use);
}

fn every_fault(story: Story) {
    let witness = Witness::new();
    let calls = {
        let (world, host) = (World::new(&witness, story, Kind::Text), Host::steady("counting"));
        block_on(world.play(&host));
        host.calls()
    };
    let faults = Fault::CRASHES.into_iter().chain(KINDS.map(Fault::Fail));
    let faults: Vec<_> = faults.collect();
    let mut cases = 0;
    for call in 0..calls {
        for fault in &faults {
            let kind = Kind::ALL[cases % 3];
            let world = World::new(&witness, story, kind);
            let host = Host::new("a", FaultPlan::none().at(call, *fault));
            run_until_crash(&host, world.play(&host));
            block_on(world.play(&Host::steady("b")));
            block_on(world.look());
            cases += 1;
        }
    }
    println!("canary: {story:?}: {calls} calls, {cases} faults");
    assert!(cases > 100, "only {cases} faults were injected");
    witness
        .finish(&format!("{story:?} with faults"), &[Surface::Debug, Surface::Display, Surface::Chain, Surface::Json]);
}

/// A store and an issuer at the moment a story begins.
struct World<'w> {
    witness: &'w Witness,
    story: Story,
    kind: Kind,
    clock: Hasty,
    store: StrictFake,
    issuer: CanaryIssuer,
    id: KeyId,
    /// Revisions of the record that the story found there.
    known: usize,
}

impl<'w> World<'w> {
    fn new(witness: &'w Witness, story: Story, kind: Kind) -> Self {
        let clock = Hasty::default();
        let store = StrictFake::with_clock(Arc::new(clock.clone()));
        let issuer = CanaryIssuer::of(kind);
        let draft = if kind == Kind::Token { named(CHARGES, pair()) } else { charges() };
        let mut world = Self { witness, story, kind, clock, store, issuer, id: key(CHARGES), known: 0 };
        block_on(async {
            register(&world.store, &world.clock.0, draft).await;
            if !matches!(story, Story::Rotation) {
                let rotator = world.rotator(&Host::steady("setup"));
                let mut run = rotator.start(&world.id, "first key").await.expect("start");
                run.run_to_completion().await.expect("provision");
            }
        });
        world.known = world.store.revisions(&world.id).len();
        world
    }

    fn rotator(&self, host: &Host) -> Rotator<Faulty<StrictFake>> {
        let rotator = builder(host.wrap(self.store.clone()), &self.clock, host.wrap(self.issuer.clone()));
        rotator.actor(host.name()).build().expect("a rotator")
    }

    /// Goes as far as it can; whatever fails is looked at and left to whoever comes next.
    async fn play(&self, host: &Host) {
        match self.story {
            Story::Rotation => self.rotate(host).await,
            Story::Leak => self.leak(host).await,
            Story::Use => self.use_it(host).await,
        }
    }

    async fn rotate(&self, host: &Host) {
        let (w, rotator) = (self.witness, self.rotator(host));
        for reason in ["first key", "quarterly"] {
            let started = rotator.start_or_resume(&self.id, reason).await;
            let Ok(mut run) = started.inspect_err(|error| w.error("start", error)) else { continue };
            // The process lives on after an error and repeats the step, with what it has in hand.
            for _ in 0..3 {
                if drive(w, &self.clock, &mut run).await.is_ok() {
                    break;
                }
            }
        }
        drop(w.result("a sweep", rotator.sweep(&self.id, "daily").await));
    }

    async fn leak(&self, host: &Host) {
        let (w, rotator) = (self.witness, self.rotator(host));
        let record = self.store.record(&self.id).expect("a record");
        let open = record.incidents().iter().find(|incident| incident.state != IncidentState::AwaitingReview);
        let response = match open {
            Some(incident) => LeakResponse::resume(&rotator, &self.id, incident.id).await,
            None => {
                let report = LeakReport::of(self.id.clone(), Leaked::Current, "seen in a gist").expect("a report");
                LeakResponse::open(&rotator, &report).await
            }
        };
        let Ok(mut response) = response.inspect_err(|error| w.error("a response", error)) else { return };
        for _ in 0..3 {
            if respond(w, &self.clock, &mut response).await.is_ok() {
                break;
            }
        }
    }

    async fn use_it(&self, host: &Host) {
        let (w, store) = (self.witness, host.wrap(self.store.clone()));
        let ring = Keyring::builder(store.clone()).environment(Environment::Production).service("billing-api");
        let ring = ring.clock(self.clock.0.clone()).require("payments/stripe-charges").consumer_instance("host-1");
        if let Ok(keys) = w.result("load", ring.load().await) {
            w.debug("refresh", &keys.refresh().await);
            drop(w.result("live", keys.live("payments/stripe-charges")));
            drop(w.result("another environment", keys.handle("staging/payments/stripe-charges")));
            w.debug("refresh", &keys.refresh().await);
        }
        let inventory = Inventory::new(store.clone()).actor(host.name()).clock(Arc::new(self.clock.clone()));
        let new = NewKey::new(Canary::plant(self.kind).material());
        let draft = named("production/messaging/twilio-send", charges());
        drop(w.result("import", inventory.import(draft, new, "moved in").await));
        drop(w.result("annotate", inventory.annotate(&self.id, "two new keys a day").await));
        drop(w.result("list", inventory.list(&Filter::all()).await));
        drop(w.result("history", inventory.history(&self.id).await));
        let target = self.store.record(&self.id).expect("a record").target();
        drop(w.result("read", store.read_one(&cx(), &target, Select::Current).await));
        drop(w.result("survey", store.survey(&cx(), &target).await));
        let log = AuditLog::of(&store).expect("a log");
        drop(w.result("verify", log.verify(&cx()).await));
        let rotator = self.rotator(host);
        drop(w.result("decommission", rotator.decommission(&self.id, "switched off").await));
        drop(w.result("sweep", rotator.sweep(&self.id, "at the end").await));
        drop(w.result("retire", inventory.retire(&self.id, "switched off").await));
    }

    /// Every record as it was stored, and every audit row.
    async fn look(&self) {
        let (w, revisions) = (self.witness, self.store.revisions(&self.id));
        revisions.iter().skip(self.known).for_each(|revision| {
            w.look(Surface::Json, "a revision", &revision.encode().expect("an encoded record"));
        });
        w.glance("the last revision", &revisions.last());
        let log = AuditLog::of(&self.store).expect("a log");
        let entries = log.entries(&cx(), &AuditQuery::default()).await.expect("entries");
        w.glance("audit entries", &entries);
        w.look(Surface::Json, "audit entries", &serde_json::to_vec(&entries).expect("JSON"));
        let lines: String = entries.iter().map(|entry| keyward::audit::line(entry).to_string()).collect();
        w.look(Surface::Display, "audit lines", lines.as_bytes());
    }
}
