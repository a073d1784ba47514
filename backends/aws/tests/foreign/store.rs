//! Records, material and adoption.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use keyward_aws::{AwsBackend, Retry};
use keyward_conformance::servers::{Fault, Proxy};
use keyward_core::{
    Adopter, DiscoverQuery, Expect, KeyRecord, ListQuery, Location, PublicationId, Publish, Read, ReadItem,
    SecretBackend, SecretBackendExt, Select, Shape, Shows, Stage, Stamped, Swap, Target, VersionId, Withdraw,
};

use crate::common::{
    assert_found, aws_url, builder, cx, fresh_prefix, noted, one, published, record, registered, staged, stranger,
    target,
};
use crate::{answers, or_undecided};

/// A backend behind a proxy, and the same one beside it: what the second sees is the truth.
struct Site {
    proxy: Proxy,
    store: AwsBackend,
    truth: AwsBackend,
    client: Client,
    prefix: String,
}

impl Site {
    async fn new() -> Self {
        let (proxy, prefix) = (Proxy::start(&aws_url()).await, fresh_prefix());
        let open = async |url: &str| {
            let store = builder(url, &prefix).retry(Retry::NEVER).tags(false).open().await;
            store.expect("a backend")
        };
        let (store, truth) = (open(&proxy.url()).await, open(&aws_url()).await);
        Self { proxy, store, truth, client: stranger(&aws_url()), prefix }
    }

    fn adopter(&self) -> &dyn Adopter {
        self.store.adopter().expect("an adopter")
    }

    /// A secret of somebody, and the target of a key that is to adopt it.
    async fn existing(&self, name: &str) -> Target {
        let place = format!("{}-{name}", self.prefix);
        self.client.create_secret().name(&place).secret_string("value").send().await.expect("a secret");
        Target::new(target(name).id, Location::aws_secret(&place).expect("a name"), Shape::One)
    }
}

/// Each foreign answer, to all calls of the operations of AWS that `on` names, or to every call for none of them.
async fn each(on: &[&str], check: impl AsyncFn(&Site, &str, &str)) {
    let site = Site::new().await;
    for operation in on.iter().map(Some).chain([None]) {
        for (n, (what, answer)) in answers().into_iter().enumerate() {
            let fault = Fault::Answer(answer);
            let rule = match operation {
                Some(operation) => fault.on(operation),
                None => fault.always(),
            };
            let name = format!("{}-{n}", operation.map_or("all".to_owned(), |operation| operation.to_lowercase()));
            let what = format!("{what} to {}", operation.unwrap_or(&"everything"));
            // What is set up through `truth` passes the proxy by.
            site.proxy.plan(rule);
            check(&site, &name, &what).await;
            site.proxy.clear();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_record_is_called_absent() {
    each(&["GetSecretValue", "BatchGetSecretValue", "ListSecrets"], async |site, name, what| {
        let key = registered(&site.truth, name).await.value.id().clone();
        let also = registered(&site.truth, &format!("{name}-b")).await.value.id().clone();
        if let Some(found) = or_undecided(site.store.load_one(&cx(), &key).await, what) {
            assert!(found.is_some(), "{what}");
        }
        for answer in site.store.load(&cx(), &[key.clone(), also.clone()]).await {
            if let Some(found) = or_undecided(answer, what) {
                assert!(found.is_some(), "{what}: in a batch");
            }
        }
        if let Some(page) = or_undecided(site.store.list(&cx(), &ListQuery::all(), None).await, what) {
            let all = site.truth.list_all(&cx(), &ListQuery::all()).await.expect("a listing").len();
            assert_eq!(page.items.len(), all, "{what}");
            page.items.into_iter().for_each(|item| drop(or_undecided(item, what)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_record_is_called_written_or_refused() {
    let calls = ["CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "GetSecretValue"];
    each(&calls, async |site, name, what| {
        let swapped = async |expect, next: KeyRecord| {
            let Some(swap) = or_undecided(site.store.swap(&cx(), next.id(), expect, &next).await, what) else {
                return;
            };
            assert!(matches!(swap, Swap::Applied(_)), "{what}: {swap:?}");
            assert_eq!(site.truth.load_existing(&cx(), next.id()).await.expect("a record").value, next, "{what}");
        };
        swapped(Expect::Absent, record(name)).await;
        let Stamped { value, stamp } = registered(&site.truth, &format!("{name}-b")).await;
        swapped(Expect::At(stamp), noted(&value, "next")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_material_is_called_stored_or_absent() {
    let calls = ["DescribeSecret", "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "GetSecretValue"];
    each(&calls, async |site, name, what| {
        let (fresh, there) = (target(name), target(&format!("{name}-b")));
        let known = staged(&site.truth, &there, b"known").await;
        for key in [&fresh, &there] {
            let version = VersionId::generate();
            if let Some(stage) = or_undecided(site.store.stage(&cx(), key, version, &one(b"new")).await, what) {
                assert_eq!(stage, Stage::Stored, "{what}");
                assert_found(site.truth.read_one(&cx(), key, Select::Version(version)).await, b"new");
            }
        }
        if let Some(stage) = or_undecided(site.store.stage(&cx(), &there, known, &one(b"known")).await, what) {
            assert_eq!(stage, Stage::AlreadySame, "{what}");
        }
        // Withdrawn, and staged again: the label is all that is missing.
        site.truth.withdraw(&cx(), &there, known).await.expect("withdrawn");
        if or_undecided(site.store.stage(&cx(), &there, known, &one(b"known")).await, what).is_some() {
            assert_found(site.truth.read_one(&cx(), &there, Select::Version(known)).await, b"known");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_published_value_is_called_absent() {
    each(&["DescribeSecret", "GetSecretValue", "BatchGetSecretValue"], async |site, name, what| {
        let keys = [target(name), target(&format!("{name}-b"))];
        let version = published(&site.truth, &keys[0], b"value").await;
        published(&site.truth, &keys[1], b"value").await;
        let items = keys.clone().map(|target| ReadItem { target, select: Select::Current });
        let mut answers = site.store.read(&cx(), &items).await;
        for select in [Select::Current, Select::Version(version)] {
            answers.push(site.store.read_one(&cx(), &keys[0], select).await);
        }
        for answer in answers {
            if let Some(read) = or_undecided(answer, what) {
                assert!(matches!(read, Read::Found { .. }), "{what}: {read:?}");
            }
        }
        let shows = Shows::Ours { publication: PublicationId::first(version), version };
        if let Some(pointer) = or_undecided(site.store.pointer(&cx(), &keys[0]).await, what) {
            assert_eq!(pointer.shows, shows, "{what}");
        }
        if let Some(survey) = or_undecided(site.store.survey(&cx(), &keys[0]).await, what) {
            assert_eq!((survey.versions, survey.pointer.shows), (vec![version], shows), "{what}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn nothing_is_called_published() {
    let calls = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"];
    each(&calls, async |site, name, what| {
        let key = target(name);
        let version = staged(&site.truth, &key, b"value").await;
        // The first publication moves a label, a later one makes a copy before.
        for publication in [PublicationId::first(version), PublicationId::generate()] {
            let before = site.truth.pointer(&cx(), &key).await.expect("a pointer");
            let answer = site.store.publish(&cx(), &key, version, publication, &before.token).await;
            if let Some(publish) = or_undecided(answer, what) {
                assert!(matches!(publish, Publish::Moved(_)), "{what}: {publish:?}");
                let shows = site.truth.pointer(&cx(), &key).await.expect("a pointer").shows;
                assert_eq!(shows, Shows::Ours { publication, version }, "{what}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn nothing_is_called_withdrawn_or_retired() {
    let calls = ["DescribeSecret", "UpdateSecretVersionStage", "DeleteSecret", "UntagResource"];
    each(&calls, async |site, name, what| {
        let key = target(name);
        let version = staged(&site.truth, &key, b"value").await;
        if let Some(withdraw) = or_undecided(site.store.withdraw(&cx(), &key, version).await, what) {
            assert!(matches!(withdraw, Withdraw::Deferred { .. }), "{what}: {withdraw:?}");
            assert!(site.truth.survey(&cx(), &key).await.expect("a survey").versions.is_empty(), "{what}");
        }
        for grace in [Duration::from_secs(60), Duration::ZERO] {
            if or_undecided(site.store.retire(&cx(), &key, grace).await, what).is_some() {
                let left = site.client.describe_secret().secret_id(site.truth.secret_name(&key.id)).send().await;
                assert!(left.map_or(true, |left| left.deleted_date.is_some()), "{what}");
                break;
            }
        }
        let adopted = site.existing(name).await;
        let adopter = site.truth.adopter().expect("an adopter");
        adopter.claim(&cx(), &adopted, VersionId::generate()).await.expect("a claim");
        if or_undecided(site.store.retire(&cx(), &adopted, Duration::ZERO).await, what).is_some() {
            assert_eq!(site.truth.pointer(&cx(), &adopted).await.expect("a pointer").shows, Shows::Nothing, "{what}");
            let left = adopter.inspect(&cx(), &adopted.location).await.expect("a look");
            assert_eq!(left.managed_by, None, "{what}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn nothing_is_called_adopted_or_let_go_of() {
    let calls =
        ["DescribeSecret", "GetSecretValue", "ListSecrets", "TagResource", "UntagResource", "UpdateSecretVersionStage"];
    each(&calls, async |site, name, what| {
        let key = site.existing(name).await;
        let truth = site.truth.adopter().expect("an adopter");
        let query = DiscoverQuery::all().prefix(&site.prefix);
        if let Some(page) = or_undecided(site.adopter().discover(&cx(), &query, None).await, what) {
            assert!(page.items.contains(&key.location), "{what}");
        }
        if let Some(found) = or_undecided(site.adopter().inspect(&cx(), &key.location).await, what) {
            assert_eq!(found, truth.inspect(&cx(), &key.location).await.expect("a look"), "{what}");
        }
        let version = VersionId::generate();
        if or_undecided(site.adopter().claim(&cx(), &key, version).await, what).is_some() {
            let shows = site.truth.pointer(&cx(), &key).await.expect("a pointer").shows;
            assert_eq!(shows, Shows::Ours { publication: PublicationId::first(version), version }, "{what}");
            let found = truth.inspect(&cx(), &key.location).await.expect("a look");
            assert_eq!(found.managed_by.as_ref(), Some(&key.id), "{what}");
        }
        truth.claim(&cx(), &key, version).await.expect("a claim");
        if or_undecided(site.adopter().release(&cx(), &key).await, what).is_some() {
            assert_eq!(site.truth.pointer(&cx(), &key).await.expect("a pointer").shows, Shows::Foreign, "{what}");
            let found = truth.inspect(&cx(), &key.location).await.expect("a look");
            assert_eq!(found.managed_by, None, "{what}");
        }
    })
    .await;
}

/// The tags are a projection: they may be late, and are written again after an answer that was none.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn tags_are_not_taken_for_written() {
    for (what, answer) in answers() {
        let (proxy, prefix) = (Proxy::start(&aws_url()).await, fresh_prefix());
        let store = builder(&proxy.url(), &prefix).retry(Retry::NEVER).open().await.expect("a backend");
        let key = target("tagged");
        published(&store, &key, b"value").await;
        proxy.plan(Fault::Answer(answer).on("TagResource"));
        let Stamped { value, stamp } = registered(&store, "tagged").await;
        proxy.clear();
        let next = noted(&value, "of which the tags say nothing");
        let swap = store.swap(&cx(), next.id(), Expect::At(stamp), &next).await;
        assert!(matches!(swap, Ok(Swap::Applied(_))), "{what}: {swap:?}");
        let found = stranger(&aws_url()).describe_secret().secret_id(store.secret_name(&key.id)).send().await;
        assert!(!found.expect("a description").tags().is_empty(), "{what}");
    }
}
