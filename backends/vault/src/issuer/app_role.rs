//! The issuer of AppRole secret-ids.

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, Instructions, Issue, IssuerCapabilities, IssuerKey, IssuerState,
    IssuerStatus, KeyIssuer, KeyRecord, Material, NewKey, Operation, Result, Revoke, Scope, Shape, VersionId,
};

use super::app_role_config::{AppRoleBuilder, Roles, capabilities};
use super::lost_key;
use super::secret_ids::SecretIds;
use crate::config::Connection;
use crate::error::fault;

/// Makes and destroys AppRole secret-ids, for the role of each key.
///
/// See [the module](crate::issuer) for roles, labels and permissions.
#[derive(Clone, Debug)]
pub struct AppRoleIssuer {
    ids: SecretIds,
    roles: Roles,
    capabilities: IssuerCapabilities,
}

impl AppRoleIssuer {
    /// Settings, over a connection.
    pub fn builder(connection: &Connection) -> AppRoleBuilder {
        AppRoleBuilder::new(connection)
    }

    pub(super) fn new(ids: SecretIds, roles: Roles) -> Self {
        Self { ids, roles, capabilities: capabilities() }
    }

    /// The shape to register a key with: the fields `role_id` and `secret_id`.
    #[must_use]
    pub fn shape() -> Shape {
        Shape::Fields([ROLE_ID, SECRET_ID].into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(super) fn ids(&self) -> &SecretIds {
        &self.ids
    }

    /// The role a version was made for, else the one its key belongs to now.
    fn role_of(&self, issue: Issue<'_>) -> String {
        let made_for = issue.version.issuer_state.as_ref();
        made_for.map_or_else(|| self.roles.of(issue.record.id()), |role| role.as_str().to_owned())
    }

    async fn mint(&self, cx: &Context, new: Issue<'_>) -> Result<NewKey, CreateError> {
        let unfit = |detail| CreateError::NotCreated(fault(ErrorKind::Invalid, Operation::Create, detail));
        if *new.record.shape() != Self::shape() {
            return Err(unfit("the key is not registered with the fields role_id and secret_id"));
        }
        let role = self.roles.of(new.record.id());
        let state: IssuerState = role.parse().map_err(|_| unfit("the name of the role does not fit the record"))?;
        let made = self.ids.create(cx, &role, new.record, new.version.id).await?;
        let name = |name: &str| name.parse().map_err(|_| lost_key());
        let fields = [(name(ROLE_ID)?, made.role_id), (name(SECRET_ID)?, made.secret_id)];
        let key = NewKey::new(Material::fields(fields).map_err(|_| lost_key())?).reference(made.accessor).state(state);
        Ok(match made.expires_at {
            Some(end) => key.expires_at(end),
            None => key,
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyIssuer for AppRoleIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let made = self.mint(cx, new).await.map(Created::Key);
        made.map_err(|error| match error {
            CreateError::NotCreated(error) => CreateError::NotCreated(error.with_key(new.record.id())),
            CreateError::Unknown(error) => CreateError::Unknown(error.with_key(new.record.id())),
        })
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let mut found = self.ids.find(cx, &self.roles.of(record.id()), record).await.map_err(named(record))?;
        found.retain(|key| version.is_none_or(|version| key.label == version));
        Ok(found)
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let Some(accessor) = &issue.version.issuer_ref else { return Ok(IssuerStatus::CannotSay) };
        let found = self.ids.look_up(cx, Operation::Status, &self.role_of(issue), accessor).await;
        let found = found.map_err(named(issue.record))?;
        Ok(if found.is_some() { IssuerStatus::Live } else { IssuerStatus::Absent })
    }

    /// Nothing: what a secret-id may do is what its role may, and that is no scope.
    async fn scope(&self, _: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, _: &Context, issue: Issue<'_>) -> Result<()> {
        Err(irreversible(issue))
    }

    async fn activate(&self, _: &Context, issue: Issue<'_>) -> Result<()> {
        Err(irreversible(issue))
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let Some(accessor) = &issue.version.issuer_ref else { return by_hand(issue) };
        self.ids.destroy(cx, &self.role_of(issue), accessor).await.map_err(named(issue.record))?;
        Ok(Revoke::Accepted)
    }
}

/// Puts the key into an error.
pub(super) fn named(record: &KeyRecord) -> impl Fn(Error) -> Error {
    |error| error.with_key(record.id())
}

pub(super) fn irreversible(issue: Issue<'_>) -> Error {
    let detail = "the server can only end it for good";
    fault(ErrorKind::Unsupported, Operation::Switch, detail).with_key(issue.record.id())
}

pub(super) fn by_hand(issue: Issue<'_>) -> Result<Revoke> {
    let text = "the record does not say which of the server's accessors this is; find it there and revoke it";
    let instructions: Result<Instructions, _> = text.parse();
    let unfit = |_| fault(ErrorKind::Invalid, Operation::Revoke, "the instructions do not fit the record");
    instructions.map(Revoke::AskHuman).map_err(unfit).map_err(named(issue.record))
}

pub(super) const ROLE_ID: &str = "role_id";
pub(super) const SECRET_ID: &str = "secret_id";
