//! Access keys: made, listed, switched, deleted, tried out.

use std::sync::Arc;

use keyward_aws::issuer::{IamIssuer, IamUsage, IamValidator};
use keyward_conformance::planned::{Planned, key};
use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_core::{
    CreateError, Expect, IssuerStatus, KeyIssuer, LastUse, MemoryBackend, NewKey, Probe, Revoke, SecretBackend,
    UsageSignal, Validator,
};

use crate::common::cx;
use crate::iam_site::IamSite;
use crate::{answers, or_undecided, undecided};

/// A user with one access key, and an issuer that meets foreign answers.
struct Case {
    site: IamSite,
    proxy: Proxy,
    issuer: IamIssuer,
    plan: Planned,
    made: NewKey,
}

impl Case {
    async fn new() -> Self {
        let moto = server_url("AWS_ENDPOINT_URL_IAM");
        let (site, proxy) = (IamSite::new(&moto).await.tagged().await, Proxy::start(&moto).await);
        let issuer = site.hasty_at(&proxy.url());
        let mut plan = Planned::new(&site.key, IamIssuer::shape());
        let made = key(site.sole().create(&cx(), plan.issue()).await);
        plan.stored(&made);
        // Used once, so that a last use is known.
        let probe = IamValidator::of(&site.sole()).probe(&cx(), plan.issue(), &made.material).await;
        assert!(matches!(probe, Ok(Probe::Accepted(_))), "{probe:?}");
        Self { site, proxy, issuer, plan, made }
    }

    fn id(&self) -> String {
        self.made.reference.as_ref().expect("an access key id").to_string()
    }
}

/// Each foreign answer, to all calls of the actions that `on` names, or to every call for none of them.
async fn each(on: &[&str], check: impl AsyncFn(&Case, &str)) {
    for action in on.iter().map(Some).chain([None]) {
        for (what, answer) in answers() {
            let (case, fault) = (Case::new().await, Fault::Answer(answer));
            case.proxy.plan(match action {
                Some(action) => fault.on(action),
                None => fault.always(),
            });
            check(&case, &format!("{what} to {}", action.unwrap_or(&"everything"))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_access_key_is_called_not_created() {
    each(&["ListUserTags", "GetUser", "CreateAccessKey"], async |case, what| {
        let mut plan = case.plan.clone();
        plan.replanned();
        let created = case.issuer.create(&cx(), plan.issue()).await;
        match created {
            Err(CreateError::NotCreated(error)) => {
                assert_eq!(case.proxy.requests_of("CreateAccessKey"), 0, "{what}: {error}");
                undecided(&error, what);
            }
            Err(CreateError::Unknown(_)) => assert_eq!(case.proxy.requests_of("CreateAccessKey"), 1, "{what}"),
            Ok(_) => panic!("{what}: nothing was created"),
        }
    })
    .await;
    // A refusal is no proof either, when it is not that of IAM.
    for status in [401, 403, 413, 429] {
        let mut case = Case::new().await;
        case.proxy.plan(Fault::Answer(Answer::new(status, "<html>no</html>")).on("CreateAccessKey"));
        case.plan.replanned();
        let created = case.issuer.create(&cx(), case.plan.issue()).await;
        assert!(matches!(created, Err(CreateError::Unknown(_))), "{status}: {created:?}");
        assert_eq!(case.proxy.requests_of("CreateAccessKey"), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_access_key_is_called_absent() {
    each(&["ListAccessKeys", "GetAccessKeyLastUsed", "GetUser", "ListUserTags"], async |case, what| {
        if let Some(status) = or_undecided(case.issuer.status(&cx(), case.plan.issue()).await, what) {
            assert_eq!(status, IssuerStatus::Live, "{what}");
        }
        let found = case.issuer.find(&cx(), &case.plan.record, Some(case.plan.version)).await;
        if let Some(found) = or_undecided(found, what) {
            assert_eq!(found.len(), 1, "{what}");
        }
        let records = MemoryBackend::default();
        records.swap(&cx(), &case.site.key, Expect::Absent, &case.plan.record).await.expect("a swap");
        let usage = IamUsage::of(&case.issuer, Arc::new(records));
        if let Some(used) = or_undecided(usage.last_use(&cx(), &case.site.key, case.plan.version).await, what) {
            assert!(matches!(used, LastUse::At(_)), "{what}: {used:?}");
        }
        // The user is renamed: then it takes another answer to tell that the access key lives on.
        let renamed = case.site.renamed().await;
        if let Some(status) = or_undecided(case.issuer.status(&cx(), case.plan.issue()).await, what) {
            assert_eq!(status, IssuerStatus::CannotSay, "{what}");
        }
        assert_eq!(renamed.keys().await.len(), 1, "{what}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_access_key_is_called_switched_or_revoked() {
    each(&["UpdateAccessKey", "DeleteAccessKey", "GetAccessKeyLastUsed", "GetUser"], async |case, what| {
        if or_undecided(case.issuer.deactivate(&cx(), case.plan.issue()).await, what).is_some() {
            assert_eq!(case.site.keys().await, [(case.id(), false)], "{what}");
        }
        case.site.sole().deactivate(&cx(), case.plan.issue()).await.expect("switched off");
        if or_undecided(case.issuer.activate(&cx(), case.plan.issue()).await, what).is_some() {
            assert_eq!(case.site.keys().await, [(case.id(), true)], "{what}");
        }
        if let Some(revoke) = or_undecided(case.issuer.revoke(&cx(), case.plan.issue()).await, what) {
            assert_eq!(revoke, Revoke::Accepted, "{what}");
            assert_eq!(case.site.keys().await, [], "{what}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_access_key_is_called_refused() {
    each(&["GetCallerIdentity"], async |case, what| {
        let validator = IamValidator::of(&case.issuer);
        let probe = validator.probe(&cx(), case.plan.issue(), &case.made.material).await;
        if let Some(probe) = or_undecided(probe, what) {
            assert!(matches!(probe, Probe::Unclear(_)), "{what}: {probe:?}");
        }
    })
    .await;
}
