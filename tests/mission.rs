//! The mission, sentence by sentence, on every store it concerns: memory, the encrypted file, and
//! Vault and AWS on real servers.
//!
//! Each test reads like its sentence. What is not built yet has no test here: the review of an
//! exposure window, related secrets, sharing.

#![expect(clippy::unwrap_used, reason = "the macro hides from the lint that these are tests")]

#[cfg(all(feature = "aws", feature = "vault"))]
#[path = "everywhere/stores.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod opened;
mod support;
#[path = "mission/world.rs"]
mod world;

use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::block_on;
use keyward::Outcome;
use keyward::audit::AuditLog;
use keyward::core::{
    AccessLevel, AuditAction, AuditQuery, Clock, Context, Edit, Environment, Evidence, Function, KeyDraft, KeyId,
    LastUse, Link, LinkKind, Mode, Ownership, Result, RunOutcome, Scope, ScopeError, SecretBackendExt, Select,
    UsageSignal, VersionId, VersionState, async_trait,
};
use keyward::inventory::{Filter, KeyState};
use keyward::leak::{LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::Step;
use support::{CHARGES, HEALTHY, REPORTS, SILENT, charges, cx, finish, issuer, key, owners, reports, until};
use world::World;

/// One test per sentence and store.
macro_rules! mission {
    ($($(#[$doc:meta])* $name:ident($world:ident) $body:block)*) => {
        mod memory {
            use super::World;
            $(#[test] fn $name() { super::$name(World::on_memory()) })*
        }
        mod file {
            use super::World;
            $(#[test] fn $name() { super::$name(World::on_file()) })*
        }
        #[cfg(all(feature = "aws", feature = "vault"))]
        mod vault {
            use super::{World, opened};
            $(#[test] #[ignore = "needs tests/servers/up.sh"]
            fn $name() { super::$name(World::on(opened::vault())) })*
        }
        #[cfg(all(feature = "aws", feature = "vault"))]
        mod aws {
            use super::{World, opened};
            $(#[test] #[ignore = "needs tests/servers/up.sh"]
            fn $name() { super::$name(World::on(opened::aws())) })*
        }
        $($(#[$doc])* fn $name($world: World) { block_on(async { $body }) })*
    };
}

/// Sentences about the audit log, on the stores that keep one themselves. On AWS and Vault it is
/// theirs: CloudTrail, the audit devices.
macro_rules! mission_with_a_log {
    ($($(#[$doc:meta])* $name:ident($world:ident) $body:block)*) => {
        mod logging_memory {
            use super::World;
            $(#[test] fn $name() { super::$name(World::on_memory()) })*
        }
        mod logging_file {
            use super::World;
            $(#[test] fn $name() { super::$name(World::on_file()) })*
        }
        $($(#[$doc])* fn $name($world: World) { block_on(async { $body }) })*
    };
}

mission! {
    /// Keys are never hardcoded; they live in a secret manager, not a repository.
    keys_live_in_a_secret_manager_not_a_repository(world) {
        world.in_service(charges()).await;
        let value = world.value(&key(CHARGES)).await;
        // What a program or a repository holds: names, records, the inventory. None of it helps.
        let record = world.record(&key(CHARGES)).await;
        let record = String::from_utf8(record.encode().expect("encode")).expect("text");
        let listing = world.inventory().list(&Filter::all()).await.expect("list");
        for text in [record, listing.to_json(), listing.to_string()] {
            assert!(!contains(text.as_bytes(), &value), "a value outside the store");
        }
        // What the program does: ask the store for it, under its own name.
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        assert!(keys.live("payments/stripe-charges").expect("live").expose_secret() == value, "the value");
    }

    /// Every environment and service has its own key.
    every_environment_and_service_has_its_own_key(world) {
        let staging = KeyDraft::new(key("staging/payments/stripe-charges"), owners(), test_scope(), "acme".parse().unwrap());
        world.in_service(charges()).await;
        world.in_service(staging).await;
        let (live, test) = (world.value(&key(CHARGES)).await, world.value(&key("staging/payments/stripe-charges")).await);
        assert!(live != test, "two environments share a value");
        assert!(world.load("billing-api", "payments/stripe-charges").await.is_ok());
        let other = world.load("mailer", "payments/stripe-charges").await.map(|_| ()).expect_err("not its key");
        assert!(other.to_string().contains("scope does not allow mailer"), "{other}");
    }

    /// Scopes are least-privilege.
    scopes_are_least_privilege(world) {
        let nothing = Scope::new(AccessLevel::Admin);
        assert_eq!(nothing.permissions().count() + nothing.endpoints().count() + nothing.services().count(), 0);
        world.in_service(charges()).await;
        let wider = Edit::Scope { scope: charges().scope.service("mailer").unwrap(), approval: None };
        let refused = world.inventory().update(&key(CHARGES), wider, "more").await.expect_err("unapproved");
        assert!(refused.to_string().contains("widening needs an approval"), "{refused}");
        let narrower = charges().scope.intersect(&charges().scope).unwrap();
        let edit = Edit::Scope { scope: narrower, approval: None };
        assert!(world.inventory().update(&key(CHARGES), edit, "the same or less").await.is_ok());
    }

    /// Keys expire.
    keys_expire(world) {
        world.in_service(charges()).await;
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        let expires = world.record(&key(CHARGES)).await.expires_at().expect("every version expires");
        world.clock.advance((expires - world.clock.now()).to_std().unwrap());
        keys.refresh().await;
        assert!(keys.live("payments/stripe-charges").is_err(), "an expired key was served");
        let refused = world.load("billing-api", "payments/stripe-charges").await.map(|_| ()).expect_err("expired");
        assert!(refused.to_string().contains("expired"), "{refused}");
    }

    /// Every key has a clear owner and team.
    every_key_has_a_clear_owner_and_team(world) {
        assert!(Ownership::new("payments", "", "grace@example.com", "#x").is_err(), "no owner");
        assert!(Ownership::new("", "ada@example.com", "grace@example.com", "#x").is_err(), "no team");
        assert!(Ownership::new("payments", "ada", "Ada", "#x").is_err(), "the backup is the owner");
        world.in_service(charges()).await;
        let row = &world.inventory().list(&Filter::all()).await.expect("list").rows[0];
        assert_eq!(row.ownership, owners());
    }

    /// Keys are organised by environment (dev, staging, production).
    keys_are_organised_by_environment(world) {
        world.populate().await;
        for (environment, count) in [(Environment::Dev, 0), (Environment::Staging, 1), (Environment::Production, 3)] {
            let listing = world.inventory().list(&Filter::all().environment(environment)).await.expect("list");
            assert_eq!(listing.rows.len(), count);
        }
    }

    /// Keys are organised by function (payments, messaging, analytics).
    keys_are_organised_by_function(world) {
        world.populate().await;
        for (function, count) in [(Function::PAYMENTS, 2), (Function::MESSAGING, 1), (Function::ANALYTICS, 1)] {
            let listing = world.inventory().list(&Filter::all().function(function)).await.expect("list");
            assert_eq!(listing.rows.len(), count);
        }
    }

    /// Keys are organised by access level (read-only, write, admin).
    keys_are_organised_by_access_level(world) {
        world.populate().await;
        for (access, count) in [(AccessLevel::ReadOnly, 1), (AccessLevel::Write, 3), (AccessLevel::Admin, 0)] {
            let listing = world.inventory().list(&Filter::all().access(access)).await.expect("list");
            assert_eq!(listing.rows.len(), count);
        }
    }

    /// Rotation: (1) create a new key with the same required scope.
    rotation_1_creates_a_new_key_with_the_same_required_scope(world) {
        world.in_service(charges()).await;
        let (old, before) = (world.primary(&key(CHARGES)).await, world.record(&key(CHARGES)).await.scope().clone());
        let old_value = world.value(&key(CHARGES)).await;
        world.rotate(&key(CHARGES)).await;
        let record = world.record(&key(CHARGES)).await;
        assert_eq!(record.scope(), &before);
        assert_ne!(record.primary().unwrap().id, old);
        assert!(record.primary().unwrap().proof.as_ref().unwrap().evidence.as_str().contains("scope is the recorded one"));
        assert!(world.value(&key(CHARGES)).await != old_value, "the same value again");
    }

    /// Rotation: (2) deploy and validate it in the application.
    rotation_2_deploys_and_validates_it_in_the_application(world) {
        world.in_service(charges()).await;
        let old = world.primary(&key(CHARGES)).await;
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        let serving = async || {
            keys.refresh().await;
            keys.live("payments/stripe-charges").expect("live").version()
        };
        let rotator = world.rotator(HEALTHY);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Created { .. })).await;
        assert_eq!(serving().await, old, "an unproven key was served");
        until(&mut run, &world.clock, |step| matches!(step, Step::Validated { .. })).await;
        assert_eq!(serving().await, old, "an unpublished key was served");
        let new = world.record(&key(CHARGES)).await.run().unwrap().phase.version();
        let proof = world.record(&key(CHARGES)).await.version(new).unwrap().proof.clone().expect("a proof");
        assert_eq!(proof.checks, 3);
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        assert_eq!(serving().await, new, "the application follows without a restart");
    }

    /// Rotation: (3) monitor error rates and downstream API responses.
    rotation_3_monitors_error_rates_and_downstream_api_responses(world) {
        world.in_service(charges()).await;
        let old = world.primary(&key(CHARGES)).await;
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        let rotator = world.rotator_hearing(keys.health());
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        until(&mut run, &world.clock, |step| matches!(step, Step::Published { .. })).await;
        keys.refresh().await;
        // Three minutes: what one consumer repeats within one minute counts once.
        for _ in 0..3 {
            keys.live("payments/stripe-charges").expect("live").report(Outcome::from_http_status(401_u16));
            world.clock.advance(Duration::from_secs(60));
        }
        let report = finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!(report.outcome, RunOutcome::RolledBack, "{:?}", report.evidence);
        assert_eq!(world.primary(&key(CHARGES)).await, old);
    }

    /// Rotation: (4) revoke the old key after stable cutover, and not before.
    rotation_4_revokes_the_old_key_after_stable_cutover(world) {
        world.in_service(charges()).await;
        let old = world.primary(&key(CHARGES)).await;
        let state = async || world.record(&key(CHARGES)).await.version(old).unwrap().state;
        let rotator = world.rotator(SILENT);
        let mut run = rotator.start(&key(CHARGES), "quarterly").await.expect("start");
        assert!(finish(&mut run, &world.clock).await.is_err(), "silence is not stability");
        assert_eq!(state().await, VersionState::Overlap);
        let hearing = world.rotator(HEALTHY);
        let mut run = hearing.resume(&key(CHARGES), "traffic is back").await.expect("resume");
        let report = finish(&mut run, &world.clock).await.expect("finish");
        assert_eq!(report.outcome, RunOutcome::Completed);
        assert_eq!(state().await, VersionState::Revoked);
    }

    /// A leak: (1) revoke the exposed key immediately.
    leak_1_revokes_the_exposed_key_immediately(world) {
        world.in_service(charges()).await;
        let (leaked, began) = (world.primary(&key(CHARGES)).await, world.clock.now());
        let exposed = world.secret(&key(CHARGES)).await;
        let rotator = world.rotator(HEALTHY);
        let mut response = LeakResponse::open(&rotator, &leak(CHARGES)).await.expect("open");
        let refused = issuer().verify(&world.record(&key(CHARGES)).await, &exposed);
        assert_eq!(refused, None, "refused from the report on");
        let step = response.step().await.expect("step");
        assert!(matches!(step, LeakStep::Revoked { version } if version == leaked), "{step:?}");
        assert_eq!(world.clock.now(), began, "nothing was waited for");
        assert_eq!(world.record(&key(CHARGES)).await.version(leaked).unwrap().state, VersionState::Revoked);
    }

    /// A leak: (2) issue a replacement and redeploy.
    leak_2_issues_a_replacement_and_redeploys(world) {
        world.in_service(charges()).await;
        let leaked = world.primary(&key(CHARGES)).await;
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        world.respond(&leak(CHARGES)).await;
        keys.refresh().await;
        let serving = keys.live("payments/stripe-charges").expect("live").version();
        assert_ne!(serving, leaked);
        assert_eq!(serving, world.primary(&key(CHARGES)).await);
    }

    /// A read-only analytics key has no write or admin permission.
    a_read_only_analytics_key_has_no_write_or_admin_permission(world) {
        for text in ["reports:write", "reports:admin"] {
            let refused = Scope::new(AccessLevel::ReadOnly).permission(text);
            assert!(matches!(refused, Err(ScopeError::Exceeds { .. })), "{text}");
        }
        world.in_service(reports()).await;
        let record = world.record(&key(REPORTS)).await;
        assert!(record.scope().permissions().all(|p| p.level == AccessLevel::ReadOnly));
        let writer = Scope::new(AccessLevel::Write).permission("reports:write").unwrap();
        assert!(!record.scope().covers(&writer));
    }

    /// A payment key is test or live, with restricted endpoints.
    a_payment_key_is_test_or_live_with_restricted_endpoints(world) {
        let draft = |scope| KeyDraft::new(key(CHARGES), owners(), scope, "acme".parse().unwrap());
        let neither = Scope::new(AccessLevel::Write).endpoint("/v1/charges").unwrap();
        let anywhere = Scope::new(AccessLevel::Write).mode(Mode::Live).endpoint("/*").unwrap();
        let nowhere = Scope::new(AccessLevel::Write).mode(Mode::Live);
        for scope in [neither, anywhere, nowhere] {
            assert!(world.inventory().register(draft(scope)).await.is_err(), "an unrestricted payment key");
        }
        assert!(world.inventory().register(draft(charges().scope)).await.is_ok());
        assert_eq!(charges().scope.intersect(&test_scope()), None, "test and live have nothing in common");
    }

    /// A webhook secret is isolated from API-management keys.
    a_webhook_secret_is_isolated_from_api_management_keys(world) {
        let webhook = key("production/webhook/stripe-signature");
        let draft = |scope| KeyDraft::new(webhook.clone(), owners(), scope, "acme".parse().unwrap());
        let manages = Scope::new(AccessLevel::Admin).permission("keys:admin").unwrap();
        assert!(world.inventory().register(draft(manages)).await.is_err(), "a webhook secret that manages keys");
        let management = key("production/management/key-admin");
        let admin = Scope::new(AccessLevel::Admin).permission("keys:admin").unwrap().service("key-admin").unwrap();
        world.in_service(draft(Scope::new(AccessLevel::ReadOnly).service("billing-api").unwrap())).await;
        world.in_service(KeyDraft::new(management.clone(), owners(), admin, "acme".parse().unwrap())).await;
        assert!(world.value(&webhook).await != world.value(&management).await);
        assert!(world.load("billing-api", "webhook/stripe-signature").await.is_ok());
        assert!(world.load("billing-api", "management/key-admin").await.is_err(), "its holder loads the manager's key");
    }

    /// Unused keys are revoked monthly.
    unused_keys_are_revoked_monthly(world) {
        world.in_service(charges()).await;
        world.in_service(reports()).await;
        world.clock.advance(Duration::from_secs(31 * 86_400));
        let month_ago = world.clock.now() - TimeDelta::days(30);
        let unused = world.inventory().unused(&OnlyUsed(key(CHARGES)), month_ago).await.expect("unused");
        let names: Vec<_> = unused.keys.rows.iter().map(|row| row.key.clone()).collect();
        assert_eq!(names, [key(REPORTS)]);
        let rotator = world.rotator(HEALTHY);
        for name in &names {
            rotator.decommission(name, "unused for a month").await.expect("decommission");
            assert!(rotator.sweep(name, "monthly").await.expect("sweep").pending.is_empty());
            world.inventory().retire(name, "unused for a month").await.expect("retire");
        }
        let retired = world.record(&key(REPORTS)).await;
        assert!(retired.retired_at().is_some() && retired.versions().iter().all(|v| v.state.is_dead()));
        assert!(world.load("reporting", "analytics/warehouse-read").await.is_err());
        assert!(world.load("billing-api", "payments/stripe-charges").await.is_ok(), "the used one serves on");
    }

    /// Tracked: owner and backup owner.
    owner_and_backup_owner_are_tracked(world) {
        world.in_service(charges()).await;
        let left = Ownership::new("payments", "grace@example.com", "alan@example.com", "#payments-oncall").unwrap();
        world.inventory().update(&key(CHARGES), Edit::Ownership(left.clone()), "ada has left").await.expect("update");
        assert_eq!(world.record(&key(CHARGES)).await.ownership(), &left);
        let hers = world.inventory().list(&Filter::all().owner("alan@example.com")).await.expect("list");
        assert_eq!(hers.rows.len(), 1, "a backup owner finds the key too");
    }

    /// Tracked: scope and permissions.
    scope_and_permissions_are_tracked(world) {
        world.in_service(charges()).await;
        let record = world.record(&key(CHARGES)).await;
        let permissions: Vec<_> = record.scope().permissions().map(|p| p.to_string()).collect();
        assert_eq!((record.scope(), permissions), (&charges().scope, vec!["charges:write".to_owned()]));
    }

    /// Tracked: creation and expiration date.
    creation_and_expiration_date_are_tracked(world) {
        let began = world.clock.now();
        world.in_service(charges()).await;
        let record = world.record(&key(CHARGES)).await;
        assert_eq!((record.created_at(), record.created_by().as_str()), (began, "ada@example.com"));
        let lifetime = TimeDelta::from_std(record.policy().lifetime).unwrap();
        let expires = record.expires_at().expect("a date");
        assert!(expires >= began + lifetime && expires < world.clock.now() + lifetime);
    }

    /// Tracked: rotation history.
    rotation_history_is_tracked(world) {
        world.in_service(charges()).await;
        for _ in 0..20 {
            world.rotate(&key(CHARGES)).await;
        }
        let history = world.inventory().history(&key(CHARGES)).await.expect("history");
        assert_eq!(history.runs.len(), 21, "older runs are on pages, none is lost");
        assert!(history.problems.is_empty());
        let last = history.runs.last().unwrap();
        assert_eq!((last.outcome, last.reason.as_str(), last.started_by.as_str()), (RunOutcome::Completed, "quarterly", "rotator"));
        assert!(last.from.is_some() && last.evidence.iter().any(|e| e.as_str().contains("health gate passed")));
    }

    /// Tracked: linked systems and runbooks.
    linked_systems_and_runbooks_are_tracked(world) {
        let system = Link::system("Billing API", "https://billing.example.com").unwrap();
        let runbook = Link::runbook("Charges stop", "https://runbooks.example.com/charges").unwrap();
        world.in_service(charges().link(system).link(runbook)).await;
        let kinds: Vec<_> = world.record(&key(CHARGES)).await.links().iter().map(|l| l.kind).collect();
        assert_eq!(kinds, [LinkKind::System, LinkKind::Runbook]);
        // They are at hand when it matters: in the one error of a service that cannot start.
        world.open_leak(&leak(CHARGES)).await;
        let refused = world.load("billing-api", "payments/stripe-charges").await.map(|_| ()).expect_err("leaked");
        assert!(refused.to_string().contains("https://runbooks.example.com/charges"), "{refused}");
    }

    /// Teams have one inventory with ownership and rotation notes, organised by project.
    teams_have_one_inventory_with_ownership_and_rotation_notes_organised_by_project(world) {
        world.in_service(charges().label("project", "checkout").unwrap()).await;
        world.in_service(reports().label("project", "insight").unwrap()).await;
        world.inventory().annotate(&key(CHARGES), "rotate after the freeze").await.expect("annotate");
        let (name, value) = ("project".parse().unwrap(), "checkout".parse().unwrap());
        let listing = world.inventory().list(&Filter::all().label(name, value)).await.expect("list");
        assert_eq!(listing.rows.len(), 1);
        assert_eq!((listing.rows[0].ownership.team().as_str(), listing.rows[0].state), ("payments", KeyState::Active));
        let history = world.inventory().history(&key(CHARGES)).await.expect("history");
        let note = history.notes().last().expect("a note");
        assert_eq!((note.text.as_str(), note.by.as_str()), ("rotate after the freeze", "ada@example.com"));
    }
}

mission_with_a_log! {
    /// A leak: (3) the audit log shows what was done with the key between exposure and revoke.
    leak_3_the_audit_log_shows_what_happened_between_exposure_and_revoke(world) {
        world.in_service(charges()).await;
        let exposed = world.clock.now();
        world.clock.advance(Duration::from_secs(3_600));
        world.load("billing-api", "payments/stripe-charges").await.expect("load");
        world.clock.advance(Duration::from_secs(3_600));
        let incident = world.respond(&leak(CHARGES).exposed_from(exposed)).await;
        assert!(!incident.exposure_assumed);
        let until = incident.revoked_at.expect("an end");
        let log = AuditLog::of(&world.store).expect("a log");
        let window = log.window(&cx(), &key(CHARGES), exposed, until).await.expect("window");
        let reads: Vec<_> = window.iter().filter(|e| e.event.action == AuditAction::Read).collect();
        assert!(reads.iter().any(|e| e.event.actor.as_str() == "billing-api"), "{reads:?}");
        log.verify(&cx()).await.expect("the log holds");
    }

    /// Full key values are never printed in logs.
    full_key_values_are_never_printed_in_logs(world) {
        world.in_service(charges()).await;
        let value = world.value(&key(CHARGES)).await;
        let keys = world.load("billing-api", "payments/stripe-charges").await.expect("load");
        let live = keys.live("payments/stripe-charges").expect("live");
        let record = world.record(&key(CHARGES)).await;
        let read = world.store.read_one(&cx(), &record.target(), Select::Current).await.expect("read");
        let log = AuditLog::of(&world.store).expect("a log").entries(&cx(), &AuditQuery::default()).await.expect("log");
        for text in [format!("{keys:?}"), format!("{live:?}"), format!("{record:?}"), format!("{read:?}"), format!("{log:?}")] {
            assert!(!contains(text.as_bytes(), &value), "a value in printed text");
        }
    }

    /// Keys are per environment.
    keys_are_per_environment(world) {
        world.populate().await;
        let refused = world.load("billing-api", "staging/payments/stripe-charges").await.map(|_| ()).expect_err("refused");
        assert!(refused.to_string().contains("another environment"), "{refused}");
        let query = AuditQuery::default().action(AuditAction::Refuse);
        let log = AuditLog::of(&world.store).expect("a log").entries(&cx(), &query).await.expect("entries");
        assert_eq!(log.len(), 1, "the refusal is on the audit log");
        assert_eq!(log[0].event.key, Some(key("staging/payments/stripe-charges")));
    }

    /// Audit visibility.
    every_read_and_change_is_on_the_audit_log(world) {
        world.in_service(charges()).await;
        world.load("billing-api", "payments/stripe-charges").await.expect("load");
        world.rotate(&key(CHARGES)).await;
        let log = AuditLog::of(&world.store).expect("a log");
        let entries = log.entries(&cx(), &AuditQuery::default().key(&key(CHARGES))).await.expect("entries");
        let verbs: Vec<_> = entries.iter().filter_map(|e| e.event.detail.as_ref().map(Evidence::as_str)).collect();
        for verb in ["register", "begin", "store", "validate", "promote", "confirm", "retire", "revoked"] {
            assert!(verbs.contains(&verb), "{verb} is missing: {verbs:?}");
        }
        let revisions = world.record(&key(CHARGES)).await.revision();
        let changes = entries.iter().filter(|e| e.event.action == AuditAction::Change).count();
        assert_eq!(u64::try_from(changes).unwrap(), revisions, "one entry for each change");
        assert!(entries.iter().any(|e| e.event.action == AuditAction::Read && e.event.actor.as_str() == "billing-api"));
        assert!(log.verify(&cx()).await.is_ok());
    }
}

/// Zero knowledge, on the file: what lies on disk is ciphertext, names included.
#[test]
fn the_encrypted_file_holds_ciphertext_only() {
    let world = World::on_file();
    block_on(async {
        world.in_service(charges()).await;
        let value = world.value(&key(CHARGES)).await;
        let files = world.files();
        assert!(files.iter().any(|bytes| bytes.len() > 4_096), "nothing was written");
        for secret in [value.as_slice(), CHARGES.as_bytes(), b"ada@example.com", b"charges:write"] {
            assert!(!files.iter().any(|bytes| contains(bytes, secret)), "plain text on disk");
        }
    });
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn test_scope() -> Scope {
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Test).permission("charges:write");
    scope.and_then(|s| s.endpoint("POST /v1/charges")).and_then(|s| s.service("billing-api")).expect("a scope")
}

fn leak(of: &str) -> LeakReport {
    LeakReport::of(key(of), Leaked::Current, "seen in a public gist").expect("a report")
}

/// A usage signal that has seen one key this minute and the others never.
#[derive(Debug)]
struct OnlyUsed(KeyId);

#[async_trait]
impl UsageSignal for OnlyUsed {
    async fn last_use(&self, _cx: &Context, key: &KeyId, _version: VersionId) -> Result<LastUse> {
        Ok(if *key == self.0 { LastUse::At(chrono::DateTime::<chrono::Utc>::MAX_UTC) } else { LastUse::Never })
    }
}
