//! The issuer and the validator in memory, alone and behind a host.

use futures_lite::future::block_on;
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Fault, FaultPlan, Flap, Host, Late, StrictFake};
use keyward_core::{
    AccessLevel, CreateError, Created, ErrorKind, Issue, IssuerStatus, KeyIssuer, KeyRecord, Material, Operation,
    Probe, Revoke, Scope, SecretBackend, Validator, VersionId,
};

use super::{cx, key, planned};

fn issue(record: &KeyRecord, version: VersionId) -> Issue<'_> {
    Issue { record, version: record.version(version).expect("a planned version") }
}

async fn created(issuer: &impl KeyIssuer, issue: Issue<'_>) -> Material {
    match issuer.create(&cx(), issue).await {
        Ok(Created::Key(new)) => new.material,
        other => panic!("a key was expected, but: {other:?}"),
    }
}

#[test]
fn a_key_lives_until_it_is_revoked() {
    let (issuer, (record, version)) = (FakeIssuer::reversible(), planned());
    let validator = FakeValidator::new(&issuer);
    let issue = issue(&record, version);
    block_on(async {
        assert_eq!(issuer.status(&cx(), issue).await.expect("a status"), IssuerStatus::Absent);
        let material = created(&issuer, issue).await;
        let accepted = || async { matches!(validator.probe(&cx(), issue, &material).await, Ok(Probe::Accepted(_))) };
        assert!(accepted().await);
        assert_eq!(issuer.find(&cx(), &record, None).await.expect("keys")[0].label, version);
        assert_eq!(issuer.scope(&cx(), issue).await.expect("a scope").as_ref(), Some(record.scope()));
        issuer.deactivate(&cx(), issue).await.expect("switched off");
        assert!(!accepted().await);
        assert_eq!((issuer.live(&key()), issuer.working(&key())), (vec![], vec![version]));
        issuer.activate(&cx(), issue).await.expect("switched on");
        assert!(accepted().await);
        for _ in 0..2 {
            assert_eq!(issuer.revoke(&cx(), issue).await.expect("already gone is success"), Revoke::Accepted);
        }
        assert!(!accepted().await);
        assert!(matches!(issuer.status(&cx(), issue).await, Ok(IssuerStatus::Revoked(_))));
        assert!(issuer.find(&cx(), &record, Some(version)).await.expect("keys").is_empty());
        issuer.forgets_revoked();
        assert_eq!(issuer.status(&cx(), issue).await.expect("a status"), IssuerStatus::Absent);
    });
    assert_eq!((issuer.creates(version), validator.probes()), (1, 4));
}

#[test]
fn a_late_create_lands_by_hand_or_by_count() {
    for (late, calls_before) in [(Late::ByHand, 9), (Late::AfterCalls(2), 2)] {
        let (issuer, (record, version)) = (FakeIssuer::default(), planned());
        issuer.delay_creates([Some(late)]);
        let issue = issue(&record, version);
        block_on(async {
            let answer = issuer.create(&cx(), issue).await;
            assert!(matches!(answer, Err(CreateError::Unknown(_))));
            for _ in 0..calls_before {
                assert_eq!(issuer.status(&cx(), issue).await.expect("a status"), IssuerStatus::Absent);
            }
            assert_eq!(issuer.land_late(), 1, "not there before");
            assert_eq!(issuer.status(&cx(), issue).await.expect("a status"), IssuerStatus::Live);
        });
    }
}

#[test]
fn a_late_create_lands_without_help_when_its_calls_are_over() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    issuer.delay_creates([Some(Late::AfterCalls(1))]);
    let issue = issue(&record, version);
    block_on(async {
        drop(issuer.create(&cx(), issue).await);
        let absent = issuer.status(&cx(), issue).await.expect("a status");
        let live = issuer.status(&cx(), issue).await.expect("a status");
        assert_eq!((absent, live), (IssuerStatus::Absent, IssuerStatus::Live));
    });
}

#[test]
fn a_cap_refuses_and_a_careless_repeat_shows() {
    let (issuer, (record, version)) = (FakeIssuer::capped(2), planned());
    let issue = issue(&record, version);
    block_on(async {
        created(&issuer, issue).await;
        created(&issuer, issue).await;
        let third = issuer.create(&cx(), issue).await;
        assert!(matches!(third, Err(CreateError::NotCreated(error)) if error.kind() == ErrorKind::Quota));
    });
    assert_eq!(issuer.creates(version), 3);
    assert_eq!(issuer.working(&key()), [version, version], "two keys under one label");
}

#[test]
fn a_revoked_key_may_go_on_working_for_a_while() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    issuer.revokes_linger(2);
    block_on(async {
        let material = created(&issuer, issue(&record, version)).await;
        issuer.revoke(&cx(), issue(&record, version)).await.expect("accepted");
        assert_eq!([(); 4].map(|()| issuer.accepts(&material)), [true, true, false, false]);
    });
}

#[test]
fn a_validator_flaps_as_scripted_and_then_tells_the_truth() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    let validator = FakeValidator::new(&issuer);
    let issue = issue(&record, version);
    block_on(async {
        let material = created(&issuer, issue).await;
        validator.flap([Flap::Rejected, Flap::Unclear, Flap::Fail(ErrorKind::Throttled), Flap::Honest]);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(match validator.probe(&cx(), issue, &material).await {
                Ok(Probe::Accepted(_)) => "accepted",
                Ok(Probe::Rejected(_)) => "rejected",
                Ok(Probe::Unclear(_)) => "unclear",
                Err(_) => "failed",
            });
        }
        assert_eq!(seen, ["rejected", "unclear", "failed", "accepted", "accepted"]);
        issuer.kill(version);
        assert!(matches!(validator.probe(&cx(), issue, &material).await, Ok(Probe::Rejected(_))));
    });
}

#[test]
fn a_scope_can_differ_at_the_issuer() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    block_on(async {
        created(&issuer, issue(&record, version)).await;
        let wider = Scope::new(AccessLevel::Admin);
        issuer.change_scope(version, &wider);
        assert_eq!(issuer.scope(&cx(), issue(&record, version)).await.expect("a scope"), Some(wider));
    });
}

#[test]
fn store_issuer_and_validator_share_the_numbering_of_their_host() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    let host = Host::new("a", FaultPlan::none().at(1, Fault::LostReply));
    let (store, wrapped, validator) =
        (host.wrap(StrictFake::default()), host.wrap(issuer.clone()), host.wrap(FakeValidator::new(&issuer)));
    block_on(async {
        store.pointer(&cx(), &record.target()).await.expect("a pointer");
        let lost = wrapped.create(&cx(), issue(&record, version)).await;
        assert!(matches!(lost, Err(CreateError::Unknown(_))), "a lost create leaves a doubt");
        drop(validator.probe(&cx(), issue(&record, version), &super::material("value")).await);
    });
    assert_eq!(issuer.live(&key()), [version], "the key was made all the same");
    let operations: Vec<Operation> = host.trace().iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Pointer, Operation::Create, Operation::Probe]);
    let refused = Host::new("b", FaultPlan::none().at(0, Fault::Fail(ErrorKind::Quota))).wrap(issuer);
    let answer = block_on(refused.create(&cx(), issue(&record, version)));
    assert!(matches!(answer, Err(CreateError::NotCreated(_))), "a refused create leaves none");
}

#[test]
fn what_has_not_appeared_yet_takes_a_place() {
    let (issuer, (record, version)) = (FakeIssuer::capped(1), planned());
    let issue = issue(&record, version);
    block_on(async {
        issuer.delay_creates([Some(Late::ByHand), Some(Late::ByHand)]);
        assert!(matches!(issuer.create(&cx(), issue).await, Err(CreateError::Unknown(_))));
        let refused = issuer.create(&cx(), issue).await;
        assert!(matches!(refused, Err(CreateError::NotCreated(ref error)) if error.kind() == ErrorKind::Quota));
        assert_eq!((issuer.working(&key()), issuer.most_creates()), (vec![], 2));

        issuer.be_punctual();
        assert_eq!(issuer.working(&key()), vec![version]);
        issuer.kill(version);
        created(&issuer, issue).await;
        issuer.kill(version);
        issuer.add_strangers(&key(), 1);
        assert!(matches!(issuer.create(&cx(), issue).await, Err(CreateError::NotCreated(_))), "a key of somebody else");
        assert!(issuer.find(&cx(), &record, None).await.expect("keys").is_empty());
    });
}

#[test]
fn whatever_may_have_changed_something_is_noticed() {
    let (issuer, (record, version)) = (FakeIssuer::default(), planned());
    let mut seen = issuer.touched();
    let mut rises = |issuer: &FakeIssuer| std::mem::replace(&mut seen, issuer.touched()) < issuer.touched();
    block_on(async {
        created(&issuer, issue(&record, version)).await;
        assert!(rises(&issuer));
        issuer.kill(version);
        assert!(rises(&issuer));
        issuer.land_late();
        assert!(rises(&issuer));
        issuer.working(&key());
        assert!(!rises(&issuer), "a look changes nothing");
    });
}
