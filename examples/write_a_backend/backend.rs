//! The backend. A crate of its own would hold this file, as `keyward-file` and its like do.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_lite::{StreamExt, stream};
use keyward::core::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Error, ErrorKind, Expect, ListQuery, Location, Operation, Page,
    PageToken, Pointer, PointerToken, PublicationId, Publish, Read, ReadItem, RecordError, Result, Retire, Select,
    Shows, Stage, Stamp, Stamped, Survey, Swap, Target, VersionId, Withdraw,
};
use keyward::{Context, KeyId, KeyRecord, Material, SecretBackend, SecretValue, async_trait};
use serde::{Deserialize, Serialize};

use crate::kv::{Entry, Kv, KvError};

const PAGE: usize = 100;

/// Three kinds of entries:
/// - `record/KEY`: the record, as [`KeyRecord::encode`] writes it; its revision is the stamp.
/// - `material/KEY/VERSION`: the material of a version, written once.
/// - `shelf/KEY`: which versions there are and which is shown. A change of the shelf is what makes
///   a stage, a publish, a withdraw and a retire happen; all else can be repeated or swept up.
#[derive(Clone, Debug)]
pub(crate) struct KvBackend {
    kv: Kv,
    capabilities: Capabilities,
}

/// The entry `shelf/KEY`. Holds no material.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Shelf {
    /// Rises with every move of the pointer and never falls: the pointer token.
    moves: u64,
    shows: Option<(PublicationId, VersionId)>,
    offered: BTreeSet<VersionId>,
    /// Given up. Remembered, so that a process that slept through it cannot bring a version back.
    gone: BTreeSet<VersionId>,
}

impl Shelf {
    fn pointer(&self) -> Pointer {
        let ours = |(publication, version)| Shows::Ours { publication, version };
        Pointer { token: PointerToken::new(self.moves.to_string()), shows: self.shows.map_or(Shows::Nothing, ours) }
    }
}

impl KvBackend {
    pub(crate) fn new(kv: Kv) -> Self {
        let mut capabilities = Capabilities::local();
        capabilities.multi_host = true;
        Self { kv, capabilities }
    }

    async fn get(&self, call: Call<'_>, path: &str) -> Result<Option<Entry>> {
        call.in_time()?; // a real client also passes the time left on to its requests
        self.kv.get(path).await.map_err(|KvError::NoReply| call.error(ErrorKind::Unavailable))
    }

    async fn scan(&self, call: Call<'_>, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, Entry)>> {
        call.in_time()?;
        self.kv.scan(prefix, after, limit).await.map_err(|KvError::NoReply| call.error(ErrorKind::Unavailable))
    }

    /// Writes an entry if it is still as expected: absent, or at a revision.
    ///
    /// A write whose answer was lost is sent again: of several copies with one expectation at most
    /// one is done, so this is safe, and whoever finds it refused looks whether it was his own.
    async fn put(&self, call: Call<'_>, path: &str, expect: Option<u64>, value: &[u8]) -> Result<Option<u64>> {
        call.in_time()?;
        loop {
            let written = match expect {
                None => self.kv.set_nx(path, value).await,
                Some(revision) => self.kv.cas(path, revision, value).await,
            };
            match written {
                Ok(answer) => return Ok(answer),
                Err(KvError::NoReply) if call.cx.is_expired() => return Err(call.error(ErrorKind::Unknown)),
                Err(KvError::NoReply) => {}
            }
        }
    }

    async fn record(&self, call: Call<'_>, key: &KeyId) -> Result<Option<Stamped<KeyRecord>>> {
        let entry = self.get(call, &format!("record/{key}")).await?;
        entry.map(|entry| stamped(call, key, &entry)).transpose()
    }

    async fn shelf(&self, call: Call<'_>, key: &KeyId) -> Result<(Option<u64>, Shelf)> {
        let Some(entry) = self.get(call, &format!("shelf/{key}")).await? else { return Ok((None, Shelf::default())) };
        let shelf = serde_json::from_slice(&entry.value).map_err(|_| call.error(ErrorKind::Tampered))?;
        Ok((Some(entry.revision), shelf))
    }

    /// Lets `change` work on the shelf until nobody else is faster. A shelf left as it is is not written.
    async fn edit<T: Send>(
        &self,
        call: Call<'_>,
        key: &KeyId,
        mut change: impl FnMut(&mut Shelf) -> Result<T> + Send,
    ) -> Result<T> {
        let (mut revision, mut before) = self.shelf(call, key).await?;
        loop {
            let mut after = before.clone();
            let answer = change(&mut after)?;
            if after == before {
                return Ok(answer);
            }
            let value = serde_json::to_vec(&after).map_err(|_| call.error(ErrorKind::Invalid))?;
            if self.put(call, &format!("shelf/{key}"), revision, &value).await?.is_some() {
                return Ok(answer);
            }
            (revision, before) = self.shelf(call, key).await.map_err(|error| call.unclear(error))?;
        }
    }

    async fn material(&self, call: Call<'_>, key: &KeyId, version: VersionId) -> Result<Option<Material>> {
        let entry = self.get(call, &format!("material/{key}/{version}")).await?;
        let Some(bytes) = entry.map(|entry| SecretValue::new(entry.value)) else { return Ok(None) }; // wiped on drop
        Material::decode(bytes.expose_secret()).map(Some).map_err(|_| call.error(ErrorKind::Tampered))
    }

    /// Removes bytes the shelf has given up; what a crash leaves behind is served to nobody.
    async fn destroy(&self, call: Call<'_>, key: &KeyId, versions: impl IntoIterator<Item = VersionId>) -> Result<()> {
        for path in versions.into_iter().map(|version| format!("material/{key}/{version}")) {
            while let Err(KvError::NoReply) = self.kv.delete(&path).await {
                call.in_time().map_err(|error| call.unclear(error))?;
            }
        }
        Ok(())
    }

    async fn read_item(&self, cx: &Context, ReadItem { target, select }: &ReadItem) -> Result<Read> {
        let call = Call::about(cx, Operation::Read, target)?;
        let missing = || call.error(ErrorKind::NotFound);
        let (_, shelf) = self.shelf(call, &target.id).await?;
        let (publication, version) = match select {
            Select::Version(version) => (None, *version),
            Select::Current | Select::CurrentUnless(_) => {
                let (publication, version) = shelf.shows.ok_or_else(missing)?;
                if *select == Select::CurrentUnless(publication) {
                    return Ok(Read::Unchanged);
                }
                (Some(publication), version)
            }
        };
        shelf.offered.get(&version).ok_or_else(missing)?;
        let material = self.material(call, &target.id, version).await?.ok_or_else(missing)?;
        Ok(Read::Found { material, version, publication })
    }
}

#[async_trait]
impl SecretBackend for KvBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        // One after the other; a server that gives many entries at once is asked once.
        stream::iter(keys).then(|key| self.record(Call::of(cx, Operation::Load, key), key)).collect().await
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let call = Call::of(cx, Operation::Swap, key);
        let value = next.encode().ok().filter(|_| next.id() == key); // at most 48 KiB, and of this key
        let value = value.ok_or_else(|| call.error(ErrorKind::Invalid))?;
        let expect = match &expect {
            Expect::Absent => None,
            Expect::At(stamp) => Some(stamp.as_str().parse().unwrap_or(0)), // not one of ours: no entry has revision 0
        };
        if let Some(revision) = self.put(call, &format!("record/{key}"), expect, &value).await? {
            return Ok(Swap::Applied(Stamp::new(revision.to_string())));
        }
        Ok(match self.record(call, key).await.map_err(|error| call.unclear(error))? {
            Some(found) if found.value.operation() == next.operation() => Swap::Applied(found.stamp), // it was ours
            found => Swap::Conflict(found),
        })
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let call = Call { cx, operation: Operation::List, key: None };
        let after = page.as_ref().map_or("", PageToken::as_str);
        if page.is_some() && !after.starts_with("record/") {
            return Err(call.error(ErrorKind::Invalid)); // not a token of ours
        }
        let prefix = query.environment.as_ref().map_or("record/".to_owned(), |e| format!("record/{e}/"));
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
        let found = self.scan(call, &prefix, after, limit).await?;
        // What the query does not want was scanned all the same: a page may be short, or empty.
        let next = found.last().filter(|_| found.len() == limit).map(|(path, _)| PageToken::new(path.as_str()));
        let keyed = found.iter().filter_map(|(path, entry)| Some((path["record/".len()..].parse().ok()?, entry)));
        let wanted = keyed.filter(|(key, _)| query.matches(key));
        let items = wanted.map(|(key, entry)| stamped(Call::of(cx, Operation::List, &key), &key, entry)).collect();
        Ok(Page { items, next })
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, new: &Material) -> Result<Stage> {
        let call = Call::about(cx, Operation::Stage, key)?;
        if new.shape() != key.shape {
            return Err(call.error(ErrorKind::Invalid));
        }
        let path = format!("material/{}/{version}", key.id);
        let stored = self.put(call, &path, None, new.encode().expose_secret()).await?.is_some(); // write-once
        let same = stored || self.material(call, &key.id, version).await?.is_some_and(|found| found.ct_eq(new));
        let offer = |shelf: &mut Shelf| {
            let usable = same && !shelf.gone.contains(&version);
            shelf.offered.extend(usable.then_some(version));
            Ok(usable)
        };
        let offered = self.edit(call, &key.id, offer).await?;
        if stored && !offered {
            self.destroy(call, &key.id, [version]).await?; // somebody gave the version up meanwhile
        }
        let same = if stored { Stage::Stored } else { Stage::AlreadySame };
        Ok(if offered { same } else { Stage::Conflict })
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        Ok(self.shelf(Call::about(cx, Operation::Pointer, key)?, &key.id).await?.1.pointer())
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let call = Call::about(cx, Operation::Publish, key)?;
        self.edit(call, &key.id, |shelf| {
            let pointer = shelf.pointer();
            if shelf.shows == Some((publication, version)) {
                Ok(Publish::AlreadyThere(pointer.token))
            } else if pointer.token != *expect {
                Ok(Publish::Conflict(pointer))
            } else if !shelf.offered.contains(&version) {
                Err(call.error(ErrorKind::NotFound))
            } else {
                shelf.moves += 1;
                shelf.shows = Some((publication, version));
                Ok(Publish::Moved(shelf.pointer().token))
            }
        })
        .await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        stream::iter(items).then(|item| self.read_item(cx, item)).collect().await
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let call = Call::about(cx, Operation::Withdraw, key)?;
        let give_up = |shelf: &mut Shelf| {
            if shelf.shows.is_some_and(|(_, shown)| shown == version) {
                return Err(call.error(ErrorKind::Conflict));
            }
            let now = shelf.offered.remove(&version) && shelf.gone.insert(version);
            Ok((shelf.gone.contains(&version), now))
        };
        let (given_up, now) = self.edit(call, &key.id, give_up).await?;
        self.destroy(call, &key.id, given_up.then_some(version)).await?;
        Ok(if now { Withdraw::Destroyed } else { Withdraw::Absent })
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let (_, shelf) = self.shelf(Call::about(cx, Operation::Survey, key)?, &key.id).await?;
        Ok(Survey::new(shelf.offered.iter().copied().collect(), shelf.pointer()))
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        let call = Call::about(cx, Operation::Retire, key)?;
        let prefix = format!("material/{}/", key.id);
        let found = self.scan(call, &prefix, "", usize::MAX).await?;
        let stored: Vec<VersionId> = found.iter().filter_map(|(path, _)| path[prefix.len()..].parse().ok()).collect();
        let empty = |shelf: &mut Shelf| {
            let held = shelf.shows.take().is_some() || !shelf.offered.is_empty();
            shelf.moves += u64::from(held); // no token of before is good again
            // What was offered, and what a crashed stage stored and never offered.
            let given_up: BTreeSet<VersionId> =
                stored.iter().copied().chain(std::mem::take(&mut shelf.offered)).collect();
            shelf.gone.extend(&given_up);
            Ok((held, given_up))
        };
        let (retired, given_up) = self.edit(call, &key.id, empty).await?;
        self.destroy(call, &key.id, given_up).await?;
        Ok(if retired { Retire::Retired } else { Retire::Absent })
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        None // this store keeps no log of its own
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        None
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        None
    }
}

/// What a call is about: what its errors say.
#[derive(Clone, Copy)]
struct Call<'a> {
    cx: &'a Context,
    operation: Operation,
    key: Option<&'a KeyId>,
}

impl<'a> Call<'a> {
    fn of(cx: &'a Context, operation: Operation, key: &'a KeyId) -> Self {
        Self { cx, operation, key: Some(key) }
    }

    /// A call about material. What a capability denies is refused, never ignored.
    fn about(cx: &'a Context, operation: Operation, target: &'a Target) -> Result<Self> {
        let call = Self::of(cx, operation, &target.id);
        if target.location == Location::Derived { Ok(call) } else { Err(call.error(ErrorKind::Unsupported)) }
    }

    fn in_time(self) -> Result<()> {
        if self.cx.is_expired() { Err(self.error(ErrorKind::Unavailable)) } else { Ok(()) }
    }

    /// Kinds and names only: no text of the server, which might quote a value.
    fn error(self, kind: ErrorKind) -> Error {
        let error = Error::new(kind, self.operation, "kv");
        if let Some(key) = self.key { error.with_key(key) } else { error }
    }

    /// The error of a call after its first write: "nothing was done" is no longer certain.
    fn unclear(self, error: Error) -> Error {
        if error.kind() == ErrorKind::Unavailable { self.error(ErrorKind::Unknown) } else { error }
    }
}

fn stamped(call: Call<'_>, key: &KeyId, entry: &Entry) -> Result<Stamped<KeyRecord>> {
    let value = KeyRecord::decode(&entry.value).map_err(|error| match error {
        RecordError::NewerFormat { .. } => call.error(ErrorKind::Unsupported).with_detail("a newer record; update"),
        _ => call.error(ErrorKind::Tampered),
    })?;
    if value.id() != key {
        return Err(call.error(ErrorKind::Tampered).with_detail("the record is another key's"));
    }
    Ok(Stamped { value, stamp: Stamp::new(entry.revision.to_string()) })
}
