//! Records. Each is a secret of its own, and a cell of compare-and-swap: a proposal is put beside the
//! current record, then the current label is moved on the condition that it is where it was seen.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_secretsmanager::types::FilterNameStringType;
use keyward_core::{
    Context, Error, ErrorKind, Expect, KeyId, KeyRecord, ListQuery, Operation, OperationId, Page, PageToken, Result,
    Stamp, Stamped, Swap,
};
use keyward_remote::fan_out;

use super::{ROUNDS, Store};
use crate::call::Call;
use crate::error::{Class, Fault};
use crate::names::{CURRENT, PROPOSED};
use crate::native::Raw;
use crate::wire::{BATCH, Found};

/// How many records a page of a listing has unless said otherwise.
const PAGE: usize = 1000;

type Loaded = Result<Option<Stamped<KeyRecord>>>;

impl Store {
    pub(crate) async fn load(&self, cx: &Context, operation: Operation, keys: &[KeyId]) -> Vec<Loaded> {
        let wanted: Vec<KeyId> = keys.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        if let [key] = wanted.as_slice() {
            let answer = self.load_one(self.wire.call_about(cx, operation, key), key).await;
            return keys.iter().map(|_| answer.clone()).collect();
        }
        let batches: Vec<Vec<KeyId>> = wanted.chunks(BATCH).map(<[KeyId]>::to_vec).collect();
        let load = |batch| self.load_batch(cx, operation, batch);
        let answers = fan_out(batches, self.concurrency, load).await.into_iter().flatten();
        let mut answers: BTreeMap<KeyId, Loaded> = answers.collect();
        let missing = |key| self.wire.call_about(cx, operation, key).error(ErrorKind::Unknown, "no answer");
        // Copied only where a key was asked for twice.
        let twice = wanted.len() < keys.len();
        let mut answer = |key| if twice { answers.get(key).cloned() } else { answers.remove(key) };
        keys.iter().map(|key| answer(key).unwrap_or_else(|| Err(missing(key)))).collect()
    }

    async fn load_batch(&self, cx: &Context, operation: Operation, keys: Vec<KeyId>) -> Vec<(KeyId, Loaded)> {
        let names: Vec<String> = keys.iter().map(|key| self.prefix.record(key)).collect();
        let mut batch = match self.wire.batch(self.wire.call(cx, operation), &names).await {
            Ok(batch) => batch,
            Err(fault) if whole(&fault) => {
                let because = |key: KeyId| (key.clone(), Err(fault.error().clone().with_key(&key)));
                return keys.into_iter().map(because).collect();
            }
            Err(_) => Default::default(),
        };
        let one = |(key, name): (KeyId, String)| {
            let found = batch.remove(&name);
            async move {
                let call = self.wire.call_about(cx, operation, &key);
                let answer = match found {
                    Some(Ok(found)) => record(call, &key, &found).map(Some),
                    Some(Err(fault)) if fault.class() == Class::Absent => Ok(None),
                    // What a bad request means is only told apart by a look.
                    Some(Err(fault)) if fault.class() != Class::Refused => Err(fault.about(&key).into()),
                    _ => self.load_one(call, &key).await,
                };
                (key, answer)
            }
        };
        // One at a time: several batches are under way already.
        fan_out(keys.into_iter().zip(names), 1, one).await
    }

    async fn load_one(&self, call: Call<'_>, key: &KeyId) -> Loaded {
        let name = self.prefix.record(key);
        match self.wire.current(call, &name).await {
            Ok(found) => found.map(|found| record(call, key, &found)).transpose(),
            Err(fault) if fault.class() == Class::Refused => match self.wire.describe(call, &name).await? {
                Some(found) if found.goes_at.is_some() => {
                    Err(call.error(ErrorKind::PendingDeletion, "the record is scheduled for deletion"))
                }
                _ => Err(fault.into()),
            },
            Err(fault) => Err(fault.into()),
        }
    }

    pub(crate) async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let call = self.wire.call_about(cx, Operation::Swap, key);
        if cx.is_expired() {
            return Err(call.error(ErrorKind::Unavailable, "the deadline has passed"));
        }
        if next.id() != key {
            return Err(call.error(ErrorKind::Invalid, "the record belongs to another key"));
        }
        let encoded = next.encode().map_err(|_| call.error(ErrorKind::Invalid, "the record is larger than 48 KiB"))?;
        let Some(operation) = next.operation() else {
            return Err(call.error(ErrorKind::Invalid, "the record has no operation id"));
        };
        let proposal = Proposal {
            name: self.prefix.record(key),
            operation,
            id: operation.to_string(),
            raw: Raw { bytes: encoded.as_slice().into(), is_text: true },
        };
        let answer = match expect {
            Expect::Absent => self.create_record(call, key, &proposal).await?,
            Expect::At(stamp) => self.replace_record(call, key, &proposal, &stamp).await?,
        };
        if let (Swap::Applied(_), Some(tags)) = (&answer, &self.tags) {
            tags.project(self, cx, next).await;
        }
        Ok(answer)
    }

    async fn create_record(&self, call: Call<'_>, key: &KeyId, next: &Proposal) -> Result<Swap> {
        let text = next.raw.text().unwrap_or_default();
        let created = self.wire.create(call, &next.name, &next.id, &text).await;
        if let Err(fault) = &created
            && !matches!(fault.class(), Class::Exists | Class::Refused | Class::Lost)
        {
            return Err(fault.error().clone());
        }
        // An accepted repeat does not say what came after it, so both ways end in a look.
        match (self.load_one(call, key).await, created) {
            (Ok(None), Ok(())) => Ok(Swap::Applied(Stamp::new(next.id.as_str()))),
            (Ok(None), Err(fault)) => Err(fault.into()),
            (Ok(there), _) => Ok(next.swapped(there)),
            (Err(error), Ok(())) => Err(unresolved(call, &error)),
            (Err(error), Err(fault)) => Err(if fault.class() == Class::Lost { fault.into() } else { error }),
        }
    }

    async fn replace_record(&self, call: Call<'_>, key: &KeyId, next: &Proposal, at: &Stamp) -> Result<Swap> {
        // What can be no version id of AWS is no stamp of ours: look instead of asking for nonsense.
        if !(32..=64).contains(&at.as_str().len()) {
            return self.load_one(call, key).await.map(|there| next.swapped(there));
        }
        let mut round = 1;
        loop {
            let fault = match self.propose(call, next, at).await {
                Ok(()) => return Ok(Swap::Applied(Stamp::new(next.id.as_str()))),
                Err(fault) => fault,
            };
            let settles = matches!(fault.class(), Class::Absent | Class::Exists | Class::Refused | Class::Lost);
            if !settles {
                return Err(fault.into());
            }
            let there = match self.load_one(call, key).await {
                Ok(there) => there,
                Err(_) if fault.class() == Class::Lost => return Err(fault.into()),
                Err(error) => return Err(error),
            };
            let still = there.as_ref().is_some_and(|there| there.stamp == *at);
            match next.swapped(there) {
                Swap::Conflict(_) if still => {}
                swap => return Ok(swap),
            }
            // Nobody was faster: another proposal has only taken the label of ours.
            if round == ROUNDS || fault.class() == Class::Lost {
                return Err(fault.into());
            }
            round += 1;
        }
    }

    async fn propose(&self, call: Call<'_>, next: &Proposal, at: &Stamp) -> Result<(), Fault> {
        self.wire.put(call, &next.name, &next.id, &next.raw, PROPOSED).await?;
        self.wire.move_label(call, &next.name, CURRENT, Some(at.as_str()), Some(&next.id)).await
    }

    pub(crate) async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let call = self.wire.call(cx, Operation::List);
        if cx.is_expired() {
            return Err(call.error(ErrorKind::Unavailable, "the deadline has passed"));
        }
        let foreign = |_| call.error(ErrorKind::Invalid, "not a page token of this store");
        let after = page.map(|token| token.as_str().parse::<KeyId>()).transpose().map_err(foreign)?;
        let keys = self.keys(call, query).await?;
        let mut rest = keys.into_iter().filter(|key| after.as_ref().is_none_or(|after| key > after));
        let wanted: Vec<KeyId> = rest.by_ref().take(query.limit.unwrap_or(PAGE).max(1)).collect();
        let next = rest.next().and(wanted.last()).map(|last| PageToken::new(last.as_str()));
        let loaded = self.load(cx, Operation::List, &wanted).await;
        // What is gone meanwhile is left out.
        Ok(Page { items: loaded.into_iter().filter_map(Result::transpose).collect(), next })
    }

    /// The keys of all records that match, in order.
    async fn keys(&self, call: Call<'_>, query: &ListQuery) -> Result<BTreeSet<KeyId>> {
        let mut prefix = self.prefix.records();
        if let Some(environment) = &query.environment {
            prefix = format!("{prefix}{environment}/");
            if let Some(function) = &query.function {
                prefix = format!("{prefix}{function}/");
            }
        }
        let (mut keys, mut page) = (BTreeSet::new(), None);
        loop {
            let found = self.wire.entries(call, vec![(FilterNameStringType::Name, prefix.clone())], page).await?;
            let ours = found.entries.iter().filter_map(|entry| self.prefix.key_of_record(&entry.name));
            keys.extend(ours.filter(|key| query.matches(key)));
            match found.next {
                None => return Ok(keys),
                next => page = next,
            }
        }
    }
}

/// A record to be stored, under its operation id.
struct Proposal {
    name: String,
    operation: OperationId,
    id: String,
    raw: Raw,
}

impl Proposal {
    /// What became of it, by the record that is there.
    fn swapped(&self, there: Option<Stamped<KeyRecord>>) -> Swap {
        match there {
            Some(there) if there.value.operation() == Some(self.operation) => Swap::Applied(there.stamp),
            there => Swap::Conflict(there),
        }
    }
}

/// What a record secret holds.
fn record(call: Call<'_>, key: &KeyId, found: &Found) -> Result<Stamped<KeyRecord>> {
    let tampered = |detail| call.error(ErrorKind::Tampered, detail);
    let value = KeyRecord::decode(found.raw.bytes.expose_secret());
    let value = value.map_err(|_| tampered("what stands in place of the record is no record this library reads"))?;
    if value.id() != key {
        return Err(tampered("the record is that of another key"));
    }
    Ok(Stamped { value, stamp: Stamp::new(found.id.as_str()) })
}

/// It was accepted, but not seen.
fn unresolved(call: Call<'_>, error: &Error) -> Error {
    match error.kind() {
        ErrorKind::Throttled | ErrorKind::Unavailable => call.error(ErrorKind::Unknown, "reading back failed"),
        _ => error.clone(),
    }
}

/// True when the fault is about the whole of a batch, not about something in it.
pub(super) fn whole(fault: &Fault) -> bool {
    matches!(fault.class(), Class::Throttled | Class::Away | Class::Quota)
}
