//! Everything there is: the record, the issuer, the store, and what each rotator is about to do.

use std::fmt;

use super::record::{Id, MOST, Publication, Record};

/// What the issuer has under the label of a version.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Issued {
    /// It was not asked.
    #[default]
    Nothing,
    /// It was asked, and the key appears later or never.
    Coming,
    Live,
    /// Switched off, reversibly.
    Off,
    Dead,
    /// It made nothing and never will.
    Never,
}

impl Issued {
    /// True while it is, or may still come to be, a working key.
    pub(crate) fn may_work(self) -> bool {
        matches!(self, Self::Coming | Self::Live | Self::Off)
    }
}

/// One version outside the record: at the issuer, in the store, and in calls on their way there.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    pub(crate) issued: Issued,
    /// Its material is in the store.
    pub(crate) staged: bool,
    /// Somebody decided to revoke it; the call arrives at any time.
    pub(crate) doomed: bool,
    /// Somebody decided to switch it off; the call arrives at any time.
    pub(crate) switched: bool,
}

/// What a rotator is about to do, and all it remembers. Nothing else survives between two calls.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Doing {
    /// Nothing: it reads the record next. A process that died and one that begins are the same.
    #[default]
    Idle,
    /// It planned the version and is about to ask the issuer.
    Create { version: Id },
    /// It has the key in memory and is about to stage it.
    Stage { version: Id },
    /// The key is staged; it is about to say so.
    Store { version: Id },
    /// The issuer refused: nothing was made.
    Refused { version: Id },
    /// It planned `next` instead, and is about to note that nothing was made under `version`.
    NoteNever { version: Id, next: Option<Id> },
    /// It read the pointer before a first publication.
    Read { token: Publication },
    /// It is about to read the pointer, to move it.
    Look { mover: Mover },
    /// It is about to move the pointer from `token`.
    Publish { mover: Mover, token: Publication, again: bool },
    /// It saw the pointer where it should be.
    Seen { back: bool },
    /// It looked at the pointer instead of moving it (a mistake).
    LookedAway,
}

/// Who moves the pointer where, as decided when the record was read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Mover {
    pub(crate) version: Id,
    pub(crate) publication: Publication,
    /// It is a rollback.
    pub(crate) back: bool,
    /// The record is still as it was read: only then will the next swap hold.
    pub(crate) sure: bool,
    /// What the record knew then: first publications of versions up to this one,
    pub(crate) first_until: Id,
    /// and so many fresh ones.
    pub(crate) fresh_until: usize,
}

impl Mover {
    pub(crate) fn knows(&self, shown: Publication) -> bool {
        match shown.checked_sub(1) {
            None => true,
            Some(version) if version < MOST => version <= self.first_until,
            Some(fresh) => fresh - MOST < self.fresh_until,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) record: Record,
    /// The revision before, which a stale read answers: as much of it as makes a difference.
    pub(crate) before: Option<Record>,
    pub(crate) keys: [Key; MOST],
    /// The publication native readers are shown.
    pub(crate) shows: Publication,
    /// Those who do not take part stay at rest.
    pub(crate) rotators: [Doing; 3],
}

impl State {
    /// The version native readers are shown.
    pub(crate) fn shown(&self) -> Option<Id> {
        self.record.shown_by(self.shows)
    }

    /// Stores the next revision: whoever read the one before will lose its swap.
    pub(crate) fn store(&mut self, next: Record) {
        self.before = self.record.as_read_late().filter(|before| next.as_read_late() != Some(*before));
        self.record = next;
        for doing in &mut self.rotators {
            *doing = doing.overtaken();
        }
    }

    /// The same, but for who of the rotators does what.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let count = |all: &[Doing], doing| all.iter().filter(|d| *d == doing).count();
        let same = |doing| count(&self.rotators, doing) == count(&other.rotators, doing);
        *self == Self { rotators: self.rotators, ..*other } && self.rotators.iter().all(same)
    }

    /// How many keys work at the issuer.
    pub(crate) fn working(&self) -> usize {
        self.keys.iter().filter(|key| matches!(key.issued, Issued::Live | Issued::Off)).count()
    }
}

impl Doing {
    /// What is left of a plan once the record has moved on: calls go out, swaps fail.
    fn overtaken(self) -> Self {
        match self {
            Self::Read { .. } | Self::Seen { .. } | Self::LookedAway | Self::NoteNever { next: None, .. } => Self::Idle,
            Self::NoteNever { next: Some(version), .. } => Self::Create { version },
            Self::Look { .. } | Self::Publish { .. } => self.unsure(),
            same => same,
        }
    }

    /// The same plan by a process that read an older record.
    pub(crate) fn unsure(self) -> Self {
        match self {
            Self::Look { mover } => Self::Look { mover: Mover { sure: false, ..mover } },
            Self::Publish { mover, token, again } => {
                Self::Publish { mover: Mover { sure: false, ..mover }, token, again }
            }
            same => same,
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("do nothing"),
            Self::Create { version } => write!(f, "ask the issuer for version {version}"),
            Self::Stage { version } => write!(f, "stage version {version}"),
            Self::Store { version } => write!(f, "record version {version} as stored"),
            Self::Refused { version } => write!(f, "give version {version} up, which was refused"),
            Self::NoteNever { version, .. } => write!(f, "note that version {version} was never made"),
            Self::Read { token } => write!(f, "journal that the pointer is moved from publication {token}"),
            Self::Look { mover } => write!(f, "look at the pointer and move it to {mover}"),
            Self::Publish { mover, token, .. } => write!(f, "move the pointer from publication {token} to {mover}"),
            Self::Seen { .. } => f.write_str("confirm that the pointer was moved"),
            Self::LookedAway => f.write_str("abort: it looked, and the pointer has not moved"),
        }
    }
}

impl fmt::Display for Mover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (version {})", self.publication, self.version)
    }
}
