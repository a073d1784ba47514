//! Existing paths under management where they lie, on a real server.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Operator, alone, current, cx, key, kind, one, published, staged};
use keyward_conformance::servers::{Fault, Proxy};
use keyward_core::{
    Adopter, DiscoverQuery, ErrorKind, FieldName, Location, Material, PublicationId, Publish, Read, Retire,
    SecretBackend, SecretBackendExt, SecretValue, Select, Shape, Shows, Target, VersionId, Withdraw,
};
use keyward_vault::{Auth, Connection, Retry, VaultBackend};
use serde_json::{Value, json};

fn field(name: &str) -> FieldName {
    name.parse().expect("a field name")
}

fn at(mount: &str, path: &str, one: Option<&str>) -> Location {
    Location::vault_path(mount, path, one.map(field)).expect("a location")
}

fn adopted(name: &str, location: Location) -> Target {
    Target::new(key(name), location, Shape::One)
}

async fn write(operator: &Operator, mount: &str, path: &str, data: Value) {
    operator.must("POST", &format!("{mount}/data/{path}"), json!({ "data": data })).await;
}

async fn read(operator: &Operator, mount: &str, path: &str) -> Value {
    operator.get(&format!("{mount}/data/{path}")).await["data"].clone()
}

async fn shows(store: &VaultBackend, target: &Target) -> Shows {
    store.pointer(&cx(), target).await.expect("a pointer").shows
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_field_is_adopted_undisturbed_and_rotated_beside_its_neighbours() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "api_key": "old", "port": 5432, "hosts": ["a", "b"] })).await;
    let before = read(&operator, &mount, "legacy/app").await;
    let target = adopted("field", at(&mount, "legacy/app", Some("api_key")));
    let found = store.inspect(&cx(), &target.location).await.expect("it is there");
    assert_eq!((found.shape, found.managed_by, found.obstacles), (Some(Shape::One), None, vec![]));
    assert_eq!(shows(&store, &target).await, Shows::Foreign, "not ours before it is claimed");

    let version = VersionId::generate();
    let material = store.claim(&cx(), &target, version).await.expect("a claim");
    assert!(material.ct_eq(&one("old")));
    assert_eq!(read(&operator, &mount, "legacy/app").await, before, "not even a version was added");
    let first = Shows::Ours { publication: PublicationId::first(version), version };
    assert_eq!(shows(&store, &target).await, first);
    let again = store.claim(&cx(), &target, version).await.expect("claiming is repeatable");
    assert!(again.ct_eq(&one("old")));
    let stage = store.stage(&cx(), &target, version, &one("old")).await.expect("a stage");
    assert_eq!(stage, keyward_core::Stage::AlreadySame);
    assert_eq!(store.inspect(&cx(), &target.location).await.expect("there").managed_by, Some(key("field")));

    let new = staged(&store, &target, "new").await;
    published(&store, &target, new).await;
    assert_eq!(current(&store, &target).await.expect("ours"), "new");
    let after = read(&operator, &mount, "legacy/app").await;
    assert_eq!(after["data"], json!({ "api_key": "new", "port": 5432, "hosts": ["a", "b"] }));
    // Someone changes a neighbour; ours is still ours.
    write(&operator, &mount, "legacy/app", json!({ "api_key": "new", "port": 5433 })).await;
    assert!(matches!(shows(&store, &target).await, Shows::Ours { version, .. } if version == new));
    // Back to the old one, beside the neighbour's new value.
    published(&store, &target, version).await;
    assert_eq!(read(&operator, &mount, "legacy/app").await["data"], json!({ "api_key": "old", "port": 5433 }));
    let gone = store.withdraw(&cx(), &target, new).await.expect("a withdraw");
    assert_eq!(gone, Withdraw::Deferred { readable_until: None }, "the history of the path is not ours");
    assert_eq!(kind(store.withdraw(&cx(), &target, version).await), ErrorKind::Conflict);
    assert_eq!(store.survey(&cx(), &target).await.expect("a survey").versions, [version]);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_whole_path_is_adopted_with_its_fields() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/login", json!({ "user": "u", "password": "p" })).await;
    let shape = Shape::Fields(vec![field("password"), field("user")]);
    let target = Target::new(key("whole"), at(&mount, "legacy/login", None), shape.clone());
    assert_eq!(store.inspect(&cx(), &target.location).await.expect("there").shape, Some(shape));
    let version = VersionId::generate();
    let material = store.claim(&cx(), &target, version).await.expect("a claim");
    assert!(material.field("user").is_some_and(|user| user.expose_secret() == b"u"));
    let new = VersionId::generate();
    let fields = [(field("user"), SecretValue::from("u")), (field("password"), SecretValue::from("p2"))];
    let next = Material::fields(fields).expect("material");
    store.stage(&cx(), &target, new, &next).await.expect("a stage");
    published(&store, &target, new).await;
    let there = read(&operator, &mount, "legacy/login").await["data"].clone();
    assert_eq!(there, json!({ "user": "u", "password": "p2" }), "and nothing of ours beside them");
    let read = store.read_one(&cx(), &target, Select::Current).await;
    assert!(matches!(read, Ok(Read::Found { material, .. }) if material.ct_eq(&next)));
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_foreign_write_is_noticed_and_left_alone() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "value": "old" })).await;
    let target = adopted("foreign", at(&mount, "legacy/app", None));
    let version = VersionId::generate();
    store.claim(&cx(), &target, version).await.expect("a claim");
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    write(&operator, &mount, "legacy/app", json!({ "value": "theirs" })).await;
    assert_eq!(shows(&store, &target).await, Shows::Foreign);
    assert_eq!(kind(current(&store, &target).await), ErrorKind::Conflict);
    let new = staged(&store, &target, "new").await;
    let answer = store.publish(&cx(), &target, new, PublicationId::first(new), &token).await;
    assert!(matches!(answer, Ok(Publish::Conflict(_))), "{answer:?}");
    assert_eq!(read(&operator, &mount, "legacy/app").await["data"], json!({ "value": "theirs" }));
    // The same bytes by another hand are no change.
    write(&operator, &mount, "legacy/app", json!({ "value": "old" })).await;
    assert!(matches!(shows(&store, &target).await, Shows::Ours { version: shown, .. } if shown == version));
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_is_taken_back_until_something_was_published() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "value": "old" })).await;
    let before = read(&operator, &mount, "legacy/app").await;
    let target = adopted("undone", at(&mount, "legacy/app", None));
    store.release(&cx(), &target).await.expect("nothing claimed is success");
    store.claim(&cx(), &target, VersionId::generate()).await.expect("a claim");
    store.release(&cx(), &target).await.expect("a release");
    assert_eq!(read(&operator, &mount, "legacy/app").await, before);
    let folder = operator.ask("LIST", &format!("{mount}/metadata/keyward"), Value::Null).await.1;
    assert_eq!(folder["data"]["keys"], json!(["adopted/"]), "no copy of the value is left");
    let journal = read(&operator, &mount, &format!("keyward/adopted/{mount}/legacy/app")).await;
    assert_eq!(journal["data"]["holders"], json!({}), "and nobody holds it");
    assert_eq!(store.inspect(&cx(), &target.location).await.expect("there").managed_by, None);
    assert_eq!(store.discover(&cx(), &DiscoverQuery::all(), None).await.expect("a page").items.len(), 1);

    let other = Target::new(key("another"), target.location.clone(), Shape::One);
    let version = VersionId::generate();
    store.claim(&cx(), &other, version).await.expect("it can be claimed anew, by another key too");
    assert_eq!(kind(store.claim(&cx(), &target, VersionId::generate()).await), ErrorKind::Conflict);
    let part = adopted("part", at(&mount, "legacy/app", Some("value")));
    assert_eq!(kind(store.claim(&cx(), &part, VersionId::generate()).await), ErrorKind::Conflict, "an overlap");
    let new = staged(&store, &other, "new").await;
    published(&store, &other, new).await;
    assert_eq!(kind(store.release(&cx(), &other).await), ErrorKind::Conflict);
    assert_eq!(store.retire(&cx(), &other, Duration::ZERO).await.expect("a retire"), Retire::Retired);
    assert_eq!(read(&operator, &mount, "legacy/app").await["data"], json!({ "value": "new" }), "the path stays");
    assert!(store.survey(&cx(), &other).await.expect("a survey").versions.is_empty());
    assert_eq!(store.retire(&cx(), &other, Duration::ZERO).await.expect("again"), Retire::Absent);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn two_fields_of_one_path_are_two_keys() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/both", json!({ "a": "a1", "b": "b1" })).await;
    let (a, b) =
        (adopted("a", at(&mount, "legacy/both", Some("a"))), adopted("b", at(&mount, "legacy/both", Some("b"))));
    for target in [&a, &b] {
        store.claim(&cx(), target, VersionId::generate()).await.expect("a claim");
    }
    for (target, value) in [(&a, "a2"), (&b, "b2")] {
        let version = staged(&store, target, value).await;
        published(&store, target, version).await;
    }
    assert_eq!(current(&store, &a).await.expect("ours"), "a2");
    assert_eq!(current(&store, &b).await.expect("ours"), "b2");
    assert_eq!(read(&operator, &mount, "legacy/both").await["data"], json!({ "a": "a2", "b": "b2" }));
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn what_cannot_be_adopted_says_why() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "mixed", json!({ "text": "t", "number": 5 })).await;
    write(&operator, &mount, "deleted", json!({ "value": "v" })).await;
    operator.must("DELETE", &format!("{mount}/data/deleted"), Value::Null).await;
    operator.must("POST", &format!("{mount}/metadata/fleeting"), json!({ "delete_version_after": "1h" })).await;
    write(&operator, &mount, "fleeting", json!({ "value": "v" })).await;
    for path in ["mixed", "deleted", "fleeting"] {
        let found = store.inspect(&cx(), &at(&mount, path, None)).await.expect("it is there");
        assert!(!found.obstacles.is_empty(), "{path}");
    }
    assert!(store.inspect(&cx(), &at(&mount, "mixed", Some("text"))).await.expect("there").obstacles.is_empty());
    assert_eq!(kind(store.inspect(&cx(), &at(&mount, "nothing", None)).await), ErrorKind::NotFound);
    let old = operator.mount(1).await;
    operator.must("POST", &format!("{old}/app"), json!({ "value": "v" })).await;
    let found = store.inspect(&cx(), &at(&old, "app", None)).await.expect("an answer");
    assert!(found.obstacles.iter().any(|obstacle| obstacle.contains("KV version 2")), "{:?}", found.obstacles);
    let claim = |path: &str, one: Option<&str>| adopted("refused", at(&mount, path, one));
    for (target, expected) in [
        (claim("mixed", None), ErrorKind::Invalid),
        (claim("mixed", Some("number")), ErrorKind::Invalid),
        (claim("deleted", None), ErrorKind::NotFound),
        (claim("nothing", None), ErrorKind::NotFound),
        (claim("fleeting", None), ErrorKind::Conflict),
        (adopted("refused", at(&old, "app", None)), ErrorKind::Conflict),
    ] {
        assert_eq!(kind(store.claim(&cx(), &target, VersionId::generate()).await), expected, "{target:?}");
    }
    let own = adopted("refused", at(&mount, "keyward/keys/production/messaging/x", None));
    assert_eq!(kind(store.claim(&cx(), &own, VersionId::generate()).await), ErrorKind::Invalid);
    let target = claim("mixed", Some("text"));
    let binary = Material::one(SecretValue::new(vec![0xff, 0xfe])).expect("material");
    assert_eq!(kind(store.stage(&cx(), &target, VersionId::generate(), &binary).await), ErrorKind::Invalid);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn existing_paths_are_found_in_pages_and_by_tag() {
    let (operator, mount, store) = alone().await;
    for n in 0..230 {
        write(&operator, &mount, &format!("teams/t{:02}/s{n:03}", n % 7), json!({ "value": "v" })).await;
    }
    write(&operator, &mount, "teams", json!({ "value": "v" })).await;
    write(&operator, &mount, "team-b/x", json!({ "value": "v" })).await;
    staged(&store, &Target::new(key("own"), Location::Derived, Shape::One), "value").await;
    let tags = json!({ "custom_metadata": { "owner": "growth", "tier": "gold" } });
    operator.must("POST", &format!("{mount}/metadata/teams/t01/s001"), tags).await;
    let all = |query: DiscoverQuery| {
        let store = store.clone();
        async move {
            let (mut found, mut token) = (Vec::new(), None);
            for _ in 0..100 {
                let page = store.discover(&cx(), &query, token).await.expect("a page");
                for location in page.items {
                    let Location::VaultPath { path, field: None, .. } = location else { panic!("a path") };
                    found.push(path.as_str().to_owned());
                }
                match page.next {
                    None => return found,
                    next => token = next,
                }
            }
            panic!("the listing never ends");
        }
    };
    let found = all(DiscoverQuery::all()).await;
    assert_eq!(found.len(), 232, "each once, and none of our own");
    assert!(found.is_sorted());
    let found = all(DiscoverQuery::all().prefix("teams")).await;
    assert_eq!((found.len(), found[0].as_str()), (231, "teams"));
    assert_eq!(all(DiscoverQuery::all().prefix("teams/t03/")).await.len(), 33);
    assert_eq!(all(DiscoverQuery::all().tag("owner")).await, ["teams/t01/s001"]);
    assert_eq!(all(DiscoverQuery::all().tag_value("tier", "gold")).await, ["teams/t01/s001"]);
    assert!(all(DiscoverQuery::all().tag_value("tier", "silver")).await.is_empty());
    let tagged = store.inspect(&cx(), &at(&mount, "teams/t01/s001", None)).await.expect("there");
    assert_eq!(tagged.tags.get("owner").map(String::as_str), Some("growth"));
    assert!(tagged.changed_at.is_some());
    let token = Some(keyward_core::PageToken::new("%%%"));
    assert_eq!(kind(store.discover(&cx(), &DiscoverQuery::all(), token).await), ErrorKind::Invalid);
}

#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_role_without_the_value_still_sees_what_can_be_seen() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "value": "v" })).await;
    let policy = format!("path \"{mount}/metadata/*\" {{ capabilities = [\"read\", \"list\"] }}");
    let connection = operator.connect_with(Auth::token(operator.token_for(&policy).await)).await;
    let weak = VaultBackend::builder(connection).mount(&mount).open(&cx()).await.expect("a store");
    let found = weak.inspect(&cx(), &at(&mount, "legacy/app", None)).await.expect("seen");
    assert_eq!((found.shape, found.obstacles), (None, vec![]));
    let target = adopted("weak", at(&mount, "legacy/app", None));
    assert_eq!(kind(weak.claim(&cx(), &target, VersionId::generate()).await), ErrorKind::Denied);
    drop(store);
}

/// A neighbour comes back exactly as the server sent it: no number is read and written anew.
#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn neighbours_come_back_digit_by_digit() {
    let (operator, mount, store) = alone().await;
    let beside = concat!(
        r#""account":123456789012345678901234567890,"big":18446744073709551617,"exp":1.0e5,"huge":1e25,"#,
        r#""deep":[{"rate":0.30000000000000004}],"rate":0.12345678901234568,"long":0.1234567890123456789"#
    );
    let path = format!("{mount}/data/legacy/numbers");
    operator.text("POST", &path, &format!(r#"{{"data":{{"api_key":"old",{beside}}}}}"#)).await;
    let map = |answer: String| {
        answer.split_once(r#""data":{"data":"#).expect("a map").1.split(r#","metadata""#).next().map(str::to_owned)
    };
    let before = map(operator.text("GET", &path, "").await).expect("a map");
    let target = adopted("numbers", at(&mount, "legacy/numbers", Some("api_key")));
    assert_eq!(store.inspect(&cx(), &target.location).await.expect("there").obstacles, [""; 0]);
    store.claim(&cx(), &target, VersionId::generate()).await.expect("a claim");
    let new = staged(&store, &target, "new").await;
    published(&store, &target, new).await;
    let after = map(operator.text("GET", &path, "").await).expect("a map");
    assert_eq!(after, before.replace(r#""api_key":"old""#, r#""api_key":"new""#));
}

/// An adopter that slept through a rotation takes nothing from it.
#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_comes_after_a_rotation_is_refused() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "value": "old" })).await;
    let target = adopted("late", at(&mount, "legacy/app", None));
    let first = VersionId::generate();
    store.claim(&cx(), &target, first).await.expect("a claim");
    let second = staged(&store, &target, "second").await;
    published(&store, &target, second).await;
    for late in [first, second, VersionId::generate()] {
        assert_eq!(kind(store.claim(&cx(), &target, late).await), ErrorKind::Conflict);
    }
    assert!(matches!(shows(&store, &target).await, Shows::Ours { version, .. } if version == second));
    for (version, value) in [(first, "old"), (second, "second")] {
        let read = store.read_one(&cx(), &target, Select::Version(version)).await;
        assert!(matches!(read, Ok(Read::Found { material, .. }) if material.ct_eq(&one(value))), "{value} is kept");
    }
    // Back to the first value; the late claim is none the better for it.
    published(&store, &target, first).await;
    assert_eq!(kind(store.claim(&cx(), &target, first).await), ErrorKind::Conflict);
    assert!(matches!(shows(&store, &target).await, Shows::Ours { version, .. } if version == first));
}

/// A version keeps the value it was claimed with, and the place belongs to the latest claim.
#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_comes_late_takes_neither_a_newer_value_nor_a_newer_claim() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/app", json!({ "value": "old" })).await;
    let target = adopted("late-again", at(&mount, "legacy/app", None));
    let [first, second, third] = [(); 3].map(|()| VersionId::generate());
    store.claim(&cx(), &target, second).await.expect("a claim");
    store.claim(&cx(), &target, second).await.expect("repeating it is safe");
    write(&operator, &mount, "legacy/app", json!({ "value": "a person's" })).await;
    for late in [first, second] {
        assert_eq!(kind(store.claim(&cx(), &target, late).await), ErrorKind::Conflict);
    }
    assert!(matches!(shows(&store, &target).await, Shows::Foreign));
    let read = store.read_one(&cx(), &target, Select::Version(second)).await;
    assert!(matches!(read, Ok(Read::Found { material, .. }) if material.ct_eq(&one("old"))), "its value is kept");
    store.claim(&cx(), &target, third).await.expect("a later version takes the place as it is now");
    assert_eq!(kind(store.claim(&cx(), &target, second).await), ErrorKind::Conflict);
    assert!(matches!(shows(&store, &target).await, Shows::Ours { version, .. } if version == third));
}

/// The same, with the rotation in the middle of the claim, at each of its requests.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_rotation_in_the_middle_of_a_claim_loses_nothing() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let slow = behind(&proxy, &operator, &mount).await;
    for at_request in 0..12 {
        let path = format!("legacy/app-{at_request}");
        write(&operator, &mount, &path, json!({ "value": "old" })).await;
        let target = adopted(&format!("overtaken-{at_request}"), at(&mount, &path, None));
        let first = VersionId::generate();
        store.claim(&cx(), &target, first).await.expect("a claim");
        // A repeated claim, of the same version or another one, that stops for a while.
        let late = if at_request % 2 == 0 { first } else { VersionId::generate() };
        let before = proxy.requests();
        proxy.plan(Fault::Delay(Duration::from_millis(200)).always().after(at_request).times(1));
        let (sleeper, theirs) = (slow.clone(), target.clone());
        let claim = tokio::spawn(async move { sleeper.claim(&cx(), &theirs, late).await });
        while proxy.requests() <= before + at_request && !claim.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let second = VersionId::generate();
        store.stage(&cx(), &target, second, &one("second")).await.expect("a stage");
        let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
        let publish = store.publish(&cx(), &target, second, PublicationId::first(second), &token).await;
        let _ = claim.await.expect("no panic");
        proxy.clear();
        if let Ok(Publish::Moved(_)) = publish {
            let shown = shows(&store, &target).await;
            assert!(matches!(shown, Shows::Ours { version, .. } if version == second), "{at_request}: {shown:?}");
            assert_eq!(current(&store, &target).await.expect("ours"), "second", "{at_request}");
        }
    }
}

/// The last one to leave the journal of a path does not take with it who comes at the same time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_beside_a_release_is_not_lost() {
    let (operator, mount, store) = alone().await;
    write(&operator, &mount, "legacy/both", json!({ "a": "a1", "b": "b1" })).await;
    for round in 0..60 {
        let leaves = adopted(&format!("leaves-{round}"), at(&mount, "legacy/both", Some("a")));
        let comes = adopted(&format!("comes-{round}"), at(&mount, "legacy/both", Some("b")));
        store.claim(&cx(), &leaves, VersionId::generate()).await.expect("a claim");
        let release = tokio::spawn({
            let store = store.clone();
            async move { store.release(&cx(), &leaves).await }
        });
        let version = VersionId::generate();
        let claim = store.claim(&cx(), &comes, version).await;
        release.await.expect("no panic").expect("a release");
        claim.expect("a claim");
        let shown = shows(&store, &comes).await;
        assert!(matches!(shown, Shows::Ours { version: shown, .. } if shown == version), "{round}: {shown:?}");
        store.release(&cx(), &comes).await.expect("a release");
    }
}

/// A reader that looks at the journal before a publication and at the value after it, or the other way round.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_reader_in_the_middle_of_a_publication_sees_no_other_writer() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let reader = behind(&proxy, &operator, &mount).await;
    write(&operator, &mount, "legacy/app", json!({ "value": "v0" })).await;
    let target = adopted("read", at(&mount, "legacy/app", None));
    let mut old = VersionId::generate();
    store.claim(&cx(), &target, old).await.expect("a claim");
    for (round, slow) in
        ["/data/legacy/app", "/data/keyward/adopted/", "/data/keyward/pending/"].iter().cycle().take(6).enumerate()
    {
        let new = staged(&store, &target, &format!("v{}", round + 1)).await;
        let (met, before) = (Arc::new(AtomicUsize::new(0)), proxy.requests());
        let counted = met.clone();
        proxy.plan(
            Fault::Delay(Duration::from_millis(300))
                .when(move |call| call.path.contains(slow) && counted.fetch_add(1, Ordering::Relaxed) == 0)
                .times(1),
        );
        let (theirs, reader) = (target.clone(), reader.clone());
        let read = tokio::spawn(async move { current(&reader, &theirs).await });
        while met.load(Ordering::Relaxed) == 0 || proxy.requests() < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The request that is not held back is through before this is.
        tokio::time::sleep(Duration::from_millis(50)).await;
        published(&store, &target, new).await;
        store.withdraw(&cx(), &target, old).await.expect("a withdraw");
        let seen = read.await.expect("no panic").unwrap_or_else(|error| panic!("{slow}, {round}: {error}"));
        assert!(seen == format!("v{round}") || seen == format!("v{}", round + 1), "{seen}");
        proxy.clear();
        old = new;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_lost_reply_is_settled_by_reading_back() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let hampered = behind(&proxy, &operator, &mount).await;
    write(&operator, &mount, "legacy/app", json!({ "api_key": "old", "port": 5432 })).await;
    let target = adopted("lost", at(&mount, "legacy/app", Some("api_key")));
    store.claim(&cx(), &target, VersionId::generate()).await.expect("a claim");
    let next = staged(&store, &target, "next").await;
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    proxy.plan(Fault::LoseReply.when(|call| call.method == "POST" && call.path.ends_with("/data/legacy/app")).times(1));
    let publication = PublicationId::first(next);
    let answer = hampered.publish(&cx(), &target, next, publication, &token).await;
    assert!(matches!(answer, Ok(Publish::Moved(_))), "{answer:?}");
    let answer = hampered.publish(&cx(), &target, next, publication, &token).await;
    assert!(matches!(answer, Ok(Publish::AlreadyThere(_))), "{answer:?}");
    assert_eq!(current(&store, &target).await.expect("ours"), "next");
}

/// The server would delete it by itself: that is no publication, however often it is asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_would_vanish_at_an_adopted_path_is_not_published() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let hampered = behind(&proxy, &operator, &mount).await;
    for (store, lost) in [(&store, false), (&hampered, true)] {
        let path = format!("legacy/lost-{lost}");
        write(&operator, &mount, &path, json!({ "value": "old" })).await;
        let target = adopted(&format!("vanishing-{lost}"), at(&mount, &path, None));
        store.claim(&cx(), &target, VersionId::generate()).await.expect("a claim");
        let next = staged(store, &target, "next").await;
        let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
        operator.must("POST", &format!("{mount}/metadata/{path}"), json!({ "delete_version_after": "1h" })).await;
        if lost {
            proxy.plan(
                Fault::LoseReply.when(|call| call.method == "POST" && call.path.contains("/data/legacy/")).times(1),
            );
        }
        for _ in 0..2 {
            let answer = store.publish(&cx(), &target, next, PublicationId::first(next), &token).await;
            assert_eq!(kind(answer), ErrorKind::Invalid, "lost: {lost}");
        }
    }
}

/// A publication that was on the journal and never came: another writer has the version it would have had.
async fn attempted(proxy: &Proxy, operator: &Operator, mount: &str, store: &VaultBackend) -> (Target, [VersionId; 2]) {
    let hampered = behind(proxy, operator, mount).await;
    write(operator, mount, "legacy/app", json!({ "value": "old" })).await;
    let target = adopted("attempted", at(mount, "legacy/app", None));
    let first = VersionId::generate();
    store.claim(&cx(), &target, first).await.expect("a claim");
    let next = staged(store, &target, "next").await;
    let token = store.pointer(&cx(), &target).await.expect("a pointer").token;
    proxy.plan(Fault::Refuse.when(|call| call.method == "POST" && call.path.ends_with("/data/legacy/app")));
    let answer = hampered.publish(&cx(), &target, next, PublicationId::first(next), &token).await;
    assert_eq!(kind(answer), ErrorKind::Unknown);
    write(operator, mount, "legacy/app", json!({ "value": "old" })).await;
    (target, [first, next])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_was_only_attempted_does_not_bind() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let (target, [first, _]) = attempted(&proxy, &operator, &mount, &store).await;
    store.claim(&cx(), &target, first).await.expect("nothing was published since");
    store.release(&cx(), &target).await.expect("nothing was published");
    assert_eq!(store.inspect(&cx(), &target.location).await.expect("there").managed_by, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn what_was_only_attempted_is_in_no_history() {
    let (operator, mount, store) = alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let (target, [_, next]) = attempted(&proxy, &operator, &mount, &store).await;
    assert_eq!(store.withdraw(&cx(), &target, next).await.expect("a withdraw"), Withdraw::Destroyed);
    assert_eq!(store.withdraw(&cx(), &target, next).await.expect("again"), Withdraw::Absent);
    store.release(&cx(), &target).await.expect("nothing was published");
}

/// A store behind a proxy; it repeats nothing.
async fn behind(proxy: &Proxy, operator: &Operator, mount: &str) -> VaultBackend {
    let connection = Connection::builder(&proxy.url(), operator.root()).retry(Retry::NEVER).connect(&cx()).await;
    VaultBackend::builder(connection.expect("a connection")).mount(mount).open(&cx()).await.expect("a store")
}
