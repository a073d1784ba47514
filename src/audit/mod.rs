//! The audit log of a store: who did what to which key, when and why.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! use keyward::audit::{AuditLog, line};
//! use keyward::core::{AuditQuery, Context, MemoryBackend};
//!
//! let store = MemoryBackend::default();
//! let log = AuditLog::of(&store).ok_or("this store keeps no log")?;
//! let cx = Context::new("ada", "weekly review")?;
//! println!("{}", log.verify(&cx).await?.protection);
//! for entry in log.entries(&cx, &AuditQuery::default()).await? {
//!     println!("{}", line(&entry));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod line;

use chrono::{DateTime, Utc};
use keyward_core::{
    AuditEntry, AuditQuery, AuditReport, AuditSink, Context, KeyId, Operation, Pages, Result, SecretBackend,
};
pub use line::{Line, line};

/// The audit log a store keeps of itself.
#[derive(Clone, Copy, Debug)]
pub struct AuditLog<'a> {
    sink: &'a dyn AuditSink,
}

impl<'a> AuditLog<'a> {
    /// The log of a store, if it keeps one.
    pub fn of<B: SecretBackend + ?Sized>(backend: &'a B) -> Option<Self> {
        backend.audit().map(|sink| Self { sink })
    }

    /// All entries of a query, in order, over all pages.
    ///
    /// ```
    /// use keyward::audit::AuditLog;
    /// use keyward::core::{AuditAction, AuditQuery, Context, Result};
    /// async fn refusals(log: AuditLog<'_>, cx: &Context) -> Result<usize> {
    ///     Ok(log.entries(cx, &AuditQuery::default().action(AuditAction::Refuse)).await?.len())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`AuditSink::entries`].
    pub async fn entries(&self, cx: &Context, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
        let (mut all, mut pages) = (Vec::new(), Pages::of(Operation::Audit));
        let mut page = self.sink.entries(cx, query, None).await?;
        loop {
            all.append(&mut page.items);
            match pages.after(page.next)? {
                None => return Ok(all),
                next => page = self.sink.entries(cx, query, next).await?,
            }
        }
    }

    /// What happened to one key from one time until before another: the window of an exposure.
    ///
    /// ```
    /// use keyward::audit::{AuditLog, line};
    /// use keyward::core::{Context, KeyId, Result};
    /// async fn yesterday(log: AuditLog<'_>, cx: &Context, key: &KeyId) -> Result<()> {
    ///     let now = chrono::Utc::now();
    ///     for entry in log.window(cx, key, now - chrono::TimeDelta::days(1), now).await? {
    ///         println!("{}", line(&entry));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`AuditSink::entries`].
    pub async fn window(
        &self,
        cx: &Context,
        key: &KeyId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<AuditEntry>> {
        self.entries(cx, &AuditQuery::default().key(key).between(from, until)).await
    }

    /// Checks the whole log: no entry missing, changed, swapped or inserted.
    ///
    /// ```
    /// use keyward::audit::AuditLog;
    /// use keyward::core::{Context, Result};
    /// async fn check(log: AuditLog<'_>, cx: &Context) -> Result<()> {
    ///     let report = log.verify(cx).await?;
    ///     println!("{} entries; {}", report.entries, report.protection);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`AuditSink::verify`].
    pub async fn verify(&self, cx: &Context) -> Result<AuditReport> {
        self.sink.verify(cx).await
    }
}
