//! The contract once more, on a second server of other authors, whose label moves and refusals follow
//! AWS more closely. Its rules of request tokens do not; what rests on those is left out by name.

mod common;

use common::{builder, fresh_prefix, on_runtime, strict_url};
use keyward_conformance::{Rule, Subject};

/// Rules this server cannot keep, and what it does otherwise than AWS.
const DEVIATIONS: [(&str, &str); 7] = [
    ("current_of_nothing_published_is_not_found", PLACEHOLDER),
    ("late_publish_is_unavailable_and_moves_nothing", PLACEHOLDER),
    ("pointer_of_nothing_has_a_token", PLACEHOLDER),
    ("staged_material_is_not_shown_to_readers", PLACEHOLDER),
    ("one_of_many_stages_wins", OVERWRITES),
    ("same_bytes_staged_by_many_are_stored_once", OVERWRITES),
    ("repeated_swap_is_applied_once", OVERWRITES),
];
const PLACEHOLDER: &str = "a created secret ignores the token, so the placeholder is not known as one";
const OVERWRITES: &str = "a put with a token that is taken writes the version anew, labels and all";

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn every_rule_but_those_of_tokens_holds_on_a_second_server() {
    for (name, why) in DEVIATIONS {
        assert!(Rule::named(name).is_some(), "there is no rule {name} any more: {why}");
    }
    let kept = |rule: &&Rule| DEVIATIONS.iter().all(|(name, _)| *name != rule.name());
    let rules: Vec<&Rule> = Rule::all().iter().filter(kept).collect();
    assert!(rules.len() > 100);
    let mut broken = Vec::new();
    for some in rules.chunks(8) {
        let check = |rule: &Rule| {
            let (rule, thread) = (*rule, std::thread::Builder::new().name(rule.name().to_owned()));
            (rule, thread.spawn(move || on_runtime(check(rule))).expect("a thread"))
        };
        let threads: Vec<_> = some.iter().map(|rule| check(rule)).collect();
        broken.extend(threads.into_iter().filter_map(|(rule, thread)| thread.join().is_err().then_some(rule)));
    }
    assert!(broken.is_empty(), "broken: {broken:?}");
}

async fn check(rule: Rule) {
    let store = builder(&strict_url(), &fresh_prefix()).open().await.expect("a backend");
    rule.check(&Subject::on(&store, |task| on_runtime(task))).await;
}
