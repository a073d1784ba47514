//! Keeping a record small: older history moves to immutable pages.

use super::{Body, IncidentState, KeyRecord, VersionState};

/// A page to write first, and the record without what is on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spill {
    /// The page: a record of its own that never changes. Write it with `Expect::Absent`.
    pub page: KeyRecord,
    /// The record, shortened.
    pub rest: KeyRecord,
}

impl KeyRecord {
    const RUNS_KEPT: usize = 8;
    const DEAD_KEPT: usize = 16;
    const INCIDENTS_KEPT: usize = 8;
    const SPILL_AT: usize = 40 * 1024;

    /// What must move to a page before this record is written, if anything must.
    ///
    /// Nothing moves until twice the kept number has gathered (or the record nears its size
    /// limit), so that a page is worth writing. The last 8 runs, 16 dead versions and 8 incidents
    /// always stay.
    ///
    /// `number` is the page to write, `pages() + 1` or later: a number that a crashed writer has
    /// used already is skipped, never overwritten, so a page never changes. Readers may then meet
    /// a run on two pages, never on none.
    pub fn spill(&self, number: u32) -> Option<Spill> {
        let body = &*self.0;
        let gone = body.versions.iter().filter(|v| v.state == VersionState::Gone).count();
        let crowded = body.history.len() > 2 * Self::RUNS_KEPT
            || gone > 2 * Self::DEAD_KEPT
            || body.incidents.len() > 2 * Self::INCIDENTS_KEPT
            || self.encode_unbounded().len() > Self::SPILL_AT;
        let movable = body.history.len() > Self::RUNS_KEPT || gone > Self::DEAD_KEPT;
        (crowded && movable && !self.is_page()).then(|| self.split(gone, number))
    }

    fn split(&self, gone: usize, number: u32) -> Spill {
        let mut rest: Body = (*self.0).clone();
        rest.pages = number;

        let runs = rest.history.len().saturating_sub(Self::RUNS_KEPT);
        let moved_runs: Vec<_> = rest.history.drain(..runs).collect();

        let mut surplus = gone.saturating_sub(Self::DEAD_KEPT);
        let (moved_versions, kept) = std::mem::take(&mut rest.versions).into_iter().partition(|v| {
            let moves = v.state == VersionState::Gone && surplus > 0;
            surplus -= usize::from(moves);
            moves
        });
        rest.versions = kept;

        let mut surplus = rest.incidents.len().saturating_sub(Self::INCIDENTS_KEPT);
        let (moved_incidents, kept) = std::mem::take(&mut rest.incidents).into_iter().partition(|i| {
            let moves = i.state == IncidentState::AwaitingReview && surplus > 0;
            surplus -= usize::from(moves);
            moves
        });
        rest.incidents = kept;
        let inline: Vec<_> = rest.versions.iter().map(|v| v.id).collect();
        rest.publications.retain(|p| inline.contains(&p.version));

        let page = Body {
            id: rest.id.history_page(rest.pages),
            versions: moved_versions,
            history: moved_runs,
            incidents: moved_incidents,
            publications: Vec::new(),
            notes: Vec::new(),
            run: None,
            pages: 0,
            ..rest.clone()
        };
        Spill { page: Self(Box::new(page)), rest: Self(Box::new(rest)) }
    }
}
