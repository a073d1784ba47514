//! AppRole secret-ids and tokens, on a real server.

mod app_role;
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod token;

use std::time::Duration;

use keyward_conformance::planned::{self, key, not_created};
use keyward_conformance::servers::{Answer, Fault, Proxy, server_setting, server_url};
use keyward_core::{Evidence, KeyIssuer, Material, Probe, Validator};
use keyward_vault::issuer::AppRoleValidator;
use keyward_vault::{Auth, Connection, Retry};
use serde_json::json;

use app_role::RoleSite;
use common::cx;
use common::on_runtime;
use token::TokenSite;

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

fn text(material: &Material, field: &str) -> String {
    let value = material.field(field).expect("a field").expose_secret();
    String::from_utf8(value.to_vec()).expect("text")
}

pub(crate) fn accepted(probe: Probe) -> Evidence {
    match probe {
        Probe::Accepted(evidence) => evidence,
        other => panic!("expected that it works: {other:?}"),
    }
}

/// A connection through a proxy, with the root token.
pub(crate) async fn through(proxy: &Proxy) -> Connection {
    let quick = Retry::new(3, Duration::from_millis(10), Duration::from_millis(50));
    let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
    Connection::builder(&proxy.url(), auth).retry(quick).connect(&cx()).await.expect("a login")
}

/// A policy that allows nothing of all this.
pub(crate) const NOTHING: &str = r#"path "secret/data/nothing" { capabilities = ["read"] }"#;
