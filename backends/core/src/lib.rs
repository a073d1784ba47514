#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adopter;
mod annotation;
mod audit;
mod backend;
mod capability;
mod clock;
mod context;
mod environment;
mod error;
mod fingerprint;
mod function;
mod ids;
mod issuer;
mod key_id;
mod location;
mod machine;
mod material;
mod memory;
mod name;
mod ownership;
mod policy;
mod record;
mod scope;
mod secret;
mod signal;
mod target;
mod text;

pub use adopter::{Adopter, DiscoverQuery, Existing};
pub use annotation::{
    LabelName, LabelValue, Labels, Link, LinkError, LinkKind, LinkTitle, LinkUrl, MAX_LABELS, MAX_LINKS, MAX_NOTES,
    Note, NoteText,
};
pub use async_trait::async_trait;
pub use audit::{AuditAction, AuditEntry, AuditEvent, AuditQuery, AuditReport, AuditSink};
pub use backend::{
    Expect, ListQuery, Page, Pages, Pointer, Publish, Read, ReadItem, Retire, SecretBackend, SecretBackendExt, Select,
    Shows, Stage, Survey, Swap, Withdraw,
};
pub use capability::{Capabilities, Cas, Destroy, NativeCurrent};
pub use clock::{Clock, ManualClock, SystemClock};
pub use context::Context;
pub use environment::{CustomEnvironment, Environment};
pub use error::{Error, ErrorKind, Operation, Result, Retry};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use function::{Function, IssuerName, KeyName, ServiceName};
pub use ids::{HolderId, IdError, IncidentId, KeyUid, OperationId, PublicationId, RequestId, RunId, VersionId};
pub use issuer::{
    CreateError, Created, Issue, IssuerCapabilities, IssuerKey, IssuerStatus, KeyIssuer, NewKey, Probe, Revoke,
    Validator,
};
pub use key_id::KeyId;
pub use location::{AwsSecretName, Location, VaultPathText};
pub use machine::{Change, Death, Edit, Passed, Transition, TransitionError};
pub use material::{FieldName, Material, MaterialError, Shape};
pub use memory::MemoryBackend;
pub use name::NameError;
pub use ownership::{Contact, Owner, Ownership, OwnershipError, Team};
pub use policy::{PolicyError, RotationPolicy};
pub use record::{
    Compromise, Incident, IncidentState, Instructions, IssuerRef, IssuerState, KeyDraft, KeyRecord, Lease,
    OperationNote, Proof, Publication, RecordError, Run, RunKind, RunOutcome, RunPhase, RunSummary, Spill, Version,
    VersionState,
};
pub use scope::{
    AccessLevel, EndpointError, EndpointPattern, Mode, Permission, Resource, Scope, ScopeDifference, ScopeError,
};
pub use secret::SecretValue;
pub use signal::{
    Adoption, AdoptionLedger, AdoptionSignal, ArmCounts, ClientMinutes, HealthQuery, HealthReport, HealthSignal,
    LastUse, UsageSignal,
};
pub use target::{PageToken, PointerToken, Stamp, Stamped, Target};
pub use text::{Actor, Evidence, Reason, TextError};
