//! Keys of real issuers, through the whole playbook: made, proved, published, watched, revoked, seen
//! dead.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use keyward::aws::issuer::{IamIssuer, IamValidator};
use keyward::core::{
    KeyDraft, KeyIssuer, KeyRecord, ManualClock, RunOutcome, SecretBackend, SecretValue, Shape, Validator, VersionState,
};
use keyward::rotation::{Rotator, Step};
use keyward::vault::issuer::{AppRoleIssuer, AppRoleValidator, TokenIssuer, TokenValidator};
use keyward::vault::{Auth, Connection};
use keyward_conformance::servers::{server_setting, server_url};
use serde_json::json;

use crate::stores::{self, Store, unique};
use crate::support::{self, CHARGES, HEALTHY, charges, cx, key};

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn access_keys_of_iam_rotate() {
    super::run(async {
        let store = stores::aws().await;
        // The server that checks signatures: only there is a deleted key refused.
        let url = server_url("KEYWARD_TEST_MINISTACK_URL");
        let user = unique();
        let scope =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let create = reqwest::Client::new()
            .post(&url)
            .header("authorization", scope)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("Action=CreateUser&UserName={user}&Version=2010-05-08"));
        assert!(create.send().await.expect("an answer").status().is_success(), "a user");
        let config = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(&url).load().await;
        let issuer = IamIssuer::builder(&config).user(&key(CHARGES), &user).open().expect("an issuer");
        let validator = IamValidator::of(&issuer);
        rotates(store, charges().shape(IamIssuer::shape()), issuer, validator).await;
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn secret_ids_of_an_app_role_rotate() {
    super::run(async {
        let (store, connection) = (stores::vault().await, connection().await);
        let role = unique();
        operator(&format!("auth/approle/role/{role}"), json!({"token_ttl": "1m"})).await;
        let issuer = AppRoleIssuer::builder(&connection).role(&key(CHARGES), &role).build().expect("an issuer");
        let validator = AppRoleValidator::of(&issuer);
        rotates(store, charges().shape(AppRoleIssuer::shape()), issuer, validator).await;
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn tokens_of_vault_rotate() {
    super::run(async {
        let (store, connection) = (stores::vault().await, connection().await);
        let (draft, policy) = (charges().shape(Shape::One), unique());
        let rules = r#"path "secret/data/charges" { capabilities = ["create"] }"#;
        operator(&format!("sys/policies/acl/{policy}"), json!({ "policy": rules })).await;
        let issuer = TokenIssuer::builder(&connection).policies(draft.scope.clone(), &[&policy]);
        let issuer = issuer.build().expect("an issuer");
        let validator = TokenValidator::of(&issuer);
        rotates(store, draft, issuer, validator).await;
    });
}

/// Twice: the first key, then another in its place, and the first seen dead.
async fn rotates(store: Store, draft: KeyDraft, issuer: impl KeyIssuer + 'static, validator: impl Validator + 'static) {
    let clock = Arc::new(ManualClock::default());
    support::register(&store.backend, &clock, draft).await;
    let rotator = Rotator::builder(store.backend.clone())
        .actor("rotator")
        .issuer("acme", issuer)
        .validator("acme", validator)
        .health(HEALTHY)
        .clock(clock.clone())
        .poll_every(Duration::from_secs(3_600))
        .build()
        .expect("a rotator");
    let first = finish(&rotator, &clock, &store, "first key").await;
    let first = first.primary().expect("a primary").id;
    let record = finish(&rotator, &clock, &store, "quarterly").await;
    let second = record.primary().expect("a primary");
    assert_ne!(second.id, first);
    assert!(second.issuer_ref.is_some() && second.proof.is_some());
    let old = record.version(first).expect("the first");
    assert_eq!(old.state, VersionState::Revoked, "seen dead: {:?}", old.death);
}

async fn finish(
    rotator: &Rotator<Arc<dyn SecretBackend>>,
    clock: &ManualClock,
    store: &Store,
    reason: &str,
) -> KeyRecord {
    let mut run = rotator.start_or_resume(&key(CHARGES), reason).await.expect("start");
    for _ in 0..300 {
        match run.step().await.expect("a step") {
            Step::Finished(report) => {
                assert_eq!(report.outcome, RunOutcome::Completed, "{reason}");
                return support::load(&store.backend, &key(CHARGES)).await;
            }
            // Time at the issuer is real: what it needs a moment for gets one.
            Step::Wait { at_most, .. } => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                clock.advance(at_most);
            }
            Step::NeedsOperator(what) => panic!("{reason}: {what}"),
            _ => {}
        }
    }
    panic!("{reason}: the run does not end");
}

async fn connection() -> Connection {
    let auth = Auth::token(SecretValue::from(server_setting("VAULT_TOKEN").as_str()));
    Connection::builder(&server_url("VAULT_ADDR"), auth).connect(&cx()).await.expect("a connection")
}

async fn operator(path: &str, body: serde_json::Value) {
    let url = format!("{}/v1/{path}", server_url("VAULT_ADDR"));
    let request = reqwest::Client::new().post(url).header("x-vault-token", server_setting("VAULT_TOKEN")).json(&body);
    assert!(request.send().await.expect("an answer").status().is_success(), "{path}");
}
