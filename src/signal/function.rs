//! Functions as signals and validators.

use std::fmt;

use keyward_core::{
    Adoption, AdoptionSignal, Context, HealthQuery, HealthReport, HealthSignal, Issue, KeyId, LastUse, Material, Probe,
    Result, UsageSignal, Validator, VersionId, async_trait,
};

/// A function as a health signal; made by [`health_fn`].
#[derive(Clone, Copy)]
pub struct HealthFn<F>(F);

/// Makes a health signal of a function.
///
/// ```
/// use keyward::core::{ArmCounts, HealthReport};
/// use keyward::signal::health_fn;
/// let signal = health_fn(|query| async move {
///     let mut new = ArmCounts::default();
///     (new.clean, new.clients) = (count("ok", query.new).await, 2);
///     new.auth_rejects = count("401", query.new).await;
///     Ok(HealthReport::of(new))
/// });
/// # async fn count(_: &str, _: keyward::core::VersionId) -> u64 { 0 }
/// # fn takes(_: impl keyward::core::HealthSignal + 'static) {}
/// # takes(signal);
/// ```
pub fn health_fn<F, A>(ask: F) -> HealthFn<F>
where
    F: Fn(HealthQuery) -> A + Send + Sync,
    A: Future<Output = Result<HealthReport>> + Send,
{
    HealthFn(ask)
}

#[async_trait]
impl<F, A> HealthSignal for HealthFn<F>
where
    F: Fn(HealthQuery) -> A + Send + Sync,
    A: Future<Output = Result<HealthReport>> + Send,
{
    async fn health(&self, _cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        (self.0)(query.clone()).await
    }
}

/// A function as a usage signal; made by [`usage_fn`].
#[derive(Clone, Copy)]
pub struct UsageFn<F>(F);

/// Makes a usage signal of a function.
///
/// ```
/// use keyward::core::LastUse;
/// use keyward::signal::usage_fn;
/// let signal = usage_fn(|key, version| async move {
///     Ok(match newest_log_line(&format!("{key} {version}")).await {
///         Some(at) => LastUse::At(at),
///         None => LastUse::Unknown, // the log may be cut: no line is no proof
///     })
/// });
/// # async fn newest_log_line(_: &str) -> Option<chrono::DateTime<chrono::Utc>> { None }
/// # fn takes(_: impl keyward::core::UsageSignal + 'static) {}
/// # takes(signal);
/// ```
pub fn usage_fn<F, A>(ask: F) -> UsageFn<F>
where
    F: Fn(KeyId, VersionId) -> A + Send + Sync,
    A: Future<Output = Result<LastUse>> + Send,
{
    UsageFn(ask)
}

#[async_trait]
impl<F, A> UsageSignal for UsageFn<F>
where
    F: Fn(KeyId, VersionId) -> A + Send + Sync,
    A: Future<Output = Result<LastUse>> + Send,
{
    async fn last_use(&self, _cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        (self.0)(key.clone(), version).await
    }
}

/// A function as an adoption signal; made by [`adoption_fn`].
#[derive(Clone, Copy)]
pub struct AdoptionFn<F>(F);

/// Makes an adoption signal of a function.
///
/// ```
/// use keyward::core::Adoption;
/// use keyward::signal::adoption_fn;
/// let signal = adoption_fn(|key| async move {
///     let mut known = Vec::new();
///     for (instance, version) in ask_our_registry(key.as_str()).await {
///         let (service, seen_at) = ("billing-api".parse().expect("a name"), chrono::Utc::now());
///         known.push(Adoption { service, instance, version, seen_at });
///     }
///     Ok(known)
/// });
/// # async fn ask_our_registry(_: &str) -> Vec<(String, keyward::core::VersionId)> { Vec::new() }
/// # fn takes(_: impl keyward::core::AdoptionSignal + 'static) {}
/// # takes(signal);
/// ```
pub fn adoption_fn<F, A>(ask: F) -> AdoptionFn<F>
where
    F: Fn(KeyId) -> A + Send + Sync,
    A: Future<Output = Result<Vec<Adoption>>> + Send,
{
    AdoptionFn(ask)
}

#[async_trait]
impl<F, A> AdoptionSignal for AdoptionFn<F>
where
    F: Fn(KeyId) -> A + Send + Sync,
    A: Future<Output = Result<Vec<Adoption>>> + Send,
{
    async fn consumers(&self, _cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        (self.0)(key.clone()).await
    }
}

/// A version to be tried out by a [`validator_fn`], with a copy of its material that is wiped with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The key.
    pub key: KeyId,
    /// The version.
    pub version: VersionId,
    /// Its material.
    pub material: Material,
}

/// A function as a validator; made by [`validator_fn`].
#[derive(Clone, Copy)]
pub struct ValidatorFn<F>(F);

/// Makes a validator of a function.
///
/// It is asked about new versions, which must be accepted, and about revoked ones, which must be
/// refused: answer [`Probe::Rejected`] only when the *key* was refused, and
/// [`Probe::Unclear`] whenever the answer says nothing about it.
///
/// ```
/// use keyward::core::{Evidence, Probe};
/// use keyward::signal::validator_fn;
/// let validator = validator_fn(|candidate| async move {
///     let Some(token) = candidate.material.value() else {
///         return Ok(Probe::Unclear(Evidence::lossy("the key has named fields")));
///     };
///     Ok(match log_in(token.expose_secret()).await {
///         Some(true) => Probe::Accepted(Evidence::lossy("logged in")),
///         Some(false) => Probe::Rejected(Evidence::lossy("the login was refused")),
///         None => Probe::Unclear(Evidence::lossy("no answer")),
///     })
/// });
/// # async fn log_in(_: &[u8]) -> Option<bool> { None }
/// # fn takes(_: impl keyward::core::Validator + 'static) {}
/// # takes(validator);
/// ```
pub fn validator_fn<F, A>(probe: F) -> ValidatorFn<F>
where
    F: Fn(Candidate) -> A + Send + Sync,
    A: Future<Output = Result<Probe>> + Send,
{
    ValidatorFn(probe)
}

#[async_trait]
impl<F, A> Validator for ValidatorFn<F>
where
    F: Fn(Candidate) -> A + Send + Sync,
    A: Future<Output = Result<Probe>> + Send,
{
    async fn probe(&self, _cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let (key, version) = (issue.record.id().clone(), issue.version.id);
        (self.0)(Candidate { key, version, material: material.duplicate() }).await
    }
}

/// A function has no `Debug`: only its kind is named.
macro_rules! named {
    ($($kind:ident)*) => {$(
        impl<F> fmt::Debug for $kind<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($kind))
            }
        }
    )*};
}
named!(HealthFn UsageFn AdoptionFn ValidatorFn);
