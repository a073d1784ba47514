//! Answers of something that stands in front of the server: never taken for the server's own, at whatever request of
//! whatever call they come.

mod common;

use std::time::Duration;

use common::{Foreign, Met, Operator, cx, key, noted, one, record, shown, staged, unique};
use keyward_conformance::servers::{Proxy, Stub};
use keyward_core::{
    Adopter, DiscoverQuery, Error, ErrorKind, Expect, ListQuery, Location, PointerToken, PublicationId, ReadItem,
    SecretBackend, SecretBackendExt, Select, Shape, Stamp, Swap, Target, VersionId,
};
use keyward_vault::{Auth, Connection, Jwt, Retry, VaultBackend};
use serde_json::{Value, json};

/// A key with a record, an old and a current version, and one that is staged. Its material lies in a path of its own or
/// in an adopted one.
struct Site {
    target: Target,
    old: VersionId,
    next: VersionId,
    token: PointerToken,
    stamp: Stamp,
}

impl Site {
    async fn new(operator: &Operator, direct: &VaultBackend, mount: &str, adopted: bool, what: &str) -> Self {
        let name = unique("site");
        let (id, path) = (key(&name), format!("legacy/{name}"));
        let first = record(&name);
        let Ok(Swap::Applied(stamp)) = direct.swap(&cx(), &id, Expect::Absent, &first).await else { panic!("stored") };
        let location = if adopted {
            let body = json!({ "data": { "api_key": "found", "port": 5432 } });
            operator.must("POST", &format!("{mount}/data/{path}"), body).await;
            Location::vault_path(mount, &path, Some("api_key".parse().expect("a field"))).expect("a location")
        } else {
            Location::Derived
        };
        let target = Target::new(id, location, Shape::One);
        let mut old = VersionId::generate();
        if adopted && what != "claim" {
            direct.claim(&cx(), &target, old).await.expect("a claim");
        }
        if !matches!(what, "claim" | "release") {
            old = shown(direct, &target, "old").await;
            shown(direct, &target, "current").await;
        }
        let next = match what {
            "claim" => VersionId::generate(),
            _ => staged(direct, &target, "next").await,
        };
        let token = direct.pointer(&cx(), &target).await.expect("a pointer").token;
        Self { target, old, next, token, stamp }
    }
}

/// Those that are the same for every key, and those that are not where its material lies in an adopted path.
const ALIKE: [&str; 8] = ["load", "register", "swap", "list", "stage", "stage again", "read version", "discover"];
const APART: [&str; 7] = ["pointer", "publish", "read", "withdraw", "withdraw unknown", "survey", "retire"];
const ADOPTING: [&str; 3] = ["inspect", "claim", "release"];

/// What a call says; an item that failed is a failure.
async fn call(store: &VaultBackend, site: &Site, what: &str) -> Result<String, Error> {
    let (cx, target) = (cx(), &site.target);
    let item = |select| [ReadItem { target: target.clone(), select }];
    let said = match what {
        "load" => format!("{:?}", store.load_one(&cx, &target.id).await?),
        "register" => {
            let new = record(&unique("new"));
            format!("{:?}", store.swap(&cx, new.id(), Expect::Absent, &new).await?)
        }
        "swap" => {
            let next = noted(&record(target.id.name().as_str()), "next");
            format!("{:?}", store.swap(&cx, &target.id, Expect::At(site.stamp.clone()), &next).await?)
        }
        "list" => {
            let page = store.list(&cx, &ListQuery::all().limit(2), None).await?;
            page.items.iter().find_map(|item| item.as_ref().err()).map_or(Ok(()), |error| Err(error.clone()))?;
            format!("{} records", page.items.len())
        }
        "stage" => format!("{:?}", store.stage(&cx, target, VersionId::generate(), &one("new")).await?),
        "stage again" => format!("{:?}", store.stage(&cx, target, site.next, &one("next")).await?),
        "pointer" => format!("{:?}", store.pointer(&cx, target).await?),
        "publish" => {
            let first = PublicationId::first(site.next);
            format!("{:?}", store.publish(&cx, target, site.next, first, &site.token).await?)
        }
        "read" => format!("{:?}", store.read(&cx, &item(Select::Current)).await.remove(0)?),
        "read version" => format!("{:?}", store.read(&cx, &item(Select::Version(site.old))).await.remove(0)?),
        "withdraw" => format!("{:?}", store.withdraw(&cx, target, site.old).await?),
        "withdraw unknown" => format!("{:?}", store.withdraw(&cx, target, VersionId::generate()).await?),
        "survey" => format!("{:?}", store.survey(&cx, target).await?),
        "retire" => format!("{:?}", store.retire(&cx, target, Duration::ZERO).await?),
        "inspect" => format!("{:?}", store.inspect(&cx, &target.location).await?),
        "discover" => {
            let prefix = format!("legacy/{}", target.id.name());
            format!("{:?}", store.discover(&cx, &DiscoverQuery::all().prefix(&prefix).tag("a"), None).await?)
        }
        "claim" => format!("{:?}", store.claim(&cx, target, site.next).await?),
        "release" => format!("{:?}", store.release(&cx, target).await?),
        _ => unreachable!("{what}"),
    };
    Ok(said)
}

/// What was wrongly made of a foreign answer; nothing when it was taken for what it is.
fn mistaken(met: &[String], outcome: Result<String, Error>) -> Option<String> {
    let expected = if met[0].starts_with("GET") { ErrorKind::Unavailable } else { ErrorKind::Unknown };
    match outcome {
        Ok(said) => Some(format!("a success: {said}")),
        Err(error) if error.kind() == expected => None,
        Err(error) if error.kind() == ErrorKind::Throttled && expected == ErrorKind::Unavailable => None,
        Err(error) => Some(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_foreign_answer_is_taken_for_the_servers_own() {
    let (operator, mount, direct) = common::alone().await;
    let proxy = Proxy::start(&operator.address).await;
    let connection = Connection::builder(&proxy.url(), operator.root()).retry(Retry::NEVER).connect(&cx()).await;
    let builder = VaultBackend::builder(connection.expect("a connection")).mount(&mount);
    let through = builder.open(&cx()).await.expect("a store");
    let mut mistakes = Vec::new();
    let shared = [
        Site::new(&operator, &direct, &mount, false, "read").await,
        Site::new(&operator, &direct, &mount, true, "read").await,
    ];
    for foreign in Foreign::all() {
        let derived = ALIKE.into_iter().chain(APART).map(|what| (false, what));
        for (adopted, what) in derived.chain(APART.into_iter().chain(ADOPTING).map(|what| (true, what))) {
            for spared in 0.. {
                let fresh = match what {
                    "swap" | "publish" | "withdraw" | "retire" | "claim" | "release" => {
                        Some(Site::new(&operator, &direct, &mount, adopted, what).await)
                    }
                    _ => None,
                };
                let site = fresh.as_ref().unwrap_or(&shared[usize::from(adopted)]);
                let met = Met::default();
                proxy.plan(met.rule(&foreign, spared));
                let outcome = call(&through, site, what).await;
                proxy.clear();
                let met = met.requests();
                if met.is_empty() {
                    outcome.unwrap_or_else(|error| panic!("{what} works when nothing goes wrong: {error}"));
                    break;
                }
                let mistake = mistaken(&met, outcome);
                mistakes
                    .extend(mistake.map(|mistake| format!("{foreign}, {what}, adopted {adopted}: {met:?}: {mistake}")));
            }
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// The server says so itself, but of the mount: nothing is known of what lay there.
#[tokio::test]
#[ignore = "needs tests/servers/up.sh"]
async fn a_mount_that_is_gone_is_not_an_empty_one() {
    let (operator, mount, store) = common::alone().await;
    let site = Site::new(&operator, &store, &mount, false, "read").await;
    operator.must("DELETE", &format!("sys/mounts/{mount}"), Value::Null).await;
    for what in ["load", "list", "pointer", "read", "read version", "withdraw unknown", "survey", "retire"] {
        let error = call(&store, &site, what).await.expect_err(what);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, Some(404)), "{what}: {error}");
        assert!(error.detail().is_some_and(|detail| detail.contains("mount")), "{error}");
    }
}

/// Nobody's credentials are blamed for it; least of all is a wrapped secret-id taken for intercepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_not_refused_by_a_foreign_word() {
    for foreign in Foreign::all() {
        let answer = foreign.answer();
        let stub = Stub::start(Duration::ZERO, move |_, _| answer.clone()).await;
        let jwt = || Jwt::given("jwt".into());
        for auth in [
            Auth::token("s.token".into()),
            Auth::app_role("role", "secret-id".into()),
            Auth::wrapped_app_role("role", "s.wrapping".into()),
            Auth::userpass("ada", "password".into()),
            Auth::jwt(None, jwt()),
            Auth::kubernetes_with("role", jwt()),
        ] {
            let what = format!("{foreign}, {auth:?}");
            let error = Connection::builder(&stub.url(), auth).retry(Retry::NEVER).connect(&cx()).await;
            let kind = error.map(drop).expect_err(&what).kind();
            assert!(
                matches!(kind, ErrorKind::Unavailable | ErrorKind::Unknown | ErrorKind::Throttled),
                "{what}: {kind}"
            );
        }
    }
}
