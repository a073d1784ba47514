//! The audit log of the strict fake.

use async_trait::async_trait;
use keyward_core::{
    AuditEntry, AuditEvent, AuditQuery, AuditReport, AuditSink, Context, ErrorKind, Operation, Page, PageToken, Result,
};

use super::StrictFake;
use super::state::State;

const PAGE: usize = 16;

impl StrictFake {
    pub(super) fn write(&self, state: &mut State, event: AuditEvent) -> u64 {
        let seq = state.log.last().map_or(1, |last| last.seq + 1);
        state.log.push(AuditEntry { seq, at: self.clock.now(), event });
        seq
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AuditSink for StrictFake {
    async fn append(&self, _cx: &Context, event: &AuditEvent) -> Result<u64> {
        Ok(self.write(&mut self.state(), event.clone()))
    }

    async fn entries(&self, _cx: &Context, query: &AuditQuery, page: Option<PageToken>) -> Result<Page<AuditEntry>> {
        let foreign = || {
            let error = self.error(ErrorKind::Invalid, Operation::Audit);
            error.with_detail("not a page token of this log")
        };
        let after = match page {
            None => 0,
            Some(token) => {
                let seq = token.as_str().strip_prefix(&*self.id).ok_or_else(foreign)?;
                seq.trim_start().parse().map_err(|_| foreign())?
            }
        };
        let state = self.state();
        let mut hits = state.log.iter().filter(|e| e.seq > after && query.matches(e)).cloned();
        let items: Vec<AuditEntry> = hits.by_ref().take(PAGE).collect();
        let last = items.last().map(|e| PageToken::new(format!("{} {}", self.id, e.seq)));
        Ok(Page { next: hits.next().and(last), items })
    }

    async fn verify(&self, _cx: &Context) -> Result<AuditReport> {
        let state = self.state();
        let entries = u64::try_from(state.log.len()).unwrap_or(u64::MAX);
        Ok(AuditReport { entries, protection: "none: the log is in the memory of this process" })
    }
}
