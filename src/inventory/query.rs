//! Which keys a listing is about.

use chrono::{DateTime, Utc};
use keyward_core::{
    AccessLevel, Environment, Function, IncidentState, KeyRecord, LabelName, LabelValue, ListQuery, Mode, ServiceName,
};
use serde::Serialize;

/// Where a key as a whole stands. The first that holds, in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyState {
    /// Every version is dead and the record is a tombstone.
    Retired,
    /// A leaked version is not dead yet, or nothing clean replaces it.
    Compromised,
    /// Its versions are being revoked for good.
    Retiring,
    /// A run is under way.
    Rotating,
    /// It has a current version.
    Active,
    /// It has no current version.
    Empty,
}

impl KeyState {
    /// Where the key of a record stands.
    pub fn of(record: &KeyRecord) -> Self {
        if record.retired_at().is_some() {
            Self::Retired
        } else if record.incidents().iter().any(|incident| incident.state != IncidentState::AwaitingReview) {
            Self::Compromised
        } else if record.is_retiring() {
            Self::Retiring
        } else if record.run().is_some() {
            Self::Rotating
        } else if record.primary().is_some() {
            Self::Active
        } else {
            Self::Empty
        }
    }

    /// The state as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retired => "retired",
            Self::Compromised => "compromised",
            Self::Retiring => "retiring",
            Self::Rotating => "rotating",
            Self::Active => "active",
            Self::Empty => "empty",
        }
    }
}

/// Which keys a listing is about: all conditions must hold. Pure; no condition is every key.
///
/// ```
/// use keyward::core::{AccessLevel, Environment};
/// use keyward::inventory::Filter;
/// let risky = Filter::all().environment(Environment::Production).access(AccessLevel::Admin).owner("ada@example.com");
/// # let _ = risky;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only this function.
    pub function: Option<Function>,
    /// Only this access level.
    pub access: Option<AccessLevel>,
    /// Only test or only live keys.
    pub mode: Option<Mode>,
    /// Only keys of this person, as owner or as backup; compared without regard to case.
    pub owner: Option<String>,
    /// Only keys of this team; compared without regard to case.
    pub team: Option<String>,
    /// Only keys this service may load.
    pub service: Option<ServiceName>,
    /// Only keys with this label; with any value when none is given.
    pub label: Option<(LabelName, Option<LabelValue>)>,
    /// Only keys whose next rotation is due at or before this time.
    pub due_by: Option<DateTime<Utc>>,
    /// Only keys whose current version has expired by this time.
    pub expired_by: Option<DateTime<Utc>>,
    /// Only keys in this state.
    pub state: Option<KeyState>,
    /// Only keys with a run under way, whatever else their state is.
    pub with_run: bool,
}

impl Filter {
    /// Every key.
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

    /// Only this access level.
    #[must_use]
    pub fn access(mut self, access: AccessLevel) -> Self {
        self.access = Some(access);
        self
    }

    /// Only test or only live keys.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Only keys of this person, as owner or as backup.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only keys of this team.
    #[must_use]
    pub fn team(mut self, team: impl Into<String>) -> Self {
        self.team = Some(team.into());
        self
    }

    /// Only keys this service may load.
    #[must_use]
    pub fn service(mut self, service: ServiceName) -> Self {
        self.service = Some(service);
        self
    }

    /// Only keys with this label and value.
    #[must_use]
    pub fn label(mut self, name: LabelName, value: LabelValue) -> Self {
        self.label = Some((name, Some(value)));
        self
    }

    /// Only keys with this label, whatever its value.
    #[must_use]
    pub fn labelled(mut self, name: LabelName) -> Self {
        self.label = Some((name, None));
        self
    }

    /// Only keys whose next rotation is due at or before this time.
    #[must_use]
    pub fn due_by(mut self, at: DateTime<Utc>) -> Self {
        self.due_by = Some(at);
        self
    }

    /// Only keys whose current version has expired by this time.
    #[must_use]
    pub fn expired_by(mut self, at: DateTime<Utc>) -> Self {
        self.expired_by = Some(at);
        self
    }

    /// Only keys in this state.
    #[must_use]
    pub fn state(mut self, state: KeyState) -> Self {
        self.state = Some(state);
        self
    }

    /// Only keys with a run under way.
    #[must_use]
    pub fn with_run(mut self) -> Self {
        self.with_run = true;
        self
    }

    /// True when every condition holds for the key of a record.
    pub fn matches(&self, record: &KeyRecord) -> bool {
        let (scope, owners) = (record.scope(), record.ownership());
        let is = |wanted: &String, found: &str| wanted.to_lowercase() == found.to_lowercase();
        self.names().matches(record.id())
            && self.access.is_none_or(|access| scope.access() == access)
            && self.mode.is_none_or(|mode| scope.test_or_live() == Some(mode))
            && self.owner.as_ref().is_none_or(|o| is(o, owners.owner().as_str()) || is(o, owners.backup().as_str()))
            && self.team.as_ref().is_none_or(|team| is(team, owners.team().as_str()))
            && self.service.as_ref().is_none_or(|service| scope.allows_service(service))
            && self.label.as_ref().is_none_or(|(name, value)| {
                record.labels().get(name).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            })
            && self.due_by.is_none_or(|at| record.due_at().is_some_and(|due| due <= at))
            && self.expired_by.is_none_or(|at| record.primary().is_some_and(|version| version.is_expired(at)))
            && self.state.is_none_or(|state| KeyState::of(record) == state)
            && (!self.with_run || record.run().is_some())
    }

    /// The part a store filters on.
    pub(super) fn names(&self) -> ListQuery {
        let mut query = ListQuery::all();
        query.environment.clone_from(&self.environment);
        query.function.clone_from(&self.function);
        query
    }
}
