//! Every call of the inventory, the rotator, the leak response and the audit log, on any store.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use keyward::audit::AuditLog;
use keyward::core::{
    AccessLevel, AuditQuery, Clock, Context, Edit, IncidentId, KeyId, KeyRecord, ListQuery, Material, NewKey,
    Ownership, RotationPolicy, Scope, SecretBackend, SecretBackendExt, Shape, VersionId,
};
use keyward::inventory::{Filter, Inventory};
use keyward::issuer::ManualIssuer;
use keyward::leak::{LeakError, LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{RotationError, RotationRun, Rotator, RunReport, Step};

use crate::cast::{CanaryIssuer, Hasty, Idle, PAIR, builder, named, pair};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, Counts, FAILING, HEALTHY, REPORTS, SILENT, charges, cx, key, owners, reports};
use crate::witness::Witness;

const IMPORTED: &str = "production/messaging/twilio-send";
const BY_HAND: &str = "production/payments/by-hand";

/// One walk through everything, on one store.
pub(crate) struct Tour<'w, B> {
    pub(crate) witness: &'w Witness,
    pub(crate) store: B,
    pub(crate) clock: Hasty,
}

impl<B: SecretBackend + Clone + 'static> Tour<'_, B> {
    pub(crate) async fn whole(&self) {
        self.register().await;
        self.import().await;
        self.edit().await;
        for (id, kind) in [(CHARGES, Kind::Text), (REPORTS, Kind::Binary), (PAIR, Kind::Token)] {
            self.rotate(&key(id), kind).await;
        }
        self.obstruct().await;
        self.by_hand().await;
        self.look().await;
        self.leak(&key(CHARGES), Kind::Text).await;
        self.give_up(&key(REPORTS)).await;
        self.look().await;
        self.read_log().await;
    }

    fn inventory(&self) -> Inventory<B> {
        Inventory::new(self.store.clone()).actor("ada").clock(Arc::new(self.clock.clone()))
    }

    fn rotator(&self, issuer: CanaryIssuer, health: Counts) -> Rotator<B> {
        let builder = builder(self.store.clone(), &self.clock, issuer).health(health);
        self.witness.glance("a rotator builder", &builder);
        self.witness.good("a rotator", builder.build())
    }

    async fn register(&self) {
        let (w, inventory) = (self.witness, self.inventory());
        let by_hand = named(BY_HAND, charges());
        for draft in [charges(), reports(), pair(), by_hand] {
            w.debug("a draft", &draft);
            w.record("a registered key", &w.good("register", inventory.register(draft).await));
        }
        w.refused("register twice", inventory.register(charges()).await);
        let shapeless = named("dev/analytics/none", reports()).shape(Shape::Fields(Vec::new()));
        w.refused("register without a shape", inventory.register(shapeless).await);
        w.refused("nobody acts", Inventory::new(self.store.clone()).list(&Filter::all()).await);
        let unprintable = Canary::plant(Kind::Text);
        let nobody = Inventory::new(self.store.clone()).actor(unprintable.text());
        w.glance("an inventory", &nobody);
        w.refused("an actor that does not print", nobody.list(&Filter::all()).await);
    }

    async fn import(&self) {
        let (w, inventory) = (self.witness, self.inventory());
        let draft = |id: &str| named(id, charges());
        for (id, kind) in [(IMPORTED, Kind::Text), ("production/messaging/binary", Kind::Binary)] {
            let new = NewKey::new(Canary::plant(kind).material());
            w.debug("a key to import", &new);
            w.record("an imported key", &w.good("import", inventory.import(draft(id), new, "moved in").await));
        }
        let other = NewKey::new(Canary::plant(Kind::Text).material());
        w.refused("import of another value", inventory.import(draft(IMPORTED), other, "again").await);
        let misshapen = NewKey::new(Canary::plant(Kind::Text).material());
        let fields = named("production/messaging/misshapen", pair());
        w.refused("import of another shape", inventory.import(fields, misshapen, "moved in").await);
        let secret = Canary::plant(Kind::Text);
        let valueless = inventory.import(draft("dev/messaging/x"), NewKey::new(secret.material()), secret.text()).await;
        w.refused("import with a secret as its reason", valueless);
    }

    async fn edit(&self) {
        let (w, inventory, id) = (self.witness, self.inventory(), key(CHARGES));
        let wider = Scope::new(AccessLevel::Admin).mode(keyward::Mode::Live).endpoint("POST /v1/charges");
        let wider = wider.and_then(|s| s.permission("charges:write")).and_then(|s| s.service("billing-api"));
        let wider = wider.expect("a scope");
        let approved = Some("asked for by the owners".parse().expect("a reason"));
        let label = ("project".parse().expect("a name"), "checkout".parse().expect("a value"));
        let link = keyward::core::Link::runbook("Charges stop", "https://runbooks.example.com/x").expect("a link");
        let edits = [
            Edit::Ownership(Ownership::new("data", "alan@example.com", "ada@example.com", "#data").expect("owners")),
            Edit::Scope { scope: wider.clone(), approval: approved },
            Edit::Scope { scope: charges().scope, approval: None },
            Edit::Policy(RotationPolicy::default()),
            Edit::Labels([label].into()),
            Edit::Links(vec![link]),
        ];
        for edit in edits {
            w.debug("an edit", &edit);
            w.record("an edited key", &w.good("update", inventory.update(&id, edit, "an edit").await));
        }
        w.refused("a wider scope", inventory.update(&id, Edit::Scope { scope: wider, approval: None }, "more").await);
        let policy = RotationPolicy::default().with_interval(Duration::ZERO);
        w.refused("no policy", inventory.update(&id, Edit::Policy(policy), "never").await);
        w.record("a noted key", &w.good("annotate", inventory.annotate(&id, "two new keys a day at most").await));
        let secret = Canary::plant(Kind::Text);
        w.refused("a secret as a note", inventory.annotate(&id, secret.text()).await);
        w.refused("no such key", inventory.annotate(&key("dev/analytics/absent"), "hello").await);
        w.good("back to the owners", inventory.update(&id, Edit::Ownership(owners()), "moved back").await);
    }

    /// First key, rollback, abort, an override and a whole rotation.
    async fn rotate(&self, id: &KeyId, kind: Kind) {
        let (w, issuer) = (self.witness, CanaryIssuer::of(kind));
        let rotator = self.rotator(issuer.clone(), HEALTHY);
        w.glance("a rotator", &rotator);
        w.shown("a plan", &w.good("plan", rotator.plan(id).await));
        let mut run = w.good("start", rotator.start(id, "first key").await);
        w.refused("start twice", rotator.start(id, "again").await);
        w.shown("a plan", &w.good("plan under way", rotator.plan(id).await));
        w.refused("nothing to supply", rotator.supply(id, Canary::shaped(kind, &Shape::One), None, "early").await);
        drive(w, &self.clock, &mut run).await.expect("the first key");

        let mut run = w.good("start", rotator.start_or_resume(id, "quarterly").await);
        until(w, &self.clock, &mut run, |step| matches!(step, Step::Published { .. })).await;
        w.refused("override too early", rotator.override_gate(id, "hurry").await);
        w.good("rollback", rotator.rollback(id, "looks bad").await);
        drive(w, &self.clock, &mut run).await.expect("rolled back");

        let mut run = w.good("start", rotator.start(id, "quarterly").await);
        until(w, &self.clock, &mut run, |step| matches!(step, Step::Validated { .. })).await;
        w.good("abort", rotator.abort(id, "changed our minds").await);
        drive(w, &self.clock, &mut run).await.expect("aborted");
        w.refused("abort of nothing", rotator.abort(id, "again").await);
        w.refused("resume of nothing", rotator.resume(id, "again").await);
        w.refused("rollback of nothing", rotator.rollback(id, "again").await);

        let silent = self.rotator(issuer.clone(), SILENT);
        let mut run = w.good("start", silent.start(id, "quarterly").await);
        w.refused("a gate that says nothing", drive(w, &self.clock, &mut run).await);
        w.good("override", silent.override_gate(id, "checked by hand").await);
        let mut resumed = w.good("resume", silent.resume(id, "go on").await);
        until(w, &self.clock, &mut resumed, |step| matches!(step, Step::Revoked { .. })).await;
        w.debug("a run", &resumed.id());
        drive(w, &self.clock, &mut run).await.expect("rotated");

        let failing = self.rotator(issuer, FAILING);
        let mut run = w.good("start", failing.start(id, "quarterly").await);
        drive(w, &self.clock, &mut run).await.expect("taken back by the gate");
        w.debug("a finished run", &run);
        self.clock.0.advance(Duration::from_secs(30 * 86_400));
        w.debug("a sweep", &w.good("sweep", rotator.sweep(id, "daily").await));
    }

    /// Runs that cannot go on.
    async fn obstruct(&self) {
        let (w, id) = (self.witness, key(REPORTS));
        let full = self.rotator(CanaryIssuer::of(Kind::Text).capped(1), HEALTHY);
        w.refused("an issuer that is full", full.start(&id, "one more").await);
        w.shown("a plan", &w.good("plan of a full issuer", full.plan(&id).await));

        let other = self.rotator(CanaryIssuer::of(Kind::Text).shaped(pair().shape), HEALTHY);
        let mut run = w.good("start", other.start(&id, "of another shape").await);
        drive(w, &self.clock, &mut run).await.expect("given up");

        let outage = CanaryIssuer::of(Kind::Text);
        let dead = self.rotator(outage.clone(), HEALTHY);
        let mut run = w.good("start", dead.start(&id, "in an outage").await);
        until(w, &self.clock, &mut run, |step| matches!(step, Step::Created { .. })).await;
        outage.kill_all();
        drive(w, &self.clock, &mut run).await.expect("given up");

        let nobody = w.good("a rotator", Rotator::builder(self.store.clone()).build());
        w.refused("no issuer", nobody.start(&id, "who mints it?").await);
        w.refused("no such key", nobody.plan(&key("dev/analytics/absent")).await);
        let secret = Canary::plant(Kind::Text);
        w.refused("a bad actor", Rotator::builder(self.store.clone()).actor(secret.text()).build());
        let named = Rotator::builder(self.store.clone()).issuer(secret.text(), CanaryIssuer::of(Kind::Text));
        w.refused("a bad issuer name", named.build());
        let reasons = [
            nobody.abort(&id, secret.text()).await,
            nobody.rollback(&id, secret.text()).await,
            nobody.override_gate(&id, secret.text()).await,
            nobody.decommission(&id, secret.text()).await,
            nobody.attest_revoked(&id, VersionId::generate(), secret.text()).await,
            nobody.start(&id, secret.text()).await.map(drop),
            nobody.resume(&id, secret.text()).await.map(drop),
            nobody.sweep(&id, secret.text()).await.map(drop),
        ];
        for reason in reasons {
            w.refused("a secret as a reason", reason);
        }
    }

    /// A person makes and revokes the keys.
    async fn by_hand(&self) {
        let (w, id, vendor) = (self.witness, key(BY_HAND), CanaryIssuer::of(Kind::Text));
        let manual = ManualIssuer::new("make a key in the dashboard", "delete it there").expect("texts");
        w.debug("a manual issuer", &manual);
        let rotator = Rotator::builder(self.store.clone())
            .issuer("acme", manual.clone())
            .validator("acme", vendor.clone())
            .health(HEALTHY)
            .poll_every(Duration::from_secs(86_400))
            .clock(Arc::new(self.clock.clone()));
        let rotator = w.good("a rotator", rotator.build());
        for round in ["first", "second"] {
            let mut run = w.good("start", rotator.start(&id, "by hand").await);
            w.refused("a person is asked", drive(w, &self.clock, &mut run).await);
            let misshapen = Canary::shaped(Kind::Text, &pair().shape);
            w.refused("supply of another shape", rotator.supply(&id, misshapen, None, "wrong").await);
            let secret = Canary::plant(Kind::Text);
            let material: Material = secret.material();
            w.refused("a secret as a reason", rotator.supply(&id, secret.material(), None, secret.text()).await);
            vendor.know(&id, &material);
            let supplied = w.good("supply", rotator.supply(&id, material, None, "made in the dashboard").await);
            w.refused("supply twice", rotator.supply(&id, secret.material(), None, "again").await);
            if round == "second" {
                until(w, &self.clock, &mut run, |step| matches!(step, Step::Retiring { .. })).await;
                w.refused("a person must revoke", drive(w, &self.clock, &mut run).await);
                w.refused("not condemned", rotator.attest_revoked(&id, supplied, "seen gone").await);
                let record = self.record(&id).await;
                let old = record.run().and_then(|run| run.previous).expect("an old version");
                w.good("attest", rotator.attest_revoked(&id, old, "seen gone in the dashboard").await);
            }
            drive(w, &self.clock, &mut run).await.expect("rotated by hand");
        }
        // Other bytes under the version that waits for its key.
        let run = w.good("start", rotator.start_or_resume(&id, "by hand").await);
        let mut run = run;
        w.refused("a person is asked", drive(w, &self.clock, &mut run).await);
        let record = self.record(&id).await;
        let planned = record.run().expect("a run").phase.version();
        let foreign = Canary::plant(Kind::Binary).material();
        w.good("stage", self.store.stage(&cx(), &record.target(), planned, &foreign).await);
        let late = Canary::plant(Kind::Text).material();
        w.refused("other material is there", rotator.supply(&id, late, None, "late").await);
        let lone = Rotator::builder(self.store.clone()).issuer("acme", manual).clock(Arc::new(self.clock.clone()));
        let lone = w.good("a rotator", lone.build());
        let unproven = Canary::plant(Kind::Text).material();
        w.good("abort", lone.abort(&id, "start over").await);
        let mut run = w.good("start", lone.start_or_resume(&id, "nobody validates").await);
        w.refused("a person is asked", drive(w, &self.clock, &mut run).await);
        w.good("supply", lone.supply(&id, unproven, None, "made by hand").await);
        w.refused("nobody can prove it", drive(w, &self.clock, &mut run).await);
        w.good("abort", lone.abort(&id, "no proof").await);
        w.debug("a sweep", &w.good("sweep", lone.sweep(&id, "daily").await));
    }

    pub(crate) async fn leak(&self, id: &KeyId, kind: Kind) {
        let (w, rotator) = (self.witness, self.rotator(CanaryIssuer::of(kind), HEALTHY));
        let report = |leaked| LeakReport::of(id.clone(), leaked, "seen in a gist").expect("a report");
        let secret = Canary::plant(Kind::Text);
        w.refused("a secret as the source", LeakReport::of(id.clone(), Leaked::Current, secret.text()));
        let stranger = "fp_00000000000000000000000000000000".parse().expect("a fingerprint");
        let unknown = [
            Leaked::Fingerprint(stranger),
            Leaked::Version(VersionId::generate()),
            Leaked::IssuerRef("nobody".parse().expect("a reference")),
        ];
        for leaked in unknown {
            w.refused("a report of nothing known", LeakResponse::open(&rotator, &report(leaked)).await);
        }
        let no_incident = LeakResponse::resume(&rotator, id, IncidentId::generate()).await;
        w.refused("no such incident", no_incident);

        let report = report(Leaked::Current).exposed_from(self.clock.now() - TimeDelta::hours(3));
        w.debug("a report", &report);
        let mut response = w.good("open", LeakResponse::open(&rotator, &report).await);
        respond(w, &self.clock, &mut response).await.expect("answered");
        w.debug("a finished response", &response);
        let incident = response.incident();
        let mut again = w.good("resume", LeakResponse::resume(&rotator, id, incident).await);
        w.shown("an incident", &w.good("run to review", again.run_to_review().await));
        let by_name = self.record(id).await.primary().and_then(|v| v.fingerprint).expect("a fingerprint");
        w.shown("a fingerprint", &by_name);
        let report = LeakReport::of(id.clone(), Leaked::Fingerprint(by_name), "seen again").expect("a report");
        let mut response = w.good("open", LeakResponse::open(&rotator, &report).await);
        w.shown("an incident", &w.good("run to review", response.run_to_review().await));
    }

    /// The end of a key.
    async fn give_up(&self, id: &KeyId) {
        let (w, inventory) = (self.witness, self.inventory());
        let rotator = self.rotator(CanaryIssuer::of(Kind::Binary), HEALTHY);
        w.refused("retire what works", inventory.retire(id, "switched off").await);
        w.good("decommission", rotator.decommission(id, "switched off").await);
        w.refused("start what is given up", rotator.start(id, "one more").await);
        let swept = w.good("sweep", rotator.sweep(id, "at the end").await);
        for version in swept.pending {
            // Made by an issuer of an earlier scene, which this one never heard of.
            w.good("attest", rotator.attest_revoked(id, version, "seen gone").await);
        }
        w.debug("a retired key", &w.good("retire", inventory.retire(id, "switched off").await));
        w.debug("a retired key", &w.good("retire again", inventory.retire(id, "switched off").await));
        w.refused("edit a tombstone", inventory.annotate(id, "gone").await);
        w.refused("register anew", inventory.register(reports()).await);
    }

    /// Everything there is to see.
    async fn look(&self) {
        let (w, inventory) = (self.witness, self.inventory());
        for filter in [Filter::all(), Filter::all().owner("ada@example.com").with_run()] {
            w.debug("a filter", &filter);
            let listing = w.good("list", inventory.list(&filter).await);
            w.shown("a listing", &listing);
            w.json("an export", &listing.to_json());
            w.json("rows", &listing.rows);
        }
        w.shown("what is due", &w.good("due", inventory.due(self.clock.now() + TimeDelta::days(400)).await));
        w.debug("what is unused", &w.good("unused", inventory.unused(&Idle, self.clock.now()).await));
        for found in w.good("list all", self.store.list_all(&cx(), &ListQuery::all().with_pages()).await) {
            let record = w.good("a listed record", found).value;
            w.record("a record", &record);
            w.json("a policy", record.policy());
            w.json("versions", &record.versions());
            w.good("survey", self.store.survey(&cx(), &record.target()).await);
            if !record.is_page() {
                let history = w.good("history", inventory.history(record.id()).await);
                w.json("history", &(&history.runs, &history.versions, &history.incidents));
                w.json("history", &(history.notes(), history.operations()));
                w.good("get", inventory.get(record.id()).await);
            }
        }
        w.debug("the store", &self.store);
    }

    pub(crate) async fn read_log(&self) {
        let w = self.witness;
        let Some(log) = AuditLog::of(&self.store) else { return };
        w.glance("the log", &log);
        let entries = w.good("entries", log.entries(&cx(), &AuditQuery::default()).await);
        assert!(entries.len() > 10, "the log holds what was done");
        entries.iter().for_each(|entry| w.entry(entry));
        let (from, until) = (entries[0].at, self.clock.now() + TimeDelta::days(1));
        w.good("a window", log.window(&cx(), &key(CHARGES), from, until).await);
        w.debug("a verified log", &w.good("verify", log.verify(&cx()).await));
    }

    pub(crate) async fn record(&self, id: &KeyId) -> KeyRecord {
        let cx: Context = cx();
        self.store.load_existing(&cx, id).await.expect("a record").value
    }
}

/// Steps to the end, looking at everything on the way.
pub(crate) async fn drive<B: SecretBackend>(
    w: &Witness,
    clock: &Hasty,
    run: &mut RotationRun<'_, B>,
) -> Result<RunReport, RotationError> {
    for _ in 0..400 {
        match w.result("a step", run.step().await) {
            Ok(Step::Finished(report)) => {
                w.shown("a report", &report);
                return Ok(report);
            }
            Ok(Step::NeedsOperator(what)) => {
                w.error("what a person is asked", &what);
                return Err(what.into());
            }
            Ok(Step::Wait { at_most, .. }) => clock.0.advance(at_most),
            Ok(step) => w.shown("a step", &step),
            Err(error) => {
                // A key that was minted and not stored yet is in the hands of the run.
                w.glance("a failed run", run);
                return Err(error);
            }
        }
    }
    panic!("the run does not end");
}

/// Steps until `stop` says so.
pub(crate) async fn until<B: SecretBackend>(
    w: &Witness,
    clock: &Hasty,
    run: &mut RotationRun<'_, B>,
    stop: impl Fn(&Step) -> bool,
) {
    let mut last = String::new();
    for _ in 0..400 {
        let step = w.good("a step", run.step().await);
        w.shown("a step", &step);
        last = step.to_string();
        match step {
            step if stop(&step) => return,
            Step::Wait { at_most, .. } => clock.0.advance(at_most),
            _ => {}
        }
    }
    panic!("the run does not get there: {last}");
}

/// Answers a leak to its end, looking at everything on the way.
pub(crate) async fn respond<B: SecretBackend>(
    w: &Witness,
    clock: &Hasty,
    response: &mut LeakResponse<'_, B>,
) -> Result<(), LeakError> {
    for _ in 0..400 {
        match w.result("a leak step", response.step().await) {
            Ok(LeakStep::AwaitingReview(report)) => {
                w.shown("an incident", &report);
                return Ok(());
            }
            Ok(LeakStep::Wait { at_most, .. }) => clock.0.advance(at_most),
            Ok(LeakStep::NeedsOperator(what)) => {
                w.error("what a person is asked", &what);
                return Err(RotationError::from(what).into());
            }
            Ok(_) => {}
            Err(error) => {
                w.glance("a failed response", response);
                return Err(error);
            }
        }
    }
    panic!("the response does not end");
}
