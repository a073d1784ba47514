//! The issuer of IAM access keys.

use std::sync::Arc;

use async_trait::async_trait;
use aws_types::SdkConfig;
use chrono::TimeDelta;
use keyward_core::{
    Clock, Context, CreateError, Created, ErrorKind, Issue, IssuerCapabilities, IssuerKey, IssuerRef, IssuerStatus,
    KeyIssuer, KeyRecord, NewKey, Operation, Result, Revoke, Scope, Shape, VersionId,
};

use super::attribution::{attribute, awaits, named};
use super::calls::{Calls, Trace};
use super::config::{IamBuilder, Users, capabilities};
use super::user::User;
use super::{KEY_ID, SECRET};
use crate::call::Call;
use crate::error::{Class, Fault};

/// Creates, switches off and deletes the access keys of IAM users, one user per key.
///
/// See [the module](crate::issuer) for the users, the permissions, and what AWS cannot tell.
#[derive(Clone, Debug)]
pub struct IamIssuer {
    config: SdkConfig,
    calls: Calls,
    users: Users,
    sole: bool,
    clock: Arc<dyn Clock>,
    capabilities: IssuerCapabilities,
}

impl IamIssuer {
    /// Settings, from a ready configuration.
    pub fn builder(config: &SdkConfig) -> IamBuilder {
        IamBuilder::new(config)
    }

    pub(super) fn new(config: SdkConfig, calls: Calls, users: Users, sole: bool, clock: Arc<dyn Clock>) -> Self {
        Self { config, calls, users, sole, clock, capabilities: capabilities(sole) }
    }

    /// The shape to register a key with: the fields `access_key_id` and `secret_access_key`.
    #[must_use]
    pub fn shape() -> Shape {
        Shape::Fields([KEY_ID, SECRET].into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The user a version was made for, else the one its key belongs to now.
    pub(super) fn user_of(&self, call: Call<'_>, issue: Issue<'_>) -> Result<User> {
        match &issue.version.issuer_state {
            Some(state) => Ok(User::kept(state)),
            None => self.user(call, issue.record).map(User::named),
        }
    }

    fn user(&self, call: Call<'_>, record: &KeyRecord) -> Result<String> {
        let user = self.users.of(record.id());
        user.ok_or_else(|| {
            call.error(ErrorKind::Invalid, "the key has no IAM user: the name would be too long; name one")
        })
    }

    async fn mint(&self, cx: &Context, new: Issue<'_>) -> Result<NewKey, CreateError> {
        let not_created = CreateError::NotCreated;
        let call = self.calls.call(cx, Operation::Create).about(new.record.id());
        if *new.record.shape() != Self::shape() {
            let detail = "the key is not registered with the fields access_key_id and secret_access_key";
            return Err(not_created(call.error(ErrorKind::Invalid, detail)));
        }
        let user = self.user(call, new.record).map_err(not_created)?;
        if self.sole {
            self.calls.check_mark(call, &user, new.record.id()).await.map_err(not_created)?;
        }
        let id = match self.calls.user_id(call, &user).await {
            // Without it, only somebody who has the access key can tell whether it is gone.
            Err(fault) if fault.class() == Class::Denied => None,
            answer => answer.map_err(|fault| not_created(fault.into_error()))?,
        };
        let state = User { name: user.clone(), id }.state().map_err(|_| {
            not_created(call.error(ErrorKind::Invalid, "the name of the IAM user does not fit the record"))
        })?;
        match self.calls.create(call, &user).await {
            Ok((id, material)) => Ok(NewKey::new(material).reference(id).state(state)),
            Err(fault) if fault.class() == Class::Lost => Err(CreateError::Unknown(fault.into_error())),
            Err(fault) if fault.class() == Class::Quota => {
                Err(not_created(self.full(call, &user, new.record, fault).await.into_error()))
            }
            Err(fault) => Err(not_created(fault.into_error())),
        }
    }

    /// Says what to do about a user with two access keys.
    async fn full(&self, call: Call<'_>, user: &str, record: &KeyRecord, fault: Fault) -> Fault {
        let known = match self.calls.list(call, user).await {
            Ok(Some(listed)) => listed.iter().all(|key| named(record, key).is_some()),
            _ => return fault.with_detail("the IAM user has two access keys, which is all it can have; remove one"),
        };
        fault.with_detail(match (known, self.sole) {
            (true, _) => {
                "the IAM user has two access keys, both of this key; the older must be revoked first: finish its run, or sweep"
            }
            (false, true) => {
                "the IAM user has two access keys, one of them unknown to the record; sweep, which finds what was given up"
            }
            (false, false) => {
                "the IAM user has two access keys, one of them unknown to the record; find out whose it is, then delete it by hand"
            }
        })
    }

    async fn switch(&self, cx: &Context, issue: Issue<'_>, on: bool) -> Result<()> {
        let call = self.calls.call(cx, Operation::Switch).about(issue.record.id());
        let Some(id) = &issue.version.issuer_ref else { return Err(call.error(ErrorKind::NotFound, UNNAMED)) };
        let user = self.user_of(call, issue)?;
        let switched = self.calls.switch(call, &user.name, id, on).await;
        Ok(switched
            .map_err(|fault| if fault.class() == Class::Absent { fault.with_detail(NOT_HERE) } else { fault })?)
    }

    /// What has become of an access key that is not where it was made.
    async fn trace(&self, call: Call<'_>, user: &User, issue: Issue<'_>, id: &IssuerRef) -> Result<Trace> {
        let trace = self.calls.trace(call, user, id).await?;
        // A version of the future comes from another clock.
        let is_fresh = self.clock.now() - issue.version.planned_at < LAG;
        Ok(if trace == Trace::Gone && is_fresh { Trace::Unseen } else { trace })
    }

    async fn end(&self, call: Call<'_>, user: &User, issue: Issue<'_>, id: &IssuerRef) -> Result<Revoke> {
        // Switched off first: that spreads as fast, and it can be all we may do. Whether it worked, deleting tells.
        self.calls.switch(call, &user.name, id, false).await.ok();
        if self.calls.delete(call, &user.name, id).await? {
            return Ok(Revoke::Accepted);
        }
        match self.trace(call, user, issue, id).await? {
            Trace::Gone => Ok(Revoke::Accepted),
            Trace::Unseen => Err(call.error(ErrorKind::Unavailable, UNSEEN)),
            Trace::With(owner) => by_hand(
                call,
                &format!(
                    "IAM has no access key {id} for the user {}, and says that it belongs to {owner}: if that is another \
                     name, the user was renamed; delete the access key there, and name the user with IamBuilder::user",
                    user.name
                ),
            ),
            Trace::Untold => by_hand(
                call,
                &format!(
                    "the IAM user {} has no access key {id}, but if the user was renamed the access key lives on; look \
                     for it, and delete it; allow iam:GetAccessKeyLastUsed for all users, so that this can be asked",
                    user.name
                ),
            ),
        }
    }
}

fn by_hand(call: Call<'_>, what: &str) -> Result<Revoke> {
    let unfit = |_| call.error(ErrorKind::Invalid, "the instructions do not fit the record");
    what.parse().map(Revoke::AskHuman).map_err(unfit)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyIssuer for IamIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        self.mint(cx, new).await.map(Created::Key)
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let call = self.calls.call(cx, Operation::Find).about(record.id());
        if !self.sole {
            let detail = "IAM access keys carry no label, and others may create some; see sole_creator";
            return Err(call.error(ErrorKind::Unsupported, detail));
        }
        let user = self.user(call, record)?;
        let Some(listed) = self.calls.list(call, &user).await? else {
            // Of a user that was renamed, nothing follows.
            let unsure = awaits(record);
            return if unsure { Err(call.error(ErrorKind::NotFound, NO_USER)) } else { Ok(Vec::new()) };
        };
        // Asked each time: whoever takes the tag away takes the word back.
        self.calls.check_mark(call, &user, record.id()).await?;
        let mut found = attribute(record, &listed);
        found.retain(|key| version.is_none_or(|version| key.label == version));
        Ok(found)
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let call = self.calls.call(cx, Operation::Status).about(issue.record.id());
        let Some(id) = &issue.version.issuer_ref else { return Ok(IssuerStatus::CannotSay) };
        let user = self.user_of(call, issue)?;
        let listed = self.calls.list(call, &user.name).await?.unwrap_or_default();
        match listed.iter().find(|key| key.id == *id) {
            Some(key) if key.active => Ok(IssuerStatus::Live),
            Some(_) => Ok(IssuerStatus::Suspended),
            None => Ok(match self.trace(call, &user, issue, id).await? {
                Trace::Gone => IssuerStatus::Absent,
                // `revoke` says what to do.
                Trace::Unseen | Trace::With(_) | Trace::Untold => IssuerStatus::CannotSay,
            }),
        }
    }

    /// Nothing: the policies of a user are no scope, and reading them would not make them one.
    async fn scope(&self, _: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(cx, issue, false).await
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(cx, issue, true).await
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let call = self.calls.call(cx, Operation::Revoke).about(issue.record.id());
        let Some(id) = &issue.version.issuer_ref else { return by_hand(call, ASK) };
        let user = self.user_of(call, issue)?;
        self.end(call, &user, issue, id).await
    }
}

/// How far what IAM shows may lag. AWS names no bound; seconds are usual.
const LAG: TimeDelta = TimeDelta::minutes(15);
const UNSEEN: &str = "IAM does not show the access key, but it is so new that IAM may not show it yet; revoke it again \
                      once it is 15 minutes old";
const NOT_HERE: &str = "the IAM user has no such access key; if the user was renamed, it lives on: revoking says more";
const NO_USER: &str = "there is no such IAM user, and a create without an answer is open: if the user was renamed, name it \
                       with IamBuilder::user; if it was deleted, nothing is left of its access keys, which a person must confirm";
const UNNAMED: &str = "the record does not say which access key this is";
const ASK: &str =
    "the record does not say which access key of the IAM user this is; find it in IAM, switch it off, delete it";
