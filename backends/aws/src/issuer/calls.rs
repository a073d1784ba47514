//! The calls to IAM.

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime as Moment;
use aws_sdk_iam::types::StatusType;
use chrono::{DateTime, Utc};
use keyward_core::{
    Context, Error, ErrorKind, IssuerRef, KeyId, Material, MaterialError, Operation, Result, SecretValue,
};
use keyward_remote::Retry;

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
        call.writes().send(|| update().status(status.clone()).send()).await.map(drop)
    }

    /// Deletes an access key; one that is gone is deleted.
    pub(super) async fn delete(&self, call: Call<'_>, user: &str, id: &IssuerRef) -> Result<()> {
        let delete = || self.client.delete_access_key().user_name(user).access_key_id(id.as_str()).send();
        match call.writes().send(delete).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.class() == Class::Absent => Ok(()),
            Err(fault) => Err(fault.into_error()),
        }
    }

    /// Checks that the user is marked as that of a key.
    pub(super) async fn check_mark(&self, call: Call<'_>, user: &str, key: &KeyId) -> Result<()> {
        // A user has at most 50 tags, which is less than a page.
        let tags = call.send(|| self.client.list_user_tags().user_name(user).send()).await.map_err(Error::from)?;
        let marked = tags.tags().iter().any(|tag| tag.key() == MARK && tag.value() == key.to_string());
        if marked { Ok(()) } else { Err(call.error(ErrorKind::Invalid, UNMARKED)) }
    }

    /// When an access key was last used.
    pub(super) async fn last_use(&self, call: Call<'_>, id: &IssuerRef) -> Result<Option<DateTime<Utc>>> {
        let ask = || self.client.get_access_key_last_used().access_key_id(id.as_str()).send();
        let found = call.send(ask).await.map_err(Error::from)?;
        Ok(found.access_key_last_used().and_then(|used| used.last_used_date()).and_then(time))
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
