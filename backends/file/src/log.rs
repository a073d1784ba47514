//! The audit log of the store, as the contract sees it.

use keyward_core::{
    AuditEntry, AuditEvent, AuditQuery, AuditReport, AuditSink, Context, Error, ErrorKind, Operation, Page, PageToken,
    Result, async_trait,
};

use crate::error::NAME;
use crate::store::Handle;

/// The log that a store keeps in its own transactions.
#[derive(Clone, Debug)]
pub(crate) struct FileLog {
    handle: Handle,
}

impl FileLog {
    pub(crate) fn over(handle: Handle) -> Self {
        Self { handle }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AuditSink for FileLog {
    async fn append(&self, cx: &Context, event: &AuditEvent) -> Result<u64> {
        let (asked, event) = (cx.clone(), event.clone());
        self.handle.call(cx, Operation::Audit, move |store| store.append(&asked, &event)).await
    }

    async fn entries(&self, cx: &Context, query: &AuditQuery, page: Option<PageToken>) -> Result<Page<AuditEntry>> {
        let foreign =
            |_| Error::new(ErrorKind::Invalid, Operation::Audit, NAME).with_detail("not a page token of this log");
        let after = page.map_or(Ok(0), |token| token.as_str().parse::<u64>()).map_err(foreign)?;
        let (asked, query) = (cx.clone(), query.clone());
        self.handle.call(cx, Operation::Audit, move |store| store.entries(&asked, &query, after)).await
    }

    async fn verify(&self, cx: &Context) -> Result<AuditReport> {
        let asked = cx.clone();
        let entries = self.handle.call(cx, Operation::Audit, move |store| store.verify_log(&asked)).await?;
        Ok(AuditReport { entries, protection: PROTECTION })
    }
}

const PROTECTION: &str = "entries are sealed and chained under keys of this store, and the end of the chain is sealed \
                          into its state: an entry that is changed, moved, inserted, deleted or cut off is noticed; not \
                          noticed is an older copy of the whole file, and whoever has the unlock can write a log of \
                          their own";
