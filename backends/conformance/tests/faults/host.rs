//! Hosts: scripts, numbering, death.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake, run_on_clock, run_until_crash};
use keyward_core::{
    ErrorKind, Expect, ManualClock, Operation, SecretBackend, SecretBackendExt, Stage, Swap, VersionId,
};

use super::{cx, key, material, record};

fn swapped_under(fault: Fault) -> (Option<Option<ErrorKind>>, StrictFake, Host) {
    let store = StrictFake::default();
    let host = Host::new("a", FaultPlan::none().at(0, fault));
    let seen = host.wrap(store.clone());
    let answer = run_until_crash(&host, async {
        seen.swap(&cx(), &key(), Expect::Absent, &record()).await.err().map(|error| error.kind())
    });
    (answer, store, host)
}

#[test]
fn a_refused_call_does_nothing() {
    let (answer, store, host) = swapped_under(Fault::Fail(ErrorKind::Denied));
    assert_eq!(answer, Some(Some(ErrorKind::Denied)));
    assert!(store.record(&key()).is_none() && !host.crashed());
}

#[test]
fn a_crash_before_a_call_does_nothing_and_never_returns() {
    let (answer, store, host) = swapped_under(Fault::CrashBefore);
    assert_eq!(answer, None);
    assert!(store.record(&key()).is_none() && host.crashed());
}

#[test]
fn a_lost_reply_is_unknown_and_done() {
    let (answer, store, host) = swapped_under(Fault::LostReply);
    assert_eq!(answer, Some(Some(ErrorKind::Unknown)));
    assert!(store.record(&key()).is_some() && !host.crashed());
}

#[test]
fn a_crash_after_a_call_has_done_it_and_never_returns() {
    let (answer, store, host) = swapped_under(Fault::CrashAfter);
    assert_eq!(answer, None);
    assert!(store.record(&key()).is_some() && host.crashed());
}

#[test]
fn a_lost_reply_to_a_question_says_that_nothing_was_done() {
    let host = Host::new("a", FaultPlan::none().always(Operation::Load, Fault::LostReply));
    let seen = host.wrap(StrictFake::default());
    let answers = block_on(seen.load(&cx(), &[key(), key()]));
    assert_eq!(answers.len(), 2, "a batch fails item by item");
    assert!(answers.iter().all(|a| a.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable)));
}

#[test]
fn a_dead_host_answers_nothing_while_others_go_on() {
    let store = StrictFake::default();
    let (a, b) = (Host::steady("a"), Host::steady("b"));
    let (through_a, through_b) = (a.wrap(store.clone()), b.wrap(store.clone()));
    a.crash();
    block_on(async {
        let (cx, key) = (cx(), key());
        let mut call = Box::pin(through_a.load_one(&cx, &key));
        for _ in 0..10 {
            assert!(poll_once(call.as_mut()).await.is_none(), "pending for ever");
        }
        let answer = through_b.swap(&cx, &key, Expect::Absent, &record()).await;
        assert!(matches!(answer, Ok(Swap::Applied(_))));
    });
    assert_eq!((a.calls(), b.calls()), (0, 1), "the dead make no calls");
}

#[test]
fn a_call_under_way_dies_with_its_host() {
    let host = Host::steady("a");
    let store = StrictFake::default();
    let seen = host.wrap(store.clone());
    block_on(async {
        let (cx, key, record) = (cx(), key(), record());
        let mut call = Box::pin(seen.swap(&cx, &key, Expect::Absent, &record));
        assert!(poll_once(call.as_mut()).await.is_none(), "not done at the first poll");
        host.crash();
        assert!(poll_once(call.as_mut()).await.is_none());
    });
    assert!(store.record(&key()).is_none(), "it died before the effect");
}

#[test]
fn a_script_names_calls_by_number_and_by_operation() {
    let fail = Fault::Fail(ErrorKind::Throttled);
    let plan = FaultPlan::none().at(1, fail).nth(Operation::Pointer, 1, fail).always(Operation::Survey, fail);
    let host = Host::new("a", plan);
    let seen = host.wrap(StrictFake::default());
    let target = record().target();
    block_on(async {
        let (load, pointer, survey) = (
            || async { seen.load_one(&cx(), &key()).await.is_err() },
            || async { seen.pointer(&cx(), &target).await.is_err() },
            || async { seen.survey(&cx(), &target).await.is_err() },
        );
        let failed = [
            load().await,
            load().await,
            pointer().await,
            pointer().await,
            pointer().await,
            survey().await,
            survey().await,
        ];
        assert_eq!(failed, [false, true, false, true, false, true, true]);
    });
    let trace: Vec<String> = host.trace().iter().map(ToString::to_string).collect();
    assert_eq!(trace[..3], ["0: Load", "1: Load, Fail(Throttled)", "2: Pointer"]);
    host.follow(FaultPlan::none());
    assert!(block_on(seen.survey(&cx(), &target)).is_ok(), "the script was exchanged");
    assert_eq!(host.calls(), 8, "numbers go on");
}

#[test]
fn calls_take_their_time_on_the_clock() {
    let clock = Arc::new(ManualClock::default());
    let host = Host::new("a", FaultPlan::none().latency(clock.clone(), Duration::from_secs(3)));
    let seen = host.wrap(StrictFake::default());
    let before = keyward_core::Clock::monotonic(&clock);
    let done = run_on_clock(&host, &clock, async {
        let version = VersionId::generate();
        seen.stage(&cx(), &record().target(), version, &material("value")).await.expect("a stage")
    });
    assert_eq!(done, Some(Stage::Stored));
    assert_eq!(keyward_core::Clock::monotonic(&clock) - before, Duration::from_secs(3));
}

#[test]
#[should_panic(expected = "host a hangs; its last call was no call")]
fn a_future_that_waits_for_nothing_is_found_out() {
    let host = Host::steady("a");
    run_on_clock(&host, &ManualClock::default(), std::future::pending::<()>());
}

#[test]
fn the_audit_log_of_a_store_is_called_through_the_host() {
    let host = Host::new("a", FaultPlan::none().always(Operation::Audit, Fault::Fail(ErrorKind::AuditUnavailable)));
    let seen = host.wrap(StrictFake::default());
    let log = seen.audit().expect("the fake keeps a log");
    let answer = block_on(log.verify(&cx()));
    assert!(answer.is_err_and(|error| error.kind() == ErrorKind::AuditUnavailable));
    assert!(host.wrap(StrictFake::default().without_audit()).audit().is_none());
}
