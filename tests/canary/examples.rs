//! What the examples print and leave behind. The tokens they generate cannot be planted, so the
//! store they leave is opened and each value in it is searched for.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures_lite::future::block_on;
use keyward::core::{ListQuery, Read, SecretBackend, SecretBackendExt, Select};
use keyward::file::{FileBackend, KeyFile};

use crate::secret::Search;
use crate::support::cx;
use crate::witness::{Surface, Witness};

/// Runs an example with the settings this test was built with, so that little is built anew.
fn run(example: &str, arguments: &[&Path]) -> Output {
    let this = std::env::current_exe().expect("the path of this program");
    // <target>/<profile>/deps/<this>
    let profile = this.ancestors().nth(2).expect("the directory of the profile");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", profile.parent().expect("the target"));
    cargo.args(["run", "-q", "--locked", "--example", example]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.arg("--").args(arguments).output().expect("cargo");
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 500, "{example} says what it does");
    output
}

#[test]
fn no_example_that_leaves_a_store_prints_a_value_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    for (example, least) in [("quickstart", 6), ("rotate_embedded", 1), ("fleet", 6)] {
        let place = directory.path().join(example);
        let mut outputs = Vec::new();
        if example == "quickstart" {
            outputs.push(run(example, &[&place]));
            outputs.push(run(example, &[&place, Path::new("show")]));
        } else {
            std::fs::DirBuilder::new().mode(0o700).create(&place).expect("a directory");
            outputs.push(run(example, &[&place]));
        }
        let values = block_on(values(place.join("keys.keyward"), &place.join("unlock.key")));
        assert!(values.len() >= least, "{example}: only {} values are left", values.len());
        // Tokens begin with a public prefix, `acme_` or `globex_`.
        let bare =
            |value| [b"acme_".as_slice(), b"globex_"].iter().find_map(|prefix| <[u8]>::strip_prefix(value, *prefix));
        let secrets = values.iter().map(|value| bare(value).unwrap_or(value));
        let w = Witness::of(Search::of(secrets));
        for Output { stdout, stderr, .. } in &outputs {
            w.look(Surface::Output, "the standard output", stdout);
            w.look(Surface::Output, "the standard error", stderr);
        }
        w.directory(&place);
        w.look(Surface::Output, "the control", &[outputs[0].stdout.as_slice(), &values[0]].concat());
        let found = w.take_found();
        assert!(found.iter().eq(["Output of the control: in the clear"]), "{example}, or a blind search: {found:?}");
        println!("canary: {} values in the store of {example}", values.len());
        w.finish(example, &[Surface::Output, Surface::Disk]);
    }
}

/// Also of values that are gone with the example: a token has a longer run of letters and digits
/// than anything else that is printed.
#[test]
fn no_example_prints_anything_shaped_like_a_token() {
    assert!(holds_a_token(b"acme_0123456789ABCDEFGHIJKLMNOPQRSTUV_a1B2c3"), "the search is blind");
    assert!(!holds_a_token(b"version 01a20b36-2a3e-74e7-a6c4-6b97cde35ab3"), "a version is no token");
    for example in ["fleet", "load_at_startup", "rotate_embedded", "write_a_backend"] {
        let Output { stdout, stderr, .. } = run(example, &[]);
        assert!(!holds_a_token(&stdout) && !holds_a_token(&stderr), "{example} prints a token");
    }
}

fn holds_a_token(text: &[u8]) -> bool {
    text.split(|byte| !byte.is_ascii_alphanumeric()).any(|run| run.len() >= 32)
}

/// Every value of every version that is still there.
async fn values(store: PathBuf, key: &Path) -> Vec<Vec<u8>> {
    let store = FileBackend::open(store, KeyFile::at(key)).await.expect("the store of the example");
    let mut values = Vec::new();
    for found in store.list_all(&cx(), &ListQuery::all()).await.expect("records") {
        let target = found.expect("a record").value.target();
        for version in store.survey(&cx(), &target).await.expect("a survey").versions {
            let read = store.read_one(&cx(), &target, Select::Version(version)).await.expect("a value");
            let Read::Found { material, .. } = read else { panic!("nothing was read") };
            values.extend(material.iter().map(|(_, value)| value.expose_secret().to_vec()));
        }
    }
    values
}
