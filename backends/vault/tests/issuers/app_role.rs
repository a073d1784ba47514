//! Secret-ids.

use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_core::{
    ErrorKind, IssuerStatus, KeyId, KeyIssuer, Material, Probe, Revoke, SecretValue, Shape, Validator, VersionId,
};
use keyward_vault::issuer::{AppRoleIssuer, AppRoleValidator};
use keyward_vault::{Auth, Connection};
use serde_json::{Value, json};

use crate::common::{Operator, cx, on_runtime, unique};
use crate::planned::{Planned, key, not_created, unknown};
use crate::{NOTHING, accepted, through};

/// A role and the key it belongs to.
pub(super) struct RoleSite {
    operator: Operator,
    role: String,
    key: KeyId,
}

impl RoleSite {
    pub(super) async fn new() -> Self {
        Self::with(json!({ "token_policies": "default" })).await
    }

    async fn with(settings: Value) -> Self {
        let (operator, role) = (Operator::of_tests(), unique("role"));
        operator.must("POST", &format!("auth/approle/role/{role}"), settings).await;
        let key = format!("dev/analytics/{}", unique("k")).parse().expect("a key id");
        Self { operator, role, key }
    }

    pub(super) fn plan(&self) -> Planned {
        Planned::new(&self.key, AppRoleIssuer::shape())
    }

    pub(super) async fn issuer(&self) -> AppRoleIssuer {
        self.issuer_over(&self.operator.connect().await)
    }

    pub(super) fn issuer_over(&self, connection: &Connection) -> AppRoleIssuer {
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
            (Fault::Answer(json(503, r#"{"errors":["the request took too long"]}"#)), 0),
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
        for (status, why, kind) in [
            (403, "permission denied", ErrorKind::Denied),
            (429, "request path: rate limit quota exceeded", ErrorKind::Throttled),
            (503, "Vault is sealed", ErrorKind::Unavailable),
        ] {
            let site = RoleSite::new().await;
            let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
            let issuer = site.issuer_over(&through(&proxy).await);
            proxy.plan(Fault::Answer(json(status, &format!(r#"{{"errors":["{why}"]}}"#))).when(is_create));
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
