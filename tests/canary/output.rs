//! What the quickstart prints, and what it leaves on disk, against every value in its store.

use std::process::Command;

use futures_lite::future::block_on;
use keyward::core::{ListQuery, Read, SecretBackendExt, Select};
use keyward::file::{FileBackend, KeyFile};

use super::secret::Search;
use super::support::cx;

#[test]
fn the_quickstart_prints_no_value_and_leaves_none_in_plain_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("store");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--locked", "--example", "quickstart", "--"]).arg(&place).args(arguments);
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("a child process");
        assert!(output.status.success(), "the quickstart failed");
        [output.stdout, output.stderr].concat()
    };
    let printed = [run(&[]), run(&["show"])].concat();
    let values = block_on(values(&place));
    // Five keys, two of them replaced: the values of the dead versions are in the store as well.
    assert!(values.len() >= 7, "only {} values were found", values.len());
    let search = Search::of(values.iter().map(Vec::as_slice));
    assert!(search.find(&printed).is_none(), "a value was printed");
    for entry in std::fs::read_dir(&place).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert!(search.find(&std::fs::read(&path).expect("a file")).is_none(), "a value in {}", path.display());
    }
    // The search does find them where they are printed.
    let leak = [printed.as_slice(), &values[0]].concat();
    assert!(search.find(&leak).is_some(), "the search is blind");
    println!("canary: {} bytes printed by the quickstart against {} values", printed.len(), values.len());
}

/// Every value in the store, also of versions that are dead.
async fn values(place: &std::path::Path) -> Vec<Vec<u8>> {
    let unlock = KeyFile::at(place.join("unlock.key"));
    let store = FileBackend::open(place.join("keys.keyward"), unlock).await.expect("the store");
    let mut values = Vec::new();
    for record in store.list_all(&cx(), &ListQuery::all()).await.expect("a listing") {
        let record = record.expect("a record").value;
        for version in record.versions() {
            let read = store.read_one(&cx(), &record.target(), Select::Version(version.id)).await;
            if let Ok(Read::Found { material, .. }) = read {
                values.extend(material.iter().map(|(_, value)| value.expose_secret().to_vec()));
            }
        }
    }
    values
}
