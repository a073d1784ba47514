//! Moves the real record refuses, for the protocols that are wrong on purpose.

use super::record::{Id, Phase, Record, first};

impl Record {
    /// The new version is given up while the pointer may be moving onto it.
    pub(super) fn wrongly_abandoned(&self) -> Option<Self> {
        let mut next = *self;
        let run = next.run.filter(|run| matches!(run.phase, Phase::Promoting { .. }))?;
        next.condemn(run.version)?;
        next.run = None;
        Some(next)
    }

    /// A rollback that moves the pointer back to where it was, under the id it had.
    pub(super) fn wrongly_back_to_the_old_id(&self) -> Option<Self> {
        let mut next = self.after(super::record::Move::RollBack)?;
        next.fresh = self.fresh;
        next.enter_phase(Phase::RollingBack { publication: first(self.run?.previous?) })?;
        Some(next)
    }

    /// A run whose new version leaked just ends.
    pub(super) fn wrongly_ended(mut self, leaked: Id) -> Self {
        self.run = self.run.filter(|run| run.version != leaked || !matches!(run.phase, Phase::RollingBack { .. }));
        self
    }
}
