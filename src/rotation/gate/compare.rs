//! Is one version worse than another, or is it chance? Fisher's exact test, one-sided.

/// Good and bad outcomes of one version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Tally {
    fn all(self) -> f64 {
        count(self.good) + count(self.bad)
    }

    pub(super) fn rate(self) -> f64 {
        if self.all() > 0.0 { count(self.bad) / self.all() } else { 0.0 }
    }
}

/// The chance to see at least so many bad outcomes on `new` if both versions fared alike.
///
/// 1 when `new` does not fare worse than `old`, or when one of them was not seen at all.
pub(super) fn chance(new: Tally, old: Tally) -> f64 {
    if new.all() == 0.0 || old.all() == 0.0 || new.rate() <= old.rate() {
        return 1.0;
    }
    // Hypergeometric: of all requests, `bad` are bad, and `new` is a draw of its size.
    let (all, drawn, bad) = (new.all() + old.all(), new.all(), count(new.bad) + count(old.bad));
    let fixed = ln_factorial(drawn) + ln_factorial(all - drawn) + ln_factorial(bad) + ln_factorial(all - bad);
    let ln_of = |k: f64| {
        let cells = [k, drawn - k, bad - k, all - drawn - bad + k];
        fixed - ln_factorial(all) - cells.into_iter().map(ln_factorial).sum::<f64>()
    };
    // Beyond what is expected each term is smaller than the one before, until they no longer count.
    let (mut k, mut sum) = (count(new.bad), 0.0);
    while k <= drawn.min(bad) {
        let term = ln_of(k).exp();
        sum += term;
        if term <= sum * 1e-12 {
            break;
        }
        k += 1.0;
    }
    sum.min(1.0)
}

/// ln(n!): a sum for small n, Stirling's series beyond.
fn ln_factorial(n: f64) -> f64 {
    if n < 32.0 {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor <= n {
            product *= factor;
            factor += 1.0;
        }
        return f64::ln(product);
    }
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3))
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^52 do not occur")]
pub(super) fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bad: u64, all: u64) -> Tally {
        Tally { good: all - bad, bad }
    }

    fn near(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() <= wanted * 1e-6
    }

    #[test]
    fn the_chances_are_those_of_exact_arithmetic() {
        let table = [
            ((2, 20), (5, 1_000), 0.007236344153165395),
            ((1, 20), (5, 1_000), 0.11229069926923255),
            ((3, 4), (1, 4), 0.24285714285714285),
            ((5, 5), (0, 2), 0.047619047619047616),
            ((10, 1_000), (10, 10_000), 2.9172560898314055e-6),
            ((40, 500), (500, 50_000), 8.553837775005204e-23),
            ((300, 10_000), (200, 10_000), 3.436472179451254e-6),
        ];
        for ((bad, all), (old_bad, old_all), wanted) in table {
            let found = chance(of(bad, all), of(old_bad, old_all));
            assert!(near(found, wanted), "{bad} of {all} against {old_bad} of {old_all}: {found} and not {wanted}");
        }
    }

    #[test]
    fn who_fares_no_worse_or_was_not_seen_is_not_worse() {
        assert_eq!(chance(of(3, 3), of(3, 3)), 1.0);
        assert_eq!(chance(of(1, 100), of(5, 100)), 1.0);
        assert_eq!(chance(of(0, 0), of(5, 100)), 1.0);
        assert_eq!(chance(of(5, 5), of(0, 0)), 1.0);
    }

    #[test]
    fn counts_of_any_size_give_a_chance() {
        for (new, old) in [((1, 2), (1, u64::MAX / 2)), ((1 << 40, 1 << 41), (1 << 20, 1 << 41))] {
            let found = chance(of(new.0, new.1), of(old.0, old.1));
            assert!((0.0..=1.0).contains(&found), "{found}");
        }
    }
}
