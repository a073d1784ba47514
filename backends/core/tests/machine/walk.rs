//! Random walks: 60 moves with leaks, aborts, rollbacks and jumps of the clock.

use chrono::TimeDelta;
use proptest::prelude::*;

use crate::common::*;
use crate::laws;
use crate::moves::moves;

/// Which move to look at first, whether to insist on a legal one, and how far the clock jumps.
fn steps() -> impl Strategy<Value = Vec<(prop::sample::Index, bool, i64)>> {
    let jump = prop_oneof![
        3 => Just(0_i64),
        2 => Just(1),
        2 => Just(3_600),
        2 => Just(86_400),
        2 => Just(3 * 86_400),
        1 => Just(-3_600),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.9), jump), 60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sixty_random_moves_keep_every_invariant(steps in steps()) {
        let mut lab = Lab::new();
        let mut accepted = 0;
        for (first, insist, jump) in steps {
            lab.wait(TimeDelta::seconds(jump));
            let fresh = 1_000 + 4 * lab.number();
            let all = moves(&lab.record, fresh);
            let first = first.index(all.len());
            let tries = if insist { all.len() } else { 1 };
            // A prime step that does not divide the length, so that insisting reaches all and favours no neighbours.
            let step = if all.len().is_multiple_of(31) { 37 } else { 31 };
            for at in (0..tries).map(|n| (first + n * step) % all.len()) {
                let change = change(fresh, lab.now);
                match lab.record.apply(&all[at], &change) {
                    Ok(next) => {
                        laws::hold(&lab.record, &all[at], &change, &next);
                        laws::stored(&next);
                        if lab.record.run().is_some_and(|r| r.phase.name() == "retiring") {
                            let late = lab.record.apply(&roll_back(fresh + 3), &change);
                            prop_assert_eq!(late, Err(keyward_core::TransitionError::RollbackWindowPassed));
                        }
                        // A key that is given up has nothing left to show: look elsewhere.
                        if next.is_retiring() && accepted < 40 {
                            continue;
                        }
                        lab.record = next;
                        accepted += 1;
                        break;
                    }
                    Err(error) => {
                        let text = format!("{error} {error:?}");
                        prop_assert!(!text.contains("because"), "a refusal quotes no words of people");
                    }
                }
            }
        }
        prop_assert!(accepted > 20);
    }
}
