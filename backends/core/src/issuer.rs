//! The contract of an issuer: the system that mints and revokes keys.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Context, Error, Evidence, Instructions, IssuerRef, IssuerState, KeyRecord, Material, Result, Scope, Version,
    VersionId,
};

/// What an issuer can do, as data.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IssuerCapabilities {
    /// Keys carry our label and can be found by it, so an orphan can be hunted down.
    pub finds_by_label: bool,
    /// A key exists only through its record: absent means it never was and never will be.
    pub absent_is_final: bool,
    /// A key can be switched off and on again.
    pub reversible: bool,
    /// How many keys may be live at once, where that is limited.
    pub max_live: Option<u32>,
    /// How long a revoked key may go on working.
    pub revoke_latency: Duration,
}

impl Default for IssuerCapabilities {
    /// Labels and nothing else.
    fn default() -> Self {
        Self {
            finds_by_label: true,
            absent_is_final: false,
            reversible: false,
            max_live: None,
            revoke_latency: Duration::ZERO,
        }
    }
}

/// One version of one key, as an issuer is asked about it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; callers build it")]
pub struct Issue<'a> {
    /// The key, as last read from the store.
    pub record: &'a KeyRecord,
    /// The version. Its id is the label of the key at the issuer.
    pub version: &'a Version,
}

/// What a create answers.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Created {
    /// A key.
    Key(NewKey),
    /// A person must make the key and supply it later.
    AskHuman(Instructions),
}

/// A key fresh from its issuer.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewKey {
    /// The secret.
    pub material: Material,
    /// How the issuer names it.
    pub reference: Option<IssuerRef>,
    /// What the issuer wants to keep with the version.
    pub state: Option<IssuerState>,
    /// When the issuer itself ends it.
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewKey {
    /// A key of which the issuer says nothing more.
    #[must_use]
    pub fn new(material: Material) -> Self {
        Self { material, reference: None, state: None, expires_at: None }
    }

    /// Sets how the issuer names it.
    #[must_use]
    pub fn reference(mut self, reference: IssuerRef) -> Self {
        self.reference = Some(reference);
        self
    }

    /// Sets what the issuer keeps with it.
    #[must_use]
    pub fn state(mut self, state: IssuerState) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets when the issuer ends it.
    #[must_use]
    pub fn expires_at(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }
}

/// Why a create failed. The difference decides whether a key may be out there.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "either it is known, or it is not")]
pub enum CreateError {
    /// Certainly nothing was created.
    #[error("nothing was created")]
    NotCreated(#[source] Error),
    /// It may have been, or may still be. Never repeated under the same version id.
    #[error("a key may have been created")]
    Unknown(#[source] Error),
}

/// A key seen at the issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; issuers build it")]
pub struct IssuerKey {
    /// The version its label names.
    pub label: VersionId,
    /// How the issuer names it.
    pub reference: IssuerRef,
}

/// What an issuer says about a version.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum IssuerStatus {
    /// It works.
    Live,
    /// It is switched off and can be switched on.
    Suspended,
    /// It was there and is revoked for good.
    Revoked(Evidence),
    /// The issuer knows nothing of it. Not the same as dead; see `absent_is_final`.
    Absent,
    /// The issuer cannot say; only a probe or a person can.
    CannotSay,
}

/// What became of a revoke.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Revoke {
    /// The issuer accepted it. Whether the key is dead is for `status` or a probe to say.
    Accepted,
    /// A person must revoke it.
    AskHuman(Instructions),
}

/// The system that mints and revokes keys: a cloud, a vendor, your own service, a person.
///
/// # Contract
/// - `create` is called once per version id, ever. It labels the key with that id.
/// - `revoke` is idempotent: already gone is success.
/// - No error or `Debug` output holds material.
#[async_trait]
pub trait KeyIssuer: fmt::Debug + Send + Sync {
    /// What this issuer can do.
    fn capabilities(&self) -> &IssuerCapabilities;

    /// Makes a key with the scope of the record, labelled with the version id.
    ///
    /// # Errors
    /// [`CreateError::NotCreated`] only when certainly nothing was made.
    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError>;

    /// The keys at the issuer that carry a label of this record: of one version, or of all.
    ///
    /// # Errors
    /// `Unsupported` without `finds_by_label`; `Denied`, `Throttled`, `Unavailable`.
    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>>;

    /// What the issuer says about a version.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Unavailable`.
    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus>;

    /// The scope a version has at the issuer; `None` when the issuer cannot say.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Unavailable`, `NotFound`.
    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>>;

    /// Switches a version off, reversibly.
    ///
    /// # Errors
    /// `Unsupported` without `reversible`; `Denied`, `Throttled`, `Unavailable`, `Unknown`, `NotFound`.
    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()>;

    /// Switches a version on again.
    ///
    /// # Errors
    /// As [`KeyIssuer::deactivate`].
    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()>;

    /// Ends a version for good.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `Unavailable`, `Unknown`.
    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke>;
}

/// What a probe with a key saw.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Probe {
    /// The key was accepted.
    Accepted(Evidence),
    /// The key was refused as a key: unknown, revoked, expired.
    Rejected(Evidence),
    /// Neither: no answer, throttled, or an answer that says nothing about the key.
    Unclear(Evidence),
}

/// Tries a key out, as the application would.
///
/// Used twice: a new version must be `Accepted` several times in a row, and a revoked one must be
/// `Rejected`. `Unclear` proves neither.
#[async_trait]
pub trait Validator: fmt::Debug + Send + Sync {
    /// Tries the material of a version.
    ///
    /// # Errors
    /// Any kind; counted as [`Probe::Unclear`].
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe>;
}

#[async_trait]
impl<V: Validator + ?Sized> Validator for Arc<V> {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        (**self).probe(cx, issue, material).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<I: KeyIssuer + ?Sized> KeyIssuer for Arc<I> {
    fn capabilities(&self) -> &IssuerCapabilities {
        (**self).capabilities()
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        (**self).create(cx, new).await
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        (**self).find(cx, record, version).await
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        (**self).status(cx, issue).await
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        (**self).scope(cx, issue).await
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        (**self).deactivate(cx, issue).await
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        (**self).activate(cx, issue).await
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        (**self).revoke(cx, issue).await
    }
}
