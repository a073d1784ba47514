//! What a key may do. Scopes form a lattice; see [`Scope`].

mod access;
mod endpoint;
mod lattice;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use access::{AccessLevel, Mode, Permission, Resource};
pub use endpoint::{EndpointError, EndpointPattern};
pub use lattice::ScopeDifference;

use crate::{Function, KeyId, ServiceName};

/// What a key may do, and which services may load it.
///
/// Invariants:
/// - no permission reaches further than the scope's access level;
/// - nothing is allowed that is not listed: no permission, endpoint or service by default;
/// - endpoint patterns are kept minimal (none covers another), so equal scopes are equal values;
/// - at most [`Scope::MAX_ITEMS`] permissions, endpoints and services each.
///
/// ```
/// use keyward_core::{AccessLevel, Mode, Scope};
/// let charges = Scope::new(AccessLevel::Write)
///     .mode(Mode::Live)
///     .permission("charges:write")?
///     .endpoint("POST /v1/charges")?
///     .service("billing-api")?;
/// let read = Scope::new(AccessLevel::ReadOnly).mode(Mode::Live).permission("charges:read-only")?;
/// assert!(charges.covers(&read) && !read.covers(&charges));
/// assert!(Scope::new(AccessLevel::ReadOnly).permission("charges:admin").is_err());
/// # Ok::<(), keyward_core::ScopeError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Scope {
    access: AccessLevel,
    mode: Option<Mode>,
    permissions: BTreeMap<Resource, AccessLevel>,
    endpoints: BTreeSet<EndpointPattern>,
    services: BTreeSet<ServiceName>,
}

impl Scope {
    /// The most permissions, endpoints or services a scope lists.
    pub const MAX_ITEMS: usize = 32;

    /// A scope of the given level that allows nothing yet.
    #[must_use]
    pub fn new(access: AccessLevel) -> Self {
        Self { access, mode: None, permissions: BTreeMap::new(), endpoints: BTreeSet::new(), services: BTreeSet::new() }
    }

    /// Sets test or live.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Adds a permission, `resource:level`.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// assert!(Scope::new(AccessLevel::Write).permission("charges:write").is_ok());
    /// assert!(Scope::new(AccessLevel::Write).permission("charges:admin").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ScopeError::Exceeds`] when it reaches further than the scope's level, [`ScopeError::Name`]
    /// when it is malformed, [`ScopeError::TooMany`] beyond [`Scope::MAX_ITEMS`].
    pub fn permission(mut self, text: &str) -> Result<Self, ScopeError> {
        let Permission { resource, level } = text.parse()?;
        self.allow(resource, level)?;
        Ok(self)
    }

    /// Adds an endpoint pattern, such as `POST /v1/charges` or `/v1/reports/*`.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// assert!(Scope::new(AccessLevel::Write).endpoint("POST /v1/charges").is_ok());
    /// assert!(Scope::new(AccessLevel::Write).endpoint("/v1/../admin").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ScopeError::Endpoint`] when it is malformed, [`ScopeError::TooMany`] beyond
    /// [`Scope::MAX_ITEMS`].
    pub fn endpoint(mut self, text: &str) -> Result<Self, ScopeError> {
        self.endpoints.insert(text.parse()?);
        self.endpoints = lattice::minimal(self.endpoints);
        Self::bounded("endpoints", self.endpoints.len())?;
        Ok(self)
    }

    /// Lets a service load the key.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// let scope = Scope::new(AccessLevel::ReadOnly).service("reporting")?;
    /// assert!(scope.allows_service(&"reporting".parse()?));
    /// # Ok::<(), keyward_core::ScopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScopeError::Name`] when it is malformed, [`ScopeError::TooMany`] beyond
    /// [`Scope::MAX_ITEMS`].
    pub fn service(mut self, text: &str) -> Result<Self, ScopeError> {
        self.services.insert(text.parse()?);
        Self::bounded("services", self.services.len())?;
        Ok(self)
    }

    /// How far the key reaches.
    pub fn access(&self) -> AccessLevel {
        self.access
    }

    /// Test or live, where the issuer tells them apart. (The builder method is [`Scope::mode`].)
    pub fn test_or_live(&self) -> Option<Mode> {
        self.mode
    }

    /// The permissions, in order.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> + '_ {
        self.permissions.iter().map(|(resource, level)| Permission::new(resource.clone(), *level))
    }

    /// The endpoint patterns, in order.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointPattern> {
        self.endpoints.iter()
    }

    /// The services that may load the key, in order.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter()
    }

    /// True when `service` may load the key.
    pub fn allows_service(&self, service: &ServiceName) -> bool {
        self.services.contains(service)
    }

    /// Checks the bounds, which an intersection may exceed, and the rules that come with a key's
    /// function: a payment key is test or live and names its endpoints; a webhook secret carries
    /// no permission of its own.
    ///
    /// ```
    /// use keyward_core::{AccessLevel, Scope};
    /// let anywhere = Scope::new(AccessLevel::Write).endpoint("/*")?;
    /// assert!(anywhere.check_for(&"production/payments/stripe-charges".parse()?).is_err());
    /// # Ok::<(), keyward_core::ScopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScopeError::Rule`] naming the rule, [`ScopeError::TooMany`] beyond [`Scope::MAX_ITEMS`].
    pub fn check_for(&self, key: &KeyId) -> Result<(), ScopeError> {
        Self::bounded("permissions", self.permissions.len())?;
        Self::bounded("endpoints", self.endpoints.len())?;
        Self::bounded("services", self.services.len())?;
        if *key.function() == Function::PAYMENTS {
            if self.mode.is_none() {
                return Err(ScopeError::Rule("a payment key is test or live; set the mode"));
            }
            if self.endpoints.is_empty() || self.endpoints.iter().any(EndpointPattern::is_unrestricted) {
                return Err(ScopeError::Rule("a payment key names its endpoints; list them without /*"));
            }
        }
        let reaches = self.access > AccessLevel::ReadOnly || !self.permissions.is_empty() || !self.endpoints.is_empty();
        if *key.function() == Function::WEBHOOK && reaches {
            return Err(ScopeError::Rule(
                "a webhook secret only checks signatures; give it read-only access and no permission or endpoint",
            ));
        }
        Ok(())
    }

    fn allow(&mut self, resource: Resource, level: AccessLevel) -> Result<(), ScopeError> {
        if level > self.access {
            return Err(ScopeError::Exceeds { permission: level, access: self.access });
        }
        let entry = self.permissions.entry(resource).or_insert(level);
        *entry = level.max(*entry);
        Self::bounded("permissions", self.permissions.len())
    }

    fn bounded(what: &'static str, found: usize) -> Result<(), ScopeError> {
        if found > Self::MAX_ITEMS { Err(ScopeError::TooMany { what, found }) } else { Ok(()) }
    }
}

/// Why a scope was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// An endpoint pattern is malformed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A permission reaches further than the scope's access level.
    #[error("a {permission} permission exceeds the scope's {access} access; lower one or raise the other")]
    Exceeds {
        /// The permission's level.
        permission: AccessLevel,
        /// The scope's level.
        access: AccessLevel,
    },
    /// A permission or service name is malformed.
    #[error(transparent)]
    Name(#[from] crate::NameError),
    /// A rule of the key's function is broken.
    #[error("{0}")]
    Rule(&'static str),
    /// More items than a scope lists.
    #[error("the scope lists {found} {what}; use at most 32 or split the key")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many were found.
        found: usize,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    access: AccessLevel,
    mode: Option<Mode>,
    permissions: BTreeMap<Resource, AccessLevel>,
    endpoints: BTreeSet<EndpointPattern>,
    services: BTreeSet<ServiceName>,
}

impl TryFrom<Wire> for Scope {
    type Error = ScopeError;

    fn try_from(wire: Wire) -> Result<Self, ScopeError> {
        let mut scope = Self { mode: wire.mode, ..Self::new(wire.access) };
        for (resource, level) in wire.permissions {
            scope.allow(resource, level)?;
        }
        scope.endpoints = lattice::minimal(wire.endpoints);
        scope.services = wire.services;
        Self::bounded("endpoints", scope.endpoints.len())?;
        Self::bounded("services", scope.services.len())?;
        Ok(scope)
    }
}

impl From<Scope> for Wire {
    fn from(scope: Scope) -> Self {
        Self {
            access: scope.access,
            mode: scope.mode,
            permissions: scope.permissions,
            endpoints: scope.endpoints,
            services: scope.services,
        }
    }
}
