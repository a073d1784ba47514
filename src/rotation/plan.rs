//! What a rotation would do, without doing it.

use std::fmt;

use chrono::{DateTime, Utc};
use keyward_core::{KeyId, KeyRecord, RunKind, SecretBackend, SecretBackendExt, ServiceName};

use super::builder::Rotator;
use super::error::RotationError;

/// One step of a plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedStep {
    /// What is done.
    pub what: &'static str,
    /// Which permissions it needs, in the words of the contract.
    pub needs: &'static str,
}

/// What a rotation would do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The key.
    pub key: KeyId,
    /// Why a run would exist.
    pub kind: RunKind,
    /// The run under way, which would be resumed: its phase.
    pub under_way: Option<&'static str>,
    /// What would be done, in order.
    pub steps: Vec<PlannedStep>,
    /// How many versions may be live now, and how many the issuer allows.
    pub slots: (usize, Option<u32>),
    /// Who loads the key and will get the new version.
    pub consumers: Vec<ServiceName>,
    /// The earliest time the old version would be revoked, when the run began now.
    pub revoke_not_before: Option<DateTime<Utc>>,
    /// What stands in the way.
    pub obstacles: Vec<String>,
}

impl<B: SecretBackend> Rotator<B> {
    /// Says what a rotation of the key would do. No side effects.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn rehearse(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     print!("{}", rotator.plan(key).await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The key has no record, its issuer is not registered, or the store fails.
    pub async fn plan(&self, key: &KeyId) -> Result<Plan, RotationError> {
        let cx = self.context(&"plan a rotation".parse()?);
        let record = self.backend.load_existing(&cx, key).await?.value;
        let able = self.issuer_of(&record)?.capabilities().clone();
        let kind = self.kind_due(&record);
        let live = record.versions().iter().filter(|v| v.state.may_work()).count();
        let window = record.policy().soak.max(record.policy().overlap);
        let waits = !kind.skips_soak() && record.primary().is_some();
        let mut obstacles = Vec::new();
        if record.retired_at().is_some() || record.is_retiring() {
            obstacles.push("the key is retired or being retired".to_owned());
        }
        if able.max_live.is_some_and(|cap| usize::try_from(cap).is_ok_and(|cap| live >= cap)) {
            obstacles.push("every key slot at the issuer is taken; sweep first".to_owned());
        }
        if self.health.is_none() && waits {
            obstacles.push("no health signal: the gate will not pass without an operator".to_owned());
        }
        if self.validator_of(&record).is_none() {
            obstacles.push("no validator: only the issuer's own word proves the new key".to_owned());
        }
        Ok(Plan {
            key: key.clone(),
            kind,
            under_way: record.run().map(|run| run.phase.name()),
            steps: steps(&record, waits),
            slots: (live, able.max_live),
            consumers: record.scope().services().cloned().collect(),
            revoke_not_before: waits
                .then(|| {
                    chrono::TimeDelta::from_std(window)
                        .ok()
                        .and_then(|window| self.clock.now().checked_add_signed(window))
                })
                .flatten(),
            obstacles,
        })
    }
}

fn steps(record: &KeyRecord, waits: bool) -> Vec<PlannedStep> {
    let step = |what, needs| PlannedStep { what, needs };
    let mut steps = vec![
        step("reserve a version id", "store: swap records"),
        step("create a key with the same scope, once", "issuer: create; store: stage"),
        step("validate it several times in a row and compare its scope", "store: read; issuer: status, scope"),
        step("publish it to every reader", "store: pointer, publish"),
    ];
    if waits {
        steps.push(step("watch error rates until soak and overlap are over", "health signal"));
    }
    if record.primary().is_some() {
        steps.push(step("revoke the old key and see it dead", "issuer: revoke, status; store: read"));
    }
    steps
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rotation of {}", self.kind, self.key)?;
        if let Some(phase) = self.under_way {
            writeln!(f, "  a run is under way in phase {phase} and would be resumed")?;
        }
        for (step, number) in self.steps.iter().zip(1..) {
            writeln!(f, "  {number}. {} (needs {})", step.what, step.needs)?;
        }
        match self.slots {
            (live, Some(cap)) => writeln!(f, "  issuer slots: {live} of {cap} in use")?,
            (live, None) => writeln!(f, "  issuer slots: {live} in use, no limit")?,
        }
        let consumers: Vec<_> = self.consumers.iter().map(ToString::to_string).collect();
        writeln!(f, "  consumers: {}", if consumers.is_empty() { "none".to_owned() } else { consumers.join(", ") })?;
        if let Some(at) = self.revoke_not_before {
            writeln!(f, "  the old key is revoked not before {at}")?;
        }
        self.obstacles.iter().try_for_each(|obstacle| writeln!(f, "  note: {obstacle}"))
    }
}
