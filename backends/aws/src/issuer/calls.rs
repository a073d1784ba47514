//! The calls to IAM.

use aws_sdk_iam::Client;
use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::primitives::DateTime as Moment;
use aws_sdk_iam::types::StatusType;
use chrono::{DateTime, Utc};
use keyward_core::{
    Context, Error, ErrorKind, IssuerRef, KeyId, LastUse, Material, MaterialError, Operation, Result, SecretValue,
};
use keyward_remote::Retry;

use super::config::is_user;
use super::user::{User, is_id};
use super::{KEY_ID, NAME, SECRET};
use crate::call::Call;
use crate::error::{Class, Fault};

/// Users have two access keys at most, so more pages than this are no answer of IAM.
const PAGES: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Calls {
    client: Client,
    retry: Retry,
}

/// An access key as IAM lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) id: IssuerRef,
    pub(super) active: bool,
    pub(super) created: Option<DateTime<Utc>>,
}

/// What has become of an access key that its user, by the name we know, does not have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trace {
    /// It is deleted.
    Gone,
    /// IAM does not show it, and may not yet.
    Unseen,
    /// It lives: IAM names a user that has it.
    With(String),
    /// It may live with a user of another name: we may not ask, or IAM does not say.
    Untold,
}

impl Calls {
    pub(super) fn new(client: Client, retry: Retry) -> Self {
        Self { client, retry }
    }

    pub(super) fn call<'a>(&self, cx: &'a Context, operation: Operation) -> Call<'a> {
        Call::reads(cx, NAME, operation, self.retry)
    }

    /// Creates an access key: one attempt, whatever happens.
    pub(super) async fn create(&self, call: Call<'_>, user: &str) -> Result<(IssuerRef, Material), Fault> {
        let call = call.once();
        let made = call.send(|| self.client.create_access_key().user_name(user).send()).await?;
        // From here on there is an access key, so whatever is wrong with the answer leaves it behind.
        let lost = || call.fault(Class::Lost).with_detail("IAM made an access key but its answer cannot be used");
        let key = made.access_key.ok_or_else(lost)?;
        let id = key.access_key_id.parse().map_err(|_| lost())?;
        let secret = SecretValue::new(key.secret_access_key.into_bytes());
        let material = material(SecretValue::from(key.access_key_id.as_str()), secret).map_err(|_| lost())?;
        Ok((id, material))
    }

    /// The access keys of a user; nothing when there is no such user.
    pub(super) async fn list(&self, call: Call<'_>, user: &str) -> Result<Option<Vec<Listed>>> {
        let (mut keys, mut marker) = (Vec::new(), None);
        for _ in 0..PAGES {
            let ask = || self.client.list_access_keys().user_name(user).set_marker(marker.clone()).send();
            let page = match call.send(ask).await {
                Ok(page) => page,
                Err(fault) if fault.class() == Class::Absent => return Ok(None),
                Err(fault) => return Err(fault.into_error()),
            };
            for key in page.access_key_metadata() {
                let Some(id) = key.access_key_id().and_then(|id| id.parse().ok()) else { continue };
                let active = key.status() != Some(&StatusType::Inactive);
                keys.push(Listed { id, active, created: key.create_date().and_then(time) });
            }
            match page.marker() {
                Some(next) if page.is_truncated() => marker = Some(next.to_owned()),
                _ => return Ok(Some(keys)),
            }
        }
        Err(call.error(ErrorKind::Unavailable, "the listing of access keys has no end"))
    }

    /// Switches an access key on or off.
    pub(super) async fn switch(&self, call: Call<'_>, user: &str, id: &IssuerRef, on: bool) -> Result<(), Fault> {
        let status = if on { StatusType::Active } else { StatusType::Inactive };
        let update = || self.client.update_access_key().user_name(user).access_key_id(id.as_str());
        let call = call.writes();
        let answer = call.send(|| update().status(status.clone()).send()).await?;
        // The SDK does not look at what else the answer says.
        call.check(answer.request_id().is_some())
    }

    /// Deletes an access key. False when the user has no such access key, or there is no such user.
    pub(super) async fn delete(&self, call: Call<'_>, user: &str, id: &IssuerRef) -> Result<bool> {
        let delete = || self.client.delete_access_key().user_name(user).access_key_id(id.as_str()).send();
        let call = call.writes();
        match call.send(delete).await {
            Ok(answer) => Ok(call.check(answer.request_id().is_some()).map(|()| true)?),
            Err(fault) if fault.class() == Class::Absent => Ok(false),
            Err(fault) => Err(fault.into_error()),
        }
    }

    /// What has become of an access key that its user does not have.
    pub(super) async fn trace(&self, call: Call<'_>, user: &User, id: &IssuerRef) -> Result<Trace> {
        let ask = || self.client.get_access_key_last_used().access_key_id(id.as_str()).send();
        match call.send(ask).await {
            Ok(found) => return Ok(found.user_name.filter(|name| is_user(name)).map_or(Trace::Untold, Trace::With)),
            Err(fault) if fault.class() == Class::Absent => return Ok(Trace::Gone),
            // AWS may say so of an access key that is nowhere, too.
            Err(fault) if fault.class() == Class::Denied => {}
            Err(fault) => return Err(fault.into_error()),
        }
        // An access key never changes its user: what the very same user does not have is nowhere.
        let Some(own) = &user.id else { return Ok(Trace::Untold) };
        match self.user_id(call, &user.name).await {
            Ok(Some(now)) if now == *own => Ok(Trace::Gone),
            Ok(_) => Ok(Trace::Untold),
            Err(fault) if fault.class() == Class::Denied => Ok(Trace::Untold),
            Err(fault) => Err(fault.into_error()),
        }
    }

    /// The id of a user; nothing when there is no such user.
    pub(super) async fn user_id(&self, call: Call<'_>, user: &str) -> Result<Option<String>, Fault> {
        let found = match call.send(|| self.client.get_user().user_name(user).send()).await {
            Ok(found) => found,
            Err(fault) if fault.class() == Class::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let id = found.user().map(|user| user.user_id().to_owned()).filter(|id| is_id(id));
        call.check(id.is_some()).map(|()| id)
    }

    /// Checks that the user is marked as that of a key.
    pub(super) async fn check_mark(&self, call: Call<'_>, user: &str, key: &KeyId) -> Result<()> {
        // A user has at most 50 tags, which is less than a page.
        let tags = call.send(|| self.client.list_user_tags().user_name(user).send()).await.map_err(Error::from)?;
        let marked = tags.tags().iter().any(|tag| tag.key() == MARK && tag.value() == key.to_string());
        if marked { Ok(()) } else { Err(call.error(ErrorKind::Invalid, UNMARKED)) }
    }

    /// When an access key was last used.
    pub(super) async fn last_use(&self, call: Call<'_>, id: &IssuerRef) -> Result<LastUse> {
        let ask = || self.client.get_access_key_last_used().access_key_id(id.as_str()).send();
        let found = call.send(ask).await.map_err(Error::from)?;
        Ok(match found.access_key_last_used().map(|used| used.last_used_date()) {
            Some(None) => LastUse::Never,
            Some(Some(at)) => time(at).map_or(LastUse::Unknown, LastUse::At),
            None => LastUse::Unknown,
        })
    }
}

fn material(id: SecretValue, secret: SecretValue) -> Result<Material, MaterialError> {
    Material::fields([(KEY_ID.parse()?, id), (SECRET.parse()?, secret)])
}

fn time(at: &Moment) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}

const MARK: &str = "keyward:key";
const UNMARKED: &str =
    "the IAM user is not tagged keyward:key = this key, so nobody says that its access keys are ours";
