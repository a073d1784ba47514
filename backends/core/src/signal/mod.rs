//! What the engine listens to before it gives a version up.

mod counts;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Context, KeyId, Result, ServiceName, VersionId};

pub use counts::{ArmCounts, ClientMinutes, HealthReport};

/// Which versions a health report is about.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct HealthQuery {
    /// The key.
    pub key: KeyId,
    /// The version that serves.
    pub new: VersionId,
    /// The version it replaced.
    pub old: Option<VersionId>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// How requests made with a version fare.
#[async_trait]
pub trait HealthSignal: fmt::Debug + Send + Sync {
    /// What was counted.
    ///
    /// # Errors
    /// Any kind; the gate is then insufficient.
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport>;
}

/// When a version was last used at the issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum LastUse {
    /// At this time, or later.
    At(DateTime<Utc>),
    /// Never, as far as the signal looks back.
    Never,
    /// The signal cannot say.
    Unknown,
}

/// Whether a version is still used.
#[async_trait]
pub trait UsageSignal: fmt::Debug + Send + Sync {
    /// When a version was last used.
    ///
    /// # Errors
    /// Any kind; the gate is then insufficient.
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse>;
}

/// Which consumer was last seen with which version.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct Adoption {
    /// The service.
    pub service: ServiceName,
    /// One process of it.
    pub instance: String,
    /// The version it uses.
    pub version: VersionId,
    /// When it said so.
    pub seen_at: DateTime<Utc>,
}

/// Which consumers use which version.
#[async_trait]
pub trait AdoptionSignal: fmt::Debug + Send + Sync {
    /// All known consumers of a key.
    ///
    /// # Errors
    /// Any kind; the gate is then insufficient.
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>>;
}

/// A store's own ledger of adoption.
#[async_trait]
pub trait AdoptionLedger: AdoptionSignal {
    /// Notes which version a consumer uses.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Unavailable`.
    async fn note(&self, cx: &Context, key: &KeyId, adoption: &Adoption) -> Result<()>;
}

#[async_trait]
impl<S: HealthSignal + ?Sized> HealthSignal for Arc<S> {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        (**self).health(cx, query).await
    }
}

#[async_trait]
impl<S: UsageSignal + ?Sized> UsageSignal for Arc<S> {
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        (**self).last_use(cx, key, version).await
    }
}

#[async_trait]
impl<S: AdoptionSignal + ?Sized> AdoptionSignal for Arc<S> {
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        (**self).consumers(cx, key).await
    }
}
