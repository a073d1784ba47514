//! AppRole secret-ids and tokens, on a real server.

mod common;
#[path = "../../aws/tests/planned/mod.rs"]
mod planned;

use std::time::Duration;

use common::{Operator, cx, on_runtime, unique};
use keyward_conformance::servers::{Answer, Fault, Proxy, server_setting, server_url};
use keyward_core::{
    AccessLevel, ErrorKind, Evidence, IssuerStatus, KeyId, KeyIssuer, Material, NewKey, Probe, Revoke, Scope,
    SecretValue, Shape, Validator, VersionId,
};
use keyward_vault::issuer::{AppRoleIssuer, AppRoleValidator, TokenBuilder, TokenIssuer, TokenValidator};
use keyward_vault::{Auth, Connection, Retry};
use planned::{Planned, key, not_created, unknown};
use serde_json::{Value, json};

fn text(material: &Material, field: &str) -> String {
    let value = material.field(field).expect("a field").expose_secret();
    String::from_utf8(value.to_vec()).expect("text")
}

fn accepted(probe: Probe) -> Evidence {
    match probe {
        Probe::Accepted(evidence) => evidence,
        other => panic!("expected that it works: {other:?}"),
    }
}

/// A connection through a proxy, with the root token.
async fn through(proxy: &Proxy) -> Connection {
    let quick = Retry::new(3, Duration::from_millis(10), Duration::from_millis(50));
    let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
    Connection::builder(&proxy.url(), auth).retry(quick).connect(&cx()).await.expect("a login")
}

/// A role and the key it belongs to.
struct RoleSite {
    operator: Operator,
    role: String,
    key: KeyId,
}

impl RoleSite {
    async fn new() -> Self {
        Self::with(json!({ "token_policies": "default" })).await
    }

    async fn with(settings: Value) -> Self {
        let (operator, role) = (Operator::of_tests(), unique("role"));
        operator.must("POST", &format!("auth/approle/role/{role}"), settings).await;
        let key = format!("dev/analytics/{}", unique("k")).parse().expect("a key id");
        Self { operator, role, key }
    }

    fn plan(&self) -> Planned {
        Planned::new(&self.key, AppRoleIssuer::shape())
    }

    async fn issuer(&self) -> AppRoleIssuer {
        self.issuer_over(&self.operator.connect().await)
    }

    fn issuer_over(&self, connection: &Connection) -> AppRoleIssuer {
        AppRoleIssuer::builder(connection).role(&self.key, &self.role).build().expect("an issuer")
    }

    async fn accessors(&self) -> Vec<String> {
        let path = format!("auth/approle/role/{}/secret-id", self.role);
        let (_, answer) = self.operator.ask("LIST", &path, Value::Null).await;
        let keys = answer["data"]["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_secret_id_from_create_to_destroy() {
    on_runtime(async {
        let site = RoleSite::new().await;
        let issuer = site.issuer().await;
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        assert_eq!(made.material.shape(), AppRoleIssuer::shape());
        assert_eq!(made.expires_at, None, "the role sets no time to live");
        let accessor = made.reference.clone().expect("an accessor");
        assert_eq!(site.accessors().await, [accessor.to_string()]);
        plan.stored(&made);
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect("an answer"), None);
        let irreversible = issuer.deactivate(&cx(), plan.issue()).await.expect_err("not possible");
        assert_eq!(irreversible.kind(), ErrorKind::Unsupported);

        let validator = AppRoleValidator::of(&issuer);
        let tokens = tokens_of(&site.operator).await;
        let evidence = accepted(validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        assert!(evidence.as_str().contains("default") && !evidence.as_str().contains("not revoked"), "{evidence}");
        assert!(tokens_of(&site.operator).await <= tokens + 8, "the token of the login is revoked");

        for _ in 0..2 {
            assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("destroyed"), Revoke::Accepted);
            assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);
        }
        let probe = validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer");
        assert!(matches!(probe, Probe::Rejected(_)), "{probe:?}");
        assert_eq!(site.accessors().await, [""; 0]);
    });
}

/// How many tokens the server has; other tests make some meanwhile.
async fn tokens_of(operator: &Operator) -> usize {
    let answer = operator.must("LIST", "auth/token/accessors", Value::Null).await;
    answer["data"]["keys"].as_array().map_or(0, Vec::len)
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_token_of_a_probe_is_revoked() {
    on_runtime(async {
        let site = RoleSite::new().await;
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let issuer = site.issuer_over(&through(&proxy).await);
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        // The token that a login of our own gets is what the probe would leave behind.
        let validator = AppRoleValidator::of(&issuer);
        accepted(validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        assert_eq!(proxy.log().iter().filter(|line| line.contains("auth/token/revoke-self")).count(), 1);
        let json = |status| Answer::new(status, r#"{"errors":[]}"#).header("content-type", "application/json");
        proxy.plan(Fault::Answer(json(500)).when(|call| call.path.ends_with("/revoke-self")));
        let evidence = accepted(validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        assert!(evidence.as_str().contains("not revoked"), "{evidence}");
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn labels_tell_versions_and_keys_of_one_role_apart() {
    on_runtime(async {
        let site = RoleSite::new().await;
        let other: KeyId = format!("dev/analytics/{}", unique("other")).parse().expect("a key id");
        let connection = site.operator.connect().await;
        let shared = AppRoleIssuer::builder(&connection).role(&site.key, &site.role).role(&other, &site.role);
        let issuer = shared.build().expect("an issuer");
        let (mut plan, theirs) = (site.plan(), Planned::new(&other, AppRoleIssuer::shape()));
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("nothing yet"), []);
        // By hand, without a label: never ours.
        site.operator.must("POST", &format!("auth/approle/role/{}/secret-id", site.role), json!({})).await;
        key(issuer.create(&cx(), theirs.issue()).await);
        let first = plan.version;
        let lost = key(issuer.create(&cx(), plan.issue()).await).reference.expect("an accessor");
        plan.replanned();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        let found = issuer.find(&cx(), &plan.record, None).await.expect("both");
        assert_eq!(found.len(), 2);
        let found = issuer.find(&cx(), &plan.record, Some(first)).await.expect("the first");
        assert_eq!((found.len(), found[0].label, &found[0].reference), (1, first, &lost));
        assert_eq!(issuer.find(&cx(), &plan.record, Some(VersionId::generate())).await.expect("none"), []);
        issuer.revoke(&cx(), plan.adopted(first, &lost).issue()).await.expect("destroyed");
        assert_eq!(site.accessors().await.len(), 3);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_create_of_a_secret_id_without_an_answer() {
    on_runtime(async {
        let is_create = |call: &keyward_conformance::servers::Call| call.path.ends_with("/secret-id");
        let json = |status, body: &str| Answer::new(status, body.to_owned()).header("content-type", "application/json");
        for (fault, made) in [
            (Fault::LoseReply, 1),
            (Fault::Truncate, 1),
            (Fault::Refuse, 0),
            (Fault::Answer(Answer::new(502, "<html>")), 0),
            (Fault::Answer(json(500, r#"{"errors":["storage"]}"#)), 0),
            (Fault::Answer(json(200, r#"{"data":{"secret_id":"x"}}"#)), 0),
        ] {
            let site = RoleSite::new().await;
            let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
            let issuer = site.issuer_over(&through(&proxy).await);
            let (what, plan) = (format!("{fault:?}"), site.plan());
            proxy.plan(fault.when(is_create));
            let error = unknown(issuer.create(&cx(), plan.issue()).await);
            assert_eq!((error.kind(), error.key()), (ErrorKind::Unknown, Some(&site.key)), "{what}: {error}");
            let creates = proxy.log().iter().filter(|line| line.contains("/secret-id")).count();
            assert_eq!((creates, site.accessors().await.len()), (1, made), "{what}");
            let found = site.issuer().await.find(&cx(), &plan.record, Some(plan.version)).await.expect("an answer");
            assert_eq!(found.len(), made, "{what}");
        }
        for (status, kind) in [(403, ErrorKind::Denied), (429, ErrorKind::Throttled), (503, ErrorKind::Unavailable)] {
            let site = RoleSite::new().await;
            let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
            let issuer = site.issuer_over(&through(&proxy).await);
            proxy.plan(Fault::Answer(json(status, r#"{"errors":[]}"#)).when(is_create));
            let error = not_created(issuer.create(&cx(), site.plan().issue()).await);
            assert_eq!(error.kind(), kind, "{error}");
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn roles_that_do_not_fit_and_roles_that_are_gone() {
    on_runtime(async {
        let worn = RoleSite::with(json!({ "secret_id_num_uses": 3 })).await;
        let error = not_created(worn.issuer().await.create(&cx(), worn.plan().issue()).await);
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("secret_id_num_uses"), "{error}");
        assert_eq!(worn.accessors().await, [""; 0]);

        let limited = RoleSite::with(json!({ "secret_id_ttl": "1h" })).await;
        let made = key(limited.issuer().await.create(&cx(), limited.plan().issue()).await);
        let left = made.expires_at.expect("an end") - chrono::Utc::now();
        assert!((3500..=3600).contains(&left.num_seconds()), "{left}");

        let one_value = Planned::new(&limited.key, Shape::One);
        let error = not_created(limited.issuer().await.create(&cx(), one_value.issue()).await);
        assert_eq!(error.kind(), ErrorKind::Invalid);

        let site = RoleSite::new().await;
        let issuer = site.issuer().await;
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        site.operator.must("DELETE", &format!("auth/approle/role/{}", site.role), Value::Null).await;
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("nothing to do"), Revoke::Accepted);
        assert_eq!(issuer.find(&cx(), &site.plan().record, None).await.expect("nothing"), []);
        assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::NotFound);
        let probe = AppRoleValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await;
        assert!(matches!(probe, Ok(Probe::Rejected(_))), "{probe:?}");
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_login_that_is_refused_from_here_proves_nothing() {
    on_runtime(async {
        let settings = json!({ "secret_id_bound_cidrs": ["192.0.2.0/24"], "token_policies": "default" });
        let site = RoleSite::with(settings).await;
        let issuer = site.issuer().await;
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        let probe = AppRoleValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await;
        // Whatever the status: it is not taken for a dead secret-id.
        assert!(!matches!(probe, Ok(Probe::Rejected(_) | Probe::Accepted(_))), "{probe:?}");
        let wrong = Material::one(SecretValue::from("one")).expect("material");
        let probe = AppRoleValidator::of(&issuer).probe(&cx(), plan.issue(), &wrong).await.expect("an answer");
        assert!(matches!(probe, Probe::Unclear(_)), "{probe:?}");
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_documented_policy_is_enough_for_secret_ids() {
    on_runtime(async {
        let site = RoleSite::new().await;
        let role = format!("auth/approle/role/{}", site.role);
        let policy = format!(
            r#"path "{role}" {{ capabilities = ["read"] }}
            path "{role}/role-id" {{ capabilities = ["read"] }}
            path "{role}/secret-id" {{ capabilities = ["update", "list"] }}
            path "{role}/secret-id-accessor/lookup" {{ capabilities = ["update"] }}
            path "{role}/secret-id-accessor/destroy" {{ capabilities = ["update"] }}"#
        );
        let auth = Auth::token(site.operator.token_for(&policy).await);
        let issuer = site.issuer_over(&site.operator.connect_with(auth).await);
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("one").len(), 1);
        accepted(AppRoleValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        issuer.revoke(&cx(), plan.issue()).await.expect("destroyed");
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);

        let nobody = Auth::token(site.operator.token_for(NOTHING).await);
        let issuer = site.issuer_over(&site.operator.connect_with(nobody).await);
        assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::Denied);
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect_err("denied").kind(), ErrorKind::Denied);
    });
}

/// A policy, the scope it stands for, and a key with that scope.
struct TokenSite {
    operator: Operator,
    policy: String,
    scope: Scope,
    key: KeyId,
}

impl TokenSite {
    async fn new() -> Self {
        let (operator, policy) = (Operator::of_tests(), unique("reports"));
        let rules = r#"path "secret/data/reports" { capabilities = ["read"] }"#;
        operator.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": rules })).await;
        let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only").expect("a scope");
        let key = format!("dev/analytics/{}", unique("k")).parse().expect("a key id");
        Self { operator, policy, scope, key }
    }

    fn plan(&self) -> Planned {
        Planned::scoped(&self.key, Shape::One, self.scope.clone().service("reporting").expect("a service"))
    }

    fn builder(&self, connection: &Connection) -> TokenBuilder {
        TokenIssuer::builder(connection).policies(self.scope.clone(), &[&self.policy])
    }

    async fn issuer(&self) -> TokenIssuer {
        self.builder(&self.operator.connect().await).ttl(HOUR).build().expect("an issuer")
    }

    async fn accessor_of(&self, token: &Material) -> String {
        let token = token.value().expect("one value").expose_secret();
        let token = std::str::from_utf8(token).expect("text");
        let found = self.operator.must("POST", "auth/token/lookup", json!({ "token": token })).await;
        found["data"]["accessor"].as_str().expect("an accessor").to_owned()
    }
}

/// A policy that allows nothing of all this.
const NOTHING: &str = r#"path "secret/data/nothing" { capabilities = ["read"] }"#;
const HOUR: Duration = Duration::from_secs(3600);

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_token_from_create_to_revoke() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let issuer = site.issuer().await;
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        let left = made.expires_at.expect("an end") - chrono::Utc::now();
        assert!((3500..=3600).contains(&left.num_seconds()), "{left}");
        let accessor = made.reference.clone().expect("an accessor");
        assert_eq!(site.accessor_of(&made.material).await, accessor.as_str());
        let lookup = json!({ "accessor": accessor.as_str() });
        let found = site.operator.must("POST", "auth/token/lookup-accessor", lookup).await;
        let data = &found["data"];
        assert_eq!(data["orphan"], json!(true), "it outlives the token that made it");
        assert_eq!((&data["renewable"], &data["explicit_max_ttl"]), (&json!(false), &json!(3600)));
        assert_eq!(data["meta"]["keyward_key"], json!(site.key.to_string()));
        assert_eq!(data["meta"]["keyward_version"], json!(plan.version.to_string()));

        plan.stored(&made);
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect("an answer"), Some(site.scope.clone()));
        let validator = TokenValidator::of(&issuer);
        let evidence = accepted(validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        assert!(evidence.as_str().contains(&site.policy), "{evidence}");
        for _ in 0..2 {
            assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("revoked"), Revoke::Accepted);
            assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);
        }
        let probe = validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer");
        assert!(matches!(probe, Probe::Rejected(_)), "{probe:?}");
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect_err("gone").kind(), ErrorKind::NotFound);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_token_with_other_policies_has_another_scope() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let writing = Scope::new(AccessLevel::Write);
        let builder = site.builder(&site.operator.connect().await).policies(writing.clone(), &["writers"]);
        let issuer = builder.build().expect("an issuer");
        let mut plan = site.plan();
        plan.stored(&by_hand(&site, json!({ "policies": ["writers"] })).await);
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect("an answer"), Some(writing));
        let mut plan = site.plan();
        plan.stored(&by_hand(&site, json!({ "policies": ["writers", site.policy.as_str()] })).await);
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect_err("no scope").kind(), ErrorKind::Conflict);
        // No policies are named for this scope at all.
        let admin = Planned::scoped(&site.key, Shape::One, Scope::new(AccessLevel::Admin));
        assert_eq!(not_created(issuer.create(&cx(), admin.issue()).await).kind(), ErrorKind::Invalid);
        let fields = Planned::scoped(&site.key, AppRoleIssuer::shape(), site.scope.clone());
        assert_eq!(not_created(issuer.create(&cx(), fields.issue()).await).kind(), ErrorKind::Invalid);
    });
}

/// A token somebody else made.
async fn by_hand(site: &TokenSite, settings: Value) -> NewKey {
    let answer = site.operator.must("POST", "auth/token/create-orphan", settings).await;
    let text = |name: &str| answer["auth"][name].as_str().expect("text").to_owned();
    let material = Material::one(SecretValue::from(text("client_token").as_str())).expect("material");
    NewKey::new(material).reference(text("accessor").parse().expect("an accessor"))
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_token_whose_create_was_lost_is_found_by_its_label() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let lossy = site.builder(&through(&proxy).await).ttl(HOUR).build().expect("an issuer");
        proxy.plan(Fault::LoseReply.when(|call| call.path.ends_with("/create-orphan")));
        let mut plan = site.plan();
        let lost = plan.version;
        unknown(lossy.create(&cx(), plan.issue()).await);
        assert_eq!(proxy.log().iter().filter(|line| line.contains("create-orphan")).count(), 1, "one attempt");
        plan.replanned();
        let issuer = site.issuer().await;
        plan.stored(&key(issuer.create(&cx(), plan.issue()).await));
        let found = issuer.find(&cx(), &plan.record, Some(lost)).await.expect("an answer");
        assert_eq!(found.len(), 1);
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("both").len(), 2);
        issuer.revoke(&cx(), plan.adopted(lost, &found[0].reference).issue()).await.expect("revoked");
        assert_eq!(issuer.find(&cx(), &plan.record, Some(lost)).await.expect("an answer"), []);
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);

        let connection = site.operator.connect().await;
        let few = site.builder(&connection).max_listed(0).build().expect("an issuer");
        assert_eq!(few.find(&cx(), &plan.record, None).await.expect_err("too many").kind(), ErrorKind::Quota);
        let blind = site.builder(&connection).without_listing().build().expect("an issuer");
        assert!(!blind.capabilities().finds_by_label);
        assert_eq!(
            blind.find(&cx(), &plan.record, None).await.expect_err("told not to").kind(),
            ErrorKind::Unsupported
        );
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_token_role_must_be_for_tokens_that_last() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let connection = site.operator.connect().await;
        let role = |settings: Value| {
            let (site, connection) = (&site, &connection);
            async move {
                let name = unique("token-role");
                site.operator.must("POST", &format!("auth/token/roles/{name}"), settings).await;
                site.builder(connection).role(&name).ttl(HOUR).build().expect("an issuer")
            }
        };
        let lasting = role(json!({ "orphan": true, "allowed_policies": [site.policy.as_str()] })).await;
        let mut plan = site.plan();
        plan.stored(&key(lasting.create(&cx(), plan.issue()).await));
        assert_eq!(lasting.scope(&cx(), plan.issue()).await.expect("an answer"), Some(site.scope.clone()));
        for settings in
            [json!({ "orphan": false }), json!({ "orphan": true, "token_type": "batch", "renewable": false })]
        {
            let issuer = role(settings).await;
            assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::Invalid);
        }
        let missing = site.builder(&connection).role("no-such-role").build().expect("an issuer");
        assert_eq!(not_created(missing.create(&cx(), plan.issue()).await).kind(), ErrorKind::NotFound);
        for name in ["../sys", "a/b", ""] {
            assert!(site.builder(&connection).role(name).build().is_err(), "{name}");
        }
        // A role that does not allow the policies.
        let narrow = role(json!({ "orphan": true, "allowed_policies": ["another"] })).await;
        assert_eq!(not_created(narrow.create(&cx(), plan.issue()).await).kind(), ErrorKind::Invalid);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_refused_probe_alone_is_no_death() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let issuer = site.issuer().await;
        let validator = TokenValidator::of(&issuer);
        // Without the policy `default` a token may not look itself up, and works all the same.
        let settings = json!({ "policies": [site.policy.as_str()], "no_default_policy": true });
        let made = by_hand(&site, settings).await;
        let mut plan = site.plan();
        plan.stored(&made);
        let probe = validator.probe(&cx(), plan.issue(), &made.material).await.expect("an answer");
        assert!(matches!(probe, Probe::Unclear(_)), "{probe:?}");
        // A token that works, but of another version.
        let other = by_hand(&site, json!({})).await;
        let probe = validator.probe(&cx(), plan.issue(), &other.material).await.expect("an answer");
        assert!(matches!(probe, Probe::Unclear(_)), "{probe:?}");
        // Without an accessor in the record nobody can say that it is dead.
        let nonsense = Material::one(SecretValue::from("s.nonsense")).expect("material");
        let probe = validator.probe(&cx(), site.plan().issue(), &nonsense).await.expect("an answer");
        assert!(matches!(probe, Probe::Unclear(_)), "{probe:?}");
        assert_eq!(issuer.status(&cx(), site.plan().issue()).await.expect("an answer"), IssuerStatus::CannotSay);
        assert!(matches!(issuer.revoke(&cx(), site.plan().issue()).await, Ok(Revoke::AskHuman(_))));
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn an_unknown_accessor_that_is_answered_like_a_denial() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let issuer = site.builder(&through(&proxy).await).ttl(HOUR).build().expect("an issuer");
        let mut plan = site.plan();
        plan.stored(&key(issuer.create(&cx(), plan.issue()).await));
        let denied =
            || Answer::new(403, r#"{"errors":["invalid accessor"]}"#).header("content-type", "application/json");
        proxy.plan(Fault::Answer(denied()).when(|call| call.path.ends_with("-accessor")));
        // We may look tokens up, so it is the accessor that is unknown.
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("nothing to do"), Revoke::Accepted);

        // A role that may not: a denial it stays.
        let nobody = Auth::token(site.operator.token_for(NOTHING).await);
        let issuer = site.builder(&site.operator.connect_with(nobody).await).build().expect("an issuer");
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::Denied);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_documented_policy_is_enough_for_tokens() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let role = unique("token-role");
        let settings = json!({ "orphan": true, "allowed_policies": [site.policy.as_str()] });
        site.operator.must("POST", &format!("auth/token/roles/{role}"), settings).await;
        let policy = format!(
            r#"path "auth/token/create/{role}" {{ capabilities = ["update"] }}
            path "auth/token/roles/{role}" {{ capabilities = ["read"] }}
            path "auth/token/lookup-accessor" {{ capabilities = ["update"] }}
            path "auth/token/revoke-accessor" {{ capabilities = ["update"] }}
            path "auth/token/accessors/" {{ capabilities = ["list", "sudo"] }}"#
        );
        let auth = Auth::token(site.operator.token_for(&policy).await);
        let connection = site.operator.connect_with(auth).await;
        let issuer = site.builder(&connection).role(&role).ttl(HOUR).build().expect("an issuer");
        let mut plan = site.plan();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("one").len(), 1);
        accepted(TokenValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await.expect("an answer"));
        issuer.revoke(&cx(), plan.issue()).await.expect("revoked");
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Absent);

        // And without a role, `create-orphan`.
        let policy = r#"path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }"#;
        let auth = Auth::token(site.operator.token_for(policy).await);
        let issuer = site.builder(&site.operator.connect_with(auth).await).ttl(HOUR).build().expect("an issuer");
        let made = key(issuer.create(&cx(), site.plan().issue()).await);
        let mut plan = site.plan();
        plan.stored(&made);
        assert_eq!(site.issuer().await.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn no_secret_shows() {
    on_runtime(async {
        let (roles, tokens) = (RoleSite::new().await, TokenSite::new().await);
        let (ids, issuer) = (roles.issuer().await, tokens.issuer().await);
        let secret_id = key(ids.create(&cx(), roles.plan().issue()).await);
        let token = key(issuer.create(&cx(), tokens.plan().issue()).await);
        let mut plan = roles.plan();
        plan.stored(&secret_id);
        let probe = AppRoleValidator::of(&ids).probe(&cx(), plan.issue(), &secret_id.material).await;
        let shown = format!("{secret_id:?} {token:?} {ids:#?} {issuer:#?} {probe:?} {:?}", plan.record);
        let secrets = [
            text(&secret_id.material, "secret_id"),
            String::from_utf8(token.material.value().expect("one value").expose_secret().to_vec()).expect("text"),
        ];
        for secret in &secrets {
            assert!(!shown.contains(secret.as_str()), "a secret shows");
            // A server that repeats it in an error.
            let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
            let connection = through(&proxy).await;
            let body = json!({ "errors": [secret], "data": { "error": secret } }).to_string();
            let answer = Answer::new(400, body).header("content-type", "application/json");
            proxy.plan(Fault::Answer(answer).always());
            let error = not_created(roles.issuer_over(&connection).create(&cx(), roles.plan().issue()).await);
            assert!(!format!("{error} {error:?}").contains(secret.as_str()), "a secret shows in an error");
        }
    });
}
