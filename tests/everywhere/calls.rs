//! How many requests each operation makes, and which: round trips are what a rotation costs.

use std::time::Duration;

use keyward::core::{
    Change, Clock, Edit, Expect, KeyRecord, ListQuery, ManualClock, Material, PublicationId, Publish, SecretBackend,
    SecretBackendExt, SecretValue, Select, Swap, Transition, VersionId,
};
use keyward_conformance::servers::Proxy;

use crate::replies::server;
use crate::stores::{Kind, Store};
use crate::support::{CHARGES, charges, cx, key};

/// One key from registration to tombstone; after each call the requests it made.
pub(crate) async fn each_operation_makes_the_requests_it_should(store: Store) {
    let proxy = Proxy::start(&server(&store)).await;
    let far = store.kind.open(&proxy.url()).await;
    let log = Log { proxy: &proxy, store: &far, seen: std::cell::Cell::new(proxy.log().len()) };
    let (backend, clock) = (far.backend.clone(), ManualClock::default());
    let change = || Change::new("ada".parse().expect("an actor"), clock.now());
    let record = KeyRecord::register(&charges(), &change()).expect("a record");
    let (target, id) = (record.target(), key(CHARGES));
    let material = |n: u8| Material::one(SecretValue::from([b'k', n].as_slice())).expect("material");
    let [first, second] = [(); 2].map(|()| VersionId::generate());
    let mut made: Vec<(&str, Vec<String>)> = Vec::new();
    let mut note = |what: &'static str| made.push((what, log.since()));

    note("open");
    let Swap::Applied(stamp) = backend.swap(&cx(), &id, Expect::Absent, &record).await.expect("swap") else {
        panic!("the name is taken")
    };
    note("register");
    backend.load_existing(&cx(), &id).await.expect("load");
    note("load");
    let remark = Transition::Edit(Edit::Note("a remark".parse().expect("a note")));
    let next = record.apply(&remark, &change()).expect("an edit");
    backend.swap(&cx(), &id, Expect::At(stamp), &next).await.expect("swap");
    note("swap");
    backend.stage(&cx(), &target, first, &material(1)).await.expect("stage");
    note("stage the first");
    let pointer = backend.pointer(&cx(), &target).await.expect("pointer");
    note("pointer");
    let shown = backend.publish(&cx(), &target, first, PublicationId::first(first), &pointer.token).await;
    let Ok(Publish::Moved(token)) = shown else { panic!("{shown:?}") };
    note("publish the first");
    backend.stage(&cx(), &target, second, &material(2)).await.expect("stage");
    note("stage another");
    let shown = backend.publish(&cx(), &target, second, PublicationId::first(second), &token).await;
    let Ok(Publish::Moved(token)) = shown else { panic!("{shown:?}") };
    note("publish another");
    let shown = backend.publish(&cx(), &target, first, PublicationId::generate(), &token).await;
    let Ok(Publish::Moved(_)) = shown else { panic!("{shown:?}") };
    note("publish again");
    backend.read_one(&cx(), &target, Select::Current).await.expect("read");
    note("read current");
    backend.read_one(&cx(), &target, Select::Version(second)).await.expect("read");
    note("read a version");
    backend.survey(&cx(), &target).await.expect("survey");
    note("survey");
    backend.withdraw(&cx(), &target, second).await.expect("withdraw");
    note("withdraw");
    backend.list(&cx(), &ListQuery::all(), None).await.expect("list");
    note("list");
    backend.retire(&cx(), &target, Duration::from_secs(7 * 86_400)).await.expect("retire");
    note("retire");
    let expected = match far.kind {
        Kind::Aws { .. } => ON_AWS,
        _ => ON_VAULT,
    };
    let expected: Vec<_> = expected
        .iter()
        .map(|(what, requests)| (*what, requests.split(", ").filter(|r| !r.is_empty()).map(str::to_owned).collect()))
        .collect();
    assert_eq!(made, expected);
}

/// What two requests at the same time do first is chance, so each list is in order of the alphabet.
const ON_AWS: &[(&str, &str)] = &[
    ("open", ""),
    ("register", "CreateSecret, GetSecretValue, TagResource"),
    ("load", "GetSecretValue"),
    ("swap", "PutSecretValue, TagResource, UpdateSecretVersionStage"),
    ("stage the first", "CreateSecret, DescribeSecret, DescribeSecret, PutSecretValue"),
    ("pointer", "DescribeSecret"),
    ("publish the first", "DescribeSecret, UpdateSecretVersionStage"),
    ("stage another", "DescribeSecret, PutSecretValue"),
    ("publish another", "DescribeSecret, UpdateSecretVersionStage"),
    ("publish again", "DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage"),
    ("read current", "GetSecretValue"),
    ("read a version", "GetSecretValue"),
    ("survey", "DescribeSecret"),
    ("withdraw", "DescribeSecret, UpdateSecretVersionStage"),
    ("list", "GetSecretValue, ListSecrets"),
    ("retire", "DeleteSecret, DescribeSecret"),
];

const ON_VAULT: &[(&str, &str)] = &[
    ("open", ""),
    ("register", "POST data/records/<id>, POST metadata/records/<id>"),
    ("load", "GET data/records/<id>"),
    ("swap", "GET data/records/<id>, POST data/records/<id>"),
    ("stage the first", "POST data/pending/<id>/<version>"),
    ("pointer", "GET data/keys/<id>"),
    (
        "publish the first",
        "GET data/keys/<id>, GET data/pending/<id>/<version>, POST data/keys/<id>, POST metadata/keys/<id>",
    ),
    ("stage another", "POST data/pending/<id>/<version>"),
    ("publish another", "GET data/keys/<id>, GET data/pending/<id>/<version>, POST data/keys/<id>"),
    ("publish again", "GET data/keys/<id>, GET data/pending/<id>/<version>, POST data/keys/<id>"),
    ("read current", "GET data/keys/<id>"),
    ("read a version", "GET data/pending/<id>/<version>"),
    ("survey", "GET data/keys/<id>, GET metadata/pending/<id>/"),
    (
        "withdraw",
        "DELETE metadata/pending/<id>/<version>, GET data/keys/<id>, GET data/keys/<id>, GET data/keys/<id>, \
         GET metadata/keys/<id>, GET metadata/pending/<id>/<version>, POST destroy/keys/<id>",
    ),
    (
        "list",
        "GET data/records/<id>, GET metadata/records/, GET metadata/records/production/, \
         GET metadata/records/production/payments/",
    ),
    (
        "retire",
        "DELETE metadata/pending/<id>/<version>, GET metadata/keys/<id>, GET metadata/pending/<id>/, \
         POST data/keys/<id>, POST destroy/keys/<id>",
    ),
];

struct Log<'a> {
    proxy: &'a Proxy,
    store: &'a Store,
    seen: std::cell::Cell<usize>,
}

impl Log<'_> {
    /// The requests since the last look, in words that do not change from run to run.
    fn since(&self) -> Vec<String> {
        let log = self.proxy.log();
        let mut fresh: Vec<_> = log[self.seen.replace(log.len())..].iter().map(|line| self.plain(line)).collect();
        fresh.sort_unstable();
        fresh
    }

    fn plain(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match (&self.store.kind, &words[..]) {
            (Kind::Aws { .. }, [.., operation]) => (*operation).to_owned(),
            (Kind::Vault { mount, prefix }, [_, method, path]) => {
                let path = path.trim_start_matches("/v1/").trim_start_matches(&format!("{mount}/"));
                let path = path.replace(&format!("{prefix}/"), "").replace(CHARGES, "<id>");
                let version = path.rsplit('/').next().filter(|last| last.parse::<VersionId>().is_ok());
                format!("{method} {}", path.replace(version.unwrap_or("<version>"), "<version>"))
            }
            _ => line.to_owned(),
        }
    }
}
