//! What a backend can do, as data.

use std::time::Duration;

/// How far conditional writes of a backend can be trusted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cas {
    /// Proven atomic.
    Strong,
    /// Conditional by contract, atomicity not proven: confirm by reading.
    Unverified,
}

/// What `withdraw` achieves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Destroy {
    /// Material is destroyed at once.
    Immediate,
    /// Material stays readable for a while; rely on the issuer's revoke.
    Deferred,
}

/// Where a native reader finds the current value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NativeCurrent {
    /// No native readers.
    None,
    /// Under the AWS staging label `AWSCURRENT`.
    AwsCurrent,
    /// As the latest version of a Vault KV v2 path.
    KvLatest,
}

/// What a backend can do; constant for the life of the value. What it cannot do it answers with
/// `Unsupported`, never by ignoring a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Conditional writes of records.
    pub record_cas: Cas,
    /// Conditional moves of the pointer.
    pub publish_cas: Cas,
    /// What `withdraw` achieves.
    pub destroy: Destroy,
    /// Where native readers find the current value.
    pub native_current: NativeCurrent,
    /// Several hosts may use the store at once.
    pub multi_host: bool,
    /// How old a listing may be.
    pub list_staleness: Duration,
    /// A write is seen by the next read, everywhere.
    pub read_after_write: bool,
    /// Records can be read without permission to read values.
    pub record_material_split: bool,
    /// The most bytes of material.
    pub max_material: usize,
    /// How many record writes a key bears in a day, where that is limited.
    pub record_writes_per_day: Option<u32>,
    /// Secrets that already exist can be adopted where they lie.
    pub adopts: bool,
}

impl Capabilities {
    /// A strongly consistent store on one host with nothing adopted: change what differs.
    #[must_use]
    pub fn local() -> Self {
        Self {
            record_cas: Cas::Strong,
            publish_cas: Cas::Strong,
            destroy: Destroy::Immediate,
            native_current: NativeCurrent::None,
            multi_host: false,
            list_staleness: Duration::ZERO,
            read_after_write: true,
            record_material_split: true,
            max_material: crate::Material::MAX_LEN,
            record_writes_per_day: None,
            adopts: false,
        }
    }
}
