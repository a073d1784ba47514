//! A backend of a third party, complete: records and material in a key-value server that knows
//! set-if-absent and compare-and-set.
//!
//! ```text
//! cargo run --example write_a_backend             # a service and a rotation on it
//! cargo test --example write_a_backend            # every rule of the contract
//! ```
//!
//! A crate of its own needs `keyward-core` only, and `keyward-conformance` for its tests. The
//! server here is a stand-in (`write_a_backend/kv.rs`); every `.await` on it is a network call.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "write_a_backend/kv.rs"]
mod kv;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use keyward::core::{
    AdoptionLedger, AuditSink, Capabilities, Error, ErrorKind, Expect, ListQuery, Location, ManualClock, Operation,
    Page, PageToken, Pointer, PointerToken, PublicationId, Publish, Read, ReadItem, RecordError, Result, Retire,
    Select, Shows, Stage, Stamp, Stamped, Survey, Swap, Target, VersionId, Withdraw,
};
use keyward::issuer::GeneratedIssuer;
use keyward::keyring::ReportedHealth;
use keyward::rotation::{GatePolicy, RunReport};
use keyward::{
    AccessLevel, Context, Environment, Inventory, KeyDraft, KeyId, KeyRecord, Keyring, Material, Outcome, Ownership,
    Rotator, Scope, SecretBackend, SecretValue, Step, async_trait,
};
use kv::{Entry, Kv, KvError};
use serde::{Deserialize, Serialize};

const NAME: &str = "kv";
const PAGE: usize = 100;

/// Three kinds of entries:
/// - `record/KEY`: the record, as [`KeyRecord::encode`] writes it; its revision is the stamp.
/// - `material/KEY/VERSION`: the material of a version, written once.
/// - `shelf/KEY`: which versions there are and which is shown. A change of the shelf is what makes
///   a stage, a publish, a withdraw and a retire happen; all else can be repeated or swept up.
#[derive(Clone, Debug)]
struct KvBackend {
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
    fn new(kv: Kv) -> Self {
        let mut capabilities = Capabilities::local();
        capabilities.multi_host = true;
        Self { kv, capabilities }
    }

    async fn get(&self, call: Call<'_>, path: &str) -> Result<Option<Entry>> {
        call.in_time()?; // a real client also passes the time left on to its requests
        self.kv.get(path).await.map_err(|KvError::NoReply| call.error(ErrorKind::Unavailable)) // nothing was changed
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

    /// Removes bytes the shelf has given up. What a crash leaves behind is never served, and
    /// removed when the call is repeated.
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
        if !shelf.offered.contains(&version) {
            return Err(missing());
        }
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
        let mut answers = Vec::with_capacity(keys.len());
        for key in keys {
            answers.push(self.record(Call::of(cx, Operation::Load, key), key).await);
        }
        answers // a server that gets many entries at once is asked once
    }

    async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let call = Call::of(cx, Operation::Swap, key);
        let value = next.encode().map_err(|_| call.error(ErrorKind::Invalid))?; // larger than 48 KiB
        if next.id() != key {
            return Err(call.error(ErrorKind::Invalid));
        }
        let expect = match &expect {
            Expect::Absent => Some(None),
            Expect::At(stamp) => stamp.as_str().parse().ok().map(Some), // none of ours: matches nothing
        };
        if let Some(expect) = expect {
            if let Some(revision) = self.put(call, &format!("record/{key}"), expect, &value).await? {
                return Ok(Swap::Applied(Stamp::new(revision.to_string())));
            }
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
        call.in_time()?;
        let after = page.map(|token| token.as_str().parse::<KeyId>()).transpose();
        let after = after.map_err(|_| call.error(ErrorKind::Invalid))?; // not a token of ours
        let after = after.map_or_else(String::new, |key| format!("record/{key}"));
        let prefix = query.environment.as_ref().map_or("record/".to_owned(), |e| format!("record/{e}/"));
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
        let found = self.kv.scan(&prefix, &after, limit).await;
        let found = found.map_err(|KvError::NoReply| call.error(ErrorKind::Unavailable))?;
        let (full, mut last, mut items) = (found.len() == limit, None, Vec::new());
        for (path, entry) in found {
            let Ok(key) = path["record/".len()..].parse::<KeyId>() else { continue };
            if query.matches(&key) {
                items.push(stamped(Call::of(cx, Operation::List, &key), &key, &entry));
            }
            last = Some(key);
        }
        // What the query does not want was scanned all the same: a page may be short, or empty.
        Ok(Page { items, next: last.filter(|_| full).map(|key| PageToken::new(key.as_str())) })
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, new: &Material) -> Result<Stage> {
        let call = Call::about(cx, Operation::Stage, key)?;
        if new.shape() != key.shape {
            return Err(call.error(ErrorKind::Invalid));
        }
        let path = format!("material/{}/{version}", key.id);
        let stored = self.put(call, &path, None, new.encode().expose_secret()).await?.is_some(); // write-once
        let same = stored || self.material(call, &key.id, version).await?.is_some_and(|found| found.ct_eq(new));
        let offered = self.edit(call, &key.id, |shelf| {
            let usable = same && !shelf.gone.contains(&version);
            Ok(usable && (shelf.offered.insert(version) || usable))
        });
        match (offered.await?, stored) {
            (true, true) => Ok(Stage::Stored),
            (true, false) => Ok(Stage::AlreadySame),
            (false, true) => self.destroy(call, &key.id, [version]).await.map(|()| Stage::Conflict), // it was given up
            (false, false) => Ok(Stage::Conflict),
        }
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
                return Ok(Publish::AlreadyThere(pointer.token));
            }
            if pointer.token != *expect {
                return Ok(Publish::Conflict(pointer));
            }
            if !shelf.offered.contains(&version) {
                return Err(call.error(ErrorKind::NotFound));
            }
            shelf.moves += 1;
            shelf.shows = Some((publication, version));
            Ok(Publish::Moved(shelf.pointer().token))
        })
        .await
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            answers.push(self.read_item(cx, item).await);
        }
        answers
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let call = Call::about(cx, Operation::Withdraw, key)?;
        let (given_up, now) = self
            .edit(call, &key.id, |shelf| {
                if shelf.shows.is_some_and(|(_, shown)| shown == version) {
                    return Err(call.error(ErrorKind::Conflict));
                }
                let now = shelf.offered.remove(&version) && shelf.gone.insert(version);
                Ok((shelf.gone.contains(&version), now))
            })
            .await?;
        self.destroy(call, &key.id, given_up.then_some(version)).await?;
        Ok(if now { Withdraw::Destroyed } else { Withdraw::Absent })
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let (_, shelf) = self.shelf(Call::about(cx, Operation::Survey, key)?, &key.id).await?;
        let pointer = shelf.pointer();
        Ok(Survey::new(shelf.offered.into_iter().collect(), pointer))
    }

    async fn retire(&self, cx: &Context, key: &Target, _grace: Duration) -> Result<Retire> {
        let call = Call::about(cx, Operation::Retire, key)?;
        call.in_time()?;
        let prefix = format!("material/{}/", key.id);
        let found = self.kv.scan(&prefix, "", usize::MAX).await;
        let found = found.map_err(|KvError::NoReply| call.error(ErrorKind::Unavailable))?;
        let stored: Vec<VersionId> = found.iter().filter_map(|(path, _)| path[prefix.len()..].parse().ok()).collect();
        let (retired, given_up) = self
            .edit(call, &key.id, |shelf| {
                let holds = !shelf.offered.is_empty() || shelf.shows.is_some();
                shelf.moves += u64::from(holds); // no token of before is good again
                shelf.shows = None;
                let offered = std::mem::take(&mut shelf.offered);
                // And what a crashed stage stored and never offered.
                let given_up: BTreeSet<VersionId> = offered.into_iter().chain(stored.iter().copied()).collect();
                shelf.gone.extend(&given_up);
                Ok((holds, given_up))
            })
            .await?;
        self.destroy(call, &key.id, given_up).await?;
        Ok(if retired { Retire::Retired } else { Retire::Absent })
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        None // this store keeps no log of its own
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
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
        let error = Error::new(kind, self.operation, NAME);
        match self.key {
            Some(key) => error.with_key(key),
            None => error,
        }
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

fn main() -> std::result::Result<(), Box<dyn StdError>> {
    let kv = Kv::default();
    kv.lose_replies();
    let report = futures_lite::future::block_on(rotate_on(KvBackend::new(kv)))?;
    println!("{report}");
    println!("a key was registered, served and rotated on a store whose every second write lost its answer");
    println!("every rule of the contract: cargo test --example write_a_backend");
    Ok(())
}

/// A key is registered, given its first value, served to a service, and rotated, on any backend.
async fn rotate_on(store: impl SecretBackend + Clone + 'static) -> std::result::Result<RunReport, Box<dyn StdError>> {
    let (clock, health) = (Arc::new(ManualClock::default()), Arc::new(ReportedHealth::default()));
    let key: KeyId = "staging/analytics/reports".parse()?;
    let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
    let scope = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?.service("reporting")?;
    let draft = KeyDraft::new(key.clone(), owners, scope, "own-tokens".parse()?);
    Inventory::new(&store).actor("ada@example.com").clock(clock.clone()).register(draft).await?;

    let rotator = Rotator::builder(&store)
        .generated("own-tokens", GeneratedIssuer::new("reports")?)
        .health(health.clone())
        .gate(GatePolicy::default().with_clients(1))
        .clock(clock.clone())
        .poll_every(Duration::from_secs(12 * 3_600))
        .build()?;
    for reason in ["first value", "quarterly"] {
        let mut run = rotator.start_or_resume(&key, reason).await?;
        let report = loop {
            match run.step().await? {
                Step::Wait { at_most, .. } => clock.advance(at_most), // in earnest: sleep(at_most).await
                Step::NeedsOperator(what) => return Err(what.into()),
                Step::Finished(report) => break report,
                done => println!("{done}"),
            }
            let keys = Keyring::builder(store.clone()).environment(Environment::Staging).service("reporting");
            let keys = keys.optional("analytics/reports").consumer_instance("reporting-1").clock(clock.clone());
            let keys = keys.reports_to(health.clone()).load().await?;
            for _ in 0..20 {
                keys.live("analytics/reports").into_iter().for_each(|key| key.report(Outcome::Ok));
            }
        };
        if report.from.is_some() {
            return Ok(report);
        }
    }
    Err("nothing was rotated".into())
}

#[cfg(test)]
mod conformance {
    keyward_conformance::suite!(super::KvBackend::new(super::Kv::default()));
}

#[cfg(test)]
mod lost_replies {
    use super::{Kv, KvBackend, rotate_on};

    #[test]
    fn a_rotation_survives_them() {
        let kv = Kv::default();
        kv.lose_replies();
        let report = keyward_conformance::block_on(rotate_on(KvBackend::new(kv))).expect("a rotation");
        assert_eq!(report.outcome, keyward::core::RunOutcome::Completed);
    }
}
