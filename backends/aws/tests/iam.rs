//! Access keys on real servers: moto for the calls, ministack where it matters that a key is refused.
#![cfg(feature = "iam")]

mod common;
mod iam_site;

use std::sync::Arc;

use chrono::TimeDelta;
use common::{config, config_of, cx, on_runtime};
use iam_site::{IamSite, access_denied};
use keyward_aws::issuer::{IamIssuer, IamUsage, IamValidator};
use keyward_conformance::planned::{Planned, key, not_created, unknown};
use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_core::{
    Error, ErrorKind, Expect, IssuerStatus, KeyId, KeyIssuer, LastUse, ManualClock, Material, MemoryBackend, Probe,
    Retry, Revoke, SecretBackend, SecretValue, Shape, Swap, UsageSignal, Validator,
};

fn moto() -> String {
    server_url("AWS_ENDPOINT_URL_IAM")
}

fn plan_for(key: &KeyId) -> Planned {
    Planned::new(key, IamIssuer::shape())
}

fn strict() -> String {
    server_url("KEYWARD_TEST_MINISTACK_URL")
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn from_create_to_delete() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let issuer = site.issuer();
        let mut plan = plan_for(&site.key);
        let made = key(issuer.create(&cx(), plan.issue()).await);
        assert_eq!(made.material.shape(), IamIssuer::shape());
        let id = made.reference.clone().expect("an access key id");
        assert_eq!(made.material.field("access_key_id").map(SecretValue::expose_secret), Some(id.as_str().as_bytes()));
        let kept = format!("{}/{}", site.user, site.user_id().await);
        assert_eq!(made.state.as_ref().map(|state| state.as_str()), Some(&*kept), "its name, and what outlives it");
        assert_eq!(site.keys().await, [(id.to_string(), true)]);

        plan.stored(&made);
        let status = || async { issuer.status(&cx(), plan.issue()).await.expect("a status") };
        assert_eq!(status().await, IssuerStatus::Live);
        issuer.deactivate(&cx(), plan.issue()).await.expect("switched off");
        assert_eq!(status().await, IssuerStatus::Suspended);
        issuer.deactivate(&cx(), plan.issue()).await.expect("switched off again");
        issuer.activate(&cx(), plan.issue()).await.expect("switched on");
        assert_eq!(status().await, IssuerStatus::Live);
        assert_eq!(issuer.scope(&cx(), plan.issue()).await.expect("an answer"), None);
        for _ in 0..2 {
            assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("deleted"), Revoke::Accepted);
            assert_eq!(status().await, IssuerStatus::Absent);
        }
        assert_eq!(site.keys().await, []);
        let gone = issuer.activate(&cx(), plan.issue()).await.expect_err("it is gone");
        assert_eq!((gone.kind(), gone.key()), (ErrorKind::NotFound, Some(&site.key)));

        // Also when the whole user is gone.
        site.delete_user().await;
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("nothing to delete"), Revoke::Accepted);
        assert_eq!(status().await, IssuerStatus::Absent);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn what_is_certainly_not_created() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let proxy = Proxy::start(&moto()).await;
        let issuer = site.issuer_at(&proxy.url());
        // Before anything is sent.
        let one_value = Planned::new(&site.key, Shape::One);
        let error = not_created(issuer.create(&cx(), one_value.issue()).await);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let long = plan_for(&format!("dev/analytics/{}", "x".repeat(60)).parse().expect("a key id"));
        assert_eq!(not_created(issuer.create(&cx(), long.issue()).await).kind(), ErrorKind::Invalid);
        let late = cx().within(std::time::Duration::ZERO);
        let plan = plan_for(&site.key);
        assert_eq!(not_created(issuer.create(&late, plan.issue()).await).kind(), ErrorKind::Unavailable);
        assert_eq!(proxy.requests(), 0);
        // By the service.
        let stranger = plan_for(&"dev/analytics/nobody".parse().expect("a key id"));
        assert_eq!(not_created(issuer.create(&cx(), stranger.issue()).await).kind(), ErrorKind::NotFound);
        proxy.plan(Fault::Answer(access_denied()).on("CreateAccessKey").times(1));
        assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::Denied);
        proxy.plan(Fault::Answer(iam_site::error(400, "Throttling")).on("CreateAccessKey").times(1));
        let throttled = not_created(issuer.create(&cx(), plan.issue()).await);
        assert_eq!(throttled.kind(), ErrorKind::Throttled);
        assert_eq!(proxy.requests_of("CreateAccessKey"), 3, "one request for each");
        // Before the create, by a network that fails.
        proxy.plan(Fault::LoseReply.on("GetUser"));
        assert_eq!(not_created(issuer.create(&cx(), plan.issue()).await).kind(), ErrorKind::Unavailable);
        assert_eq!(proxy.requests_of("CreateAccessKey"), 3);
        assert_eq!(site.keys().await, []);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_create_without_an_answer_is_unknown_and_not_repeated() {
    on_runtime(async {
        for (fault, made) in [
            (Fault::LoseReply, 1),
            (Fault::Truncate, 1),
            (Fault::Refuse, 0),
            (Fault::Answer(iam_site::error(500, "ServiceFailure")), 0),
            (Fault::Answer(Answer::new(503, "<html>busy</html>")), 0),
            (Fault::Answer(Answer::new(200, "<CreateAccessKeyResponse>")), 0),
            (Fault::Answer(Answer::new(200, "")), 0),
        ] {
            let site = IamSite::new(&moto()).await;
            let proxy = Proxy::start(&moto()).await;
            let (what, plan) = (format!("{fault:?}"), plan_for(&site.key));
            proxy.plan(fault.on("CreateAccessKey"));
            let error = unknown(site.issuer_at(&proxy.url()).create(&cx(), plan.issue()).await);
            assert_eq!(
                (error.kind(), proxy.requests_of("CreateAccessKey")),
                (ErrorKind::Unknown, 1),
                "{what}: {error}"
            );
            assert_eq!(site.keys().await.len(), made, "{what}");
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn at_the_cap_the_error_says_what_to_do() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let issuer = site.issuer();
        assert_eq!(issuer.capabilities().max_live, Some(2));
        let mut plan = plan_for(&site.key);
        let foreign = site.create_by_hand().await;
        plan.stored(&key(issuer.create(&cx(), plan.issue()).await));
        plan.replanned();
        let error = not_created(issuer.create(&cx(), plan.issue()).await);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Quota, Retry::No));
        assert!(error.detail().expect("what to do").contains("delete it by hand"), "{error}");
        site.tag(&site.key.to_string()).await;
        let sole = not_created(site.sole().create(&cx(), plan.issue()).await);
        assert!(sole.detail().expect("what to do").contains("sweep"), "{sole}");
        assert_eq!(site.keys().await.len(), 2, "nothing was deleted to make room");

        site.delete_by_hand(&foreign).await;
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        plan.replanned();
        let error = not_created(issuer.create(&cx(), plan.issue()).await);
        assert!(error.detail().expect("what to do").contains("both of this key"), "{error}");
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn without_a_label_nothing_is_found_unless_nobody_else_creates() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let plan = plan_for(&site.key);
        let issuer = site.issuer();
        assert!(!issuer.capabilities().finds_by_label);
        let error = issuer.find(&cx(), &plan.record, None).await.expect_err("no labels");
        assert_eq!(error.kind(), ErrorKind::Unsupported);

        // The word alone is not enough: the user has to repeat it.
        let sole = site.sole();
        assert!(sole.capabilities().finds_by_label);
        let error = not_created(sole.create(&cx(), plan.issue()).await);
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("keyward:key"), "{error}");
        site.create_by_hand().await;
        let error = sole.find(&cx(), &plan.record, None).await.expect_err("no tag");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        site.tag("dev/analytics/another").await;
        let error = sole.find(&cx(), &plan.record, None).await.expect_err("the tag of another key");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(site.keys().await.len(), 1);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn an_access_key_whose_create_was_lost_is_found_and_deleted() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await.tagged().await;
        let proxy = Proxy::start(&moto()).await;
        proxy.plan(Fault::LoseReply.on("CreateAccessKey"));
        let mut plan = plan_for(&site.key);
        unknown(site.sole_at(&proxy.url()).create(&cx(), plan.issue()).await);
        assert_eq!(proxy.requests(), 3, "the tag, the id of the user, and one create");

        let abandoned = plan.version;
        plan.replanned();
        let issuer = site.sole();
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        let found = issuer.find(&cx(), &plan.record, Some(abandoned)).await.expect("an answer");
        assert_eq!(found.len(), 1, "the lost one alone: {found:?}");
        assert_eq!(issuer.find(&cx(), &plan.record, None).await.expect("both").len(), 2);
        let orphan = plan.adopted(abandoned, &found[0].reference);
        assert_eq!(issuer.status(&cx(), orphan.issue()).await.expect("a status"), IssuerStatus::Live);
        issuer.revoke(&cx(), orphan.issue()).await.expect("deleted");
        let kept = made.reference.expect("an access key id").to_string();
        assert_eq!(site.keys().await, [(kept, true)]);
        assert_eq!(issuer.find(&cx(), &plan.record, Some(abandoned)).await.expect("an answer"), []);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn calls_that_may_be_repeated_are() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let mut plan = plan_for(&site.key);
        plan.stored(&key(site.issuer().create(&cx(), plan.issue()).await));
        let proxy = Proxy::start(&moto()).await;
        let issuer = site.issuer_at(&proxy.url());
        proxy.plan(Fault::Answer(iam_site::error(400, "Throttling")).at(0));
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
        proxy.plan(Fault::LoseReply.at(2));
        issuer.deactivate(&cx(), plan.issue()).await.expect("switched off");
        assert_eq!(proxy.requests(), 4);
        // Switching off is refused, deleting is not.
        proxy.plan(Fault::Answer(access_denied()).at(4));
        issuer.revoke(&cx(), plan.issue()).await.expect("deleted");
        assert_eq!(site.keys().await, []);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_version_stays_with_the_user_it_was_made_for() {
    on_runtime(async {
        let (site, other) = (IamSite::new(&moto()).await, IamSite::new(&moto()).await);
        let mut plan = plan_for(&site.key);
        plan.stored(&key(site.issuer().create(&cx(), plan.issue()).await));
        let moved = IamIssuer::builder(&config(&moto())).user(&site.key, &other.user).open().expect("an issuer");
        assert_eq!(moved.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
        moved.revoke(&cx(), plan.issue()).await.expect("deleted");
        assert_eq!(site.keys().await, []);
    });
}

/// What IAM shows lags: an access key made just now may be nowhere yet.
#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_fresh_access_key_that_iam_does_not_show_is_not_called_gone() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let proxy = Proxy::start(&moto()).await;
        let mut plan = plan_for(&site.key);
        plan.stored(&key(site.issuer().create(&cx(), plan.issue()).await));
        let planned_at = plan.issue().version.planned_at;
        for action in ["DeleteAccessKey", "UpdateAccessKey", "GetAccessKeyLastUsed"] {
            proxy.plan(Fault::Answer(iam_site::error(404, "NoSuchEntity")).on(action));
        }
        let listed = "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata/><IsTruncated>false</IsTruncated>\
                      </ListAccessKeysResult></ListAccessKeysResponse>";
        proxy.plan(Fault::Answer(Answer::new(200, listed)).on("ListAccessKeys"));
        for (minutes, fresh) in [(-60, true), (0, true), (14, true), (16, false)] {
            let clock = ManualClock::at(planned_at + TimeDelta::minutes(minutes));
            let issuer = site.builder(&config(&proxy.url())).clock(Arc::new(clock)).open().expect("an issuer");
            let status = issuer.status(&cx(), plan.issue()).await.expect("a status");
            assert_eq!(status, if fresh { IssuerStatus::CannotSay } else { IssuerStatus::Absent }, "{minutes}");
            match issuer.revoke(&cx(), plan.issue()).await {
                Err(error) => assert!(fresh && error.kind() == ErrorKind::Unavailable, "{minutes}: {error}"),
                Ok(revoke) => assert!(!fresh && revoke == Revoke::Accepted, "{minutes}"),
            }
        }
    });
}

/// A user that is renamed keeps its access keys, and IAM does not list them under the old name.
#[test]
#[ignore = "needs tests/servers/up.sh"]
fn an_access_key_of_a_renamed_user_is_neither_absent_nor_revoked() {
    on_runtime(async {
        for made_anew in [false, true] {
            let site = IamSite::new(&moto()).await;
            let (issuer, mut plan) = (site.issuer(), plan_for(&site.key));
            let made = key(issuer.create(&cx(), plan.issue()).await);
            plan.stored(&made);
            let renamed = site.renamed().await;
            if made_anew {
                site.create_user().await;
            }
            assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::CannotSay);
            let id = made.reference.as_ref().expect("an access key id");
            match issuer.revoke(&cx(), plan.issue()).await.expect("an answer") {
                Revoke::AskHuman(what) => assert!(what.as_str().contains(id.as_str()), "{what}"),
                Revoke::Accepted => panic!("it works as before"),
            }
            let error = issuer.deactivate(&cx(), plan.issue()).await.expect_err("not there");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.detail().is_some_and(|detail| detail.contains("renamed")), "{error}");
            assert_eq!(renamed.keys().await, [(id.to_string(), true)]);
            let probe = IamValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await;
            assert!(!matches!(probe, Ok(Probe::Rejected(_))), "{probe:?}");
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn an_access_key_that_is_not_listed_is_gone_only_when_iam_or_the_very_same_user_says_so() {
    on_runtime(async {
        let owner = |name: &str| {
            let used = "<AccessKeyLastUsed><Region>N/A</Region><ServiceName>N/A</ServiceName></AccessKeyLastUsed>";
            let result =
                format!("<GetAccessKeyLastUsedResult><UserName>{name}</UserName>{used}</GetAccessKeyLastUsedResult>");
            Answer::new(200, format!("<GetAccessKeyLastUsedResponse>{result}</GetAccessKeyLastUsedResponse>"))
        };
        let denied = || Some(access_denied());
        let absent = || Some(iam_site::error(404, "NoSuchEntity"));
        let nameless = || Some(owner("&lt;root&gt;"));
        let elsewhere = || Some(owner("elsewhere"));
        // What IAM says of the access key, of the user when it was made, and of the user now; what follows.
        let cases = [
            (absent(), None, None, true),
            (absent(), denied(), denied(), true),
            (elsewhere(), None, None, false),
            (nameless(), None, None, false),
            // AWS refuses so, allowed or not, when there is no such access key.
            (denied(), None, None, true),
            (denied(), denied(), None, false),
            (denied(), None, denied(), false),
            (denied(), None, absent(), false),
        ];
        for (n, (of_the_key, of_the_user, now, gone)) in cases.into_iter().enumerate() {
            let names_it = n == 2;
            let site = IamSite::new(&moto()).await;
            let proxy = Proxy::start(&moto()).await;
            let (issuer, mut plan) = (site.issuer_at(&proxy.url()), plan_for(&site.key));
            let answer = |answer: Option<Answer>, action| {
                answer.into_iter().for_each(|answer| proxy.plan(Fault::Answer(answer).on(action)));
            };
            answer(of_the_user, "GetUser");
            let made = key(issuer.create(&cx(), plan.issue()).await);
            plan.stored(&made);
            site.delete_by_hand(made.reference.as_ref().expect("an id").as_str()).await;
            proxy.clear();
            answer(now, "GetUser");
            answer(of_the_key, "GetAccessKeyLastUsed");
            let status = issuer.status(&cx(), plan.issue()).await.expect("a status");
            let revoke = issuer.revoke(&cx(), plan.issue()).await.expect("an answer");
            assert_eq!(status, if gone { IssuerStatus::Absent } else { IssuerStatus::CannotSay }, "case {n}");
            match revoke {
                Revoke::Accepted => assert!(gone, "case {n}"),
                Revoke::AskHuman(what) => {
                    assert!(!gone && what.as_str().contains("elsewhere") == names_it, "case {n}: {what}");
                }
            }
        }
    });
}

/// A record of before, or of a site where nobody may ask: the name of the user alone.
#[test]
#[ignore = "needs tests/servers/up.sh"]
fn without_the_id_of_the_user_its_name_serves() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let proxy = Proxy::start(&moto()).await;
        proxy.plan(Fault::Answer(access_denied()).on("GetUser"));
        let (issuer, mut plan) = (site.issuer_at(&proxy.url()), plan_for(&site.key));
        let made = key(issuer.create(&cx(), plan.issue()).await);
        assert_eq!(made.state.as_ref().map(|state| state.as_str()), Some(&*site.user));
        plan.stored(&made);
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("a status"), IssuerStatus::Live);
        let probe = IamValidator::of(&issuer).probe(&cx(), plan.issue(), &made.material).await;
        assert!(matches!(probe, Ok(Probe::Accepted(_))), "{probe:?}");
        assert_eq!(issuer.revoke(&cx(), plan.issue()).await.expect("deleted"), Revoke::Accepted);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn of_a_renamed_user_no_lost_create_is_called_absent() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await.tagged().await;
        let proxy = Proxy::start(&moto()).await;
        proxy.plan(Fault::LoseReply.on("CreateAccessKey"));
        let mut plan = plan_for(&site.key);
        unknown(site.sole_at(&proxy.url()).create(&cx(), plan.issue()).await);
        let lost = plan.version;
        plan.replanned();
        // AWS keeps the tags of a user that is renamed; this server does not.
        let renamed = site.renamed().await.tagged().await;
        let error = site.sole().find(&cx(), &plan.record, Some(lost)).await.expect_err("no such user");
        assert!(
            error.kind() == ErrorKind::NotFound && error.detail().is_some_and(|d| d.contains("renamed")),
            "{error}"
        );
        // By its new name it is found.
        assert_eq!(renamed.sole().find(&cx(), &plan.record, None).await.expect("an answer").len(), 1);
        // A record that waits for nothing has nothing to lose.
        let site = IamSite::new(&moto()).await.tagged().await;
        let mut plan = plan_for(&site.key);
        plan.stored(&key(site.sole().create(&cx(), plan.issue()).await));
        site.renamed().await;
        assert_eq!(site.sole().find(&cx(), &plan.record, None).await.expect("an answer"), []);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_version_without_a_name_is_for_a_person() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let (issuer, plan) = (site.issuer(), plan_for(&site.key));
        assert_eq!(issuer.status(&cx(), plan.issue()).await.expect("an answer"), IssuerStatus::CannotSay);
        assert!(matches!(issuer.revoke(&cx(), plan.issue()).await, Ok(Revoke::AskHuman(_))));
        assert_eq!(issuer.deactivate(&cx(), plan.issue()).await.expect_err("no name").kind(), ErrorKind::NotFound);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_probe_says_whose_key_it_is_and_whether_it_works() {
    // ministack checks signatures and states; moto answers every caller.
    on_runtime(async {
        let site = IamSite::new(&strict()).await;
        let issuer = site.issuer();
        let validator = IamValidator::of(&issuer);
        let mut plan = plan_for(&site.key);
        let made = key(issuer.create(&cx(), plan.issue()).await);
        plan.stored(&made);
        let probe = |material: Material| {
            let (validator, plan) = (&validator, &plan);
            async move { validator.probe(&cx(), plan.issue(), &material).await.expect("an answer") }
        };
        match probe(made.material.duplicate()).await {
            Probe::Accepted(evidence) => assert!(evidence.as_str().contains(&site.user), "{evidence}"),
            other => panic!("{other:?}"),
        }
        issuer.deactivate(&cx(), plan.issue()).await.expect("switched off");
        assert!(matches!(probe(made.material.duplicate()).await, Probe::Rejected(_)));
        issuer.activate(&cx(), plan.issue()).await.expect("switched on");
        assert!(matches!(probe(made.material.duplicate()).await, Probe::Accepted(_)));

        // The right id with a wrong secret, another id, another shape.
        let id = made.reference.clone().expect("an id");
        let pair = |id: &str, secret: &str| {
            let name = |name: &str| name.parse().expect("a field name");
            let fields = [(name("access_key_id"), id.into()), (name("secret_access_key"), secret.into())];
            Material::fields(fields).expect("material")
        };
        for material in [
            pair(id.as_str(), "wrong"),
            pair("AKIAAAAAAAAAAAAAAAAA", "wrong"),
            Material::one("one".into()).expect("material"),
        ] {
            assert!(matches!(probe(material).await, Probe::Unclear(_)));
        }
        issuer.revoke(&cx(), plan.issue()).await.expect("deleted");
        assert!(matches!(probe(made.material).await, Probe::Rejected(_)));
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_working_key_of_another_user_proves_nothing() {
    on_runtime(async {
        let (site, other) = (IamSite::new(&strict()).await, IamSite::new(&strict()).await);
        let theirs = key(other.issuer().create(&cx(), plan_for(&other.key).issue()).await);
        let (validator, plan) = (IamValidator::of(&site.issuer()), plan_for(&site.key));
        let probe = validator.probe(&cx(), plan.issue(), &theirs.material).await.expect("an answer");
        assert!(matches!(&probe, Probe::Unclear(why) if why.as_str().contains("expected user")), "{probe:?}");
        // No answer is no proof either.
        let proxy = Proxy::start(&strict()).await;
        proxy.plan(Fault::Answer(iam_site::error(400, "Throttling")).always());
        let validator = IamValidator::of(&site.issuer_at(&proxy.url()));
        let error = validator.probe(&cx(), plan.issue(), &theirs.material).await.expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Throttled);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn without_permission() {
    on_runtime(async {
        let site = IamSite::new(&strict()).await;
        let mut plan = plan_for(&site.key);
        let made = key(site.issuer().create(&cx(), plan.issue()).await);
        plan.stored(&made);
        // The user itself may do nothing.
        let text = |name: &str| String::from_utf8(made.material.field(name).expect("a field").expose_secret().to_vec());
        let (id, secret) = (text("access_key_id").expect("text"), text("secret_access_key").expect("text"));
        let weak = site.issuer_of(&config_of(&strict(), &id, &secret));
        assert_eq!(not_created(weak.create(&cx(), plan.issue()).await).kind(), ErrorKind::Denied);
        assert_eq!(weak.status(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(weak.deactivate(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(weak.revoke(&cx(), plan.issue()).await.expect_err("denied").kind(), ErrorKind::Denied);
        assert_eq!(site.keys().await, [(id, true)]);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn last_use_is_what_iam_knows() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let issuer = site.issuer();
        let mut plan = plan_for(&site.key);
        plan.stored(&key(issuer.create(&cx(), plan.issue()).await));
        let records = MemoryBackend::default();
        let swapped = records.swap(&cx(), &site.key, Expect::Absent, &plan.record).await.expect("a swap");
        assert!(matches!(swapped, Swap::Applied(_)));
        let usage = IamUsage::of(&issuer, Arc::new(records));
        // moto calls the moment of creation the last use.
        match usage.last_use(&cx(), &site.key, plan.version).await.expect("an answer") {
            LastUse::At(at) => assert!((chrono::Utc::now() - at).num_seconds().abs() < 120, "{at}"),
            LastUse::Never => {}
            LastUse::Unknown => panic!("the record names the access key"),
        }
        let other = keyward_core::VersionId::generate();
        assert_eq!(usage.last_use(&cx(), &site.key, other).await.expect_err("no version").kind(), ErrorKind::NotFound);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_secret_shows_nowhere() {
    on_runtime(async {
        let site = IamSite::new(&moto()).await;
        let issuer = site.issuer_of(&config_of(&moto(), "AKIAOPERATOR", OPERATOR));
        let plan = plan_for(&site.key);
        let made = key(issuer.create(&cx(), plan.issue()).await);
        let secret = made.material.field("secret_access_key").expect("a secret").duplicate();
        let secret = std::str::from_utf8(secret.expose_secret()).expect("text");
        let validator = IamValidator::of(&issuer);
        let probe = validator.probe(&cx(), plan.issue(), &made.material).await;
        for shown in [format!("{made:?}"), format!("{validator:#?}"), format!("{probe:?}")] {
            assert!(!shown.contains(secret), "the secret shows");
            assert!(!shown.contains(OPERATOR), "the operator's secret shows");
        }
        // A service that repeats the secret in an error.
        let proxy = Proxy::start(&moto()).await;
        let body =
            format!("<ErrorResponse><Error><Code>{secret}</Code><Message>{secret}</Message></Error></ErrorResponse>");
        proxy.plan(Fault::Answer(Answer::new(400, body)).always());
        let hostile = site.issuer_at(&proxy.url());
        let error = issuer_error(&hostile, &plan).await;
        assert!(!format!("{error} {error:?}").contains(&secret[..12]), "the secret shows in an error");
    });
}

const OPERATOR: &str = "CanaryOfTheOperator0123456789";

async fn issuer_error(issuer: &IamIssuer, plan: &Planned) -> Error {
    not_created(issuer.create(&cx(), plan.issue()).await)
}
