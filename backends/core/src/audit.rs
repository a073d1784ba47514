//! The audit log: who did what to which key, when and why. Never a value.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Actor, Context, Evidence, KeyId, Page, PageToken, Reason, RequestId, Result, VersionId};

/// What was done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditAction {
    /// A store was created.
    Create,
    /// A store was opened by a process.
    Open,
    /// A record was changed; the detail is the verb of the transition.
    Change,
    /// Material was stored.
    Stage,
    /// Material was released to a caller.
    Read,
    /// A version was made current.
    Publish,
    /// Material was given up.
    Withdraw,
    /// All material of a key was given up.
    Retire,
    /// Something was refused, such as another environment's key.
    Refuse,
    /// A remark of the engine or a tool.
    Note,
}

/// Something that happened, before it is on the log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditEvent {
    /// What was done.
    pub action: AuditAction,
    /// Who did it.
    pub actor: Actor,
    /// Why.
    pub reason: Reason,
    /// The request it belongs to.
    pub request: RequestId,
    /// The key.
    pub key: Option<KeyId>,
    /// The version.
    pub version: Option<VersionId>,
    /// What exactly, in words of our own.
    pub detail: Option<Evidence>,
}

impl AuditEvent {
    /// An event by the caller of `cx`.
    #[must_use]
    pub fn new(action: AuditAction, cx: &Context) -> Self {
        Self {
            action,
            actor: cx.actor.clone(),
            reason: cx.reason.clone(),
            request: cx.request,
            key: None,
            version: None,
            detail: None,
        }
    }

    /// Names the key.
    #[must_use]
    pub fn key(mut self, key: &KeyId) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Names the version.
    #[must_use]
    pub fn version(mut self, version: VersionId) -> Self {
        self.version = Some(version);
        self
    }

    /// Says what exactly.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(Evidence::lossy(detail));
        self
    }
}

/// An event on the log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct AuditEntry {
    /// Its place on the log, from 1, without gaps. The order of events; times may jump.
    pub seq: u64,
    /// When, by the writer's clock.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: AuditEvent,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditQuery {
    /// Only about this key.
    pub key: Option<KeyId>,
    /// Only with this action.
    pub action: Option<AuditAction>,
    /// Only from this time on.
    pub from: Option<DateTime<Utc>>,
    /// Only before this time.
    pub until: Option<DateTime<Utc>>,
}

impl AuditQuery {
    /// Only about this key.
    #[must_use]
    pub fn key(mut self, key: &KeyId) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Only with this action.
    #[must_use]
    pub fn action(mut self, action: AuditAction) -> Self {
        self.action = Some(action);
        self
    }

    /// Only in this window.
    #[must_use]
    pub fn between(mut self, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        (self.from, self.until) = (Some(from), Some(until));
        self
    }

    /// True when an entry is wanted.
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        self.key.as_ref().is_none_or(|key| entry.event.key.as_ref() == Some(key))
            && self.action.is_none_or(|action| entry.event.action == action)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// What a check of the whole log found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct AuditReport {
    /// How many entries were checked; the last has this number.
    pub entries: u64,
    /// How the log is protected, in words: what would and what would not be noticed.
    pub protection: &'static str,
}

/// An append-only log.
#[async_trait]
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Puts an event on the log and answers its number.
    ///
    /// # Errors
    /// `AuditUnavailable` when it cannot be written.
    async fn append(&self, cx: &Context, event: &AuditEvent) -> Result<u64>;

    /// Entries in order.
    ///
    /// # Errors
    /// `Tampered`, `Denied`, `Unavailable`; `Invalid` for a foreign page token.
    async fn entries(&self, cx: &Context, query: &AuditQuery, page: Option<PageToken>) -> Result<Page<AuditEntry>>;

    /// Checks the whole log: no entry missing, changed, swapped or inserted.
    ///
    /// # Errors
    /// `Tampered` when the log does not hold, `Unavailable` when it cannot be read.
    async fn verify(&self, cx: &Context) -> Result<AuditReport>;
}
