//! Answers of something that stands in front of the server: no key is taken for gone, and none for never made.

use keyward_conformance::servers::{Proxy, server_setting};
use keyward_core::{CreateError, Error, ErrorKind, Evidence, KeyIssuer, Probe, Validator};
use keyward_vault::issuer::{AppRoleIssuer, AppRoleValidator, TokenIssuer, TokenValidator};
use keyward_vault::{Auth, Connection, Retry};

use crate::app_role::RoleSite;
use crate::common::{Foreign, Met, cx, on_runtime};
use crate::planned::{Planned, key};
use crate::token::TokenSite;

const CALLS: [&str; 6] = ["create", "find", "status", "scope", "revoke", "probe"];

/// An issuer behind a proxy, what tries its keys out, and a way to prepare a key past the proxy.
struct Side<I, V> {
    direct: I,
    through: I,
    validator: V,
    /// The last part of the path that makes a key.
    makes: &'static str,
}

/// What became of a call.
enum Outcome {
    Said(String),
    Failed(Error),
    /// The error of a create that certainly made nothing.
    NotCreated(Error),
}

impl<I: KeyIssuer, V: Validator> Side<I, V> {
    async fn call(&self, what: &str, plan: &Planned, made: &keyward_core::NewKey) -> Outcome {
        let (cx, issue, issuer) = (cx(), plan.issue(), &self.through);
        let said = |answer: Result<String, Error>| answer.map_or_else(Outcome::Failed, Outcome::Said);
        match what {
            "create" => match issuer.create(&cx, issue).await {
                Ok(created) => Outcome::Said(format!("{created:?}")),
                Err(CreateError::NotCreated(error)) => Outcome::NotCreated(error),
                Err(CreateError::Unknown(error)) => Outcome::Failed(error),
            },
            "find" => said(issuer.find(&cx, &plan.record, None).await.map(|found| format!("{found:?}"))),
            "status" => said(issuer.status(&cx, issue).await.map(|status| format!("{status:?}"))),
            "scope" => said(issuer.scope(&cx, issue).await.map(|scope| format!("{scope:?}"))),
            "revoke" => said(issuer.revoke(&cx, issue).await.map(|revoke| format!("{revoke:?}"))),
            "probe" => said(self.validator.probe(&cx, issue, &made.material).await.map(|probe| match probe {
                Probe::Accepted(evidence) if leaves_a_token(&evidence) => "accepted, with a token left".to_owned(),
                probe => format!("{probe:?}"),
            })),
            _ => unreachable!("{what}"),
        }
    }

    /// Makes every call with every foreign answer, from every request on; says what was wrongly made of them.
    async fn mistakes(&self, proxy: &Proxy, new: impl Fn() -> Planned) -> Vec<String> {
        let mut mistakes = Vec::new();
        let stored = async || {
            let mut plan = new();
            let made = key(self.direct.create(&cx(), plan.issue()).await);
            plan.stored(&made);
            (plan, made)
        };
        let (kept, made) = stored().await;
        for foreign in Foreign::all() {
            for what in CALLS {
                // A search makes a request for each token of the server; the first ones stand for all.
                for spared in 0..8 {
                    let plan = match what {
                        "create" => new(),
                        "revoke" => stored().await.0,
                        _ => kept.clone(),
                    };
                    let met = Met::default();
                    proxy.plan(met.rule(&foreign, spared));
                    let outcome = self.call(what, &plan, &made).await;
                    proxy.clear();
                    let met = met.requests();
                    if met.is_empty() {
                        assert!(matches!(outcome, Outcome::Said(_)), "{what} works when nothing goes wrong");
                        break;
                    }
                    let mistake = self.mistake(what, &met, outcome);
                    mistakes.extend(mistake.map(|mistake| format!("{foreign}, {what}: {met:?}: {mistake}")));
                }
            }
        }
        mistakes
    }

    fn mistake(&self, what: &str, met: &[String], outcome: Outcome) -> Option<String> {
        let made_nothing = what == "create" && !met.iter().any(|request| request.ends_with(self.makes));
        match outcome {
            Outcome::Said(said) if what == "probe" && said == "accepted, with a token left" => None,
            Outcome::Said(said) => Some(format!("a success: {said}")),
            Outcome::NotCreated(error) if !made_nothing => Some(format!("not created: {error}")),
            Outcome::Failed(error) if what == "create" && made_nothing => Some(format!("unknown: {error}")),
            Outcome::Failed(error) | Outcome::NotCreated(error) => match error.kind() {
                ErrorKind::Unknown if matches!(what, "create" | "revoke") => None,
                ErrorKind::Unavailable | ErrorKind::Throttled if what != "create" || made_nothing => None,
                _ => Some(error.to_string()),
            },
        }
    }
}

fn leaves_a_token(evidence: &Evidence) -> bool {
    evidence.as_str().contains("not revoked")
}

/// A connection through a proxy that repeats nothing.
async fn once(proxy: &Proxy) -> Connection {
    let auth = Auth::token(server_setting("VAULT_TOKEN").as_str().into());
    Connection::builder(&proxy.url(), auth).retry(Retry::NEVER).connect(&cx()).await.expect("a login")
}

fn none(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn no_secret_id_is_gone_or_was_never_made_by_a_foreign_word() {
    on_runtime(async {
        let site = RoleSite::new().await;
        let proxy = Proxy::start(&keyward_conformance::servers::server_url("VAULT_ADDR")).await;
        let through: AppRoleIssuer = site.issuer_over(&once(&proxy).await);
        let validator = AppRoleValidator::of(&through);
        let side = Side { direct: site.issuer().await, through, validator, makes: "/secret-id" };
        none(&side.mistakes(&proxy, || site.plan()).await);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn no_token_is_gone_or_was_never_made_by_a_foreign_word() {
    on_runtime(async {
        let site = TokenSite::new().await;
        let proxy = Proxy::start(&keyward_conformance::servers::server_url("VAULT_ADDR")).await;
        let through: TokenIssuer = site.issuer_over(&once(&proxy).await);
        let validator = TokenValidator::of(&through);
        let side = Side { direct: site.issuer().await, through, validator, makes: "/create-orphan" };
        none(&side.mistakes(&proxy, || site.plan()).await);
    });
}
