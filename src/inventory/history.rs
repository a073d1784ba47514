//! Everything that ever happened to a key.

use std::collections::BTreeSet;

use keyward_core::{
    Context, Error, ErrorKind, Incident, KeyRecord, Note, Operation, OperationNote, RunSummary, SecretBackend, Stamped,
    Version,
};

/// Everything that is kept about the life of a key, oldest first, from the record and its pages.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct History {
    /// The record as it is now.
    pub record: KeyRecord,
    /// Ended runs.
    pub runs: Vec<RunSummary>,
    /// Versions, dead ones too.
    pub versions: Vec<Version>,
    /// Answers to leaks.
    pub incidents: Vec<Incident>,
    /// Pages that could not be read: what is on them is missing here.
    pub problems: Vec<Error>,
}

impl History {
    /// What people wrote; the newest are kept.
    pub fn notes(&self) -> &[Note] {
        self.record.notes()
    }

    /// The last accepted changes.
    pub fn operations(&self) -> &[OperationNote] {
        self.record.operations()
    }

    pub(super) async fn read<B: SecretBackend + ?Sized>(backend: &B, cx: &Context, record: KeyRecord) -> Self {
        let ids: Vec<_> = (1..=record.pages()).map(|number| record.id().history_page(number)).collect();
        let found = if ids.is_empty() { Vec::new() } else { backend.load(cx, &ids).await };
        let mut answers = found.into_iter();
        let (mut pages, mut problems) = (Vec::new(), Vec::new());
        for id in &ids {
            let broken = |kind, detail| Error::new(kind, Operation::Load, "keyward").with_key(id).with_detail(detail);
            match answers.next() {
                Some(Ok(Some(Stamped { value, .. }))) if value.uid() == record.uid() => pages.push(value),
                Some(Ok(Some(_))) => problems.push(broken(ErrorKind::Tampered, "the page belongs to another key")),
                Some(Ok(None)) => problems.push(broken(ErrorKind::NotFound, "a page of history is missing")),
                Some(Err(error)) => problems.push(error),
                None => problems.push(broken(ErrorKind::Unknown, "the backend answered fewer items than asked")),
            }
        }
        Self::merge(record, &pages, problems)
    }

    /// After a crash the same run may stand on two pages; the record and newer pages are right.
    fn merge(record: KeyRecord, pages: &[KeyRecord], problems: Vec<Error>) -> Self {
        let sources = || [&record].into_iter().chain(pages.iter().rev());
        let runs = newest_of_each(sources(), KeyRecord::history, |run| run.id);
        let versions = newest_of_each(sources(), KeyRecord::versions, |version| version.id);
        let incidents = newest_of_each(sources(), KeyRecord::incidents, |incident| incident.id);
        Self { runs, versions, incidents, problems, record }
    }
}

/// The first copy of each item over sources from new to old, then put in the order of their ids,
/// which is the order of time.
fn newest_of_each<'a, T: Clone + 'a, K: Copy + Ord>(
    sources: impl Iterator<Item = &'a KeyRecord>,
    items: fn(&KeyRecord) -> &[T],
    id: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<T> = sources.flat_map(items).filter(|item| seen.insert(id(item))).cloned().collect();
    kept.sort_by_key(id);
    kept
}
