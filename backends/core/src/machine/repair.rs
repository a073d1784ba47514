//! The record and the pointer put right with each other.

use super::{Answer, Change, TransitionError};
use crate::record::{Body, Run, RunKind, RunPhase};
use crate::{
    Evidence, Fingerprint, HolderId, IssuerRef, PointerToken, PublicationId, Reason, RunId, Version, VersionId,
    VersionState,
};

impl Body {
    pub(super) fn republish(
        &mut self,
        run: RunId,
        publication: PublicationId,
        expect: Option<PointerToken>,
        holder: HolderId,
        reason: &Reason,
        change: &Change,
    ) -> Answer {
        self.may_begin(run)?;
        let serving = self.versions.iter().find(|v| v.state == VersionState::Primary);
        let version = serving.ok_or(TransitionError::NothingServes)?.id;
        self.journal(publication, version)?;
        let phase = RunPhase::Promoting { version, publication, expect };
        self.run = Some(Run::begun(run, RunKind::Repair, phase, None, holder, reason, change));
        Ok(())
    }

    pub(super) fn overwrite(
        &mut self,
        fresh: PublicationId,
        expect: &PointerToken,
        evidence: &Evidence,
        change: &Change,
    ) -> Answer {
        let over = Some(expect.clone());
        let phase = match self.phase() {
            Some(RunPhase::Promoting { version, publication, .. }) => {
                RunPhase::Promoting { version, publication, expect: over }
            }
            Some(RunPhase::RollingBack { version, to, publication, .. }) => {
                RunPhase::RollingBack { version, to, publication, over }
            }
            Some(RunPhase::Soaking { version } | RunPhase::Retiring { version }) => {
                self.journal(fresh, version)?;
                RunPhase::Promoting { version, publication: fresh, expect: over }
            }
            _ => return Err(self.wrong_phase("overwrite")),
        };
        self.running()?.saw(evidence.clone());
        self.enter_phase(phase, change)
    }

    #[expect(clippy::too_many_arguments, reason = "what a transition holds")]
    pub(super) fn recall(
        &mut self,
        run: RunId,
        version: VersionId,
        issuer_ref: Option<IssuerRef>,
        fingerprint: Option<Fingerprint>,
        holder: HolderId,
        reason: &Reason,
        change: &Change,
    ) -> Answer {
        self.may_begin(run)?;
        if self.find(version).is_ok() {
            return Err(TransitionError::VersionReused { version });
        }
        let previous = self.replaced();
        let mut recalled = Version::planned(version, Some(run), change.at);
        recalled.issuer_ref = issuer_ref;
        recalled.fingerprint = fingerprint;
        recalled.expires_at = self.end_of_life(None, change);
        recalled.enter(VersionState::Staged, change.at);
        self.versions.push(recalled);
        let phase = RunPhase::Staged { version };
        self.run = Some(Run::begun(run, RunKind::Adopt, phase, previous, holder, reason, change));
        Ok(())
    }
}
