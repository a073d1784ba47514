//! What people attach to a key: labels, links to systems and runbooks, notes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Actor;
use crate::name::name_type;
use crate::text::{TextError, text_type};

name_type!(
    /// The name of a label, such as `project` or `cost-centre`.
    LabelName,
    "label name",
    64
);
text_type!(
    /// The value of a label.
    LabelValue,
    "label value",
    128
);
text_type!(
    /// What a link points to, in words.
    LinkTitle,
    "link title",
    128
);
text_type!(
    /// A remark in the rotation notes of a key. Safe to log: never put a value here.
    NoteText,
    "note",
    512
);

/// The labels of a key, at most [`MAX_LABELS`].
pub type Labels = BTreeMap<LabelName, LabelValue>;

/// The most labels a key has.
pub const MAX_LABELS: usize = 16;
/// The most links a key has.
pub const MAX_LINKS: usize = 16;
/// The most notes kept with a key; older ones give way.
pub const MAX_NOTES: usize = 16;

/// What a link leads to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkKind {
    /// A system that uses or issues the key.
    System,
    /// What to do when the key must change or has leaked.
    Runbook,
    /// Where its use can be watched.
    Dashboard,
}

/// A link from a key to a system, a runbook or a dashboard.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// What it leads to.
    pub kind: LinkKind,
    /// What it leads to, in words.
    pub title: LinkTitle,
    /// Where it leads.
    pub url: LinkUrl,
}

impl Link {
    /// A link to a system that uses or issues the key.
    ///
    /// ```
    /// use keyward_core::{Link, LinkKind};
    /// assert_eq!(Link::system("Billing API", "https://billing.example.com")?.kind, LinkKind::System);
    /// # Ok::<(), keyward_core::LinkError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinkError`] when the title or the address is not acceptable.
    pub fn system(title: &str, url: &str) -> Result<Self, LinkError> {
        Self::of(LinkKind::System, title, url)
    }

    /// A link to the runbook of the key.
    ///
    /// ```
    /// use keyward_core::Link;
    /// let link = Link::runbook("Charges stop", "https://runbooks.example.com/charges")?;
    /// assert!(Link::runbook("x", "https://user:hunter2@example.com/").is_err());
    /// # Ok::<(), keyward_core::LinkError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinkError`] when the title or the address is not acceptable.
    pub fn runbook(title: &str, url: &str) -> Result<Self, LinkError> {
        Self::of(LinkKind::Runbook, title, url)
    }

    /// A link of any kind.
    ///
    /// ```
    /// use keyward_core::{Link, LinkKind};
    /// let link = Link::of(LinkKind::Dashboard, "Error rates", "https://metrics.example.com/charges")?;
    /// assert_eq!(link.title.as_str(), "Error rates");
    /// # Ok::<(), keyward_core::LinkError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinkError`] when the title or the address is not acceptable.
    pub fn of(kind: LinkKind, title: &str, url: &str) -> Result<Self, LinkError> {
        Ok(Self { kind, title: title.parse()?, url: LinkUrl::parse(url)? })
    }
}

/// An `https` or `http` address without credentials in it; 1 to 512 bytes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkUrl(Box<str>);

impl LinkUrl {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, LinkError> {
        crate::text::check("link address", text, 512)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(LinkError::Scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(LinkError::Credentials);
        }
        if authority.is_empty() || authority.starts_with(':') || text.contains(char::is_whitespace) {
            return Err(LinkError::Scheme);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for LinkUrl {
    type Error = LinkError;

    fn try_from(text: String) -> Result<Self, LinkError> {
        Self::parse(&text)
    }
}

impl From<LinkUrl> for String {
    fn from(url: LinkUrl) -> Self {
        url.0.into()
    }
}

/// Why a link was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address carries a user or a password.
    #[error("the link address carries credentials before '@'; remove them")]
    Credentials,
    /// The address does not start with `https://` or `http://` and a host.
    #[error("the link address is not an https:// or http:// address with a host")]
    Scheme,
    /// The title or the address is not acceptable text.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// A remark somebody left with a key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Note {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// Who wrote it.
    pub by: Actor,
    /// What it says.
    pub text: NoteText,
}

impl Note {
    /// A note by `by`, written at `at`.
    pub fn new(at: DateTime<Utc>, by: Actor, text: NoteText) -> Self {
        Self { at, by, text }
    }
}
