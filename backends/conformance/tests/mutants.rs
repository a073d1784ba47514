//! A suite is trusted for what it catches: each of these stores is wrong on purpose, in one
//! place, and breaks the rules it must break and no others.

mod mutants {
    mod flaw;
    mod store;
    pub(super) use flaw::{FLAWS, Flaw};
    pub(super) use store::Mutant;
}

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_lite::future::block_on;
use keyward_conformance::{RULES, Rule, Subject};
use mutants::{FLAWS, Flaw, Mutant};

/// Whether a store with this flaw breaks a rule.
fn breaks(flaw: Option<Flaw>, rule: Rule) -> bool {
    let store = Mutant::with(flaw);
    catch_unwind(AssertUnwindSafe(|| block_on(rule.check(&Subject::new(&store))))).is_err()
}

/// The rules a store breaks.
fn broken_by(flaw: Option<Flaw>) -> BTreeSet<&'static str> {
    Rule::all().iter().filter(|rule| breaks(flaw, **rule)).map(|rule| rule.name()).collect()
}

/// As [`breaks`], with patience for races that went well by chance on a busy machine.
fn breaks_sooner_or_later(flaw: Flaw, rule: &str) -> bool {
    let rule = Rule::named(rule).expect("the rule exists");
    (0..20).any(|_| breaks(Some(flaw), rule))
}

#[test]
fn without_a_flaw_no_rule_is_broken() {
    assert_eq!(broken_by(None), BTreeSet::new());
}

#[test]
fn every_flaw_breaks_the_rules_it_must_and_no_others() {
    for case in FLAWS {
        let (must, may): (BTreeSet<&str>, BTreeSet<&str>) =
            (case.breaks.iter().copied().collect(), case.may_break.iter().copied().collect());
        let known = |rule: &&str| RULES.contains(rule);
        assert!(!must.is_empty() && must.iter().chain(&may).all(known), "{:?} names rules that exist", case.flaw);
        let broken = broken_by(Some(case.flaw));
        let missed = must.difference(&broken).filter(|rule| !breaks_sooner_or_later(case.flaw, rule));
        let missed: Vec<_> = missed.collect();
        let surplus: Vec<_> = broken.iter().filter(|rule| !must.contains(*rule) && !may.contains(*rule)).collect();
        assert!(missed.is_empty(), "{:?} is not caught by {missed:?}", case.flaw);
        assert!(surplus.is_empty(), "{:?} also breaks {surplus:?}", case.flaw);
        println!("{:?} is caught by {}", case.flaw, must.into_iter().collect::<Vec<_>>().join(", "));
    }
}

#[test]
fn a_leaky_mutant_is_reported_without_the_value() {
    let store = Mutant::with(Some(Flaw::PrintsMaterial));
    let rule = Rule::named("debug_of_the_backend_holds_no_material").expect("the rule exists");
    let panic = catch_unwind(AssertUnwindSafe(|| block_on(rule.check(&Subject::new(&store))))).expect_err("caught");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.starts_with("material was found") && !text.contains("canary"), "{text}");
}
