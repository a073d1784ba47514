//! No room is left on the disk, as the system says it to a process: every write beyond a size is refused.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use common::{Site, called, cx, key, material, next, publish, register, say, shows, target};
use futures_lite::future::block_on;
use keyward_core::{Expect, SecretBackend, SecretBackendExt, Stage, Swap, VersionId};
use keyward_file::FileBackend;

/// A stage and a swap that find no room are refused whole; nothing written before is lost, nothing is left
/// beside the store, and with room again it goes on.
#[test]
fn f54_a_full_disk_loses_nothing_and_leaves_nothing_behind() {
    let site = Site::empty();
    let store = site.create();
    register(&store, &key("one"));
    publish(&store, &key("one"), "before");
    drop(store);
    let told = fill(&site);
    println!("{} stored, {} refused ({:?}), {} swaps", told.stored.len(), told.refused.len(), told.kinds, told.swapped);

    let names: BTreeSet<_> =
        std::fs::read_dir(site.path()).expect("a directory").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(names, ["keys.keyward", "unlock.key"].map(Into::into).into(), "something is left beside the store");
    let store = site.open();
    block_on(store.verify(&cx())).expect("whole");
    assert!(shows(&store, &key("one"), "before"));
    let versions = block_on(store.survey(&cx(), &target(&key("one")))).expect("a survey").versions;
    assert!(told.stored.len() > 1 && told.stored.iter().all(|v| versions.contains(v)), "{told:?}");
    assert!(told.refused.iter().all(|v| !versions.contains(v)), "half a stage: {told:?}");
    let record = block_on(store.load_existing(&cx(), &key("one"))).expect("a record").value;
    assert_eq!(record.revision(), 1 + told.swapped, "{told:?}");
    publish(&store, &key("one"), "after");
    assert!(shows(&store, &key("one"), "after"));
}

#[derive(Debug, Default)]
struct Told {
    stored: Vec<VersionId>,
    refused: Vec<VersionId>,
    swapped: u64,
    kinds: BTreeSet<String>,
}

/// Lets a child write until nothing fits any more; what it told.
fn fill(site: &Site) -> Told {
    let size = std::fs::metadata(&site.store).expect("a store").len();
    // Blocks of 512 or 1,024 bytes, as the shell has it.
    let blocks = (size / 512 + 256).to_string();
    let child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f "$0" && exec "$@""#, &blocks])
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "writes_until_the_disk_is_full", "--nocapture"])
        .envs(common::told(site, "fill"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("a child process");
    let mut told = Told::default();
    for line in BufReader::new(child.stderr.take().expect("its standard error")).lines() {
        let line = line.expect("text");
        let mut words = line.split(' ');
        let (what, which) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match what {
            "stored" => told.stored.push(which.parse().expect("a version")),
            "refused" => told.refused.push(which.parse().expect("a version")),
            "swapped" => told.swapped += 1,
            "kind" => drop(told.kinds.insert(which.to_owned())),
            _ => {}
        }
    }
    assert!(child.wait().expect("a child process").success(), "{told:?}");
    assert!(told.refused.len() > 1, "the disk was never full: {told:?}");
    told
}

/// The writer.
#[test]
#[ignore = "the other test starts it as a child process"]
fn writes_until_the_disk_is_full() {
    let Some((path, unlock, _)) = called() else { return };
    let store = block_on(FileBackend::open(path, unlock)).expect("the store opens");
    let (id, target) = (key("one"), target(&key("one")));
    let mut failed = 0;
    while failed < 4 {
        let version = VersionId::generate();
        match block_on(store.stage(&cx(), &target, version, &material(&"x".repeat(16 * 1_024)))) {
            Ok(Stage::Stored) => say(&format!("stored {version}")),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                say(&format!("refused {version}"));
                say(&format!("kind {}", error.kind()));
                failed += 1;
            }
        }
        // Reads go on, and so do writes that still fit.
        let seen = block_on(store.load_existing(&cx(), &id)).expect("a record");
        if let Ok(Swap::Applied(_)) = block_on(store.swap(&cx(), &id, Expect::At(seen.stamp), &next(&seen.value))) {
            say("swapped");
        }
    }
}
