//! What every public type can be used for: sent, shared, boxed, called through a pointer.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::*;

fn shared<T: ?Sized + Send + Sync + Debug>() {}

macro_rules! all_shared {
    ($($name:ty),* $(,)?) => { $(shared::<$name>();)* };
}

#[test]
fn every_public_type_is_send_and_sync() {
    all_shared!(
        AccessLevel,
        Actor,
        Adoption,
        ArmCounts,
        AuditAction,
        AuditEntry,
        AuditEvent,
        AuditQuery,
        AuditReport,
        AwsSecretName,
        Capabilities,
        Cas,
        Change,
        ClientMinutes,
        Compromise,
        Contact,
        Context,
        CreateError,
        Created,
        CustomEnvironment,
        Death,
        Destroy,
        Edit,
        EndpointError,
        EndpointPattern,
        Environment,
        Error,
        ErrorKind,
        Evidence,
        Expect,
        FieldName,
        Fingerprint,
        FingerprintError,
        Function,
        HealthQuery,
        HealthReport,
        HolderId,
        IdError,
        Incident,
        IncidentId,
        IncidentState,
        Instructions,
        Issue<'static>,
        IssuerCapabilities,
        IssuerKey,
        IssuerName,
        IssuerRef,
        IssuerState,
        IssuerStatus,
        KeyDraft,
        KeyId,
        KeyName,
        KeyRecord,
        KeyUid,
        LabelName,
        LabelValue,
        Labels,
        LastUse,
        Link,
        LinkError,
        LinkKind,
        LinkTitle,
        LinkUrl,
        ListQuery,
        Location,
        ManualClock,
        Material,
        MaterialError,
        MemoryBackend,
        Mode,
        NameError,
        NativeCurrent,
        NewKey,
        Note,
        NoteText,
        Operation,
        OperationId,
        OperationNote,
        Owner,
        Ownership,
        OwnershipError,
        Page<KeyRecord>,
        PageToken,
        Passed,
        Permission,
        Pointer,
        PointerToken,
        PolicyError,
        Probe,
        Proof,
        Publication,
        PublicationId,
        Publish,
        Read,
        ReadItem,
        Reason,
        RecordError,
        RequestId,
        Resource,
        Retire,
        Retry,
        Revoke,
        RotationPolicy,
        Run,
        RunId,
        RunKind,
        RunOutcome,
        RunPhase,
        RunSummary,
        Scope,
        ScopeDifference,
        ScopeError,
        SecretValue,
        Select,
        ServiceName,
        Shape,
        Shows,
        Spill,
        Stage,
        Stamp,
        Stamped<KeyRecord>,
        Survey,
        Swap,
        SystemClock,
        Target,
        Team,
        TextError,
        Transition,
        TransitionError,
        VaultPathText,
        Version,
        VersionId,
        VersionState,
        Withdraw,
    );
    all_shared!(
        dyn SecretBackend,
        dyn KeyIssuer,
        dyn Validator,
        dyn HealthSignal,
        dyn UsageSignal,
        dyn AdoptionSignal,
        dyn AdoptionLedger,
        dyn AuditSink,
        dyn Clock,
    );
}

#[test]
fn every_trait_can_be_an_object() {
    let _: [Option<Arc<dyn Clock>>; 2] = [Some(Arc::new(SystemClock)), Some(Arc::new(ManualClock::default()))];
}

#[test]
fn an_error_is_one_pointer_wide() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    assert_eq!(size_of::<KeyRecord>(), size_of::<usize>());
}

async fn use_it<B: SecretBackend>(store: B) -> Result<bool> {
    let cx = Context::new("tester", "types").expect("a context");
    let key: KeyId = "dev/analytics/x".parse().expect("a key");
    let target = Target::new(key.clone(), Location::Derived, Shape::One);
    let nothing =
        store.load_one(&cx, &key).await?.is_none() && store.list_all(&cx, &ListQuery::all()).await?.is_empty();
    let survey = store.survey(&cx, &target).await?;
    Ok(nothing && survey.versions.is_empty() && !store.capabilities().adopts && store.audit().is_some())
}

#[test]
fn a_backend_works_through_every_pointer() {
    futures_lite::future::block_on(async {
        let store = MemoryBackend::default();
        assert!(use_it(store.clone()).await.expect("plain"));
        assert!(use_it(&store).await.expect("a reference"));
        assert!(use_it(&&store).await.expect("a reference to a reference"));
        assert!(use_it(&store as &dyn SecretBackend).await.expect("a dyn reference"));
        assert!(use_it(Box::new(store.clone())).await.expect("a box"));
        assert!(use_it(Box::new(store.clone()) as Box<dyn SecretBackend>).await.expect("a dyn box"));
        assert!(use_it(Arc::new(store.clone())).await.expect("a shared pointer"));
        assert!(use_it(Arc::new(store.clone()) as Arc<dyn SecretBackend>).await.expect("a dyn shared pointer"));
        assert!(use_it(Arc::new(Box::new(store) as Box<dyn SecretBackend>)).await.expect("both"));
    });
}

fn sent<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn every_future_can_be_sent() {
    let store: Arc<dyn SecretBackend> = Arc::new(MemoryBackend::default());
    let cx = Context::new("tester", "types").expect("a context");
    let key: KeyId = "dev/analytics/x".parse().expect("a key");
    let target = Target::new(key.clone(), Location::Derived, Shape::One);
    let material = Material::one(SecretValue::from("x")).expect("material");
    let version = VersionId::generate();
    let token = PointerToken::new("0");
    futures_lite::future::block_on(async {
        sent(store.load(&cx, std::slice::from_ref(&key))).await;
        assert!(sent(store.list(&cx, &ListQuery::all(), None)).await.is_ok());
        assert!(sent(store.stage(&cx, &target, version, &material)).await.is_ok());
        assert!(sent(store.pointer(&cx, &target)).await.is_ok());
        assert!(sent(store.publish(&cx, &target, version, PublicationId::first(version), &token)).await.is_ok());
        assert_eq!(sent(store.read(&cx, &[])).await.len(), 0);
        assert!(sent(store.withdraw(&cx, &target, version)).await.is_err());
        assert!(sent(store.survey(&cx, &target)).await.is_ok());
        assert!(sent(store.retire(&cx, &target, Duration::ZERO)).await.is_ok());
        assert!(sent(store.read_one(&cx, &target, Select::Current)).await.is_err());
        assert!(sent(store.load_existing(&cx, &key)).await.is_err());
        sent(SystemClock.sleep(Duration::ZERO)).await;
    });
    // A store can be handed to another thread while it is used here.
    let there = Arc::clone(&store);
    let thread = std::thread::spawn(move || futures_lite::future::block_on(use_it(there)));
    assert!(thread.join().expect("no panic").is_ok());
}
