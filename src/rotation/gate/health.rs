//! The health gate: does the new version fare well enough to give the old one up?

use keyward_core::{ArmCounts, HealthReport};

use super::Verdict;
use super::compare::{Tally, chance, count};
use super::sample::{Sample, consumers, percent, seen, tell};

/// When the health gate passes, fails, or wants to see more.
///
/// Only refusals of the key speak about the key: wrong or revoked (`auth`), not permitted
/// (`scope`). Everything else is the provider's weather.
///
/// # How it decides
/// 1. **Units.** A client-minute counts as refused by the share of its requests that was refused
///    ([`ClientMinutes`](keyward_core::ClientMinutes)): a retry loop weighs at most as one. A
///    signal that counts none is judged by requests, and the evidence says so.
/// 2. **Hard trip.** [`trip`](Self::trip) units refused, or one fewer on two consumers, before
///    [`trip_within`](Self::trip_within) clean ones: fail.
/// 3. **Sequential test** (Wald) of [`good_rate`](Self::good_rate) against
///    [`bad_rate`](Self::bad_rate). It may be asked as often as one likes: a key at the good rate
///    ever fails, and one at the bad rate ever passes, with at most [`error`](Self::error).
/// 4. **The old version** beside it, while both work: what fails the new one and meets the old one
///    as well decides nothing. A new version that passes is held back while it is refused, or
///    throttled, far more than the old one.
/// 5. **The full soak** with [`clean_after_soak`](Self::clean_after_soak) clean units and not one
///    refusal passes as well.
/// 6. No pass before [`clients`](Self::clients) consumers, or every known one, used the new version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatePolicy {
    /// The rate of refusals that is fine. Default 0.5 %.
    pub good_rate: f64,
    /// The rate of refusals that is not. Default 5 %.
    pub bad_rate: f64,
    /// How often the sequential test may be wrong, either way. Default 0.5 %: with the other rules
    /// beside it less than 1 % for the whole gate.
    pub error: f64,
    /// This many units refused fail the gate at once; one fewer does on two consumers. Default 3.
    pub trip: u64,
    /// With as many clean units the hard trip no longer applies: the test decides. Default 10.
    pub trip_within: u64,
    /// This many clean units are enough after the full soak, when none was refused. Default 110:
    /// one key in 280 at the bad rate gets so far.
    pub clean_after_soak: u64,
    /// At least this many consumers must have used the new version. Default 2.
    pub clients: u64,
    /// A difference from the old version is real when chance explains it with less. Default 1 %
    /// (Fisher's exact test, one-sided).
    pub chance: f64,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            good_rate: 0.005,
            bad_rate: 0.05,
            error: 0.005,
            trip: 3,
            trip_within: 10,
            clean_after_soak: 110,
            clients: 2,
            chance: 0.01,
        }
    }
}

impl GatePolicy {
    /// Sets how many consumers must have used the new version: all of them, where that is known.
    #[must_use]
    pub fn with_clients(mut self, clients: u64) -> Self {
        self.clients = clients;
        self
    }

    /// Sets how many clean units are enough after the full soak. Fewer than the default let more bad
    /// keys pass: 60 let one in 20 at the bad rate.
    #[must_use]
    pub fn with_clean_after_soak(mut self, units: u64) -> Self {
        self.clean_after_soak = units;
        self
    }

    /// Judges what was counted. `soaked` says whether the soak has run its full length.
    ///
    /// A policy that contradicts itself is never a pass or a fail.
    ///
    /// ```
    /// use keyward::core::{ArmCounts, HealthReport};
    /// use keyward::rotation::{GatePolicy, Verdict};
    /// let nothing = HealthReport::of(ArmCounts::default());
    /// assert!(matches!(GatePolicy::default().judge(&nothing, true), Verdict::Insufficient(_)));
    /// ```
    pub fn judge(&self, report: &HealthReport, soaked: bool) -> Verdict {
        if let Some(flaw) = self.flaw() {
            return Verdict::Insufficient(format!("the gate policy does not hold: {flaw}"));
        }
        let new = Sample::of(&report.new);
        if let Some(why) = self.failing(&new, &report.new) {
            return match self.excuse(report) {
                Some(excuse) => Verdict::Insufficient(format!("{why}; {excuse}, so hold; {}", seen(report))),
                None => Verdict::Fail(format!("{why}; {}", seen(report))),
            };
        }
        if let Some(why) = self.held_back(report) {
            return Verdict::Insufficient(format!("{why}; {}", seen(report)));
        }
        let wanted = report.known_clients.map_or(self.clients, |known| self.clients.min(known.max(1)));
        if report.new.clients < wanted {
            return Verdict::Insufficient(format!("{}; at least {wanted} consumers wanted", seen(report)));
        }
        let (ratio, bound) = (self.log_ratio(&new), self.bound());
        if ratio <= -bound {
            return Verdict::Pass(format!(
                "the test is at {ratio:.1}, which passes at {:.1}; {}",
                -bound,
                seen(report)
            ));
        }
        if soaked && report.new.rejects() == 0 && new.clean >= count(self.clean_after_soak) {
            return Verdict::Pass(format!("nothing was refused in the full soak; {}", seen(report)));
        }
        Verdict::Insufficient(format!("{}; {}", seen(report), self.lacking(&new)))
    }

    /// Why the new version fails by itself.
    fn failing(&self, sample: &Sample, arm: &ArmCounts) -> Option<String> {
        let Sample { clean, refused, unit, .. } = *sample;
        let trip = count(self.trip);
        let tripped = refused >= trip || (arm.rejected_clients >= 2 && refused >= (trip - 1.0).max(1.0));
        if tripped && clean < count(self.trip_within) {
            let on = match arm.rejected_clients {
                0 => String::new(),
                n => format!(" on {}", consumers(n)),
            };
            return Some(format!("hard trip: {} {unit} refused{on} beside {} clean", tell(refused), tell(clean)));
        }
        let (ratio, bound) = (self.log_ratio(sample), self.bound());
        (ratio >= bound).then(|| format!("the test is at +{ratio:.1}, which fails at +{bound:.1}"))
    }

    /// What fails the new version may meet the old one as well.
    fn excuse(&self, report: &HealthReport) -> Option<String> {
        let old = report.old.as_ref()?;
        if self.failing(&Sample::of(old), old).is_some() {
            return Some("the old version is refused too".to_owned());
        }
        let (new, old) = Sample::pair(&report.new, old);
        let by_chance = chance(new, old);
        let alike = old.bad > 0 && by_chance >= self.chance;
        alike.then(|| format!("the old version is refused too (the difference may be chance: {})", percent(by_chance)))
    }

    /// Why a version that may fare well is not to be trusted beside the old one.
    fn held_back(&self, report: &HealthReport) -> Option<String> {
        let old = report.old.as_ref()?;
        let far_more = |new: Tally, old: Tally, floor: f64| {
            new.rate() > floor && new.rate() > 2.0 * old.rate() && chance(new, old) < self.chance
        };
        let throttled = |arm: &ArmCounts| Tally { good: arm.telling(), bad: arm.throttled };
        let (new, before) = (throttled(&report.new), throttled(old));
        if far_more(new, before, self.bad_rate) {
            return Some(format!(
                "throttled far more than the old version ({} against {}), maybe by a quota of its own",
                percent(new.rate()),
                percent(before.rate())
            ));
        }
        let (new, before) = Sample::pair(&report.new, old);
        far_more(new, before, self.good_rate).then(|| {
            let (new, before) = (percent(new.rate()), percent(before.rate()));
            format!("refused far more than the old version ({new} against {before})")
        })
    }

    /// What is still missing, and what the few seen so far allow.
    fn lacking(&self, sample: &Sample) -> String {
        let Sample { clean, refused, unit, .. } = *sample;
        let more = ((self.log_ratio(sample) + self.bound()) / -self.success()).ceil().max(1.0);
        let more = format!("{} more clean {unit} wanted", tell(more));
        if refused > 0.0 || clean < 1.0 {
            return more;
        }
        // With no refusal in n, a rate up to this one is seen in 1 of 20 such samples.
        format!("up to {} may still be refused; {more}", percent(1.0 - 0.05_f64.powf(1.0 / clean)))
    }

    /// The log-likelihood ratio of "bad" against "good" (Wald's sequential test).
    fn log_ratio(&self, sample: &Sample) -> f64 {
        sample.refused * (self.bad_rate / self.good_rate).ln() + sample.clean * self.success()
    }

    /// What one clean unit adds to it.
    fn success(&self) -> f64 {
        ((1.0 - self.bad_rate) / (1.0 - self.good_rate)).ln()
    }

    fn bound(&self) -> f64 {
        ((1.0 - self.error) / self.error).ln()
    }

    fn flaw(&self) -> Option<&'static str> {
        let rules = [
            (0.0 < self.good_rate && self.good_rate < self.bad_rate, "the good rate is not between 0 and the bad rate"),
            (self.bad_rate < 1.0, "the bad rate is not below 1"),
            (0.0 < self.error && self.error < 0.5, "the error is not between 0 and 0.5"),
            (self.trip > 0, "the hard trip is at 0"),
            (self.clients > 0, "no consumer is wanted"),
            ((0.0..1.0).contains(&self.chance), "the chance is not between 0 and 1"),
        ];
        rules.iter().find(|(holds, _)| !holds).map(|(_, flaw)| *flaw)
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::ClientMinutes;

    use super::*;

    fn arm(clean: u64, rejects: u64, clients: u64) -> ArmCounts {
        let mut arm = ArmCounts::default();
        (arm.clean, arm.auth_rejects, arm.clients) = (clean, rejects, clients);
        arm
    }

    fn by_minute(seen: u64, refused: f64, on: u64) -> ArmCounts {
        // Ten requests a minute, wholly refused or clean.
        let mut arm = arm(seen * 10, (refused * 10.0) as u64, 2);
        (arm.minutes, arm.rejected_clients) = (Some(ClientMinutes::new(seen, refused)), on);
        arm
    }

    fn judge(new: ArmCounts, soaked: bool) -> Verdict {
        GatePolicy::default().judge(&HealthReport::of(new), soaked)
    }

    fn beside(new: ArmCounts, old: ArmCounts) -> Verdict {
        GatePolicy::default().judge(&HealthReport::of(new).against(old), true)
    }

    fn insufficient(verdict: &Verdict, why: &str) -> bool {
        matches!(verdict, Verdict::Insufficient(text) if text.contains(why))
    }

    #[test]
    fn silence_is_insufficient_even_after_the_soak() {
        assert!(insufficient(&judge(arm(0, 0, 0), true), "0 clean requests"));
        assert!(insufficient(&judge(arm(99, 0, 2), true), "up to 3.0 % may still be refused"));
    }

    #[test]
    fn the_test_passes_on_115_clean_units_and_not_on_114() {
        assert!(matches!(judge(arm(115, 0, 2), false), Verdict::Pass(_)));
        let verdict = judge(arm(114, 0, 2), false);
        assert!(insufficient(&verdict, "1 more clean requests wanted"), "{verdict}");
    }

    #[test]
    fn fewer_clean_requests_pass_after_the_full_soak_and_not_before() {
        assert!(matches!(judge(arm(110, 0, 2), true), Verdict::Pass(_)));
        assert!(matches!(judge(arm(109, 0, 2), true), Verdict::Insufficient(_)));
        assert!(matches!(judge(arm(110, 0, 2), false), Verdict::Insufficient(_)));
        assert!(matches!(judge(arm(114, 1, 2), true), Verdict::Insufficient(_)), "one was refused");
    }

    #[test]
    fn many_requests_in_few_client_minutes_are_few() {
        // 1,100 requests in 110 of them, and 1,090 in 109.
        assert!(matches!(judge(by_minute(110, 0.0, 0), true), Verdict::Pass(_)));
        assert!(insufficient(&judge(by_minute(109, 0.0, 0), true), "109 clean client-minutes, 0 refused"));
    }

    #[test]
    fn client_minutes_that_contradict_the_requests_are_not_believed() {
        let mut blind = arm(1_000, 500, 2);
        blind.minutes = Some(ClientMinutes::new(1_000, 0.0));
        assert!(matches!(judge(blind, true), Verdict::Fail(_)));
        blind.minutes = Some(ClientMinutes::default());
        assert!(matches!(judge(blind, true), Verdict::Fail(_)));
        let mut vast = arm(u64::MAX, u64::MAX, 2);
        vast.minutes = Some(ClientMinutes::of_millionths(u64::MAX, u64::MAX));
        let report = HealthReport::of(vast).against(vast);
        assert!(matches!(GatePolicy::default().judge(&report, true), Verdict::Insufficient(_) | Verdict::Pass(_)));
    }

    #[test]
    fn one_consumer_is_not_enough_unless_it_is_the_only_one() {
        assert!(insufficient(&judge(arm(1_000, 0, 1), true), "at least 2 consumers"));
        let report = HealthReport::of(arm(1_000, 0, 1));
        assert!(matches!(GatePolicy::default().with_clients(1).judge(&report, true), Verdict::Pass(_)));
        assert!(matches!(GatePolicy::default().judge(&report.known_clients(1), true), Verdict::Pass(_)));
        let strict = GatePolicy::default().with_clients(5);
        assert!(insufficient(&strict.judge(&report.known_clients(3), true), "at least 3 consumers"));
        let nobody = HealthReport::of(arm(1_000, 0, 0)).known_clients(0);
        assert!(insufficient(&GatePolicy::default().judge(&nobody, true), "at least 1 consumers"));
    }

    #[test]
    fn the_hard_trip_wants_three_units_or_two_on_two_consumers() {
        assert!(matches!(judge(by_minute(3, 3.0, 1), false), Verdict::Fail(_)));
        assert!(matches!(judge(by_minute(2, 2.0, 2), false), Verdict::Fail(_)));
        assert!(
            matches!(judge(by_minute(2, 2.0, 1), false), Verdict::Insufficient(_)),
            "one consumer, a minute's turn"
        );
        assert!(matches!(judge(by_minute(12, 2.0, 2), false), Verdict::Insufficient(_)), "ten clean: the test decides");
    }

    #[test]
    fn one_retry_loop_does_not_decide() {
        let mut retry_loop = arm(0, 50, 1);
        (retry_loop.minutes, retry_loop.rejected_clients) = (Some(ClientMinutes::of_minute(0, 50)), 1);
        assert!(matches!(judge(retry_loop, false), Verdict::Insufficient(_)));
        retry_loop.minutes = None;
        let Verdict::Fail(evidence) = judge(retry_loop, false) else { panic!("requests are all there is") };
        assert!(evidence.contains("client-minutes not counted"), "{evidence}");
    }

    #[test]
    fn when_both_versions_are_refused_nothing_is_decided() {
        assert!(insufficient(&beside(arm(0, 5, 2), arm(1, 5, 2)), "so hold"));
        // The old one does not fail by itself, and yet the new one is not known to be worse.
        let verdict = beside(by_minute(20, 4.0, 2), by_minute(20, 1.0, 1));
        assert!(insufficient(&verdict, "may be chance: 17."), "{verdict}");
    }

    #[test]
    fn a_clean_old_version_excuses_nothing() {
        assert!(matches!(beside(arm(0, 3, 1), arm(2, 0, 1)), Verdict::Fail(_)));
        assert!(matches!(beside(arm(0, 3, 1), arm(10_000, 20, 2)), Verdict::Fail(_)));
    }

    #[test]
    fn a_version_refused_far_more_than_the_old_one_does_not_pass() {
        // 1.2 % is between the rates: by itself it would pass.
        let (new, old) = (by_minute(2_500, 30.0, 2), by_minute(2_500, 1.0, 1));
        assert!(matches!(judge(new, true), Verdict::Pass(_)));
        assert!(insufficient(&beside(new, old), "refused far more than the old version (1.2 % against 0.0 %)"));
        assert!(matches!(beside(by_minute(2_500, 12.0, 2), old), Verdict::Pass(_)), "within the good rate");
    }

    #[test]
    fn a_version_throttled_far_more_than_the_old_one_does_not_pass() {
        let throttled = |mut arm: ArmCounts, n| {
            arm.throttled = n;
            arm
        };
        let (new, old) = (throttled(arm(800, 0, 2), 200), throttled(arm(1_000, 0, 2), 10));
        assert!(insufficient(&beside(new, old), "throttled far more than the old version (20.0 % against 1.0 %)"));
        assert!(matches!(beside(new, throttled(old, 250)), Verdict::Pass(_)), "both are");
        assert!(matches!(judge(new, true), Verdict::Pass(_)), "nothing to compare with");
    }

    #[test]
    fn failures_that_say_nothing_about_the_key_decide_nothing() {
        let mut down = arm(0, 0, 2);
        (down.other_failures, down.throttled) = (10_000, 10_000);
        assert!(matches!(judge(down, true), Verdict::Insufficient(_)));
        (down.clean, down.throttled) = (115, 0);
        assert!(matches!(judge(down, true), Verdict::Pass(_)));
    }

    #[test]
    fn a_policy_that_contradicts_itself_decides_nothing() {
        let broken: [fn(&mut GatePolicy); 6] = [
            |p| p.good_rate = 0.0,
            |p| p.good_rate = f64::NAN,
            |p| p.bad_rate = 1.0,
            |p| p.error = 0.5,
            |p| (p.trip, p.clients) = (0, 2),
            |p| p.clients = 0,
        ];
        for spoil in broken {
            let mut policy = GatePolicy::default();
            spoil(&mut policy);
            for arm in [arm(10_000, 0, 2), arm(0, 100, 2)] {
                let verdict = policy.judge(&HealthReport::of(arm), true);
                assert!(insufficient(&verdict, "the gate policy does not hold"), "{verdict}");
            }
        }
    }

    #[test]
    fn the_evidence_fits_where_it_is_kept() {
        let most = 1 << 30;
        let mut new = by_minute(most, 1.5, 1_000);
        (new.throttled, new.clients) = (most, 1_000);
        let mut failing = new;
        failing.minutes = Some(ClientMinutes::new(1 << 30, 5e8));
        for report in [new, failing, arm(most, 0, most)].map(|new| HealthReport::of(new).against(arm(most, most, 2))) {
            let (Verdict::Pass(text) | Verdict::Fail(text) | Verdict::Insufficient(text)) =
                GatePolicy::default().judge(&report, true);
            let kept = format!("health gate passed: {text}");
            assert!(kept.len() <= keyward_core::Evidence::MAX_LEN, "{} bytes: {kept}", kept.len());
        }
    }
}
