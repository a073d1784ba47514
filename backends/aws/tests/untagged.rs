//! Adopted secrets whose tag another tool has taken away, and those that another inventory has.

mod common;

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::Tag;
use common::{assert_found, aws_url, builder, cx, fresh_prefix, kind, one, published, staged, stranger, target};
use keyward_aws::AwsBackend;
use keyward_core::{
    Adopter, DiscoverQuery, ErrorKind, Existing, Location, Material, PublicationId, Publish, Result, Retire,
    SecretBackend, SecretBackendExt, Select, Shape, Shows, Target, VersionId,
};

/// A secret of somebody, the key that has it and another that has not.
struct Site {
    store: AwsBackend,
    client: Client,
    name: String,
    key: Target,
    stranger: Target,
}

impl Site {
    async fn new() -> Self {
        let prefix = fresh_prefix();
        let store = builder(&aws_url(), &prefix).open().await.expect("a backend");
        let (client, name) = (stranger(&aws_url()), format!("{prefix}/wanted"));
        client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
        let [key, stranger] = ["owner", "stranger"].map(|key| at(key, &name));
        Self { store, client, name, key, stranger }
    }

    fn adopter(&self) -> &dyn Adopter {
        self.store.adopter().expect("an adopter")
    }

    async fn claim(&self, key: &Target, version: VersionId) -> Result<Material> {
        self.adopter().claim(&cx(), key, version).await
    }

    async fn inspect(&self) -> Existing {
        self.adopter().inspect(&cx(), &self.key.location).await.expect("a look")
    }

    async fn untag(&self) {
        let untag = self.client.untag_resource().secret_id(&self.name).tag_keys("keyward:key");
        untag.send().await.expect("untagged");
    }

    async fn tag(&self) -> Option<String> {
        let found = self.client.describe_secret().secret_id(&self.name).send().await.expect("a description");
        let tags = found.tags.unwrap_or_default();
        tags.into_iter().find(|tag| tag.key() == Some("keyward:key")).and_then(|tag| tag.value)
    }

    /// Claims the secret; answers the label.
    async fn claimed(&self, version: VersionId) -> String {
        self.claim(&self.key, version).await.expect("a claim");
        let found = self.client.get_secret_value().secret_id(&self.name).send().await.expect("a value");
        found.version_stages.into_iter().flatten().find(|label| label.contains("keyward-staged-")).expect("a label")
    }

    /// Somebody writes a value of his own.
    async fn overwrite(&self, value: &str) {
        self.client.put_secret_value().secret_id(&self.name).secret_string(value).send().await.expect("a value");
    }

    async fn label(&self, label: &str, id: &str) {
        let update = self.client.update_secret_version_stage().secret_id(&self.name).version_stage(label);
        update.move_to_version_id(id).send().await.expect("a label");
    }

    async fn current(&self) -> String {
        let found = self.client.get_secret_value().secret_id(&self.name).send().await.expect("a value");
        found.version_id.expect("an id")
    }

    async fn shows(&self, key: &Target) -> Shows {
        self.store.pointer(&cx(), key).await.expect("a pointer").shows
    }

    async fn retire(&self, key: &Target) -> Retire {
        self.store.retire(&cx(), key, Duration::ZERO).await.expect("an answer")
    }
}

fn at(key: &str, name: &str) -> Target {
    Target::new(target(key).id, Location::aws_secret(name).expect("a name"), Shape::One)
}

fn first(version: VersionId) -> Shows {
    Shows::Ours { publication: PublicationId::first(version), version }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn without_the_tag_a_stranger_takes_nothing_from_a_rotated_key() {
    for copied in [false, true] {
        let site = Site::new().await;
        let claimed = VersionId::generate();
        site.claim(&site.key, claimed).await.expect("a claim");
        let mut version = published(&site.store, &site.key, b"next").await;
        let mut shows = first(version);
        if copied {
            let (publication, token) =
                (PublicationId::generate(), site.store.pointer(&cx(), &site.key).await.expect("a pointer").token);
            let moved = site.store.publish(&cx(), &site.key, claimed, publication, &token).await;
            assert!(matches!(moved, Ok(Publish::Moved(_))), "{moved:?}");
            (version, shows) = (claimed, Shows::Ours { publication, version: claimed });
        } else {
            site.store.withdraw(&cx(), &site.key, claimed).await.expect("withdrawn");
        }
        site.untag().await;

        let found = site.inspect().await;
        assert_eq!(found.managed_by.as_ref(), Some(&site.key.id));
        assert!(found.obstacles.iter().any(|why| why.contains("restore the tag keyward:key")), "{found:?}");
        assert_eq!(site.shows(&site.stranger).await, Shows::Foreign);
        site.adopter().release(&cx(), &site.stranger).await.expect("nothing of its own");
        assert_eq!(site.retire(&site.stranger).await, Retire::Absent);
        let claim = site.claim(&site.stranger, VersionId::generate()).await.expect_err("another's");
        assert!(claim.kind() == ErrorKind::Conflict && claim.to_string().contains("restore the tag"), "{claim}");
        let stage = site.store.stage(&cx(), &site.stranger, VersionId::generate(), &one(b"x")).await;
        assert_eq!(kind(stage), ErrorKind::Conflict);

        assert_eq!(site.shows(&site.key).await, shows);
        assert!(site.store.read_one(&cx(), &site.key, Select::Version(version)).await.is_ok());
        // Its own claim, repeated, is told the truth.
        let late = site.claim(&site.key, claimed).await.expect_err("late");
        assert!(late.to_string().contains("rotated since"), "{late}");
        assert_eq!(site.retire(&site.key).await, Retire::Retired, "its own key needs no tag for that");
        assert_eq!(site.shows(&site.key).await, Shows::Nothing);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn without_the_tag_a_stranger_takes_no_key_in_the_making() {
    let site = Site::new().await;
    let claimed = VersionId::generate();
    site.claim(&site.key, claimed).await.expect("a claim");
    let minted = staged(&site.store, &site.key, b"minted").await;
    site.untag().await;
    site.adopter().release(&cx(), &site.stranger).await.expect("nothing of its own");
    assert_eq!(site.retire(&site.stranger).await, Retire::Absent);
    assert_eq!(site.store.survey(&cx(), &site.key).await.expect("a survey").versions, [claimed, minted]);
    assert_found(site.store.read_one(&cx(), &site.key, Select::Version(minted)).await, b"minted");
}

/// Labels as they were before they named the key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn without_the_tag_unnamed_labels_are_somebody_elses() {
    let site = Site::new().await;
    let version = VersionId::generate();
    let put = site.client.put_secret_value().secret_id(&site.name).client_request_token(version.to_string());
    let label = format!("keyward-staged-{version}-0123456789ab");
    put.version_stages("AWSCURRENT").version_stages(label).secret_string("old").send().await.expect("a value");
    let tag = Tag::builder().key("keyward:key").value(site.key.id.to_string()).build();
    for tagged in [false, true] {
        if tagged {
            site.client.tag_resource().secret_id(&site.name).tags(tag.clone()).send().await.expect("restored");
        }
        let found = site.inspect().await;
        assert_eq!(found.obstacles.iter().any(|why| why.contains("restore the tag keyward:key")), !tagged);
        site.adopter().release(&cx(), &site.stranger).await.expect("nothing of its own");
        assert_eq!(site.retire(&site.stranger).await, Retire::Absent);
        assert_eq!(site.shows(&site.key).await, first(version));
        assert_found(site.store.read_one(&cx(), &site.key, Select::Version(version)).await, b"old");
        let stage = site.store.stage(&cx(), &site.key, VersionId::generate(), &one(b"x")).await;
        assert_eq!(stage.is_ok(), tagged, "{stage:?}");
    }
    assert_eq!(site.retire(&site.key).await, Retire::Retired);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn staging_and_publishing_put_the_tag_back_and_so_does_a_claim() {
    let site = Site::new().await;
    let claimed = VersionId::generate();
    for _ in 0..2 {
        site.claim(&site.key, claimed).await.expect("a claim");
        assert!(site.tag().await.is_some());
        site.untag().await;
    }
    let next = staged(&site.store, &site.key, b"next").await;
    let tag = site.tag().await.expect("the tag");
    assert!(tag.starts_with(site.key.id.as_str()), "{tag}");
    site.untag().await;
    let token = site.store.pointer(&cx(), &site.key).await.expect("a pointer").token;
    let moved = site.store.publish(&cx(), &site.key, next, PublicationId::first(next), &token).await;
    assert!(matches!(moved, Ok(Publish::Moved(_))), "{moved:?}");
    assert_eq!(site.tag().await, Some(tag));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_lost_its_tag_does_not_give_way_to_one_that_was_begun() {
    let mut site = Site::new().await;
    // The key with the greater name is the one that gives way.
    std::mem::swap(&mut site.key, &mut site.stranger);
    let version = VersionId::generate();
    site.claim(&site.key, version).await.expect("a claim");
    site.untag().await;
    let begun = format!("keyward-staged-{}-{}", VersionId::generate(), site.stranger.id.as_str().replace('/', "."));
    site.label(&begun, &site.current().await).await;
    assert_eq!(kind(site.claim(&site.key, version).await), ErrorKind::Conflict);
    assert_eq!(site.shows(&site.key).await, first(version));
    assert_found(site.store.read_one(&cx(), &site.key, Select::Version(version)).await, b"value");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_does_not_take_what_was_written_since() {
    for tagged in [true, false] {
        let site = Site::new().await;
        let (version, id) = (VersionId::generate(), site.current().await);
        let label = site.claimed(version).await;
        if !tagged {
            site.untag().await;
        }
        site.overwrite("a person's").await;
        // Some servers drop the label with the value it was on, which AWS does not.
        if tagged {
            assert_eq!(kind(site.claim(&site.key, version).await), ErrorKind::Conflict);
        }
        site.label(&label, &id).await;
        let late = site.claim(&site.key, version).await.expect_err("another value");
        assert!(late.kind() == ErrorKind::Conflict && late.to_string().contains("release the key"), "{late}");
        assert_eq!(site.shows(&site.key).await, Shows::Foreign);
        assert_found(site.store.read_one(&cx(), &site.key, Select::Version(version)).await, b"value");
        // What it says to do, works.
        site.adopter().release(&cx(), &site.key).await.expect("released");
        site.claim(&site.key, VersionId::generate()).await.expect("adopted again");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_for_an_older_version_takes_nothing_from_a_later_one() {
    let site = Site::new().await;
    let (older, later) = (VersionId::generate(), VersionId::generate());
    assert!(older < later);
    site.claim(&site.key, later).await.expect("a claim");
    let late = site.claim(&site.key, older).await.expect_err("an older version");
    assert!(late.kind() == ErrorKind::Conflict && late.to_string().contains("release the key"), "{late}");
    assert_eq!(site.shows(&site.key).await, first(later));
    assert_found(site.store.read_one(&cx(), &site.key, Select::Version(later)).await, b"value");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn two_inventories_do_not_have_one_secret() {
    let site = Site::new().await;
    let elsewhere = builder(&aws_url(), &fresh_prefix()).open().await.expect("a backend");
    let there = elsewhere.adopter().expect("an adopter");
    let version = VersionId::generate();
    site.claim(&site.key, version).await.expect("a claim");
    for tagged in [true, false] {
        if !tagged {
            site.untag().await;
        }
        let claim = there.claim(&cx(), &site.key, VersionId::generate()).await.expect_err("another inventory's");
        assert!(claim.kind() == ErrorKind::Conflict && claim.to_string().contains("another inventory"), "{claim}");
        let found = there.inspect(&cx(), &site.key.location).await.expect("a look");
        assert!(found.obstacles.iter().any(|why| why.contains("another inventory")), "{found:?}");
        there.release(&cx(), &site.key).await.expect("nothing of its own");
        let retired = elsewhere.retire(&cx(), &site.key, Duration::ZERO).await;
        assert_eq!(retired.expect("an answer"), Retire::Absent);
        assert_eq!(site.shows(&site.key).await, first(version));
        assert_found(site.store.read_one(&cx(), &site.key, Select::Version(version)).await, b"value");
    }
    assert!(site.inspect().await.obstacles.is_empty());
}

/// What was claimed before labels and tags named the inventory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_of_old_is_this_inventorys() {
    let site = Site::new().await;
    let (version, id) = (VersionId::generate(), site.current().await);
    let label = format!("keyward-staged-{version}-{}", site.key.id.as_str().replace('/', "."));
    site.label(&label, &id).await;
    let tag = Tag::builder().key("keyward:key").value(site.key.id.to_string()).build();
    site.client.tag_resource().secret_id(&site.name).tags(tag).send().await.expect("a tag");
    assert!(site.inspect().await.obstacles.is_empty());
    published(&site.store, &site.key, b"next").await;
    assert_found(site.store.read_one(&cx(), &site.key, Select::Version(version)).await, b"value");
    assert_eq!(site.retire(&site.key).await, Retire::Retired);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn the_secrets_of_another_store_are_not_adopted() {
    let site = Site::new().await;
    let prefix = fresh_prefix();
    let elsewhere = builder(&aws_url(), &prefix).open().await.expect("a backend");
    common::registered(&elsewhere, "own").await;
    staged(&elsewhere, &target("own"), b"value").await;
    let name = elsewhere.secret_name(&target("own").id);
    let record = name.replace("/keys/", "/records/").replace(".key", ".record");
    for name in [name, record] {
        let found = site.client.describe_secret().secret_id(&name).send().await.expect("a secret");
        for place in [name, found.arn.expect("an ARN")] {
            let claim = site.claim(&at("thief", &place), VersionId::generate()).await;
            assert_eq!(kind(claim), ErrorKind::Conflict, "{place}");
            let found = site.adopter().inspect(&cx(), &Location::aws_secret(&place).expect("a name")).await;
            assert!(!found.expect("a look").obstacles.is_empty(), "{place}");
        }
    }
    let listed = site.adopter().discover(&cx(), &DiscoverQuery::all().prefix(&prefix), None).await;
    assert_eq!(listed.expect("a page").items, []);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn readers_of_a_binary_secret_go_on_finding_one() {
    let site = Site::new().await;
    let put = site.client.put_secret_value().secret_id(&site.name).secret_binary(Blob::new(b"text all the same"));
    put.send().await.expect("a value");
    let claimed = VersionId::generate();
    site.claim(&site.key, claimed).await.expect("a claim");
    let seen = async || {
        let found = site.client.get_secret_value().secret_id(&site.name).send().await.expect("a value");
        (found.secret_string, found.secret_binary.map(Blob::into_inner))
    };
    for value in ["second", "third"] {
        published(&site.store, &site.key, value.as_bytes()).await;
        assert_eq!(seen().await, (None, Some(value.as_bytes().to_vec())));
    }
    let token = site.store.pointer(&cx(), &site.key).await.expect("a pointer").token;
    let moved = site.store.publish(&cx(), &site.key, claimed, PublicationId::generate(), &token).await;
    assert!(matches!(moved, Ok(Publish::Moved(_))), "{moved:?}");
    assert_eq!(seen().await, (None, Some(b"text all the same".to_vec())));
}
