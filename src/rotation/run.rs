//! A run in the hands of one process.

use std::collections::BTreeSet;
use std::time::Duration;

use keyward_core::{
    IssuerRef, KeyId, KeyRecord, Lease, NewKey, Reason, RunId, RunKind, SecretBackend, SecretBackendExt, Stamped,
    Transition, Version, VersionId, VersionState,
};

use super::builder::Rotator;
use super::error::{Answer, RotationError};
use super::step::{RunReport, Step};
use super::trusted::Anchor;
use crate::commit::Commit;

/// A run in the hands of one process. Dropping it loses nothing: the journal is in the record.
#[derive(Debug)]
pub struct RotationRun<'a, B> {
    pub(super) rotator: &'a Rotator<B>,
    pub(super) session: Session,
}

/// What a process remembers of a run between steps; all of it can be lost.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: KeyId,
    pub(super) run: RunId,
    pub(super) reason: Reason,
    /// The record as this process stored it last, good for the next step only.
    pub(super) fresh: Option<Stamped<KeyRecord>>,
    /// A version this very session planned and has not asked the issuer for yet, and when it did.
    pub(super) may_create: Option<(VersionId, Duration)>,
    /// What this session writes under what becomes of that.
    pub(super) lease: Option<Lease>,
    /// A key the issuer gave and the store does not have yet.
    pub(super) minted: Option<(VersionId, NewKey)>,
    pub(super) probes: Probes,
    /// By what windows are judged.
    pub(super) anchor: Anchor,
    /// Condemned versions that cannot be seen dead yet.
    pub(super) deferred: BTreeSet<VersionId>,
}

/// Successes in a row, when the last was, since when it is tried, and how often in vain.
#[derive(Debug, Default)]
pub(super) struct Probes {
    pub(super) version: Option<VersionId>,
    pub(super) successes: u32,
    pub(super) succeeded_at: Duration,
    pub(super) since: Duration,
    pub(super) failures: u32,
}

impl<B: SecretBackend> Rotator<B> {
    /// Starts a run for a key, or goes on with the one under way, whoever started it.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn quarterly(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let mut run = rotator.start_or_resume(key, "quarterly").await?;
    ///     println!("{}", run.run_to_completion().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError`]: no record, no issuer, a retired key, too many live versions, or a
    /// failing store.
    pub async fn start_or_resume(&self, key: &KeyId, reason: &str) -> Result<RotationRun<'_, B>, RotationError> {
        match self.start(key, reason).await {
            Err(RotationError::AlreadyRunning { run, .. }) => self.handle(key, run, reason, None),
            started => started,
        }
    }

    pub(crate) async fn start_or_resume_kind(
        &self,
        key: &KeyId,
        reason: &str,
        kind: RunKind,
    ) -> Answer<RotationRun<'_, B>> {
        match self.start_kind(key, reason, Some(kind)).await {
            Err(RotationError::AlreadyRunning { run, .. }) => self.handle(key, run, reason, None),
            started => started,
        }
    }

    /// Starts a run for a key.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn unless_running(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     match rotator.start(key, "quarterly").await {
    ///         Err(RotationError::AlreadyRunning { run, .. }) => println!("{run} is under way"),
    ///         started => drop(started?),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::AlreadyRunning`] when one is under way (nothing was asked of the issuer),
    /// otherwise as [`Rotator::start_or_resume`].
    pub async fn start(&self, key: &KeyId, reason: &str) -> Result<RotationRun<'_, B>, RotationError> {
        self.start_kind(key, reason, None).await
    }

    /// Goes on with the run under way.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn go_on(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let mut run = rotator.resume(key, "after a crash").await?;
    ///     println!("{}", run.step().await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`keyward_core::TransitionError::NoRun`] inside [`RotationError::Refused`] when there is
    /// none; otherwise a failing store.
    pub async fn resume(&self, key: &KeyId, reason: &str) -> Result<RotationRun<'_, B>, RotationError> {
        let cx = self.context(&reason.parse()?);
        let record = self.backend.load_existing(&cx, key).await?.value;
        let run = record.run().ok_or(keyward_core::TransitionError::NoRun)?.id;
        self.handle(key, run, reason, None)
    }

    pub(crate) async fn start_kind(
        &self,
        key: &KeyId,
        reason: &str,
        kind: Option<RunKind>,
    ) -> Answer<RotationRun<'_, B>> {
        let reason: Reason = reason.parse()?;
        let cx = self.context(&reason);
        for _ in 0..8 {
            let read = self.backend.load_existing(&cx, key).await?;
            if let Some(active) = read.value.run() {
                return Err(RotationError::AlreadyRunning { key: key.clone(), run: active.id });
            }
            let kind = kind.unwrap_or_else(|| self.kind_due(&read.value));
            // A leak does not wait for a slot: the issuer itself says whether there is one.
            if kind != RunKind::Leak {
                self.check_slots(&read.value)?;
            }
            let (run, version) = (RunId::generate(), VersionId::generate());
            let begin = Transition::Begin { run, kind, version, holder: self.holder, reason: reason.clone() };
            if let Commit::Done(stored) = self.commit(&cx, &read, &begin).await? {
                let mut handle = self.handle(key, run, reason.as_str(), Some(version))?;
                handle.session.fresh = Some(stored);
                return Ok(handle);
            }
        }
        Err(RotationError::Contended { key: key.clone() })
    }

    pub(super) fn handle(
        &self,
        key: &KeyId,
        run: RunId,
        reason: &str,
        may_create: Option<VersionId>,
    ) -> Answer<RotationRun<'_, B>> {
        let session = Session {
            key: key.clone(),
            run,
            reason: reason.parse()?,
            fresh: None,
            may_create: may_create.map(|version| (version, self.clock.monotonic())),
            lease: may_create.map(|_| Lease::first(run)),
            minted: None,
            probes: Probes::default(),
            anchor: Anchor::drop_on(&*self.clock),
            deferred: BTreeSet::new(),
        };
        Ok(RotationRun { rotator: self, session })
    }

    fn check_slots(&self, record: &KeyRecord) -> Answer<()> {
        let issuer = self.issuer_of(record)?;
        let live = record.versions().iter().filter(|v| v.state.may_work()).count();
        match issuer.capabilities().max_live {
            Some(cap) if usize::try_from(cap).is_ok_and(|cap| live >= cap) => {
                Err(RotationError::IssuerFull { key: record.id().clone(), live, cap })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn kind_due(&self, record: &KeyRecord) -> RunKind {
        let leaked = record.versions().iter().any(|v| v.compromised.is_some());
        match record.primary() {
            None if leaked => RunKind::Leak,
            None => RunKind::Provision,
            Some(_) if record.due_at().is_some_and(|due| due <= self.clock.now()) => RunKind::Scheduled,
            Some(_) => RunKind::Manual,
        }
    }
}

impl<B: SecretBackend> RotationRun<'_, B> {
    /// The run.
    pub fn id(&self) -> RunId {
        self.session.run
    }

    /// The key.
    pub fn key(&self) -> &KeyId {
        &self.session.key
    }

    /// Makes one transition, or says what is waited for. Killed here? Any process on any host
    /// calls [`Rotator::start_or_resume`] and goes on.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator, Step};
    /// async fn one_step(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let mut run = rotator.start_or_resume(key, "quarterly").await?;
    ///     match run.step().await? {
    ///         Step::Wait { at_most, why } => println!("again in {} s: {why}", at_most.as_secs()),
    ///         Step::NeedsOperator(what) => return Err(what.into()),
    ///         step => println!("{step}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError`]; the run stays where it is and the step may be repeated.
    pub async fn step(&mut self) -> Result<Step, RotationError> {
        let cx = self.rotator.context(&self.session.reason);
        let record = match self.session.fresh.take() {
            Some(record) => record,
            None => self.rotator.backend.load_existing(&cx, &self.session.key).await?,
        };
        let step = self.rotator.advance(&cx, &mut self.session, record).await;
        if matches!(step, Ok(Step::Wait { .. } | Step::NeedsOperator(_))) {
            // Time passes, or a person acts: the record is read again.
            self.session.fresh = None;
        }
        step
    }

    /// Steps until the run has ended, waiting on the rotator's clock in between.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn blocking_for_days(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let report = rotator.start_or_resume(key, "quarterly").await?.run_to_completion().await?;
    ///     assert!(report.pending.is_empty(), "sweep later: {report}");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RotationError::NeedsOperator`] when a person is needed; otherwise the first error of a
    /// step that says it will not help to repeat it, or any after 10 in a row.
    pub async fn run_to_completion(&mut self) -> Result<RunReport, RotationError> {
        let (mut failures, mut overtaken) = (0, 0);
        loop {
            let step = self.step().await;
            overtaken = if matches!(step, Ok(Step::Overtaken)) { overtaken + 1 } else { 0 };
            match step {
                Ok(Step::Finished(report)) => return Ok(report),
                Ok(Step::NeedsOperator(what)) => return Err(what.into()),
                Ok(Step::Wait { at_most, .. }) => self.rotator.clock.sleep(at_most).await,
                // Once is another process at work; again and again is a store that answers old records.
                Ok(Step::Overtaken) if overtaken > 3 => self.rotator.clock.sleep(backoff(overtaken)).await,
                Ok(_) => {}
                Err(RotationError::Backend(error)) if error.retry() != keyward_core::Retry::No && failures < 10 => {
                    failures += 1;
                    self.rotator.clock.sleep(backoff(failures)).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            failures = 0;
        }
    }
}

/// 0.2 s doubling to 20 s.
pub(crate) fn backoff(failures: u32) -> Duration {
    Duration::from_millis(200 << failures.min(7)).min(Duration::from_secs(20))
}

/// Versions of a key that are condemned and not seen dead.
pub(super) fn condemned(record: &KeyRecord) -> impl Iterator<Item = VersionId> + '_ {
    record.versions().iter().filter(|v| v.state == VersionState::RevokePending).map(|v| v.id)
}

/// True when a reference is the one of another version that may work: revoking by it would end that
/// one.
pub(super) fn names_another(record: &KeyRecord, version: VersionId, reference: &IssuerRef) -> bool {
    let same = |v: &Version| v.id != version && v.issuer_ref.as_ref() == Some(reference);
    record.versions().iter().any(|v| same(v) && v.state < VersionState::RevokePending)
}
