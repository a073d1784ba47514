//! The calls of Secrets Manager, one function each, and what is kept of their answers.

mod description;
mod write;

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry, SecretValueEntry};
use keyward_core::{Clock, Context, KeyId, Operation, SecretValue, SystemClock};
use keyward_remote::Retry;

pub(crate) use description::Description;

use crate::call::Call;
use crate::error::{Class, Fault, NAME};
use crate::names::{self, CURRENT};
use crate::native::Raw;

/// How many secrets a batched read may name.
pub(crate) const BATCH: usize = 20;
/// How many secrets a page of a listing has.
const PAGE: i32 = 100;

/// The client, and how its calls are made.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: Client,
    retry: Retry,
    /// The inventory, as labels name it.
    inventory: String,
}

/// A version with its value.
#[derive(Debug)]
pub(crate) struct Found {
    /// The id AWS knows the version by.
    pub(crate) id: String,
    pub(crate) labels: Vec<String>,
    pub(crate) raw: Raw,
}

/// What a batched read found, by the names it was asked for.
pub(crate) type Batch = BTreeMap<String, Result<Found, Fault>>;

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next: Option<String>,
}

/// A secret in a listing.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Wire {
    pub(crate) fn new(client: Client, retry: Retry, inventory: String) -> Self {
        Self { client, retry, inventory }
    }

    /// Waits before looking again: what was written just now may not be seen yet.
    pub(crate) async fn pause(&self, cx: &Context, round: usize) {
        let doubled = self.retry.first.saturating_mul(1 << round.min(8));
        SystemClock.sleep((doubled / 2).min(cx.remaining())).await;
    }

    /// Calls of one operation that change nothing.
    pub(crate) fn call<'a>(&self, cx: &'a Context, operation: Operation) -> Call<'a> {
        Call::reads(cx, NAME, operation, self.retry)
    }

    /// The same, about a key.
    pub(crate) fn call_about<'a>(&self, cx: &'a Context, operation: Operation, key: &'a KeyId) -> Call<'a> {
        self.call(cx, operation).about(key)
    }

    /// Versions, labels and state; never a value. `None` when there is no such secret.
    pub(crate) async fn describe(&self, call: Call<'_>, secret: &str) -> Result<Option<Description>, Fault> {
        let request = self.client.describe_secret().secret_id(secret);
        match call.send(|| request.clone().send()).await {
            Ok(answer) => {
                call.check(answer.arn.is_some())?;
                Ok(Some(Description::of(answer, call.key(), &self.inventory)))
            }
            Err(fault) if fault.class() == Class::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The version under a label. `None` when there is no such secret or label.
    pub(crate) async fn labelled(&self, call: Call<'_>, secret: &str, label: &str) -> Result<Option<Found>, Fault> {
        self.get(call, secret, None, Some(label)).await
    }

    /// The version native readers get, asked for by its label: policies may demand that.
    pub(crate) async fn current(&self, call: Call<'_>, secret: &str) -> Result<Option<Found>, Fault> {
        self.labelled(call, secret, CURRENT).await
    }

    /// A version by the id AWS knows it by.
    pub(crate) async fn version(&self, call: Call<'_>, secret: &str, id: &str) -> Result<Option<Found>, Fault> {
        self.get(call, secret, Some(id), None).await
    }

    async fn get(
        &self,
        call: Call<'_>,
        secret: &str,
        id: Option<&str>,
        label: Option<&str>,
    ) -> Result<Option<Found>, Fault> {
        let request = self.client.get_secret_value().secret_id(secret);
        let request = request.set_version_id(id.map(str::to_owned)).set_version_stage(label.map(str::to_owned));
        match call.send(|| request.clone().send()).await {
            Ok(answer) => {
                let found = found(answer.version_id, answer.version_stages, answer.secret_string, answer.secret_binary);
                Ok(Some(found.ok_or_else(|| nonsense(call))?))
            }
            Err(fault) if fault.class() == Class::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The current versions of up to [`BATCH`] secrets. That a secret is in no list of the answer proves nothing:
    /// it may only have failed this once.
    pub(crate) async fn batch(&self, call: Call<'_>, secrets: &[String]) -> Result<Batch, Fault> {
        let request = self.client.batch_get_secret_value().set_secret_id_list(Some(secrets.to_vec()));
        let answer = call.send(|| request.clone().send()).await?;
        let mut batch = Batch::new();
        for failed in answer.errors.unwrap_or_default() {
            let fault =
                failed.error_code.as_deref().map_or_else(|| call.fault(Class::Away), |code| call.fault_of(code));
            // What may pass is left out, so that it is asked for again, alone.
            batch.extend(failed.secret_id.filter(|_| !fault.may_pass()).map(|secret| (secret, Err(fault))));
        }
        for entry in answer.secret_values.unwrap_or_default() {
            let SecretValueEntry { arn, name, version_id, secret_binary, secret_string, version_stages, .. } = entry;
            let asked =
                secrets.iter().find(|s| Some(s.as_str()) == name.as_deref() || Some(s.as_str()) == arn.as_deref());
            let found = found(version_id, version_stages, secret_string, secret_binary);
            if let Some(asked) = asked {
                batch.insert(asked.clone(), found.ok_or_else(|| nonsense(call)));
            }
        }
        Ok(batch)
    }

    /// One page of the secrets that pass all filters and are not about to go.
    pub(crate) async fn entries(
        &self,
        call: Call<'_>,
        filters: Vec<(FilterNameStringType, String)>,
        page: Option<String>,
    ) -> Result<Entries, Fault> {
        let filter = |(key, value)| Filter::builder().key(key).values(value).build();
        let filters: Vec<Filter> = filters.into_iter().map(filter).collect();
        let request = self.client.list_secrets().max_results(PAGE).set_next_token(page);
        let request = request.set_filters((!filters.is_empty()).then_some(filters));
        let answer = call.send(|| request.clone().send()).await?;
        // Empty where there is none, but never missing.
        call.check(answer.secret_list.is_some())?;
        let entry = |entry: SecretListEntry| {
            let tags = entry.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value?)));
            Some(Entry { name: entry.name?, tags: tags.collect() })
        };
        let entries = answer.secret_list.unwrap_or_default().into_iter().filter_map(entry).collect();
        Ok(Entries { entries, next: answer.next_token.filter(|token| !token.is_empty()) })
    }
}

fn found(
    id: Option<String>,
    labels: Option<Vec<String>>,
    text: Option<String>,
    binary: Option<aws_sdk_secretsmanager::primitives::Blob>,
) -> Option<Found> {
    let raw = match (text, binary) {
        (Some(text), _) => Raw { bytes: SecretValue::new(text.into_bytes()), is_text: true },
        (None, Some(binary)) => Raw { bytes: SecretValue::new(binary.into_inner()), is_text: false },
        (None, None) => return None,
    };
    Some(Found { id: id.filter(|id| names::is_plain(id))?, labels: labels.unwrap_or_default(), raw })
}

fn nonsense(call: Call<'_>) -> Fault {
    call.fault(Class::Away).with_detail("the answer names no version or holds no value")
}
