//! Several signals as one.

use keyward_core::{
    Adoption, AdoptionSignal, Context, HealthQuery, HealthReport, HealthSignal, KeyId, LastUse, Result, UsageSignal,
    VersionId, async_trait,
};

/// Several signals as one, each about consumers of its own: the processes of a service, say.
///
/// Health reports are added up, the latest use counts, consumers are listed together. One signal
/// that fails fails the whole: part of the consumers is not all of them. Of no signals at all
/// nothing is known.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use std::sync::Arc;
/// use keyward::core::{Context, HealthQuery, HealthSignal, VersionId};
/// use keyward::signal::{Combined, ReportedHealth};
///
/// let (billing, mailer) = (Arc::new(ReportedHealth::default()), Arc::new(ReportedHealth::default()));
/// let both = Combined::new([billing, mailer]);
/// let query = HealthQuery {
///     key: "production/payments/stripe-charges".parse()?,
///     new: VersionId::generate(),
///     old: None,
///     since: chrono::Utc::now(),
/// };
/// assert_eq!(both.health(&Context::new("rotator", "gate")?, &query).await?.new.clients, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Combined<S> {
    signals: Vec<S>,
}

impl<S> Combined<S> {
    /// These signals together. Signals of different types go in as `Arc<dyn HealthSignal>`.
    #[must_use]
    pub fn new(signals: impl IntoIterator<Item = S>) -> Self {
        Self { signals: signals.into_iter().collect() }
    }
}

#[async_trait]
impl<S: HealthSignal> HealthSignal for Combined<S> {
    async fn health(&self, cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let mut total: Option<HealthReport> = None;
        for signal in &self.signals {
            let report = signal.health(cx, query).await?;
            total = Some(total.map_or(report, |sum| sum.plus(&report)));
        }
        Ok(total.unwrap_or_default())
    }
}

#[async_trait]
impl<S: UsageSignal> UsageSignal for Combined<S> {
    /// The latest use any of them knows of, once all of them know; a part that cannot say may have
    /// a later one.
    async fn last_use(&self, cx: &Context, key: &KeyId, version: VersionId) -> Result<LastUse> {
        let mut latest: Option<LastUse> = None;
        for signal in &self.signals {
            latest = match (latest, signal.last_use(cx, key, version).await?) {
                (Some(LastUse::Unknown), _) | (_, LastUse::Unknown) => Some(LastUse::Unknown),
                (Some(LastUse::At(a)), LastUse::At(b)) => Some(LastUse::At(a.max(b))),
                (Some(LastUse::At(at)), LastUse::Never) => Some(LastUse::At(at)),
                (None | Some(LastUse::Never), one) => Some(one),
            };
        }
        Ok(latest.unwrap_or(LastUse::Unknown))
    }
}

#[async_trait]
impl<S: AdoptionSignal> AdoptionSignal for Combined<S> {
    async fn consumers(&self, cx: &Context, key: &KeyId) -> Result<Vec<Adoption>> {
        let mut all = Vec::new();
        for signal in &self.signals {
            all.extend(signal.consumers(cx, key).await?);
        }
        Ok(all)
    }
}
