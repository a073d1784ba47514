//! The memory store where the contract says no: adopted places, deadlines, foreign tokens.
//! What it says yes to is in the conformance suite.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod common;

use std::time::Duration;

use common::*;
use futures_lite::future::block_on;
use keyward_core::{
    Context, ErrorKind, Expect, ListQuery, Location, Material, MemoryBackend, PageToken, PointerToken, PublicationId,
    Publish, Read, ReadItem, Result, Retry, SecretBackend, SecretBackendExt, SecretValue, Select, Shape, Shows, Swap,
    Target,
};

fn cx() -> Context {
    Context::new("tester", "memory").expect("a context")
}

fn material() -> Material {
    Material::one(SecretValue::from("x")).expect("material")
}

fn kind<T>(answer: Result<T>) -> ErrorKind {
    answer.err().expect("it must be refused").kind()
}

#[test]
fn nothing_is_adopted_here() {
    block_on(async {
        let (store, cx) = (MemoryBackend::default(), cx());
        assert!(!store.capabilities().adopts);
        let id: keyward_core::KeyId = "dev/analytics/x".parse().expect("a key");
        let derived = Target::new(id.clone(), Location::Derived, Shape::One);
        let (v, no) = (version(1), ErrorKind::Unsupported);
        store.stage(&cx, &derived, v, &material()).await.expect("staged");
        let entries = store.audit().expect("a log").verify(&cx).await.expect("whole").entries;
        for location in [
            Location::aws_secret("prod/stripe").expect("a name"),
            Location::vault_path("secret", "stripe", None).expect("a path"),
        ] {
            let adopted = Target::new(id.clone(), location, Shape::One);
            let token = PointerToken::new("0");
            assert_eq!(kind(store.stage(&cx, &adopted, v, &material()).await), no);
            assert_eq!(kind(store.pointer(&cx, &adopted).await), no);
            assert_eq!(kind(store.publish(&cx, &adopted, v, PublicationId::first(v), &token).await), no);
            assert_eq!(kind(store.withdraw(&cx, &adopted, v).await), no);
            assert_eq!(kind(store.survey(&cx, &adopted).await), no);
            assert_eq!(kind(store.retire(&cx, &adopted, Duration::ZERO).await), no);
            let item = |target: &Target, select| ReadItem { target: target.clone(), select };
            let answers = store
                .read(
                    &cx,
                    &[
                        item(&derived, Select::Version(v)),
                        item(&adopted, Select::Version(v)),
                        item(&adopted, Select::Current),
                        item(&derived, Select::Version(v)),
                    ],
                )
                .await;
            let kinds: Vec<_> =
                answers.iter().map(|a| a.as_ref().err().map(|e| (e.kind(), e.key() == Some(&id)))).collect();
            assert_eq!(kinds, [None, Some((no, true)), Some((no, true)), None], "one bad item hides no other");
        }
        assert_eq!(store.survey(&cx, &derived).await.expect("a survey").versions, [v], "nothing was changed");
        let now = store.audit().expect("a log").verify(&cx).await.expect("whole").entries;
        assert_eq!(now, entries + 4, "only the four reads of the derived place are on the log");
        // Records of adopted keys are records like any other.
        let record =
            Lab::of(&draft("dev/analytics/x").location(Location::aws_secret("prod/x").expect("a name"))).record;
        assert!(matches!(store.swap(&cx, &id, Expect::Absent, &record).await, Ok(Swap::Applied(_))));
    });
}

#[test]
fn a_deadline_in_the_past_is_refused_everywhere() {
    block_on(async {
        let store = MemoryBackend::default();
        let late = cx().within(Duration::ZERO);
        let record = Lab::new().record;
        let (target, v) = (record.target(), version(1));
        let item = ReadItem { target: target.clone(), select: Select::Current };
        let kinds = [
            kind(store.load(&late, &[record.id().clone()]).await.remove(0)),
            kind(store.swap(&late, record.id(), Expect::Absent, &record).await),
            kind(store.list(&late, &ListQuery::all(), None).await),
            kind(store.stage(&late, &target, v, &material()).await),
            kind(store.pointer(&late, &target).await),
            kind(store.publish(&late, &target, v, PublicationId::first(v), &PointerToken::new("0")).await),
            kind(store.read(&late, &[item]).await.remove(0)),
            kind(store.withdraw(&late, &target, v).await),
            kind(store.survey(&late, &target).await),
            kind(store.retire(&late, &target, Duration::ZERO).await),
        ];
        assert_eq!(kinds, [ErrorKind::Unavailable; 10]);
        assert!(store.load_one(&cx(), record.id()).await.expect("answered").is_none());
    });
}

#[test]
fn a_listing_never_stops_early() {
    block_on(async {
        let (store, cx) = (MemoryBackend::default(), cx());
        for n in 0..7 {
            let record = Lab::of(&draft(&format!("dev/analytics/k{n}"))).record;
            assert!(matches!(store.swap(&cx, record.id(), Expect::Absent, &record).await, Ok(Swap::Applied(_))));
        }
        let mut none = ListQuery::all();
        none.limit = Some(0);
        for query in [none, ListQuery::all().limit(0), ListQuery::all().limit(1), ListQuery::all().limit(3)] {
            assert_eq!(store.list_all(&cx, &query).await.expect("a listing").len(), 7, "{query:?}");
        }
        let foreign = Some(PageToken::new("not ours"));
        assert_eq!(kind(store.list(&cx, &ListQuery::all(), foreign.clone()).await), ErrorKind::Invalid);
        let log = store.audit().expect("a log");
        assert_eq!(kind(log.entries(&cx, &Default::default(), foreign).await), ErrorKind::Invalid);
    });
}

/// A publish that lost its reply is recognised; a sleeper with an old token is not let through.
#[test]
fn the_pointer_is_a_cell_that_never_repeats() {
    block_on(async {
        let (store, cx) = (MemoryBackend::default(), cx());
        let target = Lab::new().record.target();
        let (old, new) = (version(1), version(2));
        for v in [old, new] {
            store.stage(&cx, &target, v, &material()).await.expect("staged");
        }
        let empty = store.pointer(&cx, &target).await.expect("a pointer");
        assert_eq!(empty.shows, Shows::Nothing);
        let first = PublicationId::first(old);
        let Ok(Publish::Moved(at_old)) = store.publish(&cx, &target, old, first, &empty.token).await else { panic!() };
        let again = store.publish(&cx, &target, old, first, &empty.token).await.expect("an answer");
        assert_eq!(again, Publish::AlreadyThere(at_old.clone()));
        store.publish(&cx, &target, new, PublicationId::first(new), &at_old).await.expect("moved");
        let back = PublicationId::generate();
        let token = store.pointer(&cx, &target).await.expect("a pointer").token;
        store.publish(&cx, &target, old, back, &token).await.expect("moved back under a fresh id");
        let sleeper = store.publish(&cx, &target, new, PublicationId::first(new), &at_old).await.expect("an answer");
        assert!(matches!(sleeper, Publish::Conflict(p) if p.shows == Shows::Ours { publication: back, version: old }));
        store.retire(&cx, &target, Duration::ZERO).await.expect("retired");
        store.stage(&cx, &target, new, &material()).await.expect("staged again");
        let sleeper =
            store.publish(&cx, &target, new, PublicationId::first(new), &empty.token).await.expect("an answer");
        assert!(matches!(sleeper, Publish::Conflict(_)), "a token of before the retirement is worth nothing");
        assert!(matches!(store.read_one(&cx, &target, Select::Version(new)).await, Ok(Read::Found { .. })));
    });
}

#[test]
fn errors_say_what_to_do_next() {
    use keyward_core::{Error, Operation};
    let key = "dev/analytics/x".parse().expect("a key");
    let error =
        Error::new(ErrorKind::Throttled, Operation::Load, "vault").with_key(&key).with_code(429).with_request_id("r-1");
    assert_eq!(
        error.to_string(),
        "vault: Load of dev/analytics/x: throttled (code 429) (request r-1): too many requests; repeat later"
    );
    assert_eq!((error.retry(), error.code(), error.request_id()), (Retry::Yes, Some(429), Some("r-1")));
    let later = Retry::After(Duration::from_secs(3));
    assert_eq!(error.clone().with_retry(later).retry(), later);
    let detailed = error.with_detail("the token has expired");
    assert!(detailed.to_string().ends_with(": the token has expired"));
    for dropped in ["", "a b", "<body>", "x\n", "é", &"x".repeat(129)] {
        assert_eq!(detailed.clone().with_request_id(dropped).request_id(), None, "{dropped:?}");
    }
    assert!(std::error::Error::source(&detailed).is_none(), "no foreign error inside");
}
