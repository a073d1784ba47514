//! What the gates look at, and how they put it in words.

use keyward_core::{ArmCounts, ClientMinutes, HealthReport};

use super::compare::{Tally, count};

/// One version as the test sees it: by client-minutes where they are known, else by requests.
pub(super) struct Sample {
    pub(super) clean: f64,
    pub(super) refused: f64,
    pub(super) unit: &'static str,
    /// What is worth knowing about the unit.
    note: &'static str,
}

impl Sample {
    pub(super) fn of(arm: &ArmCounts) -> Self {
        match minutes(arm) {
            Some(minutes) => {
                let refused = minutes.refused();
                Self { clean: count(minutes.seen()) - refused, refused, unit: "client-minutes", note: "" }
            }
            None => {
                let note = " (client-minutes not counted)";
                Self { clean: count(arm.clean), refused: count(arm.rejects()), unit: "requests", note }
            }
        }
    }

    /// Both versions in the same unit, in whole numbers.
    pub(super) fn pair(new: &ArmCounts, old: &ArmCounts) -> (Tally, Tally) {
        if let (Some(a), Some(b)) = (minutes(new), minutes(old)) {
            let tally = |minutes: ClientMinutes| {
                let bad = minutes.refused_millionths().saturating_add(500_000) / 1_000_000;
                Tally { good: minutes.seen().saturating_sub(bad), bad }
            };
            return (tally(a), tally(b));
        }
        let tally = |arm: &ArmCounts| Tally { good: arm.clean, bad: arm.rejects() };
        (tally(new), tally(old))
    }
}

/// The client-minutes, unless the requests contradict them: a signal whose one half is broken is
/// judged by the other.
fn minutes(arm: &ArmCounts) -> Option<ClientMinutes> {
    let lost = |minutes: &ClientMinutes| {
        (minutes.seen() == 0 && arm.telling() > 0) || (minutes.refused_millionths() == 0 && arm.rejects() > 0)
    };
    arm.minutes.filter(|minutes| !lost(minutes))
}

/// The counts in words.
pub(super) fn seen(report: &HealthReport) -> String {
    let refused_of = |sample: &Sample| match sample.refused {
        0.0 => "0 refused".to_owned(),
        n => format!("{} refused ({})", tell(n), percent(n / (sample.clean + n))),
    };
    let new = Sample::of(&report.new);
    let Sample { clean, unit, note, .. } = new;
    let by = consumers(report.new.clients);
    let mut words = format!("{} clean {unit}{note}, {}, {by}", tell(clean), refused_of(&new));
    if let Some(old) = report.old.as_ref().filter(|old| old.telling() > 0) {
        let old = Sample::of(old);
        let unit = if old.unit == unit { String::new() } else { format!(" {}", old.unit) };
        words += &format!("; old version: {} clean{unit}, {}", tell(old.clean), refused_of(&old));
    }
    words
}

pub(super) fn consumers(n: u64) -> String {
    if n == 1 { "1 consumer".to_owned() } else { format!("{n} consumers") }
}

/// Whole numbers as such, shares with one digit.
pub(super) fn tell(n: f64) -> String {
    if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}

pub(super) fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}
