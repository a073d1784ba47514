//! Two keys that claim one secret.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use common::{assert_found, aws_url, builder, cx, fresh_prefix, kind, staged, stranger, target};
use keyward_aws::AwsBackend;
use keyward_conformance::servers::{Fault, Proxy};
use keyward_core::{
    Adopter, ErrorKind, Location, Material, PublicationId, SecretBackend, SecretBackendExt, Select, Shape, Shows,
    Target, VersionId,
};

fn wanted(key: &str, secret: &str) -> Target {
    Target::new(target(key).id, Location::aws_secret(secret).expect("a name"), Shape::One)
}

/// Two keys on one secret, and what became of their claims.
struct Rivals {
    store: AwsBackend,
    prefix: String,
    client: Client,
    name: String,
    keys: [Target; 2],
    versions: [VersionId; 2],
}

impl Rivals {
    async fn new() -> Self {
        let prefix = fresh_prefix();
        let store = builder(&aws_url(), &prefix).open().await.expect("a backend");
        let (client, name) = (stranger(&aws_url()), format!("{prefix}/wanted"));
        client.create_secret().name(&name).secret_string("value").send().await.expect("a secret");
        let keys = ["first", "second"].map(|key| wanted(key, &name));
        Self { store, prefix, client, name, keys, versions: [VersionId::generate(), VersionId::generate()] }
    }

    fn adopter(&self) -> &dyn Adopter {
        self.store.adopter().expect("an adopter")
    }

    async fn shows(&self, key: &Target) -> Shows {
        self.store.pointer(&cx(), key).await.expect("a pointer").shows
    }

    /// The label of a claim that was stopped after its first step.
    async fn begun(&self, n: usize) -> String {
        let key = self.keys[n].id.as_str().replace('/', ".");
        let label = format!("keyward-staged-{}-{key}", self.versions[n]);
        self.label(&label).await;
        label
    }

    async fn label(&self, label: &str) {
        let found = self.client.get_secret_value().secret_id(&self.name).send().await.expect("a value");
        let update = self.client.update_secret_version_stage().secret_id(&self.name).version_stage(label);
        update.move_to_version_id(found.version_id.expect("a version")).send().await.expect("a label");
    }

    async fn claim(&self, store: &AwsBackend, n: usize) -> keyward_core::Result<Material> {
        store.adopter().expect("an adopter").claim(&cx(), &self.keys[n], self.versions[n]).await
    }

    async fn labels(&self) -> Vec<String> {
        let found = self.client.describe_secret().secret_id(&self.name).send().await.expect("a description");
        let labels = found.version_ids_to_stages.unwrap_or_default().into_values().flatten();
        labels.filter(|label| label.starts_with("keyward-staged-")).collect()
    }

    /// One of them has it and the other left nothing there, or nobody has it and either can.
    async fn are_settled(&self, claims: [keyward_core::Result<Material>; 2], what: &str) {
        let won: Vec<usize> = (0..2).filter(|&n| claims[n].is_ok()).collect();
        assert!(won.len() < 2, "{what}: one secret for two keys");
        for (n, claim) in claims.into_iter().enumerate() {
            if let Err(error) = claim {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error}");
                let left =
                    self.labels().await.into_iter().filter(|label| label.contains(&self.versions[n].to_string()));
                assert_eq!(left.count(), 0, "{what}: a label of the one who lost");
            }
        }
        let winner = won.first().copied().unwrap_or_default();
        self.claim(&self.store, winner).await.unwrap_or_else(|error| panic!("{what}: it can finish: {error}"));
        let (key, version) = (&self.keys[winner], self.versions[winner]);
        assert_eq!(kind(self.claim(&self.store, 1 - winner).await), ErrorKind::Conflict, "{what}");
        let shows = Shows::Ours { publication: PublicationId::first(version), version };
        assert_eq!(self.shows(key).await, shows, "{what}");
        assert_eq!(self.labels().await.len(), 1, "{what}");
        assert_found(self.store.read_one(&cx(), key, Select::Version(version)).await, b"value");
        let inspected = self.adopter().inspect(&cx(), &key.location).await;
        assert_eq!(inspected.expect("a look").managed_by.as_ref(), Some(&key.id), "{what}");
        staged(&self.store, key, b"next").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn of_two_keys_that_claim_a_secret_at_once_one_at_most_gets_it() {
    for round in 0..20 {
        let rivals = Rivals::new().await;
        let (first, second) = tokio::join!(rivals.claim(&rivals.store, 0), rivals.claim(&rivals.store, 1));
        rivals.are_settled([first, second], &format!("round {round}")).await;
    }
}

/// One claim from beginning to end between each two calls of the other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn of_two_keys_one_of_which_is_slow_one_at_most_gets_the_secret() {
    for call in 0.. {
        let (rivals, proxy) = (Rivals::new().await, Proxy::start(&aws_url()).await);
        let slow = builder(&proxy.url(), &rivals.prefix).open().await.expect("a backend");
        proxy.plan(Fault::Delay(Duration::from_millis(400)).at(call));
        let ended = AtomicBool::new(false);
        let first = async {
            let claim = rivals.claim(&slow, 0).await;
            ended.store(true, Ordering::SeqCst);
            claim
        };
        let second = async {
            while proxy.requests() <= call && !ended.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            rivals.claim(&rivals.store, 1).await
        };
        let (first, second) = tokio::join!(first, second);
        rivals.are_settled([first, second], &format!("before call {call}")).await;
        if proxy.requests() <= call {
            assert!(call > 4, "a claim takes a few calls");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_was_stopped_keeps_others_away_until_it_is_released() {
    let rivals = Rivals::new().await;
    let [stopped, other] = &rivals.keys;
    let label = rivals.begun(0).await;
    assert_eq!(kind(rivals.claim(&rivals.store, 1).await), ErrorKind::Conflict);
    let found = rivals.adopter().inspect(&cx(), &other.location).await.expect("a look");
    assert_eq!(found.managed_by.as_ref(), Some(&stopped.id), "it says whose it is");
    assert_eq!(rivals.shows(other).await, Shows::Foreign, "not that of this key");
    assert!(rivals.store.survey(&cx(), other).await.expect("a survey").versions.is_empty());

    // Nobody but its own key takes it away.
    rivals.adopter().release(&cx(), other).await.expect("nothing of its own");
    rivals.store.retire(&cx(), other, Duration::ZERO).await.expect("nothing of its own");
    assert_eq!(rivals.labels().await, [label]);
    rivals.adopter().release(&cx(), stopped).await.expect("released");
    assert_eq!(rivals.labels().await.len(), 0);
    rivals.claim(&rivals.store, 1).await.expect("a claim");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_claim_that_was_made_stays_whoever_comes_after_it() {
    let rivals = Rivals::new().await;
    let [first, late] = &rivals.keys;
    rivals.claim(&rivals.store, 0).await.expect("a claim");
    let label = rivals.begun(1).await;
    rivals.claim(&rivals.store, 0).await.expect("repeated");
    let shows = Shows::Ours { publication: PublicationId::first(rivals.versions[0]), version: rivals.versions[0] };
    assert_eq!(rivals.shows(first).await, shows);
    assert_eq!(rivals.store.survey(&cx(), first).await.expect("a survey").versions, [rivals.versions[0]]);
    staged(&rivals.store, first, b"next").await;

    // Another claim of the same key has to wait, and takes nothing from the one that was made.
    let anew = rivals.adopter().claim(&cx(), first, VersionId::generate()).await;
    assert_eq!(kind(anew), ErrorKind::Conflict);
    assert_eq!(rivals.shows(first).await, shows);

    // The late one takes back what it left, and nothing else.
    assert_eq!(kind(rivals.claim(&rivals.store, 1).await), ErrorKind::Conflict);
    assert!(!rivals.labels().await.contains(&label));
    rivals.begun(1).await;
    rivals.adopter().release(&cx(), late).await.expect("nothing claimed");
    assert!(!rivals.labels().await.contains(&label));
    assert_eq!(rivals.shows(first).await, shows);
}

/// A label that does not say whose it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn a_secret_that_somebody_holds_is_not_claimed() {
    let rivals = Rivals::new().await;
    let label = format!("keyward-staged-{}", VersionId::generate());
    rivals.label(&label).await;
    assert_eq!(kind(rivals.claim(&rivals.store, 0).await), ErrorKind::Conflict);
    assert_eq!(rivals.labels().await, [label], "nothing came, nothing went");
}
