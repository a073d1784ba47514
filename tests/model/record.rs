//! The record as far as the protocol goes: who serves, what is planned, what is given up.
//!
//! [`Record::after`] is the rotation state machine told a third time, without time and text. The
//! replay in `replay.rs` holds it to the real one.

use keyward::core::VersionState;

/// How many versions a model may plan.
pub(crate) const MOST: usize = 3;

/// A version, by the order in which it was planned.
pub(crate) type Id = usize;

/// An act of publishing: 0 is none, then the first publication of each version, then fresh ones.
pub(crate) type Publication = usize;

/// The first publication of a version.
pub(crate) fn first(version: Id) -> Publication {
    version + 1
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Version {
    pub(crate) state: VersionState,
    pub(crate) leaked: bool,
    /// The record knows that the issuer made it.
    pub(crate) known: bool,
    pub(crate) proven: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Phase {
    Plan,
    Staged,
    Validated,
    Promoting { publication: Publication, expect: Option<Publication> },
    Soaking,
    Suspended,
    Retiring,
    RollingBack { publication: Publication },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Run {
    pub(crate) phase: Phase,
    pub(crate) version: Id,
    pub(crate) previous: Option<Id>,
    /// It does not wait.
    pub(crate) leak: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Record {
    pub(crate) versions: [Option<Version>; MOST],
    pub(crate) run: Option<Run>,
    /// Which version each fresh publication shows, in the order they were written down.
    pub(crate) fresh: [Option<Id>; 4],
}

/// How a version is known to be dead.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Death {
    Seen,
    NeverCreated,
    NeverAppeared,
}

/// One move of the record, named as in the library.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Move {
    Begin { leak: bool },
    Store,
    Replan,
    Abandon,
    Validate,
    Promote { expect: Publication },
    Confirm,
    RollBack,
    RolledBack,
    Suspend,
    Reactivate,
    Retire,
    Revoked { version: Id, death: Death },
    Gone { version: Id },
    Compromise { version: Id },
    Adopt { version: Id },
}

impl Record {
    /// The record after a move; `None` when the move is not legal, or the model has no room.
    pub(crate) fn after(&self, made: Move) -> Option<Self> {
        let mut next = *self;
        match made {
            Move::Begin { leak } => next.begin(leak),
            Move::Store => next.store(),
            Move::Replan => next.replan(),
            Move::Abandon => next.abandon(),
            Move::Validate => next.validate(),
            Move::Promote { expect } => next.promote(expect),
            Move::Confirm => next.confirm(),
            Move::RollBack => next.roll_back(),
            Move::RolledBack => next.rolled_back(),
            Move::Suspend => next.suspend(),
            Move::Reactivate => next.reactivate(),
            Move::Retire => next.retire(),
            Move::Revoked { version, death } => next.revoked(version, death),
            Move::Gone { version } => next.gone(version),
            Move::Compromise { version } => next.compromise(version),
            Move::Adopt { version } => next.adopt(version),
        }?;
        Some(next)
    }

    pub(crate) fn version(&self, id: Id) -> Option<Version> {
        self.versions.get(id).copied().flatten()
    }

    pub(crate) fn state(&self, id: Id) -> Option<VersionState> {
        self.version(id).map(|v| v.state)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + Clone {
        (0..MOST).filter(|id| self.versions[*id].is_some())
    }

    /// How many versions were planned so far.
    pub(crate) fn planned(&self) -> usize {
        self.versions.iter().flatten().count()
    }

    pub(crate) fn primary(&self) -> Option<Id> {
        self.ids().find(|id| self.state(*id) == Some(VersionState::Primary))
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.run.map(|run| run.phase)
    }

    /// True while the pointer is being moved.
    pub(crate) fn moves_the_pointer(&self) -> bool {
        matches!(self.phase(), Some(Phase::Promoting { .. } | Phase::RollingBack { .. }))
    }

    pub(crate) fn leaks(&self) -> usize {
        self.versions.iter().flatten().filter(|v| v.leaked).count()
    }

    /// How many versions may still work at the issuer.
    pub(crate) fn working(&self) -> usize {
        self.versions.iter().flatten().filter(|v| v.state.may_work()).count()
    }

    pub(crate) fn fresh_publications(&self) -> usize {
        self.fresh.iter().flatten().count()
    }

    /// The version a publication shows.
    pub(crate) fn shown_by(&self, publication: Publication) -> Option<Id> {
        match publication.checked_sub(1)? {
            version if version < MOST => Some(version),
            fresh => self.fresh[fresh - MOST],
        }
    }

    /// What a process that read this record too late can still do harm with: the calls it may decide
    /// on without a swap.
    pub(crate) fn as_read_late(&self) -> Option<Self> {
        let calls =
            |run: &Run| matches!(run.phase, Phase::Promoting { .. } | Phase::RollingBack { .. } | Phase::Suspended);
        self.run.filter(calls).map(|run| Self { run: Some(run), fresh: self.fresh, ..Self::default() })
    }

    /// The version a rollback would bring back: recorded, clean and not given up.
    pub(crate) fn way_back(&self) -> Option<Id> {
        let previous = self.run?.previous?;
        let old = self.version(previous)?;
        let comes_back = matches!(old.state, VersionState::Primary | VersionState::Overlap);
        (comes_back && !old.leaked).then_some(previous)
    }

    pub(crate) fn enter(&mut self, id: Id, state: VersionState) -> Option<()> {
        self.versions[id].as_mut()?.state = state;
        Some(())
    }

    pub(crate) fn enter_phase(&mut self, phase: Phase) -> Option<()> {
        self.run.as_mut()?.phase = phase;
        Some(())
    }

    pub(crate) fn condemn(&mut self, id: Id) -> Option<()> {
        if self.state(id)? < VersionState::RevokePending {
            self.enter(id, VersionState::RevokePending)?;
        }
        Some(())
    }

    /// Writes one more publication down.
    pub(crate) fn journal(&mut self, version: Id) -> Option<Publication> {
        let at = self.fresh_publications();
        *self.fresh.get_mut(at)? = Some(version);
        Some(1 + MOST + at)
    }
}
