//! A service that loads its keys: every problem, every refusal, every handle, with values in hand.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::Rotator;
use keyward::core::{
    Context, Environment, Expect, HealthQuery, HealthSignal, KeyDraft, KeyId, KeyRecord, SecretBackend,
    SecretBackendExt, SecretValue, Swap, VersionId,
};
use keyward::issuer::GeneratedIssuer;
use keyward::keyring::{KeyHandle, Keyring, KeyringBuilder, LoadError, Outcome, Problem, ReportedHealth};
use keyward_conformance::strict::StrictFake;

use crate::cast::{CanaryIssuer, Hasty, PAIR, builder, named, pair};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, HEALTHY, charges, cx, key, register};
use crate::tour::{drive, respond};
use crate::witness::{Surface, Witness};

const NAME: &str = "payments/stripe-charges";

/// A store with two keys in service, one of one value and one of two fields.
struct World {
    witness: Witness,
    clock: Hasty,
    store: StrictFake,
    issuer: CanaryIssuer,
}

impl World {
    async fn new(kind: Kind) -> Self {
        let clock = Hasty::default();
        let store = StrictFake::with_clock(Arc::new(clock.clone()));
        let world = Self { witness: Witness::new(), clock, store, issuer: CanaryIssuer::of(kind) };
        world.provision(charges()).await;
        world.provision(pair()).await;
        world
    }

    async fn provision(&self, draft: KeyDraft) {
        register(&self.store, &self.clock.0, draft.clone()).await;
        self.rotate(&draft.id).await;
    }

    async fn rotate(&self, id: &KeyId) {
        let rotator = builder(self.store.clone(), &self.clock, self.issuer.clone()).health(HEALTHY).build();
        let rotator = rotator.expect("a rotator");
        let mut run = rotator.start_or_resume(id, "rotate").await.expect("start");
        drive(&self.witness, &self.clock, &mut run).await.expect("rotated");
    }

    async fn leak(&self, id: &KeyId) {
        let rotator = builder(self.store.clone(), &self.clock, self.issuer.clone()).build().expect("a rotator");
        let report = keyward::LeakReport::of(id.clone(), keyward::leak::Leaked::Current, "a gist").expect("a report");
        drop(keyward::LeakResponse::open(&rotator, &report).await.expect("open"));
    }

    fn ring(&self) -> KeyringBuilder {
        let ring = Keyring::builder(self.store.clone()).environment(Environment::Production).service("billing-api");
        ring.clock(self.clock.0.clone()).consumer_instance("host-1")
    }

    async fn loaded(&self) -> Keyring {
        self.witness.good("load", self.ring().require(NAME).require("messaging/twilio-pair").load().await)
    }

    /// A load that fails with this problem.
    async fn problem(&self, ring: KeyringBuilder, is: impl Fn(&Problem) -> bool) -> LoadError {
        let w = &self.witness;
        let error = w.refused("load", ring.load().await);
        for problem in error.problems() {
            w.shown("a problem of a key", problem);
            w.error("a problem", &problem.problem);
        }
        assert!(error.problems().iter().any(|problem| is(&problem.problem)), "{error}");
        error
    }

    async fn record(&self, id: &KeyId) -> KeyRecord {
        self.store.load_existing(&cx(), id).await.expect("a record").value
    }

    /// Puts a record in place that nobody could have made with this library.
    async fn forge(&self, id: &KeyId, change: impl Fn(&mut serde_json::Value)) {
        let found = self.store.load_existing(&cx(), id).await.expect("a record");
        let mut json = serde_json::to_value(&found.value).expect("JSON");
        let revision = &mut json["record"]["revision"];
        *revision = (revision.as_u64().expect("a number") + 1).into();
        change(&mut json["record"]);
        let forged: KeyRecord = serde_json::from_value(json).expect("a record");
        let swap = self.store.swap(&cx(), id, Expect::At(found.stamp), &forged).await.expect("a swap");
        assert!(matches!(swap, Swap::Applied(_)));
    }
}

#[test]
fn no_handle_report_or_refresh_shows_a_value() {
    for kind in Kind::ALL {
        block_on(async {
            let world = World::new(kind).await;
            let w = &world.witness;
            let ring = world.ring().require(NAME).optional("messaging/absent").reports_to(Arc::default());
            w.debug("a keyring builder", &ring);
            let keys = world.loaded().await;
            w.debug("a keyring", &keys);
            w.debug("its keys", &keys.keys().collect::<Vec<_>>());
            w.debug("its warnings", &keys.warnings());

            let handle = keys.handle(NAME).expect("a handle");
            let watch = handle.watch();
            w.debug("a handle and a watch", &(&handle, &watch));
            let live = w.good("live", handle.live());
            assert!(!live.expose_secret().is_empty());
            // The value itself is for the caller; only the refusal is looked at.
            let _ = live.expose_str().inspect_err(|error| w.error("not text", error));
            w.refused("a field of one value", live.expose_field("id").ok_or(std::fmt::Error).map(drop));
            live.report(Outcome::AuthRejected);
            w.debug("a live key after a report", &live);
            drop(live);
            let pair = w.good("live by name", keys.live("messaging/twilio-pair"));
            w.refused("fields as one text", pair.expose_str().map(drop));
            assert!(pair.expose_field("secret").is_some());
            drop(pair);
            healths(w, &keys, &handle).await;

            world.rotate(&key(CHARGES)).await;
            w.debug("a refresh", &keys.refresh().await);
            w.debug("a refresh in vain", &keys.refresh().await);
            let mut watch = watch;
            w.debug("a change", &watch.changed().await);
            let guard = keys.spawn_refresh();
            w.debug("a guard", &guard);
            guard.stop();
            w.debug("a refresh loop", &std::any::type_name_of_val(&keys.refresh_loop()));
            refused_handles(&world, &keys);
            w.debug("a refresh that logs refusals", &keys.refresh().await);
            crate::tour::Tour { witness: w, store: world.store.clone(), clock: world.clock.clone() }.read_log().await;
            w.finish(&format!("a reader of {kind:?}"), &[Surface::Debug, Surface::Chain]);
        });
    }
}

async fn healths(w: &Witness, keys: &Keyring, handle: &KeyHandle) {
    let health: Arc<ReportedHealth> = keys.health();
    let new = handle.live().expect("live").version();
    w.debug("reported health", &health);
    w.debug("counts", &health.counts(handle.key(), new));
    let since = chrono::Utc::now();
    let query = HealthQuery { key: handle.key().clone(), new, old: Some(VersionId::generate()), since };
    w.debug("a query", &query);
    w.good("a health report", health.health(&cx(), &query).await);
}

fn refused_handles(world: &World, keys: &Keyring) {
    let w = &world.witness;
    let secret = Canary::plant(Kind::Text);
    let names = [secret.text(), "payments/other", "staging/payments/stripe-charges", "production/payments/x.h1"];
    for name in names {
        w.refused("a handle", keys.handle(name));
        w.refused("a live key", keys.live(name));
    }
    let token = Canary::plant(Kind::Token);
    w.refused("a handle named like a secret", keys.handle(token.text()));
}

#[test]
fn no_problem_of_a_load_shows_a_value() {
    block_on(async {
        let world = World::new(Kind::Text).await;
        let (w, id) = (&world.witness, key(CHARGES));
        let secret = Canary::plant(Kind::Text);
        // A value given where a name belongs is not repeated either.
        w.debug("a keyring builder", &world.ring().require(secret.text()).optional(secret.text()));
        let mixed_up = Rotator::builder(world.store.clone()).actor(secret.text());
        let mixed_up = mixed_up.issuer_and_validator(secret.text(), GeneratedIssuer::new("acme").expect("a prefix"));
        w.debug("a rotator builder", &mixed_up);
        w.refused("a rotator", mixed_up.build());
        world.problem(world.ring().require(secret.text()), |p| matches!(p, Problem::BadName(_))).await;
        let bad_service = world.ring().require(NAME).service(secret.text());
        world.problem(bad_service, |p| matches!(p, Problem::BadService(_))).await;
        for bad_text in [world.ring().actor(secret.text()), world.ring().consumer_instance(secret.text())] {
            w.debug("a keyring builder", &bad_text);
            world.problem(bad_text.require(NAME), |p| matches!(p, Problem::BadText(_))).await;
        }
        let settings = [Keyring::builder(world.store.clone()), world.ring().soft_ttl(Duration::ZERO)];
        for setting in settings {
            world.problem(setting, |p| matches!(p, Problem::Setting(_))).await;
        }
        let elsewhere = world.ring().require("staging/payments/stripe-charges");
        world.problem(elsewhere, |p| matches!(p, Problem::OtherEnvironment { .. })).await;
        world.problem(world.ring().require("payments/absent"), |p| matches!(p, Problem::Missing)).await;
        let stranger = world.ring().service("reporting").require(NAME);
        world.problem(stranger, |p| matches!(p, Problem::NotInScope { .. })).await;
        register(&world.store, &world.clock.0, named("production/payments/new", charges())).await;
        world.problem(world.ring().require("payments/new"), |p| matches!(p, Problem::NotProvisioned)).await;

        world.store.damage(&id, true);
        world.problem(world.ring().require(NAME), |p| matches!(p, Problem::Store(_))).await;
        let warned = w.good("load", world.ring().optional(NAME).load().await);
        w.debug("warnings", &warned.warnings());
        drop(w.refused("a handle that is withheld", warned.live(NAME)));
        world.store.damage(&id, false);

        let doubled = "production/payments/doubled";
        world.provision(named(doubled, charges())).await;
        world.forge(&key(doubled), |record| record["shape"] = serde_json::json!({"fields": ["id"]})).await;
        let forged = world.ring().require("payments/doubled");
        world.problem(forged, |p| matches!(p, Problem::Contradiction(_))).await;

        let bare = "production/payments/bare";
        world.provision(named(bare, charges())).await;
        let target = world.record(&key(bare)).await.target();
        world.store.retire(&cx(), &target, Duration::ZERO).await.expect("retire");
        let missing = world.ring().require("payments/bare");
        world.problem(missing, |p| matches!(p, Problem::MaterialMissing { .. })).await;

        let ended = "production/payments/ended";
        world.provision(named(ended, charges())).await;
        let end = |record: &mut serde_json::Value| record["versions"][0]["state"] = "revoked".into();
        world.forge(&key(ended), end).await;
        world.problem(world.ring().require("payments/ended"), |p| matches!(p, Problem::Revoked { .. })).await;

        world.leak(&key(PAIR)).await;
        let leaked = world.ring().require("messaging/twilio-pair");
        world.problem(leaked, |p| matches!(p, Problem::Compromised { .. })).await;

        let old = "production/payments/old";
        world.provision(named(old, charges())).await;
        let rotator = builder(world.store.clone(), &world.clock, world.issuer.clone()).build().expect("a rotator");
        rotator.decommission(&key(old), "no longer needed").await.expect("decommission");
        world.problem(world.ring().require("payments/old"), |p| matches!(p, Problem::Retired)).await;

        world.clock.0.advance(Duration::from_secs(400 * 86_400));
        world.problem(world.ring().require(NAME), |p| matches!(p, Problem::Expired { .. })).await;
        w.finish("every problem of a load", &[Surface::Debug, Surface::Display, Surface::Chain]);
    });
}

#[test]
fn no_value_that_went_out_of_service_is_shown() {
    block_on(async {
        let world = World::new(Kind::Binary).await;
        let w = &world.witness;
        let keys = world.loaded().await;
        let handle = keys.handle(NAME).expect("a handle");
        let pair = keys.handle("messaging/twilio-pair").expect("a handle");

        world.clock.0.advance(Duration::from_secs(3_600));
        w.refused("a stale key", handle.live());
        w.debug("a refresh", &keys.refresh().await);
        world.rotate(&key(CHARGES)).await;
        w.debug("a refresh", &keys.refresh().await);
        world.store.serve_stale(8);
        let lagging = keys.refresh().await;
        world.store.serve_stale(0);
        let older = |problem: &keyward::keyring::KeyProblem| matches!(problem.problem, Problem::OlderRecord { .. });
        assert!(lagging.problems.iter().any(older), "{lagging:?}");
        w.debug("a refresh from an older replica", &lagging);
        lagging.problems.iter().for_each(|problem| w.shown("a problem of a refresh", problem));

        world.leak(&key(PAIR)).await;
        w.debug("a refresh after a leak", &keys.refresh().await);
        w.refused("a leaked key", pair.live());
        w.refused("a leaked key by name", keys.live("messaging/twilio-pair"));
        let rotator = builder(world.store.clone(), &world.clock, world.issuer.clone()).build().expect("a rotator");
        let record = world.record(&key(PAIR)).await;
        let incident = record.incidents().last().expect("an incident").id;
        let mut response = keyward::LeakResponse::resume(&rotator, &key(PAIR), incident).await.expect("resume");
        respond(w, &world.clock, &mut response).await.expect("answered");
        w.debug("a refresh after the answer", &keys.refresh().await);
        w.good("replaced", pair.live());

        rotator.decommission(&key(CHARGES), "no longer needed").await.expect("decommission");
        w.debug("a refresh after the end", &keys.refresh().await);
        w.refused("a retired key", handle.live());
        world.clock.0.advance(Duration::from_secs(400 * 86_400));
        w.debug("a refresh after a year", &keys.refresh().await);
        w.refused("an expired key", pair.live());
        w.debug("the keyring at its end", &keys);
        w.finish("out of service", &[Surface::Debug, Surface::Chain]);
    });
}

/// The tokens of the generated issuer cannot be planted: the one it minted is searched for.
#[test]
fn the_generated_issuer_shows_neither_its_token_nor_one_presented_to_it() {
    block_on(async {
        let clock = Hasty::default();
        let store = StrictFake::with_clock(Arc::new(clock.clone()));
        register(&store, &clock.0, charges()).await;
        let issuer = crate::support::issuer();
        let rotator = builder(store.clone(), &clock, CanaryIssuer::of(Kind::Text));
        let rotator = rotator.issuer_and_validator("acme", issuer.clone()).build().expect("a rotator");
        let mut run = rotator.start(&key(CHARGES), "first key").await.expect("start");
        let quiet = Witness::new();
        drive(&quiet, &clock, &mut run).await.expect("provision");
        let record = store.record(&key(CHARGES)).expect("a record");
        let token = token(&store, &cx(), &record).await;

        // The prefix is public; what follows it is not.
        let w = Witness::of(crate::secret::Search::of([&token.expose_secret()[issuer.prefix().as_str().len() + 1..]]));
        store.revisions(&key(CHARGES)).iter().for_each(|revision| w.record("a revision", revision));
        w.debug("the rotator", &rotator);
        w.debug("a verified token", &issuer.verify(&record, &token));
        let secret = Canary::plant(Kind::Token);
        for witness in [&w, &quiet] {
            witness.debug("the issuer", &issuer);
            witness.shown("its prefix", issuer.prefix());
            witness.debug("a refused token", &issuer.verify(&record, &secret.value()));
            crate::tour::Tour { witness, store: store.clone(), clock: clock.clone() }.read_log().await;
        }
        quiet.refused("a secret as a prefix", GeneratedIssuer::new(secret.text()));
        w.finish("a generated token", &[Surface::Debug, Surface::Json]);
        quiet.finish("a presented token", &[Surface::Debug, Surface::Chain]);
    });
}

async fn token<B: SecretBackend>(store: &B, cx: &Context, record: &KeyRecord) -> SecretValue {
    match store.read_one(cx, &record.target(), keyward::core::Select::Current).await.expect("read") {
        keyward::core::Read::Found { material, .. } => material.value().expect("one value").duplicate(),
        keyward::core::Read::Unchanged => panic!("unchanged"),
    }
}
