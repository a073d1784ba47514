//! Plays the playbook on the copy: once forward, once back.

use std::time::Duration;

use keyward_core::{Clock, Context, KeyRecord, MemoryBackend, RunOutcome, SecretBackendExt, VersionId, VersionState};

use super::super::builder::Rotator;
use super::super::run::RotationRun;
use super::super::step::{RunReport, Step};
use super::consumers::{ConsumerReport, Crowd};
use super::report::{Moment, Rollback};
use super::scene::Scene;

/// So many steps are more than any run takes.
const MOST_STEPS: u32 = 50_000;

/// A rehearsal under way.
pub(super) struct Rehearsal<'a> {
    scene: &'a Scene,
    rotator: &'a Rotator<MemoryBackend>,
    cx: &'a Context,
    crowd: Crowd,
}

/// What the forward rehearsal saw.
#[derive(Debug, Default)]
pub(super) struct Forward {
    pub(super) steps: Vec<Moment>,
    pub(super) stuck: Option<String>,
    pub(super) revoked_after: Option<Duration>,
    pub(super) consumers: Vec<ConsumerReport>,
}

/// When what happened in a run.
#[derive(Debug, Default)]
struct Log {
    steps: Vec<Moment>,
    new: Option<VersionId>,
    published: Option<Duration>,
    given_up: Option<Duration>,
    rolled_back: Option<Duration>,
    dead: Vec<(VersionId, Duration)>,
}

impl Log {
    fn note(&mut self, step: &Step, now: Duration, began: Duration) {
        match step {
            Step::Published { version } => (self.new, self.published) = (Some(*version), Some(now)),
            Step::RolledBack { .. } => self.rolled_back = Some(now),
            Step::Revoked { version } => self.dead.push((*version, now)),
            Step::Overtaken => return,
            _ => {}
        }
        self.steps.push(Moment { after: now.saturating_sub(began), what: step.to_string() });
    }

    fn died(&self, version: Option<VersionId>) -> Option<Duration> {
        self.dead.iter().find(|(dead, _)| Some(*dead) == version).map(|(_, at)| *at)
    }
}

impl<'a> Rehearsal<'a> {
    pub(super) fn new(scene: &'a Scene, rotator: &'a Rotator<MemoryBackend>, cx: &'a Context, crowd: Crowd) -> Self {
        Self { scene, rotator, cx, crowd }
    }

    /// Gives a key without a version its first, without notes.
    pub(super) async fn provision(&mut self) -> Result<(), String> {
        if self.primary().await.is_some() {
            return Ok(());
        }
        let mut run = self.start().await?;
        self.play(&mut run, &mut Log::default(), |_| false).await.map(|_| ())
    }

    /// A rotation from beginning to end.
    pub(super) async fn forward(&mut self) -> Forward {
        self.pass(Duration::ZERO).await;
        let (began, old, mut log) = (self.now(), self.primary().await, Log::default());
        let stuck = match self.start().await {
            Ok(mut run) => self.play(&mut run, &mut log, |_| false).await.err(),
            Err(why) => Some(why),
        };
        let since = |at: Option<Duration>, from: Option<Duration>| Some(at?.saturating_sub(from?));
        let adopted = log.new.map(|new| self.crowd.since(new)).unwrap_or_default();
        let overlap = since(log.given_up, log.published);
        let consumers = self.crowd.consumers().enumerate().map(|(n, consumer)| ConsumerReport {
            consumer: consumer.clone(),
            adopted_after: since(adopted.get(n).copied().flatten(), log.published),
            returned_after: None,
            may_be_cut_off: overlap.is_some_and(|overlap| consumer.holds > overlap),
        });
        let consumers = consumers.collect();
        Forward { stuck, revoked_after: since(log.died(old), Some(began)), consumers, steps: log.steps }
    }

    /// Another rotation, whose new version fares badly once its consumers use it.
    pub(super) async fn back(&mut self, consumers: &mut [ConsumerReport]) -> Rollback {
        match self.try_back(consumers).await {
            Ok(rollback) => rollback,
            Err(why) => Rollback::Fails { why },
        }
    }

    async fn try_back(&mut self, consumers: &mut [ConsumerReport]) -> Result<Rollback, String> {
        let (old, mut log) = (self.primary().await, Log::default());
        let mut run = self.start().await?;
        self.play(&mut run, &mut log, |step| matches!(step, Step::Published { .. })).await?;
        let holds = self.crowd.consumers().map(|consumer| consumer.holds).max().unwrap_or_default();
        let window = self.scene.policy.soak.max(self.scene.policy.overlap);
        self.pass(holds.min(window / 2)).await;
        // The gate has just been asked: the longest way until it sees the errors.
        let Ok(Step::Wait { at_most, .. }) = run.step().await else {
            return Err("the old key is given up before anybody could see errors on the new one".to_owned());
        };
        self.scene.mood.turn_bad(true);
        let errors = self.now();
        self.pass(at_most).await;
        let end = self.play(&mut run, &mut log, |_| false).await;
        self.scene.mood.turn_bad(false);
        let outcome = end?.map(|report| report.outcome);
        self.pass(holds).await;
        let (Some(RunOutcome::RolledBack), Some(back)) = (outcome, log.rolled_back) else {
            return Err("the gate failed and the old key did not come back".to_owned());
        };
        let returned = old.map(|old| self.crowd.since(old)).unwrap_or_default();
        for (consumer, since) in consumers.iter_mut().zip(returned) {
            // Whoever never left the old key has nothing to come back from.
            consumer.returned_after = since.and_then(|since| since.checked_sub(back));
        }
        let new_dead_after = log.died(log.new).map(|at| at.saturating_sub(errors));
        Ok(Rollback::Works { old_serves_after: back.saturating_sub(errors), new_dead_after })
    }

    async fn start(&self) -> Result<RotationRun<'a, MemoryBackend>, String> {
        self.rotator.start(&self.scene.target.id, "drill").await.map_err(|error| error.to_string())
    }

    /// Steps until the run has ended, or `stop` says so.
    async fn play(
        &mut self,
        run: &mut RotationRun<'a, MemoryBackend>,
        log: &mut Log,
        stop: impl Fn(&Step) -> bool,
    ) -> Result<Option<RunReport>, String> {
        let began = self.now();
        for _ in 0..MOST_STEPS {
            match run.step().await.map_err(|error| error.to_string())? {
                Step::Finished(report) if report.outcome == RunOutcome::Aborted => {
                    return Err(report.evidence.last().cloned().unwrap_or_else(|| report.to_string()));
                }
                Step::Finished(report) => return Ok(Some(report)),
                Step::NeedsOperator(what) => return Err(format!("a person is needed: {what}")),
                Step::Wait { at_most, .. } => self.pass(at_most.max(Duration::from_secs(1))).await,
                step => {
                    log.note(&step, self.now(), began);
                    if log.given_up.is_none() && self.has_given_up(run).await {
                        log.given_up = Some(self.now());
                    }
                    if stop(&step) {
                        return Ok(None);
                    }
                }
            }
        }
        Err("the run does not end".to_owned())
    }

    async fn pass(&mut self, time: Duration) {
        self.crowd.live(&self.scene.clock, &self.scene.store, &self.scene.target, self.cx, time).await;
    }

    /// True once the version a run replaces is switched off, or to be revoked.
    async fn has_given_up(&self, run: &RotationRun<'a, MemoryBackend>) -> bool {
        let Some(record) = self.record().await else { return false };
        let old = record.run().filter(|under_way| under_way.id == run.id()).and_then(|run| run.previous);
        old.and_then(|old| record.version(old)).is_some_and(|old| old.state >= VersionState::Suspended)
    }

    async fn primary(&self) -> Option<VersionId> {
        self.record().await?.primary().map(|version| version.id)
    }

    async fn record(&self) -> Option<KeyRecord> {
        let found = self.scene.store.load_existing(&fresh(self.cx), &self.scene.target.id).await;
        found.ok().map(|stamped| stamped.value)
    }

    fn now(&self) -> Duration {
        self.scene.clock.monotonic()
    }
}

/// A drill takes no real time to speak of, but the deadline of a context is real.
pub(super) fn fresh(cx: &Context) -> Context {
    cx.within(Context::DEFAULT_TIMEOUT)
}
