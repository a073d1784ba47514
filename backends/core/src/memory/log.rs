//! The audit log of the memory store.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{NAME, PAGE};
use crate::{
    AuditEntry, AuditEvent, AuditQuery, AuditReport, AuditSink, Clock, Context, Error, ErrorKind, Operation, Page,
    PageToken, Result,
};

#[derive(Clone, Debug)]
pub(super) struct MemoryLog {
    clock: Arc<dyn Clock>,
    entries: Arc<Mutex<Vec<AuditEntry>>>,
}

impl MemoryLog {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, entries: Arc::default() }
    }

    pub(super) fn write(&self, event: &AuditEvent) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = entries.last().map_or(1, |last| last.seq + 1);
        entries.push(AuditEntry { seq, at: self.clock.now(), event: event.clone() });
        seq
    }
}

#[async_trait]
impl AuditSink for MemoryLog {
    async fn append(&self, _cx: &Context, event: &AuditEvent) -> Result<u64> {
        Ok(self.write(event))
    }

    async fn entries(&self, _cx: &Context, query: &AuditQuery, page: Option<PageToken>) -> Result<Page<AuditEntry>> {
        let foreign =
            |_| Error::new(ErrorKind::Invalid, Operation::Audit, NAME).with_detail("not a page token of this log");
        let after: u64 = page.map_or(Ok(0), |token| token.as_str().parse()).map_err(foreign)?;
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hits = entries.iter().filter(|e| e.seq > after && query.matches(e)).cloned();
        let items: Vec<_> = hits.by_ref().take(PAGE).collect();
        let last = items.last().map(|e| PageToken::new(e.seq.to_string()));
        Ok(Page { next: hits.next().and(last), items })
    }

    async fn verify(&self, _cx: &Context) -> Result<AuditReport> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let unbroken = entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq);
        if !unbroken {
            return Err(Error::new(ErrorKind::Tampered, Operation::Audit, NAME));
        }
        let entries = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        Ok(AuditReport { entries, protection: "none: the log is in the memory of this process" })
    }
}
