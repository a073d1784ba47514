//! Putting right what needs no person.

use keyward_core::{
    Context, KeyId, KeyRecord, PublicationId, RunId, RunKind, SecretBackend, SecretBackendExt, Stamped, Transition,
    VersionId,
};

use super::super::engine::Comeback;
use super::super::error::{Answer, RotationError};
use super::super::run::RotationRun;
use super::super::step::Step;
use super::Reconciler;
use super::finding::{Finding, RepairReport};
use crate::commit::Commit;

impl<'a, B: SecretBackend> Reconciler<'a, B> {
    /// Puts right what needs no person: switches a serving version on again that was found off,
    /// publishes it again where native readers are shown an older one of ours, and sweeps.
    ///
    /// Never overwrites what somebody else wrote, and does nothing at all on the word of a record
    /// that is an older copy: those are [`left`](RepairReport::left).
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{Reconciler, RotationError, Rotator};
    /// async fn at_start(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let repaired = Reconciler::of(rotator).repair(key, "at start").await?;
    ///     repaired.left.iter().for_each(|finding| println!("{finding}: {}", finding.advice()));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The first failure of the store or the issuer; what was done stays done.
    pub async fn repair(&self, key: &KeyId, reason: &str) -> Result<RepairReport, RotationError> {
        let cx = self.rotator.context(&reason.parse()?);
        let mut report = RepairReport::default();
        let (read, found) = self.look(&cx, key).await?;
        if found.is_regressed() {
            report.left = found.findings;
            return Ok(report);
        }
        for finding in &found.findings {
            if let Finding::PrimaryOff { version } = finding {
                report.switched_on.extend(self.switch_on(&cx, key, *version).await?);
            }
        }
        let behind = found.findings.iter().any(|f| matches!(f, Finding::PointerBehind { .. }));
        report.republished = self.publish_again(&cx, &read, behind, reason).await?;
        report.swept = self.rotator.sweep(key, reason).await?;
        report.left = self.look(&cx, key).await?.1.findings;
        Ok(report)
    }

    /// Switches a version on that serves, as the record says in this moment.
    async fn switch_on(&self, cx: &Context, key: &KeyId, version: VersionId) -> Answer<Option<VersionId>> {
        let read = self.rotator.backend().load_existing(cx, key).await?;
        let Some(serving) = read.value.primary().filter(|v| v.id == version) else { return Ok(None) };
        let on = self.rotator.switched_on(cx, &read.value, serving, true).await?;
        Ok(matches!(on, Comeback::Ready(_)).then_some(version))
    }

    /// Publishes what serves again, in a run of its own, or goes on with such a run.
    async fn publish_again(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        behind: bool,
        reason: &str,
    ) -> Answer<Option<VersionId>> {
        let (record, key) = (&read.value, read.value.id());
        match record.run() {
            Some(run) if run.kind == RunKind::Repair => {
                self.drive(self.rotator.handle(key, run.id, reason, None)?).await
            }
            None if behind => match self.begin(cx, read, None, reason).await? {
                Some(run) => self.drive(run).await,
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Begins a run that publishes what serves. `None` when another writer came first.
    pub(super) async fn begin(
        &self,
        cx: &Context,
        read: &Stamped<KeyRecord>,
        expect: Option<keyward_core::PointerToken>,
        reason: &str,
    ) -> Answer<Option<RotationRun<'a, B>>> {
        let key = read.value.id();
        if let Some(serving) = read.value.primary() {
            self.rotator.must_serve(cx, &read.value, serving).await?;
        }
        let run = RunId::generate();
        let republish = Transition::Republish {
            run,
            publication: PublicationId::generate(),
            expect,
            holder: self.rotator.holder,
            reason: cx.reason.clone(),
        };
        Ok(match self.rotator.commit(cx, read, &republish).await? {
            Commit::Done(_) => Some(self.rotator.handle(key, run, reason, None)?),
            Commit::Overtaken => None,
        })
    }

    /// A few steps: such a run waits for nothing.
    async fn drive(&self, mut run: RotationRun<'a, B>) -> Answer<Option<VersionId>> {
        for _ in 0..6 {
            match run.step().await? {
                Step::Finished(report) => return Ok(Some(report.to)),
                Step::Wait { .. } | Step::NeedsOperator(_) => break,
                _ => {}
            }
        }
        Ok(None)
    }
}
