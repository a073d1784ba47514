//! What `suite!` makes tests of is the whole list of rules.

use std::collections::BTreeSet;
use std::process::Command;

use keyward_conformance::{RULES, Rule};
use keyward_core::MemoryBackend;

mod suite {
    use super::MemoryBackend;
    keyward_conformance::suite!(MemoryBackend::default());
}

mod ignored {
    use super::MemoryBackend;
    fn block_on<F: Future>(future: F) -> F::Output {
        keyward_conformance::block_on(future)
    }
    keyward_conformance::suite!(
        #[ignore = "shows that attributes reach every test"]
        MemoryBackend::default(),
        block_on = block_on
    );
}

/// The tests of one module, as this very binary lists them.
fn listed(module: &str, options: &[&str]) -> BTreeSet<String> {
    let this = std::env::current_exe().expect("a test knows its own path");
    let output = Command::new(this).arg("--list").args(options).output().expect("a test binary lists its tests");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let name = |line: &str| Some(line.strip_prefix(module)?.strip_prefix("::")?.strip_suffix(": test")?.to_owned());
    text.lines().filter_map(name).collect()
}

fn rules() -> BTreeSet<String> {
    RULES.iter().map(ToString::to_string).collect()
}

#[test]
fn a_suite_has_one_test_per_rule() {
    assert_eq!(listed("suite", &[]), rules());
}

#[test]
fn attributes_reach_every_test() {
    assert_eq!(listed("ignored", &["--ignored"]), rules());
    assert_eq!(listed("suite", &["--ignored"]), BTreeSet::new());
}

#[test]
fn no_rule_is_named_twice() {
    assert_eq!(rules().len(), RULES.len());
}

#[test]
fn rules_are_found_by_name() {
    assert!(RULES.iter().eq(Rule::all().iter().map(|rule| rule.name()).collect::<Vec<_>>().iter()));
    assert!(RULES.iter().all(|name| Rule::named(name).is_some_and(|rule| rule.name() == *name)));
    assert!(Rule::named("no such rule").is_none());
}
