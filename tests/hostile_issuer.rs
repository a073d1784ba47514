//! Issuers that answer wrongly: no answer of theirs may end a key in use, fill a record, or keep a
//! leak from being answered.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    Clock, Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerRef,
    IssuerStatus, KeyIssuer, KeyRecord, ManualClock, Material, MemoryBackend, NewKey, Operation, Probe, Result, Revoke,
    RunOutcome, Scope, SecretValue, VersionId, VersionState, async_trait,
};
use keyward::leak::{LeakReport, LeakResponse, LeakStep, Leaked};
use keyward::rotation::{NeedsOperator, Rotator};
use keyward::signal::validator_fn;
use support::{CHARGES, HEALTHY, charges, finish, key, load, register};

/// Knows its keys by reference only, as most vendors do, and lists whatever it is told to.
#[derive(Clone, Debug)]
struct Vendor {
    capabilities: IssuerCapabilities,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    made: u32,
    live: Vec<String>,
    /// Listed beside what is true.
    listed: Vec<IssuerKey>,
    /// Refuses to revoke this one.
    refused: Option<String>,
    /// Accepts a revoke and does nothing.
    deaf: bool,
    /// Cannot say what became of its keys, and leaves revoking to a person.
    lost: bool,
    /// Answered to the next create instead of a new key.
    again: Option<String>,
}

impl Vendor {
    fn new() -> Self {
        Self { capabilities: IssuerCapabilities::default(), state: Arc::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("lock"))
    }

    fn is_live(&self, reference: &IssuerRef) -> bool {
        self.with(|state| state.live.iter().any(|name| name == reference.as_str()))
    }
}

#[async_trait]
impl KeyIssuer for Vendor {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _: &Context, _: Issue<'_>) -> std::result::Result<Created, CreateError> {
        Ok(self.with(|state| {
            state.made += 1;
            let name = state.again.take().unwrap_or_else(|| format!("vendor-{}", state.made));
            state.live.push(name.clone());
            let material = Material::one(SecretValue::from(format!("secret of {name}").as_str())).expect("material");
            Created::Key(NewKey::new(material).reference(name.parse().expect("a reference")))
        }))
    }

    async fn find(&self, _: &Context, _: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        Ok(self.with(|state| {
            let hit = |k: &&IssuerKey| {
                version.is_none_or(|v| v == k.label) && state.live.iter().any(|n| n == k.reference.as_str())
            };
            state.listed.iter().filter(hit).cloned().collect()
        }))
    }

    async fn status(&self, _: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        if self.with(|state| state.lost) {
            return Ok(IssuerStatus::CannotSay);
        }
        Ok(match &issue.version.issuer_ref {
            Some(name) if self.is_live(name) => IssuerStatus::Live,
            Some(_) => IssuerStatus::Revoked(Evidence::lossy("listed as deleted")),
            None => IssuerStatus::Absent,
        })
    }

    async fn scope(&self, _: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Ok(())
    }

    async fn activate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Ok(())
    }

    async fn revoke(&self, _: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let name = issue.version.issuer_ref.as_ref();
        if name.is_some_and(|name| self.with(|state| state.refused.as_deref() == Some(name.as_str()))) {
            return Err(Error::new(ErrorKind::Denied, Operation::Revoke, "vendor"));
        }
        if self.with(|state| state.lost) {
            return Ok(Revoke::AskHuman("look for it under its new owner".parse().expect("instructions")));
        }
        if let Some(name) = name {
            self.with(|state| state.live.retain(|live| state.deaf || live != name.as_str()));
        }
        Ok(Revoke::Accepted)
    }
}

struct World {
    vendor: Vendor,
    clock: Arc<ManualClock>,
    store: MemoryBackend,
    rotator: Rotator<MemoryBackend>,
}

/// A key in service.
async fn world() -> World {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryBackend::with_clock(clock.clone());
    register(&store, &clock, charges()).await;
    let vendor = Vendor::new();
    let rotator = Rotator::builder(store.clone())
        .issuer("acme", vendor.clone())
        .health(HEALTHY)
        .clock(clock.clone())
        .poll_every(Duration::from_secs(3_600))
        .build()
        .expect("a rotator");
    let world = World { vendor, clock, store, rotator };
    world.rotate().await;
    world
}

impl World {
    async fn rotate(&self) -> RunOutcome {
        let mut run = self.rotator.start(&key(CHARGES), "rotate").await.expect("start");
        finish(&mut run, &self.clock).await.expect("finish").outcome
    }

    async fn record(&self) -> KeyRecord {
        load(&self.store, &key(CHARGES)).await
    }

    async fn primary(&self) -> (VersionId, IssuerRef) {
        let record = self.record().await;
        let primary = record.primary().expect("a primary");
        (primary.id, primary.issuer_ref.clone().expect("a reference"))
    }

    /// Lists a live key under a label.
    fn list(&self, label: VersionId, name: &str) -> IssuerRef {
        let reference: IssuerRef = name.parse().expect("a reference");
        self.vendor.with(|state| {
            if !state.live.iter().any(|live| live == name) {
                state.live.push(name.to_owned());
            }
            state.listed.push(IssuerKey { label, reference: reference.clone() });
        });
        reference
    }
}

/// A key that was switched off answers like a dead one. Where the issuer cannot say which it is and
/// revoked nothing, a refused probe is no proof: somebody can switch it on again.
#[test]
fn a_key_that_may_only_be_switched_off_is_not_buried() {
    block_on(async {
        for reversible in [true, false] {
            let (clock, mut vendor) = (Arc::new(ManualClock::default()), Vendor::new());
            vendor.capabilities.reversible = reversible;
            let store = MemoryBackend::with_clock(clock.clone());
            register(&store, &clock, charges()).await;
            let state = vendor.state.clone();
            let refused_once_lost = move |_| {
                let lost = state.lock().expect("lock").lost;
                let seen = Evidence::lossy("tried");
                async move { Ok(if lost { Probe::Rejected(seen) } else { Probe::Accepted(seen) }) }
            };
            let rotator = Rotator::builder(store.clone())
                .issuer("acme", vendor.clone())
                .validator("acme", validator_fn(refused_once_lost))
                .health(HEALTHY)
                .clock(clock.clone())
                .build()
                .expect("a rotator");
            let mut run = rotator.start(&key(CHARGES), "first").await.expect("start");
            finish(&mut run, &clock).await.expect("finish");
            vendor.with(|state| state.lost = true);
            rotator.decommission(&key(CHARGES), "no longer needed").await.expect("decommission");
            let swept = rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
            assert_eq!((swept.revoked.len(), swept.pending.len()), if reversible { (0, 1) } else { (1, 0) });
            let asked = matches!(swept.needs_operator[..], [NeedsOperator::RevokeByHand { .. }]);
            assert_eq!(asked, reversible, "{swept:?}");
        }
    });
}

#[test]
fn the_key_in_use_listed_under_a_second_label_is_not_revoked() {
    block_on(async {
        let world = world().await;
        let (_, name) = world.primary().await;
        world.list(earlier(0), name.as_str());
        let swept = world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert!(swept.adopted.is_empty() && world.vendor.is_live(&name), "{swept:?}");
    });
}

#[test]
fn a_create_that_answers_the_key_in_use_again_is_given_up_and_the_key_keeps_working() {
    block_on(async {
        let world = world().await;
        let (old, name) = world.primary().await;
        world.vendor.with(|state| state.again = Some(name.as_str().to_owned()));
        assert_eq!(world.rotate().await, RunOutcome::Aborted);
        world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert_eq!(world.primary().await.0, old);
        assert!(world.vendor.is_live(&name), "the key in use was revoked");
    });
}

#[test]
fn a_second_key_under_the_label_of_a_dead_version_is_revoked_too() {
    block_on(async {
        let world = world().await;
        let (old, _) = world.primary().await;
        world.rotate().await;
        let double = world.list(old, "vendor-double");
        let swept = world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert_eq!((swept.adopted, swept.revoked), (vec![old], vec![old]));
        assert!(!world.vendor.is_live(&double));
        let again = world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert!(again.adopted.is_empty(), "{again:?}");
    });
}

#[test]
fn a_second_key_under_the_label_of_the_version_in_use_is_left_to_a_person() {
    block_on(async {
        let world = world().await;
        let (primary, name) = world.primary().await;
        let double = world.list(primary, "vendor-double");
        let swept = world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        let asked = NeedsOperator::SecondKey { key: key(CHARGES), version: primary, reference: double.clone() };
        assert_eq!(swept.needs_operator, [asked]);
        assert!(world.vendor.is_live(&name) && world.vendor.is_live(&double), "it was touched");
    });
}

/// A label from before the key was registered.
fn earlier(n: u32) -> VersionId {
    format!("01900000-0001-7000-8000-{n:012x}").parse().expect("an id")
}

#[test]
fn hundreds_of_orphans_are_revoked_a_few_at_a_time_and_never_fill_the_record() {
    block_on(async {
        let world = world().await;
        let (old, name) = world.primary().await;
        // What is known comes first, as a vendor sorts it: by age.
        (0..20).for_each(|_| drop(world.list(old, name.as_str())));
        (0..300).for_each(|n| drop(world.list(earlier(n), &format!("{}{n}", "orphan".repeat(30)))));
        let mut revoked = 0;
        for _ in 0..60 {
            revoked += world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep").revoked.len();
            assert!(world.record().await.encode().expect("small enough").len() < 40 * 1024);
        }
        assert_eq!(revoked, 300);
        assert_eq!(world.vendor.with(|state| state.live.clone()), [name.as_str()]);
    });
}

#[test]
fn orphans_that_cannot_be_revoked_do_not_keep_a_leak_from_being_answered() {
    block_on(async {
        let world = world().await;
        let (leaked, name) = world.primary().await;
        (0..300).for_each(|n| drop(world.list(earlier(n), &format!("{}{n}", "orphan".repeat(30)))));
        world.vendor.with(|state| state.deaf = true);
        for _ in 0..60 {
            world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
            let record = world.record().await;
            let pending = record.versions().iter().filter(|v| v.state == VersionState::RevokePending).count();
            assert!(pending <= KeyRecord::MAX_WORKING, "{pending} condemned versions fill the record");
        }
        world.vendor.with(|state| state.deaf = false);
        let report = LeakReport::of(key(CHARGES), Leaked::Version(leaked), "seen in a gist").expect("a report");
        let mut response = LeakResponse::open(&world.rotator, &report).await.expect("open");
        for _ in 0..100 {
            match response.step().await.expect("step") {
                LeakStep::AwaitingReview(done) => {
                    assert!(done.revoked_at.is_some_and(|at| at <= world.clock.now()));
                    assert!(!world.vendor.is_live(&name));
                    return;
                }
                LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                _ => {}
            }
        }
        panic!("the leak is not answered");
    });
}

#[test]
fn a_key_that_rises_from_the_dead_is_revoked_again() {
    block_on(async {
        let world = world().await;
        let (old, name) = world.primary().await;
        world.rotate().await;
        world.list(old, name.as_str());
        let swept = world.rotator.sweep(&key(CHARGES), "daily").await.expect("sweep");
        assert_eq!((swept.adopted, swept.revoked), (vec![old], vec![old]));
        assert!(!world.vendor.is_live(&name));
    });
}

#[test]
fn one_key_that_cannot_be_revoked_does_not_keep_the_others_alive() {
    block_on(async {
        let world = world().await;
        let stubborn = world.list(earlier(0), "stubborn");
        let other = world.list(earlier(1), "other");
        world.vendor.with(|state| state.refused = Some("stubborn".to_owned()));
        let refused = world.rotator.sweep(&key(CHARGES), "daily").await.expect_err("the refusal is told");
        assert!(refused.to_string().contains("Revoke"), "{refused}");
        assert!(world.vendor.is_live(&stubborn) && !world.vendor.is_live(&other));
    });
}
