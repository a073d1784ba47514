//! T8 to T10: bring the old version back by publishing it again under a fresh id.

use keyward_core::{Context, KeyRecord, PublicationId, SecretBackend, Stamped, Transition, VersionId};

use super::super::builder::Rotator;
use super::super::error::Answer;
use super::super::run::Session;
use super::super::step::Step;
use super::promote::{is_ours, shows};

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn republish(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        to: VersionId,
        publication: PublicationId,
    ) -> Answer<Step> {
        let target = read.value.target();
        let mut pointer = self.backend.pointer(cx, &target).await?;
        if !shows(&pointer, publication) {
            if !is_ours(&read.value, &pointer) {
                return self.foreign(cx, session, read).await;
            }
            pointer = self.move_pointer(cx, &target, to, publication, &pointer.token).await?;
        }
        if shows(&pointer, publication) {
            return self.store(cx, session, read, &Transition::RolledBack, Step::RolledBack { version: to }).await;
        }
        // A sleeper moved the pointer in between; the next step fences that move too.
        if is_ours(&read.value, &pointer) { Ok(Step::Overtaken) } else { self.foreign(cx, session, read).await }
    }
}
