//! What the calls of a backend take and answer.

use chrono::{DateTime, Utc};

use crate::{
    Environment, Function, KeyId, KeyRecord, Material, PointerToken, PublicationId, Stamp, Stamped, Target, VersionId,
};

/// Which state of a record a swap replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a backend must handle every case")]
pub enum Expect {
    /// No record yet.
    Absent,
    /// The record read under this stamp.
    At(Stamp),
}

/// What became of a swap.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Swap {
    /// The record is stored, by this call or by an earlier one with the same operation id.
    Applied(Stamp),
    /// The record is another one: the one that is there now.
    Conflict(Option<Stamped<KeyRecord>>),
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Stage {
    /// Stored now.
    Stored,
    /// Stored before, byte for byte the same.
    AlreadySame,
    /// Something else is stored under this version id; it was left alone.
    Conflict,
}

/// What the published pointer shows, and the token to move it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; backends build it")]
pub struct Pointer {
    /// To move the pointer from here. Exists even when nothing is published.
    pub token: PointerToken,
    /// What it shows.
    pub shows: Shows,
}

/// What the published pointer shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Shows {
    /// Nothing was published yet.
    Nothing,
    /// One of our publications.
    Ours {
        /// The publication.
        publication: PublicationId,
        /// The version it made current.
        version: VersionId,
    },
    /// Something another writer put there.
    Foreign,
}

/// What became of a publish.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Publish {
    /// The pointer was moved now.
    Moved(PointerToken),
    /// The pointer already shows this very publication.
    AlreadyThere(PointerToken),
    /// The pointer is not where the caller saw it; it was left alone.
    Conflict(Pointer),
}

/// Which material is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a backend must handle every case")]
pub enum Select {
    /// What the pointer shows.
    Current,
    /// What the pointer shows, unless it still shows this publication.
    CurrentUnless(PublicationId),
    /// One version, published or not.
    Version(VersionId),
}

/// One item of a batched read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; callers build it")]
pub struct ReadItem {
    /// The key.
    pub target: Target,
    /// Which material of it.
    pub select: Select,
}

/// What a read found.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Read {
    /// Material.
    Found {
        /// The material.
        material: Material,
        /// The version it belongs to.
        version: VersionId,
        /// The publication, when it was read through the pointer.
        publication: Option<PublicationId>,
    },
    /// The pointer still shows the publication the caller has.
    Unchanged,
}

/// What became of a withdraw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Withdraw {
    /// The material is destroyed.
    Destroyed,
    /// The material is given up but the store keeps it for a while.
    Deferred {
        /// Until when it can be read, where that is known.
        readable_until: Option<DateTime<Utc>>,
    },
    /// There was none.
    Absent,
}

/// What a store holds of a key's material: names and numbers, never values.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Survey {
    /// Versions with material in the store, oldest id first.
    pub versions: Vec<VersionId>,
    /// What the pointer shows.
    pub pointer: Pointer,
}

impl Survey {
    /// A survey of its parts.
    #[must_use]
    pub fn new(mut versions: Vec<VersionId>, pointer: Pointer) -> Self {
        versions.sort_unstable();
        Self { versions, pointer }
    }
}

/// What became of a retire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every case")]
pub enum Retire {
    /// Material and pointer are gone.
    Retired,
    /// Material and pointer go at this time; until then an operator can bring them back.
    Scheduled {
        /// When.
        at: DateTime<Utc>,
    },
    /// There was nothing.
    Absent,
}

/// Which records a listing is about. Filters on names only, so every backend can push them down;
/// the inventory filters on the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ListQuery {
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only this function.
    pub function: Option<Function>,
    /// Also the history pages of keys.
    pub pages: bool,
    /// At most this many records a page; the backend may give fewer.
    pub limit: Option<usize>,
}

impl ListQuery {
    /// Everything but history pages.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only this environment.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Only this function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.function = Some(function);
        self
    }

    /// Also history pages.
    #[must_use]
    pub fn with_pages(mut self) -> Self {
        self.pages = true;
        self
    }

    /// At most this many records a page (at least 1).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit.max(1));
        self
    }

    /// True when a key belongs in the listing.
    pub fn matches(&self, key: &KeyId) -> bool {
        self.environment.as_ref().is_none_or(|e| e == key.environment())
            && self.function.as_ref().is_none_or(|f| f == key.function())
            && (self.pages || key.page().is_none())
    }
}
