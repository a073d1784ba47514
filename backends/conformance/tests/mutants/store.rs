//! A correct store with one flaw in front of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_lite::future::yield_now;
use keyward_conformance::strict::StrictFake;
use keyward_core::{
    Adopter, AdoptionLedger, AuditAction, AuditEvent, AuditSink, Capabilities, Context, Error, ErrorKind, Expect,
    KeyId, KeyRecord, ListQuery, Location, Material, Operation, Page, PageToken, Pointer, PointerToken, PublicationId,
    Publish, Read, ReadItem, Result, Retire, SecretBackend, SecretBackendExt, SecretValue, Select, Shows, Stage,
    Stamped, Survey, Swap, Target, VersionId, Withdraw, async_trait,
};

use super::Flaw;

pub(crate) struct Mutant {
    inner: StrictFake,
    flaw: Option<Flaw>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Every value ever staged, for the flaws that spill it.
    values: Vec<String>,
    overwritten: BTreeMap<VersionId, Material>,
    vanished: BTreeSet<VersionId>,
    torn: BTreeSet<KeyId>,
}

impl Mutant {
    pub(crate) fn with(flaw: Option<Flaw>) -> Self {
        Self { inner: StrictFake::default(), flaw, notes: Mutex::default() }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("no call panics here")
    }

    fn cx(&self, cx: &Context) -> Context {
        let mut cx = if self.is(Flaw::IgnoresDeadlines) { cx.within(Duration::from_secs(30)) } else { cx.clone() };
        if self.is(Flaw::LogsSomebodyElse) {
            cx.actor = "root".parse().expect("an actor");
        }
        cx
    }

    fn refuse<T>(&self, kind: ErrorKind, operation: Operation) -> Result<T> {
        Err(Error::new(kind, operation, "mutant"))
    }

    fn target(&self, key: &Target) -> Target {
        let mut key = key.clone();
        if self.is(Flaw::IgnoresLocations) {
            key.location = Location::Derived;
        }
        key
    }

    async fn read_item(&self, cx: &Context, item: &ReadItem) -> Result<Read> {
        let (target, mut select) = (self.target(&item.target), item.select);
        if self.is(Flaw::ServesUnpublished) && select == Select::Current {
            let latest = self.inner.survey(cx, &target).await?.versions.pop();
            select = latest.map_or(select, Select::Version);
        }
        if self.is(Flaw::IsNeverChanged) && matches!(select, Select::CurrentUnless(_)) {
            self.inner.read_one(cx, &target, select).await?;
            return Ok(Read::Unchanged);
        }
        let silent = self.inner.clone().without_audit();
        let store = if self.is(Flaw::ReadsInSilence) { &silent } else { &self.inner };
        let read = store.read_one(cx, &target, select).await?;
        let Read::Found { material, version, publication } = read else { return Ok(read) };
        if self.notes().vanished.contains(&version) {
            return Err(Error::new(ErrorKind::NotFound, Operation::Read, "mutant"));
        }
        let material = match self.notes().overwritten.get(&version) {
            Some(other) => other.duplicate(),
            None => material,
        };
        if self.is(Flaw::LosesEmptyFields) && material.value().is_none() {
            let kept = material.iter().filter(|(_, value)| !value.is_empty());
            let kept = kept.filter_map(|(name, value)| Some((name?.clone(), value.duplicate())));
            let material = Material::fields(kept).expect("one field is not empty");
            return Ok(Read::Found { material, version, publication });
        }
        let material = match material.value().map(SecretValue::expose_secret) {
            Some(bytes) if self.is(Flaw::TrimsText) => one(bytes.trim_ascii()),
            Some(bytes) if self.is(Flaw::StopsAtNul) => one(bytes.split(|b| *b == 0).next().unwrap_or_default()),
            _ => material,
        };
        Ok(Read::Found { material, version, publication })
    }
}

#[async_trait]
impl SecretBackend for Mutant {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
        let mut answers = self.inner.load(&self.cx(cx), keys).await;
        if self.is(Flaw::AnswersShort) {
            answers.retain(|answer| !matches!(answer, Ok(None)));
        }
        if self.is(Flaw::AnswersOutOfOrder) {
            answers.reverse();
        }
        if self.is(Flaw::AnswersEachKeyOnce) {
            answers.truncate(keys.iter().collect::<BTreeSet<_>>().len());
        }
        for (key, answer) in keys.iter().zip(&mut answers) {
            if self.notes().torn.contains(key) {
                *answer = Err(Error::new(ErrorKind::Tampered, Operation::Load, "mutant"));
            }
        }
        answers
    }

    async fn swap(&self, cx: &Context, key: &KeyId, mut expect: Expect, next: &KeyRecord) -> Result<Swap> {
        let cx = &self.cx(cx);
        let current = || async { Ok::<_, Error>(self.inner.load_one(cx, key).await.unwrap_or_default()) };
        if self.is(Flaw::ForgetsTheStamp) && matches!(expect, Expect::At(_)) {
            expect = current().await?.map_or(expect, |there| Expect::At(there.stamp));
        }
        if self.is(Flaw::RefusesLargeRecords) && next.encode().is_ok_and(|bytes| bytes.len() > 32 * 1024) {
            return self.refuse(ErrorKind::Invalid, Operation::Swap);
        }
        if self.is(Flaw::ComparesThenWrites) {
            let there = current().await?;
            let expected = matches!((&expect, &there), (Expect::Absent, None))
                || matches!((&expect, &there), (Expect::At(stamp), Some(there)) if there.stamp == *stamp);
            if expected {
                std::thread::sleep(Duration::from_millis(10));
                expect = current().await?.map_or(Expect::Absent, |there| Expect::At(there.stamp));
            }
        }
        if self.is(Flaw::ForgetsOperations) {
            let there = current().await?;
            if there.as_ref().is_some_and(|there| there.value.operation() == next.operation()) {
                return Ok(Swap::Conflict(there));
            }
        }
        if self.is(Flaw::WritesInTwoSteps) && !cx.is_expired() {
            self.notes().torn.insert(key.clone());
            yield_now().await;
            self.notes().torn.remove(key);
        }
        let answer = self.inner.swap(cx, key, expect, next).await;
        if self.is(Flaw::LogsWhatItRefused) && matches!(answer, Ok(Swap::Conflict(_))) {
            self.inner.append(cx, &AuditEvent::new(AuditAction::Change, cx).key(key)).await?;
        }
        answer
    }

    async fn list(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let mut query = query.clone();
        query.pages |= self.is(Flaw::ListsHistoryPages);
        if self.is(Flaw::IgnoresListFilters) {
            (query.environment, query.function) = (None, None);
        }
        if self.is(Flaw::IgnoresListLimits) {
            query.limit = None;
        }
        let mut found = match self.inner.list(&self.cx(cx), &query, page).await {
            Err(error) if error.kind() == ErrorKind::Invalid && self.is(Flaw::TakesAnyPageToken) => {
                self.inner.list(&self.cx(cx), &query, None).await?
            }
            found => found?,
        };
        if self.is(Flaw::ListsNewestFirst) {
            found.items.reverse();
        }
        if self.is(Flaw::DropsTheLastOfAPage) && found.next.is_some() {
            found.items.pop();
        }
        Ok(found)
    }

    async fn stage(&self, cx: &Context, key: &Target, version: VersionId, material: &Material) -> Result<Stage> {
        let value = material.value().map(|v| String::from_utf8_lossy(v.expose_secret()).into_owned());
        self.notes().values.extend(value.clone());
        if self.is(Flaw::HoldsLessThanItSays) && value.as_ref().is_some_and(|v| v.len() > 32 * 1024) {
            return self.refuse(ErrorKind::Invalid, Operation::Stage);
        }
        let mut target = self.target(key);
        if self.is(Flaw::IgnoresShapes) {
            target.shape = material.shape();
        }
        let answer = self.inner.stage(&self.cx(cx), &target, version, material).await;
        match answer {
            Ok(Stage::Stored) if self.is(Flaw::ShowsTheFirstStaged) => {
                let there = self.inner.pointer(cx, &target).await?;
                if there.shows == Shows::Nothing {
                    self.inner.publish(cx, &target, version, PublicationId::generate(), &there.token).await?;
                }
                Ok(Stage::Stored)
            }
            Ok(Stage::AlreadySame) if self.is(Flaw::ComparesNoBytes) => Ok(Stage::Conflict),
            Ok(Stage::Conflict) if self.is(Flaw::OverwritesStaged) => {
                self.notes().overwritten.insert(version, material.duplicate());
                Ok(Stage::Stored)
            }
            Err(error) if self.is(Flaw::QuotesMaterialInErrors) => {
                // Only the fixed texts of an error could carry it, and only with some effort.
                Err(error.with_detail(String::leak(format!("cannot store {value:?}"))))
            }
            answer => answer,
        }
    }

    async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
        let mut pointer = self.inner.pointer(&self.cx(cx), &self.target(key)).await?;
        if self.is(Flaw::NamesThePointerByVersion) {
            pointer.token = named_by_version(&pointer.shows);
        }
        Ok(pointer)
    }

    async fn publish(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let (cx, key) = (&self.cx(cx), &self.target(key));
        let there = self.inner.pointer(cx, key).await;
        let mut expect = expect.clone();
        match there {
            Ok(there) if self.is(Flaw::IgnoresTheToken) => expect = there.token,
            Ok(there) if self.is(Flaw::ComparesVersionsOnly) => {
                if matches!(there.shows, Shows::Ours { version: shown, .. } if shown == version) {
                    return Ok(Publish::AlreadyThere(there.token));
                }
            }
            Ok(there) if self.is(Flaw::NamesThePointerByVersion) => {
                if named_by_version(&there.shows) == expect {
                    expect = there.token;
                }
                return Ok(match self.inner.publish(cx, key, version, publication, &expect).await? {
                    Publish::Moved(_) => Publish::Moved(PointerToken::new(version.to_string())),
                    Publish::AlreadyThere(_) => Publish::AlreadyThere(PointerToken::new(version.to_string())),
                    Publish::Conflict(pointer) => {
                        Publish::Conflict(Pointer { token: named_by_version(&pointer.shows), ..pointer })
                    }
                });
            }
            _ => {}
        }
        let answer = self.inner.publish(cx, key, version, publication, &expect).await;
        match answer {
            Ok(Publish::AlreadyThere(_)) if self.is(Flaw::ForgetsPublications) => {
                Ok(Publish::Conflict(self.inner.pointer(cx, key).await?))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.is(Flaw::PublishesNothingGladly) => {
                Ok(Publish::Moved(expect))
            }
            answer => answer,
        }
    }

    async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let cx = &self.cx(cx);
        let mut answers = Vec::new();
        for item in items {
            let answer = self.read_item(cx, item).await;
            let failed = answer.is_err();
            if !(failed && self.is(Flaw::AnswersShort)) {
                answers.push(answer);
            }
            if failed && self.is(Flaw::StopsAtTheFirstError) {
                let stopped = |_| Err(Error::new(ErrorKind::NotFound, Operation::Read, "mutant"));
                answers.extend((answers.len()..items.len()).map(stopped));
                break;
            }
        }
        if self.is(Flaw::AnswersOutOfOrder) {
            answers.reverse();
        }
        answers
    }

    async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        if self.is(Flaw::WithdrawsInWordsOnly) && !cx.is_expired() {
            return Ok(Withdraw::Destroyed);
        }
        let answer = self.inner.withdraw(&self.cx(cx), &self.target(key), version).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::Conflict && self.is(Flaw::WithdrawsTheCurrent) => {
                self.notes().vanished.insert(version);
                Ok(Withdraw::Destroyed)
            }
            answer => answer,
        }
    }

    async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let survey = self.inner.survey(&self.cx(cx), &self.target(key)).await?;
        let mut versions = survey.versions;
        if self.is(Flaw::SurveysTheShownOnly) {
            versions.retain(|v| matches!(survey.pointer.shows, Shows::Ours { version, .. } if version == *v));
        }
        Ok(Survey::new(versions, self.pointer(cx, key).await?))
    }

    async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
        if self.is(Flaw::RetiresInWordsOnly) && !cx.is_expired() {
            return Ok(Retire::Retired);
        }
        self.inner.retire(&self.cx(cx), &self.target(key), grace).await
    }

    fn audit(&self) -> Option<&dyn AuditSink> {
        self.inner.audit()
    }

    fn adoption(&self) -> Option<&dyn AdoptionLedger> {
        self.inner.adoption()
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.inner.adopter()
    }
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Some(Flaw::PrintsMaterial) => write!(f, "Mutant {{ values: {:?} }}", self.notes().values),
            _ => f.write_str("Mutant"),
        }
    }
}

fn named_by_version(shows: &Shows) -> PointerToken {
    match shows {
        Shows::Ours { version, .. } => PointerToken::new(version.to_string()),
        Shows::Nothing | Shows::Foreign => PointerToken::new("nothing"),
    }
}

fn one(bytes: &[u8]) -> Material {
    let kept = if bytes.is_empty() { b"nothing" } else { bytes };
    Material::one(SecretValue::from(kept)).expect("not more than there was")
}
