//! A writer is killed at a random moment, again and again: no acknowledged change is lost, none is torn, and the store
//! opens every time.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::{Duration, Instant};

use common::{Site, called, child, cx, key, material, next, register, say, target};
use futures_lite::future::block_on;
use keyward_core::{
    AuditAction, AuditQuery, Expect, PublicationId, Publish, Read, SecretBackend, SecretBackendExt, Select, Shows,
    Stage, Swap, VersionId, Withdraw,
};
use keyward_file::FileBackend;

const KILLS: usize = 500;
/// A new store every so often, so that the checks stay quick.
const KILLS_PER_STORE: usize = 50;
/// How long a writer lives at most, from its start or from its first word.
const LIVES_AT_MOST: Duration = Duration::from_millis(30);

#[test]
fn f53_nothing_acknowledged_is_lost_and_nothing_is_torn() {
    let (mut acknowledged, mut pending_done, mut pending_undone) = (0, 0, 0);
    let began = Instant::now();
    for _ in 0..KILLS / KILLS_PER_STORE {
        let site = started();
        let mut expected = Model::of(&site.open());
        for number in 0..KILLS_PER_STORE {
            // One from its start, so that opening is hit too; the next in the middle of its work.
            let told = kill_one(&site, "honest", number % 2 == 0);
            acknowledged += told.acknowledged.len();
            let found = check(&site, &expected, &told).unwrap_or_else(|problem| panic!("{problem}"));
            if told.pending.is_some() {
                let done = told.acknowledged.iter().fold(expected, Model::after) != found;
                *(if done { &mut pending_done } else { &mut pending_undone }) += 1;
            }
            expected = found;
        }
        every_change_is_on_the_log_once(&site, &expected);
    }
    println!(
        "{KILLS} kills in {:.1} s: {acknowledged} changes acknowledged and there; of those under way {pending_done} \
         were done and {pending_undone} not",
        began.elapsed().as_secs_f64()
    );
    assert!(acknowledged > KILLS / 2 && pending_undone > 0, "the kills came too early or too late to mean anything");
}

/// The control: a writer that acknowledges before it writes must be found out.
#[test]
fn a_writer_that_acknowledges_too_early_is_found_out() {
    let site = started();
    let mut expected = Model::of(&site.open());
    let mut violations = 0;
    for _ in 0..40 {
        let told = kill_one(&site, "hasty", false);
        match check(&site, &expected, &told) {
            Ok(found) => expected = found,
            Err(_) => {
                violations += 1;
                expected = Model::of(&site.open());
            }
        }
    }
    println!("{violations} of 40 kills showed a change that was acknowledged and not there");
    assert!(violations > 0);
}

/// The writer. Says what it is about to do, does it, and says that it is done; or, as the control, the other way.
#[test]
#[ignore = "the other tests start it as a child process"]
fn writes_until_killed() {
    let Some((path, unlock, mode)) = called() else { return };
    let store = block_on(FileBackend::open(path, unlock)).expect("the store opens");
    let (id, target) = (key("one"), target(&key("one")));
    let step = |what: String, work: &dyn Fn()| {
        say(&format!("try {what}"));
        match mode.as_str() {
            "hasty" => {
                say("done");
                work();
            }
            _ => {
                work();
                say("done");
            }
        }
    };
    loop {
        let seen = block_on(store.load_existing(&cx(), &id)).expect("a record");
        step(format!("swap {}", seen.value.revision() + 1), &|| {
            let swapped = block_on(store.swap(&cx(), &id, Expect::At(seen.stamp.clone()), &next(&seen.value)));
            assert!(matches!(swapped, Ok(Swap::Applied(_))));
        });
        let version = VersionId::generate();
        step(format!("stage {version}"), &|| {
            let staged = block_on(store.stage(&cx(), &target, version, &material(&version.to_string())));
            assert!(matches!(staged, Ok(Stage::Stored)));
        });
        let pointer = block_on(store.pointer(&cx(), &target)).expect("a pointer");
        step(format!("publish {version}"), &|| {
            let publication = PublicationId::generate();
            let moved = block_on(store.publish(&cx(), &target, version, publication, &pointer.token));
            assert!(matches!(moved, Ok(Publish::Moved(_))));
        });
        let versions = block_on(store.survey(&cx(), &target)).expect("a survey").versions;
        for old in versions.into_iter().filter(|old| *old != version) {
            step(format!("withdraw {old}"), &|| {
                let gone = block_on(store.withdraw(&cx(), &target, old));
                assert!(matches!(gone, Ok(Withdraw::Destroyed)));
            });
        }
    }
}

/// What is in the store, as far as the writer changes it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Model {
    revision: u64,
    versions: BTreeSet<VersionId>,
    shows: Option<VersionId>,
}

/// What the writer said before it was killed.
#[derive(Debug)]
struct Told {
    acknowledged: Vec<String>,
    pending: Option<String>,
}

fn started() -> Site {
    let site = Site::new();
    register(&site.open(), &key("one"));
    site
}

/// Starts a writer, kills it some time after its start or after its first word, and answers what it had said.
fn kill_one(site: &Site, mode: &str, early: bool) -> Told {
    let mut child = child(site, "writes_until_killed", mode);
    let mut pipe = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    if !early {
        pipe.read_line(&mut said).expect("text");
    }
    let most = u32::try_from(LIVES_AT_MOST.as_micros()).expect("a short time");
    std::thread::sleep(Duration::from_micros((getrandom::u32().expect("randomness") % most).into()));
    // SIGKILL.
    child.kill().expect("the child is ours");
    pipe.read_to_string(&mut said).expect("text");
    child.wait().expect("the child ended");

    let mut told = Told { acknowledged: Vec::new(), pending: None };
    for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        match line.strip_prefix("try ") {
            Some(what) => told.pending = Some(what.to_owned()),
            None if line == "done" => told.acknowledged.extend(told.pending.take()),
            None => panic!("the writer failed: {line}"),
        }
    }
    told
}

/// Opens the store and compares it with what the writer said; the state it is in.
fn check(site: &Site, before: &Model, told: &Told) -> Result<Model, String> {
    let store = site.open();
    let found = Model::of(&store);
    block_on(store.verify(&cx())).map_err(|error| error.to_string())?;
    let acknowledged = told.acknowledged.iter().fold(before.clone(), Model::after);
    let allowed = [Some(acknowledged.clone()), told.pending.as_ref().map(|what| acknowledged.after(what))];
    if allowed.contains(&Some(found.clone())) {
        Ok(found)
    } else {
        Err(format!("found {found:?}\nafter {told:?}\nof {before:?}"))
    }
}

fn every_change_is_on_the_log_once(site: &Site, state: &Model) {
    let store = site.open();
    let (mut changes, mut page) = (0, None);
    loop {
        let query = AuditQuery::default().action(AuditAction::Change);
        let found = block_on(store.audit().expect("a log").entries(&cx(), &query, page)).expect("entries");
        changes += found.items.len() as u64;
        page = found.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(changes, state.revision);
}

impl Model {
    fn of(store: &FileBackend) -> Self {
        let (id, target) = (key("one"), target(&key("one")));
        block_on(async {
            let revision = store.load_existing(&cx(), &id).await.expect("a record").value.revision();
            let survey = store.survey(&cx(), &target).await.expect("a survey");
            let shows = match survey.pointer.shows {
                Shows::Ours { version, .. } => Some(version),
                _ => None,
            };
            for version in &survey.versions {
                let read = store.read_one(&cx(), &target, Select::Version(*version)).await.expect("staged material");
                let whole =
                    matches!(read, Read::Found { material: found, .. } if found.ct_eq(&material(&version.to_string())));
                assert!(whole, "the material of a version is another one");
            }
            Self { revision, versions: survey.versions.into_iter().collect(), shows }
        })
    }

    fn after(mut self, what: impl AsRef<str>) -> Self {
        let (verb, object) = what.as_ref().split_once(' ').expect("a verb and an object");
        let version = || object.parse().expect("a version");
        match verb {
            "swap" => self.revision = object.parse().expect("a revision"),
            "stage" => drop(self.versions.insert(version())),
            "publish" => self.shows = Some(version()),
            "withdraw" => drop(self.versions.remove(&version())),
            other => panic!("the writer does not {other}"),
        }
        self
    }
}
