//! The order on scopes: `covers`, `intersect`, `difference`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{AccessLevel, EndpointPattern, Mode, Permission, Scope};
use crate::ServiceName;

impl Scope {
    /// True when everything `other` allows is allowed by `self`.
    ///
    /// A partial order: reflexive, transitive, and two scopes that cover each other are equal.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// let wide = Scope::new(AccessLevel::Write).endpoint("/v1/*")?;
    /// let narrow = Scope::new(AccessLevel::ReadOnly).endpoint("GET /v1/reports")?;
    /// assert!(wide.covers(&narrow) && wide.covers(&wide) && !narrow.covers(&wide));
    /// # Ok::<(), keyward_core::ScopeError>(())
    /// ```
    pub fn covers(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The most that both allow: the greatest lower bound of the two.
    ///
    /// `None` when one is test and the other live (or only one says): they have nothing in common.
    /// What both allow may take more patterns than a scope lists; see [`Scope::check_for`].
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Mode, Scope};
    /// let a = Scope::new(AccessLevel::Write).permission("charges:write")?.endpoint("/v1/*")?;
    /// let b = Scope::new(AccessLevel::ReadOnly).permission("charges:read-only")?.endpoint("POST /v1/charges")?;
    /// let both = a.intersect(&b).expect("neither says test or live");
    /// assert!(a.covers(&both) && b.covers(&both));
    /// assert_eq!(a.intersect(&Scope::new(AccessLevel::Write).mode(Mode::Live)), None);
    /// # Ok::<(), keyward_core::ScopeError>(())
    /// ```
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.mode != other.mode {
            return None;
        }
        let permissions: BTreeMap<_, _> = self
            .permissions
            .iter()
            .filter_map(|(resource, level)| Some((resource.clone(), *level.min(other.permissions.get(resource)?))))
            .collect();
        let meets = self.endpoints.iter().flat_map(|a| other.endpoints.iter().filter_map(move |b| a.intersect(b)));
        Some(Self {
            access: self.access.min(other.access),
            mode: self.mode,
            permissions,
            endpoints: minimal(meets.collect()),
            services: self.services.intersection(&other.services).cloned().collect(),
        })
    }

    /// What `self` allows beyond `other`. Empty exactly when `other` covers `self`.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// let recorded = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?;
    /// let found = Scope::new(AccessLevel::Write).permission("reports:write")?;
    /// let beyond = found.difference(&recorded).to_string();
    /// assert_eq!(beyond, "access write beyond read-only, permission reports:write");
    /// # Ok::<(), keyward_core::ScopeError>(())
    /// ```
    #[must_use]
    pub fn difference(&self, other: &Self) -> ScopeDifference {
        let reaches = |p: &Permission| other.permissions.get(&p.resource).is_none_or(|level| *level < p.level);
        let covered = |e: &EndpointPattern| other.endpoints.iter().any(|o| o.covers(e));
        ScopeDifference {
            access: (self.access > other.access).then_some((self.access, other.access)),
            mode: (self.mode != other.mode).then_some((self.mode, other.mode)),
            permissions: self.permissions().filter(reaches).collect(),
            endpoints: self.endpoints.iter().filter(|e| !covered(e)).cloned().collect(),
            services: self.services.difference(&other.services).cloned().collect(),
        }
    }
}

/// What one scope allows beyond another. Names only, never values.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScopeDifference {
    /// The higher access level, and the one it exceeds.
    pub access: Option<(AccessLevel, AccessLevel)>,
    /// The modes, where they differ.
    pub mode: Option<(Option<Mode>, Option<Mode>)>,
    /// Permissions beyond the other scope.
    pub permissions: Vec<Permission>,
    /// Endpoint patterns the other scope does not cover.
    pub endpoints: Vec<EndpointPattern>,
    /// Services the other scope does not list.
    pub services: Vec<ServiceName>,
}

impl ScopeDifference {
    /// True when there is nothing beyond.
    pub fn is_empty(&self) -> bool {
        self.access.is_none()
            && self.mode.is_none()
            && self.permissions.is_empty()
            && self.endpoints.is_empty()
            && self.services.is_empty()
    }
}

impl fmt::Display for ScopeDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let mut parts = Vec::new();
        if let Some((has, other)) = self.access {
            parts.push(format!("access {has} beyond {other}"));
        }
        if let Some((has, other)) = self.mode {
            let name = |mode: Option<Mode>| mode.map_or_else(|| "no mode".to_owned(), |m| m.to_string());
            parts.push(format!("{} instead of {}", name(has), name(other)));
        }
        parts.extend(self.permissions.iter().map(|p| format!("permission {p}")));
        parts.extend(self.endpoints.iter().map(|e| format!("endpoint {e}")));
        parts.extend(self.services.iter().map(|s| format!("service {s}")));
        f.write_str(&parts.join(", "))
    }
}

/// The patterns that no other pattern of the set covers.
pub(super) fn minimal(patterns: BTreeSet<EndpointPattern>) -> BTreeSet<EndpointPattern> {
    let covered = |p: &EndpointPattern| patterns.iter().any(|other| other != p && other.covers(p));
    patterns.iter().filter(|p| !covered(p)).cloned().collect()
}
