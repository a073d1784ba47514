//! T8 to T10: bring the old version back by publishing it again under a fresh id.

use keyward_core::{
    Context, Evidence, KeyRecord, PointerToken, PublicationId, Run, SecretBackend, Stamped, Transition,
    TransitionError, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::Answer;
use super::super::run::Session;
use super::super::step::Step;
use super::comeback::Comeback;
use super::promote::{is_ours, shows};
use super::validate::patience;

impl<B: SecretBackend> Rotator<B> {
    #[expect(clippy::too_many_arguments, reason = "what the phase holds")]
    pub(super) async fn republish(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        to: VersionId,
        publication: PublicationId,
        over: Option<&PointerToken>,
    ) -> Answer<Step> {
        let target = read.value.target();
        let mut pointer = self.backend.pointer(cx, &target).await?;
        if !shows(&pointer, publication) {
            if !is_ours(&read.value, &pointer) && over != Some(&pointer.token) {
                return self.foreign(cx, session, read).await;
            }
            if let Some(step) = self.not_ready(cx, session, read, run, to).await? {
                return Ok(step);
            }
            pointer = self.move_pointer(cx, &target, to, publication, &pointer.token).await?;
        }
        if shows(&pointer, publication) {
            return self.store(cx, session, read, &Transition::RolledBack, Step::RolledBack { version: to }).await;
        }
        // A sleeper moved the pointer in between; the next step fences that move too.
        if is_ours(&read.value, &pointer) { Ok(Step::Overtaken) } else { self.foreign(cx, session, read).await }
    }

    /// A dead key is never published. What leaked is not waited on: the old version is switched on
    /// where that is needed, and published.
    async fn not_ready(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        run: &Run,
        to: VersionId,
    ) -> Answer<Option<Step>> {
        let record = &read.value;
        let old = record.version(to).ok_or(TransitionError::NoVersion { version: to })?;
        let leaked = record.version(run.phase.version()).is_some_and(|v| v.compromised.is_some());
        let comeback = match leaked {
            true if !self.issuer_of(record)?.capabilities().reversible => return Ok(None),
            true => self.switched_on(cx, record, old, false).await?,
            false => self.await_comeback(cx, session, record, run, old).await?,
        };
        match comeback {
            Comeback::Ready(_) => Ok(None),
            Comeback::NotYet(_) if leaked => Ok(None),
            Comeback::NotYet(seen) => {
                let why = format!("the old key is to come back and does not work yet ({seen})");
                Ok(Some(Step::Wait { at_most: patience(session.probes.failures), why }))
            }
            Comeback::Never(seen) => self.turn_round(cx, session, read, to, &seen).await.map(Some),
        }
    }

    /// The old version cannot come back: the new one is published again, or stays given up.
    async fn turn_round(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        old: VersionId,
        why: &str,
    ) -> Answer<Step> {
        let evidence = Evidence::lossy(&format!("version {old} cannot come back: {why}"));
        let step = Step::TurnedRound { version: old, evidence: evidence.to_string() };
        let turn = Transition::TurnRound { publication: PublicationId::generate(), evidence };
        self.store(cx, session, read, &turn, step).await
    }
}
