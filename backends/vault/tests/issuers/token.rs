//! Tokens.

use std::time::Duration;

use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_core::{
    AccessLevel, ErrorKind, IssuerStatus, KeyId, KeyIssuer, Material, NewKey, Probe, Revoke, Scope, SecretValue, Shape,
    Validator,
};
use keyward_vault::issuer::{AppRoleIssuer, TokenBuilder, TokenIssuer, TokenValidator};
use keyward_vault::{Auth, Connection};
use serde_json::{Value, json};

use crate::common::{Operator, cx, on_runtime, unique};
use crate::planned::{Planned, key, not_created, unknown};
use crate::{NOTHING, accepted, through};

/// A policy, the scope it stands for, and a key with that scope.
pub(super) struct TokenSite {
    operator: Operator,
    policy: String,
    scope: Scope,
    key: KeyId,
}

impl TokenSite {
    pub(super) async fn new() -> Self {
        let (operator, policy) = (Operator::of_tests(), unique("reports"));
        let rules = r#"path "secret/data/reports" { capabilities = ["read"] }"#;
        operator.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": rules })).await;
        let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only").expect("a scope");
        let key = format!("dev/analytics/{}", unique("k")).parse().expect("a key id");
        Self { operator, policy, scope, key }
    }

    pub(super) fn plan(&self) -> Planned {
        Planned::scoped(&self.key, Shape::One, self.scope.clone().service("reporting").expect("a service"))
    }

    fn builder(&self, connection: &Connection) -> TokenBuilder {
        TokenIssuer::builder(connection).policies(self.scope.clone(), &[&self.policy])
    }

    pub(super) async fn issuer(&self) -> TokenIssuer {
        self.issuer_over(&self.operator.connect().await)
    }

    pub(super) fn issuer_over(&self, connection: &Connection) -> TokenIssuer {
        self.builder(connection).ttl(HOUR).build().expect("an issuer")
    }

    async fn accessor_of(&self, token: &Material) -> String {
        let token = token.value().expect("one value").expose_secret();
        let token = std::str::from_utf8(token).expect("text");
        let found = self.operator.must("POST", "auth/token/lookup", json!({ "token": token })).await;
        found["data"]["accessor"].as_str().expect("an accessor").to_owned()
    }
}

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
