//! Who answers for a key. Never optional.

use serde::{Deserialize, Serialize};

use crate::TextError;
use crate::text::text_type;

text_type!(
    /// The team a key belongs to.
    Team,
    "team",
    64
);
text_type!(
    /// A person who answers for a key, by name or address.
    Owner,
    "owner",
    128
);
text_type!(
    /// How to reach the owners at any hour: a channel, a pager, an address.
    Contact,
    "contact",
    256
);

/// Who answers for a key: a team, an owner, a *different* backup owner, and a way to reach them.
///
/// ```
/// use keyward_core::Ownership;
/// let owners = Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?;
/// assert_eq!(owners.backup().as_str(), "grace@example.com");
/// assert!(Ownership::new("payments", "ada@example.com", "Ada@Example.com", "#x").is_err());
/// # Ok::<(), keyward_core::OwnershipError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Ownership {
    team: Team,
    owner: Owner,
    backup: Owner,
    contact: Contact,
}

impl Ownership {
    /// Checks and assembles the four parts.
    ///
    /// ```
    /// use keyward_core::{Ownership, OwnershipError};
    /// let alone = Ownership::new("payments", "ada@example.com", "ada@example.com", "#payments");
    /// assert_eq!(alone, Err(OwnershipError::SamePerson));
    /// ```
    ///
    /// # Errors
    /// [`OwnershipError::SamePerson`] when owner and backup are one person (compared without
    /// regard to case), [`OwnershipError::Text`] when a part is empty, too long or unprintable.
    pub fn new(team: &str, owner: &str, backup: &str, contact: &str) -> Result<Self, OwnershipError> {
        Self::assemble(team.parse()?, owner.parse()?, backup.parse()?, contact.parse()?)
    }

    /// The team.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// The first person to ask.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The person to ask when the owner is away.
    pub fn backup(&self) -> &Owner {
        &self.backup
    }

    /// How to reach them.
    pub fn contact(&self) -> &Contact {
        &self.contact
    }

    fn assemble(team: Team, owner: Owner, backup: Owner, contact: Contact) -> Result<Self, OwnershipError> {
        if owner.as_str().to_lowercase() == backup.as_str().to_lowercase() {
            return Err(OwnershipError::SamePerson);
        }
        Ok(Self { team, owner, backup, contact })
    }
}

/// Why an ownership was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnershipError {
    /// Owner and backup owner are the same person.
    #[error("owner and backup owner are the same person; name somebody else as backup")]
    SamePerson,
    /// One of the parts is not acceptable text.
    #[error(transparent)]
    Text(#[from] TextError),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    team: Team,
    owner: Owner,
    backup: Owner,
    contact: Contact,
}

impl TryFrom<Wire> for Ownership {
    type Error = OwnershipError;

    fn try_from(wire: Wire) -> Result<Self, OwnershipError> {
        Self::assemble(wire.team, wire.owner, wire.backup, wire.contact)
    }
}

impl From<Ownership> for Wire {
    fn from(o: Ownership) -> Self {
        Self { team: o.team, owner: o.owner, backup: o.backup, contact: o.contact }
    }
}
