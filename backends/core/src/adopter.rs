//! Existing secrets, brought under management where they lie.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Context, KeyId, Location, Material, Page, PageToken, Result, Shape, Target, VersionId};

/// Which existing secrets are wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DiscoverQuery {
    /// Only names that begin with this, compared as text; on a store with folders a whole folder.
    pub prefix: Option<String>,
    /// Only secrets with this tag, and this value of it when one is given. A store without tags
    /// answers `Unsupported`.
    pub tag: Option<(String, Option<String>)>,
}

impl DiscoverQuery {
    /// Everything the caller may see.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only names that begin with this.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// Only secrets with this tag, whatever its value.
    #[must_use]
    pub fn tag(mut self, name: &str) -> Self {
        self.tag = Some((name.to_owned(), None));
        self
    }

    /// Only secrets with this tag and value.
    #[must_use]
    pub fn tag_value(mut self, name: &str, value: &str) -> Self {
        self.tag = Some((name.to_owned(), Some(value.to_owned())));
        self
    }
}

/// What an adopter sees of an existing secret. Never a value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Existing {
    /// Where it lies.
    pub location: Location,
    /// The shape its current value has; absent when the caller may not read it or it has none.
    pub shape: Option<Shape>,
    /// The key that manages it already.
    pub managed_by: Option<KeyId>,
    /// Its tags, as far as the store has them.
    pub tags: BTreeMap<String, String>,
    /// When its value last changed, where the store says.
    pub changed_at: Option<DateTime<Utc>>,
    /// Why it cannot be adopted as it is, each with what to do about it. Empty: it can.
    pub obstacles: Vec<&'static str>,
}

impl Existing {
    /// A secret of which nothing is known but its place.
    #[must_use]
    pub fn at(location: Location) -> Self {
        Self { location, shape: None, managed_by: None, tags: BTreeMap::new(), changed_at: None, obstacles: Vec::new() }
    }
}

/// Brings existing secrets under management where they lie. A facet of stores whose
/// [`Capabilities::adopts`](crate::Capabilities::adopts) is set.
#[async_trait]
pub trait Adopter: fmt::Debug + Send + Sync {
    /// Lists existing secrets that are not this library's own. Reads no value.
    ///
    /// # Behavior
    /// - Names of secrets only; what derived keys and records use is left out.
    ///
    /// # Errors
    /// `Invalid` for a page token this store did not make; `Unsupported` for a filter it does not
    /// have; `Denied`, `Throttled`, `Sealed`, `Unavailable`.
    async fn discover(&self, cx: &Context, query: &DiscoverQuery, page: Option<PageToken>) -> Result<Page<Location>>;

    /// Looks at an existing secret. Changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` for a location of another store; `Denied`, `Throttled`, `Sealed`,
    /// `Unavailable`.
    async fn inspect(&self, cx: &Context, location: &Location) -> Result<Existing>;

    /// Makes the current value of the secret the material of `version`, where it lies.
    ///
    /// # Behavior
    /// - The value and what native readers see stay exactly as they are.
    /// - Afterwards the pointer shows the first publication of `version`, and `stage` of the same
    ///   bytes answers `AlreadySame`.
    /// - Repeating it is safe. An earlier claim of the same key gives way.
    ///
    /// # Errors
    /// `NotFound` when there is no current value; `Invalid` when it does not have the shape of the
    /// target; `Conflict` when another key manages it, or it is not unmanaged for another reason
    /// that [`Adopter::inspect`] lists; `Unsupported` for a location that is not an existing secret;
    /// `Denied`, `Throttled`, `Quota`, `Sealed`, `PendingDeletion`, `Unavailable`, `Unknown`.
    async fn claim(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Material>;

    /// Takes a claim back. The value and what native readers see stay exactly as they are.
    ///
    /// # Behavior
    /// - Afterwards the store holds nothing of this key, and the secret can be claimed anew.
    /// - Nothing claimed: success.
    ///
    /// # Errors
    /// `Conflict` when the key has published something since; `Unsupported`, `Denied`,
    /// `Throttled`, `Sealed`, `Unavailable`, `Unknown`.
    async fn release(&self, cx: &Context, key: &Target) -> Result<()>;
}
