//! T6 and T7: journal the publication, move the pointer, confirm by reading.

use keyward_core::{
    Context, Evidence, KeyRecord, Pointer, PointerToken, PublicationId, Publish, RunKind, SecretBackend, Shows,
    Stamped, Target, Transition, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::run::Session;
use super::super::step::Step;
use super::comeback::{Look, is_clean};

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
        // What is adopted is current already; here that is only written down.
        let adopts = record.run().is_some_and(|run| run.kind == RunKind::Adopt);
        let (adopted, publication) = match pointer.shows {
            Shows::Ours { publication, version: shown } if adopts && shown == version => (true, publication),
            _ => (false, PublicationId::first(version)),
        };
        if !adopted && !is_ours(record, &pointer) {
            return self.foreign(cx, session, read).await;
        }
        if let Some(step) = self.note_no_way_back(cx, session, read).await? {
            return Ok(step);
        }
        let promote = Transition::Promote { publication, expect: pointer.token };
        self.store(cx, session, read, &promote, Step::Promoting { version }).await
    }

    /// The run goes on without a way back when the old material is lost, and says so before readers
    /// get the new key.
    async fn note_no_way_back(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
    ) -> Answer<Option<Step>> {
        let record = &read.value;
        let Some(run) = record.run() else { return Ok(None) };
        let Some(old) = run.previous.and_then(|old| record.version(old)).filter(|old| is_clean(old)) else {
            return Ok(None);
        };
        let Look::Gone(kind) = self.look_at(cx, record, old.id).await? else { return Ok(None) };
        let evidence = Evidence::lossy(&format!("no way back: the store has lost version {}: {kind}", old.id));
        if run.evidence.contains(&evidence) {
            return Ok(None);
        }
        let step = Step::Noted { evidence: evidence.to_string() };
        self.store(cx, session, read, &Transition::Observe { evidence }, step).await.map(Some)
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
        let mut shown = self.move_pointer(cx, &target, version, publication, &token).await?;
        if !shows(&shown, publication) && is_ours(&read.value, &shown) {
            // Moved by a sleeper of an earlier run: a leak ended it and nothing clean was left to
            // fence it with. A fence would show a publication this record does not know.
            shown = self.move_pointer(cx, &target, version, publication, &shown.token).await?;
        }
        if shows(&shown, publication) {
            return self.store(cx, session, read, &Transition::Confirm, Step::Published { version }).await;
        }
        self.foreign(cx, session, read).await
    }

    /// Publishes from the pointer `token` stands for, and answers what is shown then.
    pub(super) async fn move_pointer(
        &self,
        cx: &Context,
        target: &Target,
        version: VersionId,
        publication: PublicationId,
        token: &PointerToken,
    ) -> Answer<Pointer> {
        Ok(match self.backend.publish(cx, target, version, publication, token).await? {
            Publish::Moved(_) | Publish::AlreadyThere(_) => self.backend.pointer(cx, target).await?,
            Publish::Conflict(pointer) => pointer,
        })
    }

    /// True when native readers are shown the version. Before that the old one is not given up: what
    /// they are shown instead may be the old value, written back by somebody.
    pub(super) async fn is_published(&self, cx: &Context, record: &KeyRecord, version: VersionId) -> Answer<bool> {
        let pointer = self.backend.pointer(cx, &record.target()).await?;
        let shown = matches!(pointer.shows, Shows::Ours { version: shown, .. } if shown == version);
        Ok(shown && is_ours(record, &pointer))
    }

    /// The pointer is not where the record says. Either the record moved on, and the next step
    /// sees it, or somebody else wrote there. Only a swap tells: what was read may be an older
    /// revision, and so may what another load answers.
    pub(super) async fn foreign(&self, cx: &Context, session: &mut Session, read: &Stamped<KeyRecord>) -> Answer<Step> {
        let evidence = Evidence::lossy("the pointer shows a publication the record does not know");
        let asked = Step::NeedsOperator(NeedsOperator::ForeignPublication { key: session.key.clone() });
        self.store(cx, session, read, &Transition::Observe { evidence }, asked).await
    }
}

/// True when the pointer shows a publication the record knows, or nothing while nothing serves: a
/// first version that leaked on its way may never have got there.
pub(in super::super) fn is_ours(record: &KeyRecord, pointer: &Pointer) -> bool {
    match pointer.shows {
        Shows::Nothing => record.primary().is_none(),
        Shows::Ours { publication, version } => record.publication(publication) == Some(version),
        Shows::Foreign => false,
    }
}

pub(super) fn shows(pointer: &Pointer, publication: PublicationId) -> bool {
    matches!(pointer.shows, Shows::Ours { publication: shown, .. } if shown == publication)
}
