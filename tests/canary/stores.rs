//! Every call of a store, on memory, the strict fake and the encrypted file: the tour through the
//! library, and each method by itself, refused in every way it can be.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{
    AuditAction, AuditEvent, AuditQuery, Context, Expect, ListQuery, Location, MemoryBackend, NativeCurrent, PageToken,
    PointerToken, PublicationId, ReadItem, SecretBackend, SecretBackendExt, Select, Stamp, Target, VersionId,
};
use keyward::file::{FileBackend, KeyFile};
use keyward_conformance::strict::{Host, StrictFake};

use crate::cast::{Hasty, named, pair};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, charges, cx, key, register, reports};
use crate::tour::Tour;
use crate::witness::{Surface, Witness};

const SEEN: [Surface; 4] = [Surface::Debug, Surface::Display, Surface::Chain, Surface::Json];

#[test]
fn no_call_on_the_memory_store_shows_a_secret() {
    let (witness, clock) = (Witness::new(), Hasty::default());
    let store = MemoryBackend::with_clock(Arc::new(clock.clone()));
    block_on(Tour { witness: &witness, store, clock: clock.clone() }.whole());
    block_on(every_method(&witness, &MemoryBackend::default(), &clock));
    witness.finish("memory", &SEEN);
}

#[test]
fn no_call_on_the_strict_fake_shows_a_secret() {
    let (witness, clock) = (Witness::new(), Hasty::default());
    let store = StrictFake::with_clock(Arc::new(clock.clone()));
    let seen = Host::steady("a").wrap(store.clone().short_pages());
    block_on(Tour { witness: &witness, store: seen.clone(), clock: clock.clone() }.whole());
    store.revisions(&key(CHARGES)).iter().for_each(|revision| witness.record("a revision", revision));
    witness.debug("the misuse", &store.misuse());
    witness.debug("the moves", &store.moves());
    for fresh in [StrictFake::default(), StrictFake::default().deferring(), StrictFake::default().without_audit()] {
        block_on(every_method(&witness, &fresh, &clock));
    }
    witness.finish("strict fake", &SEEN);
}

#[test]
fn no_call_on_the_encrypted_file_shows_a_secret_and_no_file_holds_one() {
    let (witness, clock) = (Witness::new(), Hasty::default());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.keyward");
    let unlock = directory.path().join("unlock.key");
    block_on(async {
        let created = KeyFile::create(&unlock).expect("a key file");
        let builder = FileBackend::builder().clock(Arc::new(clock.clone()));
        let store = witness.good("create", builder.create(&path, created).await);
        witness.directory(directory.path());
        let tour = Tour { witness: &witness, store: store.clone(), clock: clock.clone() };
        tour.whole().await;
        witness.directory(directory.path());
        every_method(&witness, &store, &clock).await;
        witness.shown("what the store says of itself", &witness.good("info", store.info(&cx()).await));
        witness.good("verify", store.verify(&cx()).await);
        witness.debug("the inventory key", &store.inventory_key());
        witness.directory(directory.path());
    });
    // Closed: the log was written back and removed.
    witness.directory(directory.path());
    block_on(async {
        let store = witness.good("open", FileBackend::open(&path, KeyFile::at(&unlock)).await);
        Tour { witness: &witness, store, clock }.read_log().await;
    });
    witness.directory(directory.path());
    witness.finish("encrypted file", &[SEEN.as_slice(), &[Surface::Disk]].concat());
}

/// Each method of the contract with marked material: done, repeated, refused, late, elsewhere.
pub(crate) async fn every_method<B: SecretBackend>(w: &Witness, store: &B, clock: &Hasty) {
    // Under names of their own: the store may have seen the tour.
    let drafts = [
        (named("production/payments/method", charges()), Kind::Text),
        (named("production/analytics/method", reports()), Kind::Binary),
        (named("production/messaging/method", pair()), Kind::Token),
    ];
    w.debug("capabilities", store.capabilities());
    for (draft, kind) in drafts {
        register(store, &clock.0, draft.clone()).await;
        let target = Target::new(draft.id, Location::Derived, draft.shape);
        material(w, store, &target, kind).await;
        records(w, store, &target).await;
    }
    log(w, store).await;
    w.debug("the store", store);
}

async fn material<B: SecretBackend>(w: &Witness, store: &B, target: &Target, kind: Kind) {
    let (cx, late) = (cx(), cx().within(Duration::ZERO));
    let [old, new, never] = [(); 3].map(|()| VersionId::generate());
    let secret = Canary::shaped(kind, &target.shape);
    w.debug("material", &secret);
    w.debug("encoded material", &secret.encode());
    w.good("stage", store.stage(&cx, target, old, &secret).await);
    w.good("stage again", store.stage(&cx, target, old, &secret).await);
    w.good("stage a conflict", store.stage(&cx, target, old, &Canary::shaped(kind, &target.shape)).await);
    w.good("stage another", store.stage(&cx, target, new, &Canary::shaped(kind, &target.shape)).await);
    let elsewhere = Target::new(target.id.clone(), unadoptable(store), target.shape.clone());
    let other = if target.shape == pair().shape { charges().shape } else { pair().shape };
    let misshapen = Target::new(target.id.clone(), Location::Derived, other.clone());
    w.refused("stage of another shape", store.stage(&cx, target, never, &Canary::shaped(kind, &other)).await);
    w.refused("stage late", store.stage(&late, target, never, &secret).await);
    w.refused("stage elsewhere", store.stage(&cx, &elsewhere, never, &secret).await);

    let token = w.good("pointer", store.pointer(&cx, target).await).token;
    w.refused("pointer late", store.pointer(&late, target).await);
    w.refused("pointer elsewhere", store.pointer(&cx, &elsewhere).await);
    let first = PublicationId::first(old);
    w.good("publish", store.publish(&cx, target, old, first, &token).await);
    w.good("publish again", store.publish(&cx, target, old, first, &token).await);
    w.good("publish a conflict", store.publish(&cx, target, new, PublicationId::first(new), &token).await);
    let token = store.pointer(&cx, target).await.expect("a pointer").token;
    let unstaged = PublicationId::first(never);
    w.refused("publish what is not there", store.publish(&cx, target, never, unstaged, &token).await);
    w.refused("publish late", store.publish(&late, target, new, unstaged, &token).await);
    w.refused("publish elsewhere", store.publish(&cx, &elsewhere, new, unstaged, &token).await);
    let secret = Canary::plant(Kind::Text);
    let foreign = PointerToken::new(secret.text());
    // The answer is the pointer that is there, not the one that was brought.
    w.good("publish with a foreign token", store.publish(&cx, target, new, unstaged, &foreign).await);

    let item = |target: &Target, select| ReadItem { target: target.clone(), select };
    let items = [
        item(target, Select::Current),
        item(target, Select::CurrentUnless(first)),
        item(target, Select::Version(new)),
        item(target, Select::Version(never)),
        item(&elsewhere, Select::Current),
        item(&misshapen, Select::Current),
    ];
    for context in [&cx, &late] {
        let answers = store.read(context, &items).await;
        w.debug("answers", &answers);
        for answer in answers {
            drop(w.result("an answer", answer));
        }
    }
    w.good("read one", store.read_one(&cx, target, Select::Current).await);
    w.refused("read nothing", store.read_one(&cx, target, Select::Version(never)).await);

    w.refused("withdraw what is shown", store.withdraw(&cx, target, old).await);
    w.refused("withdraw late", store.withdraw(&late, target, new).await);
    w.refused("withdraw elsewhere", store.withdraw(&cx, &elsewhere, new).await);
    w.good("withdraw", store.withdraw(&cx, target, new).await);
    w.good("withdraw again", store.withdraw(&cx, target, new).await);
    w.good("survey", store.survey(&cx, target).await);
    w.refused("survey late", store.survey(&late, target).await);
    w.refused("survey elsewhere", store.survey(&cx, &elsewhere).await);
    w.debug("the store with material", store);
    w.refused("retire late", store.retire(&late, target, Duration::ZERO).await);
    w.refused("retire elsewhere", store.retire(&cx, &elsewhere, Duration::ZERO).await);
    w.good("retire", store.retire(&cx, target, Duration::ZERO).await);
    w.good("retire again", store.retire(&cx, target, Duration::ZERO).await);
}

/// A place this store can never adopt.
fn unadoptable<B: SecretBackend>(store: &B) -> Location {
    match store.capabilities().native_current {
        NativeCurrent::AwsCurrent => Location::vault_path("secret", "acme", None).expect("a path"),
        _ => Location::aws_secret("acme").expect("a name"),
    }
}

async fn records<B: SecretBackend>(w: &Witness, store: &B, target: &Target) {
    let (cx, late): (Context, Context) = (cx(), cx().within(Duration::ZERO));
    let secret = Canary::plant(Kind::Text);
    let loaded = w.good("load", store.load_existing(&cx, &target.id).await);
    let absent = key("dev/analytics/absent");
    w.debug("loads", &store.load(&cx, &[target.id.clone(), absent.clone()]).await);
    w.refused("load late", store.load_one(&late, &target.id).await);
    w.refused("load nothing", store.load_existing(&cx, &absent).await);
    let record = &loaded.value;
    w.refused("swap of another key", store.swap(&cx, &absent, Expect::Absent, record).await);
    w.refused("swap late", store.swap(&late, &target.id, Expect::Absent, record).await);
    w.good("swap again", store.swap(&cx, &target.id, Expect::Absent, record).await);
    let made_up = Expect::At(Stamp::new(secret.text()));
    // Answers what is there, not what was brought.
    w.good("swap with a made-up stamp", store.swap(&cx, &target.id, made_up, record).await);
    w.good("list", store.list(&cx, &ListQuery::all().limit(1), None).await);
    w.refused("list late", store.list(&late, &ListQuery::all(), None).await);
    let foreign = Some(PageToken::new(secret.text()));
    w.refused("list with a foreign token", store.list(&cx, &ListQuery::all(), foreign).await);
}

async fn log<B: SecretBackend>(w: &Witness, store: &B) {
    let cx = cx();
    let Some(log) = store.audit() else { return };
    let event = AuditEvent::new(AuditAction::Note, &cx).detail("a remark");
    w.debug("an event", &event);
    w.json("an event", &event);
    w.good("append", log.append(&cx, &event).await);
    let mut page = w.good("entries", log.entries(&cx, &AuditQuery::default(), None).await);
    loop {
        page.items.iter().for_each(|entry| w.entry(entry));
        let Some(next) = page.next else { break };
        page = w.good("entries", log.entries(&cx, &AuditQuery::default(), Some(next)).await);
    }
    let secret = Canary::plant(Kind::Text);
    let foreign = Some(PageToken::new(secret.text()));
    w.refused("entries with a foreign token", log.entries(&cx, &AuditQuery::default(), foreign).await);
    w.good("verify", log.verify(&cx).await);
}
