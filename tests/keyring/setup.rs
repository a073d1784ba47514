//! Keys brought into a memory store by hand: every move of the record, every call of the store.
#![allow(dead_code, reason = "each test program uses its part")]
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::AccessLevel;
use keyward::core::{
    Actor, Change, Clock, Context, Death, Evidence, Expect, HolderId, KeyDraft, KeyId, KeyRecord, Link, ManualClock,
    Material, MemoryBackend, Mode, Ownership, Passed, PointerToken, Proof, Publication, PublicationId, Publish, RunId,
    RunKind, Scope, SecretBackend, SecretBackendExt, SecretValue, Stage, Swap, Transition, VersionId,
};

/// Who acts in tests.
pub(crate) fn cx() -> Context {
    Context::new("tester", "test").expect("fixed text")
}

/// A key id.
pub(crate) fn id(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

/// The draft of a key that `billing-api` may load.
pub(crate) fn draft(key: &str) -> KeyDraft {
    let owners = Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall");
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write");
    let scope = scope.and_then(|s| s.endpoint("POST /v1/charges")).and_then(|s| s.service("billing-api"));
    let runbook = Link::runbook("Charges stop", "https://runbooks.example.com/charges").expect("a link");
    KeyDraft::new(id(key), owners.expect("owners"), scope.expect("a scope"), "acme".parse().expect("a name"))
        .link(runbook)
}

/// A change by the tester at the time of `clock`.
pub(crate) fn change(clock: &dyn Clock) -> Change {
    let actor: Actor = "tester".parse().expect("fixed text");
    Change::new(actor, clock.now())
}

/// Registers a key.
pub(crate) fn register(store: &MemoryBackend, clock: &dyn Clock, draft: &KeyDraft) {
    let record = KeyRecord::register(draft, &change(clock)).expect("a record");
    let swap = block_on(store.swap(&cx(), &draft.id, Expect::Absent, &record)).expect("a swap");
    assert!(matches!(swap, Swap::Applied(_)));
}

/// The record of a key.
pub(crate) fn record(store: &MemoryBackend, key: &str) -> KeyRecord {
    block_on(store.load_existing(&cx(), &id(key))).expect("a record").value
}

/// Makes one move of a record.
pub(crate) fn step(store: &MemoryBackend, clock: &dyn Clock, key: &str, transition: &Transition) {
    let current = block_on(store.load_existing(&cx(), &id(key))).expect("a record");
    let next = current.value.apply(transition, &change(clock)).expect("a legal move");
    let swap = block_on(store.swap(&cx(), &id(key), Expect::At(current.stamp), &next)).expect("a swap");
    assert!(matches!(swap, Swap::Applied(_)));
}

/// Words for a gate.
pub(crate) fn seen(text: &str) -> Evidence {
    text.parse().expect("evidence")
}

/// Takes a run from plan to the confirmed publication of `value`; answers the version.
pub(crate) fn rotate(store: &MemoryBackend, clock: &dyn Clock, key: &str, value: &str) -> VersionId {
    let material = Material::one(SecretValue::from(value)).expect("material");
    rotate_to(store, clock, key, &material)
}

/// As [`rotate`], with any material.
pub(crate) fn rotate_to(store: &MemoryBackend, clock: &dyn Clock, key: &str, material: &Material) -> VersionId {
    let version = stage(store, clock, key, material);
    let proof = Proof::new(clock.now(), 3, seen("three probes answered"));
    step(store, clock, key, &Transition::Validate { proof });
    publish(store, clock, key, version);
    step(store, clock, key, &Transition::Confirm);
    version
}

/// Begins a run and stages material; answers the version.
pub(crate) fn stage(store: &MemoryBackend, clock: &dyn Clock, key: &str, material: &Material) -> VersionId {
    let (version, target) = (VersionId::generate(), record(store, key).target());
    let kind = if record(store, key).primary().is_some() { RunKind::Manual } else { RunKind::Provision };
    let reason = "test".parse().expect("a reason");
    let begin = Transition::Begin { run: RunId::generate(), kind, version, holder: HolderId::generate(), reason };
    step(store, clock, key, &begin);
    let stored = block_on(store.stage(&cx(), &target, version, material)).expect("a stage");
    assert_eq!(stored, Stage::Stored);
    let issuer_ref = Some("ref-1".parse().expect("a reference"));
    let store_it = Transition::Store { version, issuer_ref, issuer_state: None, fingerprint: None, expires_at: None };
    step(store, clock, key, &store_it);
    version
}

/// Journals and makes the publication of a validated version.
pub(crate) fn publish(store: &MemoryBackend, clock: &dyn Clock, key: &str, version: VersionId) -> Publication {
    let target = record(store, key).target();
    let expect: PointerToken = block_on(store.pointer(&cx(), &target)).expect("a pointer").token;
    let publication = PublicationId::first(version);
    step(store, clock, key, &Transition::Promote { publication, expect: expect.clone() });
    let moved = block_on(store.publish(&cx(), &target, version, publication, &expect)).expect("a publish");
    assert!(matches!(moved, Publish::Moved(_)));
    *record(store, key).publications().last().expect("journalled")
}

/// Retires the former version: revoke pending, past the point of no return.
pub(crate) fn retire_old(store: &MemoryBackend, clock: &dyn Clock, key: &str) {
    step(store, clock, key, &Transition::Retire { passed: Passed::Gate(seen("99 clean requests")) });
}

/// Takes a run to its end: the former version is revoked, seen dead and given up.
pub(crate) fn complete(store: &MemoryBackend, clock: &ManualClock, key: &str) {
    clock.advance(Duration::from_secs(49 * 3_600));
    let old = record(store, key).run().and_then(|run| run.previous).expect("a run that replaces a version");
    retire_old(store, clock, key);
    step(store, clock, key, &Transition::Revoked { version: old, death: Death::Seen(seen("refused")) });
    step(store, clock, key, &Transition::Gone { version: old });
}

/// Reports a version as leaked.
pub(crate) fn leak(store: &MemoryBackend, clock: &dyn Clock, key: &str, version: VersionId) {
    let leak = Transition::Compromise {
        version,
        incident: keyward::core::IncidentId::generate(),
        exposed_from: None,
        source: seen("a paste site"),
        publication: PublicationId::generate(),
    };
    step(store, clock, key, &leak);
}

/// A key with one live version.
pub(crate) fn provision(store: &MemoryBackend, clock: &dyn Clock, key: &str, value: &str) -> VersionId {
    register(store, clock, &draft(key));
    rotate(store, clock, key, value)
}
