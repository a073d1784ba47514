//! Keeping a record small: older history moves to immutable pages.

use super::{Body, IncidentState, KeyRecord, Version, VersionState};
use crate::annotation::Labels;

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
    const SPILL_AT: usize = 40 * 1024;

    /// What must move to a page before this record is written, if anything must.
    ///
    /// Nothing moves until twice the kept number has gathered (or the record nears its size
    /// limit), so that a page is worth writing. The last 8 runs, 16 dead versions and 8 incidents
    /// stay, and whatever the run under way names; only a record that nears its size limit all the
    /// same keeps fewer, and then gives up revoked versions whose material is not withdrawn yet
    /// (a survey still shows that material).
    ///
    /// `number` is the page to write, `pages() + 1` or later (a lower one is raised): a number that
    /// a crashed writer has used already is skipped, never overwritten, so a page never changes.
    /// Readers may then meet a run on two pages, never on none.
    ///
    /// ```
    /// # use chrono::Utc;
    /// # use keyward_core::{AccessLevel, Change, KeyDraft, KeyRecord, Ownership, Scope};
    /// # let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// # let id = "dev/analytics/warehouse-read".parse()?;
    /// # let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// # let record = KeyRecord::register(&draft, &Change::new("ada".parse()?, Utc::now()))?;
    /// if let Some(spill) = record.spill(record.pages() + 1) {
    ///     // First store `spill.page` under its own id with `Expect::Absent`, then `spill.rest`.
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spill(&self, number: u32) -> Option<Spill> {
        if self.is_page() {
            return None;
        }
        let body = &*self.0;
        let gone = body.versions.iter().filter(|v| v.state == VersionState::Gone).count();
        let large =
            |record: &Self| record.size_bound() > Self::SPILL_AT && record.encode_unbounded().len() > Self::SPILL_AT;
        let crowded = body.history.len() > 2 * Keep::USUAL.runs
            || gone > 2 * Keep::USUAL.dead
            || body.incidents.len() > 2 * Keep::USUAL.incidents;
        if !crowded && !large(self) {
            return None;
        }
        let number = number.max(self.pages().saturating_add(1));
        let mut best = None;
        for keep in [Keep::USUAL, Keep::LITTLE] {
            match self.split(number, &keep) {
                Some(spill) if spill.page.encode().is_ok() => {
                    let fits = !large(&spill.rest);
                    best = Some(spill);
                    if fits {
                        break;
                    }
                }
                _ => {}
            }
        }
        best
    }

    fn split(&self, number: u32, keep: &Keep) -> Option<Spill> {
        let mut rest: Body = (*self.0).clone();
        rest.pages = number;

        let runs = rest.history.len().saturating_sub(keep.runs);
        let moved_runs: Vec<_> = rest.history.drain(..runs).collect();

        let needed: Vec<_> = rest.run.iter().flat_map(|run| [Some(run.phase.version()), run.previous]).collect();
        let movable = |v: &Version| v.state >= keep.from && !needed.contains(&Some(v.id));
        let dead = rest.versions.iter().filter(|v| movable(v)).count();
        let mut surplus = dead.saturating_sub(keep.dead);
        let (moved_versions, kept): (Vec<_>, _) = std::mem::take(&mut rest.versions).into_iter().partition(|v| {
            let moves = movable(v) && surplus > 0;
            surplus -= usize::from(moves);
            moves
        });
        rest.versions = kept;

        let mut surplus = rest.incidents.len().saturating_sub(keep.incidents);
        let (moved_incidents, kept): (Vec<_>, _) = std::mem::take(&mut rest.incidents).into_iter().partition(|i| {
            let moves = i.state == IncidentState::AwaitingReview && surplus > 0;
            surplus -= usize::from(moves);
            moves
        });
        rest.incidents = kept;
        if moved_runs.is_empty() && moved_versions.is_empty() && moved_incidents.is_empty() {
            return None;
        }
        let inline: Vec<_> = rest.versions.iter().map(|v| v.id).collect();
        rest.publications.retain(|p| inline.contains(&p.version));

        let page = Body {
            id: rest.id.history_page(rest.pages),
            versions: moved_versions,
            history: moved_runs,
            incidents: moved_incidents,
            publications: Vec::new(),
            labels: Labels::new(),
            links: Vec::new(),
            notes: Vec::new(),
            run: None,
            pages: 0,
            ..rest.clone()
        };
        Some(Spill { page: Self(Box::new(page)), rest: Self(Box::new(rest)) })
    }
}

/// How much history stays in the record.
struct Keep {
    runs: usize,
    dead: usize,
    incidents: usize,
    /// The first state that may move.
    from: VersionState,
}

impl Keep {
    const USUAL: Self = Self { runs: 8, dead: 16, incidents: 8, from: VersionState::Gone };
    const LITTLE: Self = Self { runs: 2, dead: 4, incidents: 8, from: VersionState::Revoked };
}
