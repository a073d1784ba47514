//! Housekeeping of one key: revoke what is condemned, adopt orphans, withdraw dead material.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use keyward_core::{
    Context, ErrorKind, Issue, IssuerKey, IssuerStatus, KeyId, KeyRecord, Reason, SecretBackend, SecretBackendExt,
    Stamped, Transition, Version, VersionId, VersionState, Withdraw,
};

use super::builder::Rotator;
use super::engine::Death;
use super::error::{Answer, NeedsOperator, RotationError};
use super::run::{condemned, names_another};
use crate::commit::Commit;

/// What a sweep did and what is left.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// Keys found at the issuer that the record did not know.
    pub adopted: Vec<VersionId>,
    /// Versions seen dead.
    pub revoked: Vec<VersionId>,
    /// Dead versions whose material was given up.
    pub withdrawn: Vec<VersionId>,
    /// Condemned versions that are not seen dead yet; sweep again.
    pub pending: Vec<VersionId>,
    /// What only a person can do.
    pub needs_operator: Vec<NeedsOperator>,
}

impl<B: SecretBackend> Rotator<B> {
    /// Cleans up after one key: revokes condemned versions, hunts keys that carry our label but
    /// are not in the record, and gives up the material of versions that are dead long enough.
    ///
    /// Touches nothing that a run under way needs, and never a key without our label. Repeat it
    /// daily, and after a run whose report lists pending versions.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::rotation::{RotationError, Rotator};
    /// async fn daily(rotator: &Rotator<MemoryBackend>, key: &KeyId) -> Result<(), RotationError> {
    ///     let report = rotator.sweep(key, "daily").await?;
    ///     report.needs_operator.iter().for_each(|what| println!("{what}"));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The first failure of the store or the issuer. The other versions were seen to all the same,
    /// and what was done stays done.
    pub async fn sweep(&self, key: &KeyId, reason: &str) -> Result<SweepReport, RotationError> {
        let reason: Reason = reason.parse()?;
        let cx = self.context(&reason);
        let mut report = SweepReport::default();
        let adopted = self.adopt_orphans(&cx, key, &mut report).await;
        let killed = self.kill_condemned(&cx, key, &mut report).await;
        adopted.and(killed)?;
        self.withdraw_dead(&cx, key, &mut report).await?;
        Ok(report)
    }

    /// T16: keys with our label that the record does not know.
    async fn adopt_orphans(&self, cx: &Context, key: &KeyId, report: &mut SweepReport) -> Answer<()> {
        let mut read = self.backend.load_existing(cx, key).await?;
        let issuer = self.issuer_of(&read.value)?;
        if !issuer.capabilities().finds_by_label {
            return Ok(());
        }
        for found in issuer.find(cx, &read.value, None).await? {
            match judge(&read.value, &found) {
                Found::Known => continue,
                Found::Newer => {
                    let (key, version) = (key.clone(), found.label);
                    report.needs_operator.push(NeedsOperator::RecordRegressed { key, version });
                    continue;
                }
                Found::Double => {
                    let key = key.clone();
                    let IssuerKey { label: version, reference } = found;
                    report.needs_operator.push(NeedsOperator::SecondKey { key, version, reference });
                    continue;
                }
                // An issuer may list what it has revoked; only what works is hunted again.
                Found::Dead if !self.still_works(cx, &read.value, &found).await? => continue,
                Found::Orphan | Found::Dead => {}
            }
            // A few at a time, so that the record stays small; the next sweep goes on.
            if condemned(&read.value).count() >= KeyRecord::MAX_WORKING {
                break;
            }
            let adopt = Transition::Adopt { version: found.label, issuer_ref: found.reference };
            match self.commit(cx, &read, &adopt).await? {
                Commit::Done(stored) => {
                    report.adopted.push(found.label);
                    read = stored;
                }
                // The next sweep finds it again.
                Commit::Overtaken => read = self.backend.load_existing(cx, key).await?,
            }
        }
        Ok(())
    }

    /// True when a key the issuer lists under the label of a dead version works all the same.
    pub(super) async fn still_works(&self, cx: &Context, record: &KeyRecord, found: &IssuerKey) -> Answer<bool> {
        let Some(mut version) = record.version(found.label).cloned() else { return Ok(false) };
        version.issuer_ref = Some(found.reference.clone());
        let status = self.issuer_of(record)?.status(cx, Issue { record, version: &version }).await?;
        Ok(matches!(status, IssuerStatus::Live | IssuerStatus::Suspended))
    }

    async fn kill_condemned(&self, cx: &Context, key: &KeyId, report: &mut SweepReport) -> Answer<()> {
        /// More often than that a store answers old records, and the next sweep goes on.
        const OVERTAKEN: u32 = 8;
        let (mut tried, mut overtaken, mut failed) = (BTreeSet::new(), 0, Ok(()));
        loop {
            let read = self.backend.load_existing(cx, key).await?;
            let Some(version) = condemned(&read.value).find(|v| !tried.contains(v)) else { return failed };
            let death = match self.kill(cx, &read, version).await {
                Ok(death) => death,
                // One that cannot be revoked must not keep the others alive.
                Err(error) => {
                    tried.insert(version);
                    report.pending.push(version);
                    failed = failed.and(Err(error));
                    continue;
                }
            };
            match death {
                Death::Stored(stored, _) => {
                    if stored.value.version(version).is_some_and(|v| v.state.is_dead()) {
                        report.revoked.push(version);
                    }
                }
                Death::Overtaken if overtaken == OVERTAKEN => {
                    return Err(RotationError::Contended { key: key.clone() });
                }
                Death::Overtaken => overtaken += 1,
                Death::Later { .. } | Death::NotYet { .. } => {
                    tried.insert(version);
                    report.pending.push(version);
                }
                Death::NeedsOperator(what) => {
                    tried.insert(version);
                    report.pending.push(version);
                    report.needs_operator.push(what);
                }
            }
        }
    }

    /// T14: material of versions dead long enough, and material no version of the record owns.
    async fn withdraw_dead(&self, cx: &Context, key: &KeyId, report: &mut SweepReport) -> Answer<()> {
        let mut read = self.backend.load_existing(cx, key).await?;
        let due: Vec<_> = read.value.versions().iter().filter(|v| self.is_due(&read.value, v)).map(|v| v.id).collect();
        for version in due {
            match self.backend.withdraw(cx, &read.value.target(), version).await {
                Ok(Withdraw::Destroyed | Withdraw::Deferred { .. } | Withdraw::Absent) => {}
                // A leaked version may still be shown until its replacement is published.
                Err(error) if error.kind() == ErrorKind::Conflict => continue,
                Err(error) => return Err(error.into()),
            }
            match self.commit(cx, &read, &Transition::Gone { version }).await? {
                Commit::Done(stored) => {
                    report.withdrawn.push(version);
                    read = stored;
                }
                Commit::Overtaken => return Ok(()),
            }
        }
        self.withdraw_leftovers(cx, &read).await
    }

    /// Material staged by a process that was overtaken, under a version that is gone.
    async fn withdraw_leftovers(&self, cx: &Context, read: &Stamped<KeyRecord>) -> Answer<()> {
        let target = read.value.target();
        for version in self.backend.survey(cx, &target).await?.versions {
            if read.value.version(version).is_some_and(|v| v.state == VersionState::Gone) {
                match self.backend.withdraw(cx, &target, version).await {
                    Err(error) if error.kind() != ErrorKind::Conflict => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Dead for the retention of the policy; a leaked version at once.
    fn is_due(&self, record: &KeyRecord, version: &Version) -> bool {
        let retention = TimeDelta::from_std(record.policy().retention).unwrap_or(TimeDelta::MAX);
        let crowded = record.versions().iter().filter(|v| v.state == VersionState::Revoked).count() > 16;
        version.state == VersionState::Revoked
            && (crowded || version.compromised.is_some() || self.clock.now() - version.entered_at >= retention)
    }
}

/// What a key at the issuer is to the record.
pub(super) enum Found {
    /// The record knows it, or will judge it when its version is dead.
    Known,
    /// Nobody knows it, or its version was given up: it is revoked.
    Orphan,
    /// Its version counts as dead.
    Dead,
    /// Newer than everything the record knows. Every create is in the record before it is made, so
    /// this record is an older copy, and on its word nothing is revoked.
    Newer,
    /// One more key under the label of a version in use: only a person can tell them apart.
    Double,
}

pub(super) fn judge(record: &KeyRecord, found: &IssuerKey) -> Found {
    if names_another(record, found.label, &found.reference) {
        return Found::Known;
    }
    match record.version(found.label) {
        None if is_newer(record, found.label) => Found::Newer,
        None => Found::Orphan,
        Some(known) if known.state >= VersionState::RevokePending && known.issuer_ref.is_none() => Found::Orphan,
        Some(known) if known.state.is_dead() => Found::Dead,
        Some(known) if known.state == VersionState::RevokePending => Found::Known,
        Some(known) if known.issuer_ref.as_ref().is_none_or(|name| *name == found.reference) => Found::Known,
        Some(_) => Found::Double,
    }
}

/// True for a version made after the newest one of the record; ids are ordered by time.
pub(super) fn is_newer(record: &KeyRecord, version: VersionId) -> bool {
    let known = record.versions().iter().map(|v| *v.id.as_bytes()).chain([*record.uid().as_bytes()]);
    record.version(version).is_none() && known.max().is_some_and(|newest| *version.as_bytes() > newest)
}
