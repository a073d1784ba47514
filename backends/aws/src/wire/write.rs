//! Calls that change something. Each is safe to repeat, and done only when the service itself says so.

use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::Tag;
use chrono::{DateTime, Utc};

use super::Wire;
use super::description::time;
use crate::call::Call;
use crate::error::Fault;
use crate::native::Raw;

impl Wire {
    /// Creates a secret whose first version has this id and text. It is current at once.
    pub(crate) async fn create(&self, call: Call<'_>, secret: &str, id: &str, text: &str) -> Result<(), Fault> {
        let request = self.client.create_secret().name(secret).client_request_token(id).secret_string(text);
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await?;
        call.check(answer.arn.is_some())
    }

    /// Adds a version with this id under a label, which it takes off any other version; repeated, it
    /// changes nothing. Answers the labels the version has.
    pub(crate) async fn put(
        &self,
        call: Call<'_>,
        secret: &str,
        id: &str,
        raw: &Raw,
        label: &str,
    ) -> Result<Vec<String>, Fault> {
        let request = self.client.put_secret_value().secret_id(secret).client_request_token(id).version_stages(label);
        let request = match raw.text() {
            Some(text) => request.secret_string(text),
            None => request.secret_binary(Blob::new(raw.bytes.expose_secret())),
        };
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await?;
        call.check(answer.version_id.as_deref() == Some(id))?;
        Ok(answer.version_stages.unwrap_or_default())
    }

    /// Moves a label. `to` must be a version that was seen or just put, `from` the one that has the
    /// label; otherwise the service refuses.
    pub(crate) async fn move_label(
        &self,
        call: Call<'_>,
        secret: &str,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), Fault> {
        let request = self.client.update_secret_version_stage().secret_id(secret).version_stage(label);
        let request = request.set_remove_from_version_id(from.map(str::to_owned));
        let request = request.set_move_to_version_id(to.map(str::to_owned));
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await.map_err(Fault::of_a_move)?;
        call.check(answer.arn.is_some())
    }

    /// Deletes a secret: after a window of so many days, or at once for none. Answers when it goes.
    pub(crate) async fn delete(
        &self,
        call: Call<'_>,
        secret: &str,
        days: Option<i64>,
    ) -> Result<Option<DateTime<Utc>>, Fault> {
        let request = self.client.delete_secret().secret_id(secret).set_recovery_window_in_days(days);
        let request = request.set_force_delete_without_recovery(days.is_none().then_some(true));
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await?;
        call.check(answer.arn.is_some())?;
        Ok(answer.deletion_date.as_ref().and_then(time))
    }

    /// Sets tags; others stay. The answer says nothing but the id of the request.
    pub(crate) async fn tag(&self, call: Call<'_>, secret: &str, tags: &[(&str, String)]) -> Result<(), Fault> {
        let tag = |(key, value): &(&str, String)| Tag::builder().key(*key).value(value).build();
        let request = self.client.tag_resource().secret_id(secret).set_tags(Some(tags.iter().map(tag).collect()));
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await?;
        call.check(answer.request_id().is_some())
    }

    /// Removes tags.
    pub(crate) async fn untag(&self, call: Call<'_>, secret: &str, keys: &[&str]) -> Result<(), Fault> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let request = self.client.untag_resource().secret_id(secret).set_tag_keys(Some(keys));
        let call = call.writes();
        let answer = call.send(|| request.clone().send()).await?;
        call.check(answer.request_id().is_some())
    }
}
