//! A crash matrix in small: the pattern for an engine's own.

use futures_lite::future::block_on;
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake, run_until_crash};
use keyward_core::{
    Expect, KeyRecord, PublicationId, Publish, Read, Result, SecretBackend, SecretBackendExt, Select, Swap, VersionId,
};

use super::{cx, material, planned};

/// Registers a record and shows its version; may be repeated by anybody at any point.
async fn provision(store: &impl SecretBackend, record: &KeyRecord, version: VersionId) -> Result<()> {
    let (cx, target) = (cx(), record.target());
    if store.load_one(&cx, record.id()).await?.is_none() {
        let swap = store.swap(&cx, record.id(), Expect::Absent, record).await?;
        assert!(matches!(swap, Swap::Applied(_)));
    }
    store.stage(&cx, &target, version, &material("value")).await?;
    let token = store.pointer(&cx, &target).await?.token;
    let publish = store.publish(&cx, &target, version, PublicationId::first(version), &token).await?;
    assert!(matches!(publish, Publish::Moved(_) | Publish::AlreadyThere(_)));
    Ok(())
}

#[test]
fn a_protocol_of_safe_repeats_survives_every_fault_at_every_call() {
    let (record, version) = planned();
    let counting = Host::steady("counting");
    block_on(provision(&counting.wrap(StrictFake::default()), &record, version)).expect("no fault, no error");
    assert_eq!(counting.calls(), 5);

    for call in 0..counting.calls() {
        for fault in Fault::CRASHES {
            let store = StrictFake::default();
            let first = Host::new("first", FaultPlan::none().at(call, fault));
            let ended = run_until_crash(&first, provision(&first.wrap(store.clone()), &record, version));
            assert_eq!(ended.is_none(), first.crashed(), "{call} {fault:?}");
            assert_eq!(first.crashed(), fault != Fault::LostReply, "{call} {fault:?}");
            assert_eq!(first.trace().last().and_then(|call| call.fault), Some(fault), "the fault ended it");

            let second = Host::steady("second");
            block_on(provision(&second.wrap(store.clone()), &record, version)).expect("the other host goes on");
            let read = block_on(store.read_one(&cx(), &record.target(), Select::Current));
            assert!(matches!(read, Ok(Read::Found { version: shown, .. }) if shown == version));
            assert_eq!((store.revisions(record.id()).len(), store.moves().len()), (1, 1), "nothing was done twice");
            assert!(store.misuse().is_empty());
        }
    }
}
