//! The health gate: three answers, and "not enough seen" is never a pass. Pure.

use std::fmt;

use keyward_core::{ArmCounts, HealthReport};

/// What a gate says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Verdict {
    /// Enough was seen and it was good.
    Pass(String),
    /// The new version fares badly.
    Fail(String),
    /// Not enough was seen to say.
    Insufficient(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(evidence) => write!(f, "pass: {evidence}"),
            Self::Fail(evidence) => write!(f, "fail: {evidence}"),
            Self::Insufficient(why) => write!(f, "insufficient: {why}"),
        }
    }
}

/// When the health gate passes, fails, or wants to see more.
///
/// Only refusals of the key speak about the key: wrong or revoked (`auth`), not permitted
/// (`scope`). Everything else is the provider's weather.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatePolicy {
    /// The rate of refusals that is fine. Default 0.5 %.
    pub good_rate: f64,
    /// The rate of refusals that is not. Default 5 %.
    pub bad_rate: f64,
    /// How often each kind of error may happen. Default 1 %.
    pub error: f64,
    /// This many refusals fail the gate at once; one fewer does when several consumers report.
    /// Default 3.
    pub trip: u64,
    /// This many clean requests are enough after the full soak. Default 60.
    pub clean_after_soak: u64,
    /// At least this many consumers must have reported. Default 2.
    pub clients: u64,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self { good_rate: 0.005, bad_rate: 0.05, error: 0.01, trip: 3, clean_after_soak: 60, clients: 2 }
    }
}

impl GatePolicy {
    /// Sets how many consumers must have reported: all of them, where that is known.
    #[must_use]
    pub fn with_clients(mut self, clients: u64) -> Self {
        self.clients = clients;
        self
    }

    /// Judges what was counted. `soaked` says whether the soak has run its full length.
    ///
    /// ```
    /// use keyward::core::{ArmCounts, HealthReport};
    /// use keyward::rotation::{GatePolicy, Verdict};
    /// let nothing = HealthReport::of(ArmCounts::default());
    /// assert!(matches!(GatePolicy::default().judge(&nothing, true), Verdict::Insufficient(_)));
    /// ```
    pub fn judge(&self, report: &HealthReport, soaked: bool) -> Verdict {
        let ArmCounts { clean, clients, .. } = report.new;
        let rejects = report.new.rejects();
        let seen = format!("{clean} clean, {rejects} refused, consumers on the new version: {clients}");
        if self.failing(&report.new) {
            return match &report.old {
                Some(old) if self.failing(old) => {
                    Verdict::Insufficient(format!("{seen}; the old version is refused too, so hold"))
                }
                _ => Verdict::Fail(seen),
            };
        }
        if clients < self.clients {
            return Verdict::Insufficient(format!("{seen}; at least {} wanted", self.clients));
        }
        let passes = self.evidence(&report.new) <= -self.bound();
        if passes || (soaked && rejects == 0 && clean >= self.clean_after_soak) {
            return Verdict::Pass(seen);
        }
        Verdict::Insufficient(format!("{seen}; more requests wanted"))
    }

    fn failing(&self, arm: &ArmCounts) -> bool {
        let rejects = arm.rejects();
        // With many requests a few refusals are within the good rate: the test decides then.
        let few = arm.clean < 200;
        let trip = rejects >= self.trip || (arm.clients >= 2 && rejects + 1 >= self.trip);
        (few && trip) || self.evidence(arm) >= self.bound()
    }

    /// The log-likelihood ratio of "bad" against "good" (Wald's sequential test).
    fn evidence(&self, arm: &ArmCounts) -> f64 {
        let error = (self.bad_rate / self.good_rate).ln();
        let success = ((1.0 - self.bad_rate) / (1.0 - self.good_rate)).ln();
        count(arm.rejects()) * error + count(arm.clean) * success
    }

    fn bound(&self) -> f64 {
        ((1.0 - self.error) / self.error).ln()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^52 do not occur")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(clean: u64, rejects: u64, clients: u64) -> ArmCounts {
        let mut arm = ArmCounts::default();
        (arm.clean, arm.auth_rejects, arm.clients) = (clean, rejects, clients);
        arm
    }

    fn judge(new: ArmCounts, soaked: bool) -> Verdict {
        GatePolicy::default().judge(&HealthReport::of(new), soaked)
    }

    #[test]
    fn silence_is_insufficient_even_after_the_soak() {
        assert!(matches!(judge(arm(0, 0, 0), true), Verdict::Insufficient(_)));
        assert!(matches!(judge(arm(59, 0, 2), true), Verdict::Insufficient(_)));
    }

    #[test]
    fn a_hundred_clean_requests_pass_and_ninety_nine_do_not() {
        assert!(matches!(judge(arm(100, 0, 2), false), Verdict::Pass(_)));
        assert!(matches!(judge(arm(99, 0, 2), false), Verdict::Insufficient(_)));
    }

    #[test]
    fn sixty_clean_requests_pass_after_the_full_soak() {
        assert!(matches!(judge(arm(60, 0, 2), true), Verdict::Pass(_)));
    }

    #[test]
    fn one_consumer_is_not_enough_unless_it_is_the_only_one() {
        assert!(matches!(judge(arm(1_000, 0, 1), true), Verdict::Insufficient(_)));
        let only = GatePolicy::default().with_clients(1);
        assert!(matches!(only.judge(&HealthReport::of(arm(1_000, 0, 1)), true), Verdict::Pass(_)));
    }

    #[test]
    fn early_refusals_trip_the_gate() {
        assert!(matches!(judge(arm(0, 2, 2), false), Verdict::Fail(_)));
        assert!(matches!(judge(arm(0, 2, 1), false), Verdict::Fail(_)), "two early errors reach the bound");
        assert!(matches!(judge(arm(50, 3, 1), false), Verdict::Fail(_)));
    }

    #[test]
    fn when_both_versions_are_refused_nothing_is_decided() {
        let report = HealthReport::of(arm(0, 5, 2)).against(arm(1, 5, 2));
        assert!(matches!(GatePolicy::default().judge(&report, true), Verdict::Insufficient(_)));
    }

    #[test]
    fn a_few_refusals_among_thousands_do_not_trip() {
        assert!(matches!(judge(arm(5_000, 5, 4), true), Verdict::Pass(_)));
    }
}
