//! T6 and T7: journal the publication, move the pointer, confirm by reading.

use keyward_core::{
    Context, KeyRecord, Pointer, PointerToken, PublicationId, Publish, SecretBackend, SecretBackendExt, Shows, Stamped,
    Transition, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::run::Session;
use super::super::step::Step;

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn promote(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
    ) -> Answer<Step> {
        let record = &read.value;
        let pointer = self.backend.pointer(cx, &record.target()).await?;
        if !is_ours(record, &pointer) {
            return self.foreign(cx, session, read).await;
        }
        let publication = PublicationId::first(version);
        let promote = Transition::Promote { publication, expect: pointer.token };
        self.store(cx, session, read, &promote, Step::Promoting { version }).await
    }

    pub(super) async fn publish(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        publication: PublicationId,
        expect: Option<PointerToken>,
    ) -> Answer<Step> {
        let target = read.value.target();
        let token = match expect {
            Some(token) => token,
            None => {
                let pointer = self.backend.pointer(cx, &target).await?;
                if !is_ours(&read.value, &pointer) {
                    return self.foreign(cx, session, read).await;
                }
                pointer.token
            }
        };
        let shown = match self.backend.publish(cx, &target, version, publication, &token).await? {
            Publish::Moved(_) | Publish::AlreadyThere(_) => self.backend.pointer(cx, &target).await?,
            Publish::Conflict(pointer) => pointer,
        };
        if shows(&shown, publication) {
            return self.store(cx, session, read, &Transition::Confirm, Step::Published { version }).await;
        }
        self.foreign(cx, session, read).await
    }

    /// The pointer is not where the record says. Either the record moved on, and the next step
    /// sees it, or somebody else wrote there.
    pub(super) async fn foreign(&self, cx: &Context, session: &mut Session, read: &Stamped<KeyRecord>) -> Answer<Step> {
        let now = self.backend.load_existing(cx, &session.key).await?;
        if now.stamp != read.stamp {
            session.fresh = Some(now);
            return Ok(Step::Overtaken);
        }
        Ok(Step::NeedsOperator(NeedsOperator::ForeignPublication { key: session.key.clone() }))
    }
}

/// True when the pointer shows a publication the record knows, or nothing before the first.
pub(super) fn is_ours(record: &KeyRecord, pointer: &Pointer) -> bool {
    match pointer.shows {
        Shows::Nothing => record.publications().is_empty(),
        Shows::Ours { publication, version } => record.publication(publication) == Some(version),
        Shows::Foreign => false,
    }
}

pub(super) fn shows(pointer: &Pointer, publication: PublicationId) -> bool {
    matches!(pointer.shows, Shows::Ours { publication: shown, .. } if shown == publication)
}
