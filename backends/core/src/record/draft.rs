//! What a person says of a new key.

use super::{Body, OperationNote};
use crate::annotation::{Labels, Link, MAX_LABELS, MAX_LINKS};
use crate::{
    Change, IssuerName, KeyId, KeyRecord, KeyUid, Location, Ownership, RecordError, RotationPolicy, Scope, Shape,
};

/// What a person says of a new key: everything but versions.
///
/// ```
/// use keyward_core::{AccessLevel, KeyDraft, Ownership, Scope};
/// let draft = KeyDraft::new(
///     "production/analytics/warehouse-read".parse()?,
///     Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?,
///     Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("reporting")?,
///     "acme".parse()?,
/// );
/// draft.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyDraft {
    /// Its name.
    pub id: KeyId,
    /// Who answers for it.
    pub ownership: Ownership,
    /// What it may do.
    pub scope: Scope,
    /// Who mints it.
    pub issuer: IssuerName,
    /// When it is rotated.
    pub policy: RotationPolicy,
    /// Free labels: project, cost centre.
    pub labels: Labels,
    /// Linked systems and runbooks.
    pub links: Vec<Link>,
    /// Where native readers find it.
    pub location: Location,
    /// One value, or named fields.
    pub shape: Shape,
}

impl KeyDraft {
    /// A key with the default policy, one value, at its derived location.
    #[must_use]
    pub fn new(id: KeyId, ownership: Ownership, scope: Scope, issuer: IssuerName) -> Self {
        Self {
            id,
            ownership,
            scope,
            issuer,
            policy: RotationPolicy::default(),
            labels: Labels::new(),
            links: Vec::new(),
            location: Location::Derived,
            shape: Shape::One,
        }
    }

    /// Sets the rotation policy.
    #[must_use]
    pub fn policy(mut self, policy: RotationPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a label.
    ///
    /// ```
    /// # use keyward_core::{AccessLevel, KeyDraft, Ownership, Scope};
    /// # let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// # let id = "dev/analytics/reports".parse()?;
    /// # let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// let draft = draft.label("project", "insight")?;
    /// assert_eq!(draft.labels.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::Label`] when name or value are not acceptable text.
    pub fn label(mut self, name: &str, value: &str) -> Result<Self, RecordError> {
        let name = name.parse().map_err(|_| RecordError::Label)?;
        self.labels.insert(name, value.parse().map_err(|_| RecordError::Label)?);
        Ok(self)
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Sets the location.
    #[must_use]
    pub fn location(mut self, location: Location) -> Self {
        self.location = location;
        self
    }

    /// Sets the shape. Field names are put in order.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        if let Shape::Fields(names) = &mut self.shape {
            names.sort_unstable();
        }
        self
    }

    /// Checks everything that does not need a store.
    ///
    /// ```
    /// # use keyward_core::{AccessLevel, KeyDraft, Ownership, Scope};
    /// # let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// # let id = "dev/analytics/reports".parse()?;
    /// # let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// assert!(draft.check().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError`] naming the part that does not hold.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.id.page().is_some() {
            return Err(RecordError::IsPage);
        }
        self.scope.check_for(&self.id)?;
        self.policy.check()?;
        if !self.shape.holds() {
            return Err(RecordError::Shape);
        }
        bounded("labels", self.labels.len(), MAX_LABELS)?;
        bounded("links", self.links.len(), MAX_LINKS)
    }
}

pub(crate) fn bounded(what: &'static str, found: usize, max: usize) -> Result<(), RecordError> {
    if found > max { Err(RecordError::TooMany { what, found, max }) } else { Ok(()) }
}

impl KeyRecord {
    /// The first record of a key, at revision 1, without versions.
    ///
    /// ```
    /// # use keyward_core::{AccessLevel, KeyDraft, Ownership, Scope};
    /// # let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    /// # let id = "dev/analytics/reports".parse()?;
    /// # let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
    /// use keyward_core::{Change, KeyRecord};
    /// let record = KeyRecord::register(&draft, &Change::new("ada".parse()?, chrono::Utc::now()))?;
    /// assert_eq!((record.revision(), record.versions().len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`KeyDraft::check`].
    pub fn register(draft: &KeyDraft, change: &Change) -> Result<Self, RecordError> {
        draft.check()?;
        let draft = draft.clone();
        let record = Self(Box::new(Body {
            id: draft.id,
            uid: KeyUid::generate(),
            revision: 1,
            created_at: change.at,
            created_by: change.actor.clone(),
            ownership: draft.ownership,
            scope: draft.scope,
            issuer: draft.issuer,
            policy: draft.policy,
            labels: draft.labels,
            links: draft.links,
            notes: Vec::new(),
            location: draft.location,
            shape: draft.shape,
            versions: Vec::new(),
            publications: Vec::new(),
            run: None,
            history: Vec::new(),
            pages: 0,
            incidents: Vec::new(),
            operations: vec![OperationNote {
                id: change.operation,
                verb: "register".to_owned(),
                by: change.actor.clone(),
                at: change.at,
            }],
            retiring: false,
            retired_at: None,
        }));
        record.encode()?;
        Ok(record)
    }
}
