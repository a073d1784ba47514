//! What people change about a key.

use super::{Answer, Change, TransitionError};
use crate::annotation::{Labels, Link, MAX_LABELS, MAX_LINKS, MAX_NOTES, Note, NoteText};
use crate::record::{Body, bounded};
use crate::text::fit;
use crate::{KeyDraft, Ownership, Reason, RotationPolicy, Scope};

/// What people change about a key. None of it touches a version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Edit {
    /// Who answers for it.
    Ownership(Ownership),
    /// What it may do. Permissions and endpoints take effect with the next version, services with the
    /// next refresh of each reader. Widening needs an approval.
    Scope {
        /// The new scope.
        scope: Scope,
        /// Why more is needed; required when the new scope is not covered by the old one.
        approval: Option<Reason>,
    },
    /// When it is rotated.
    Policy(RotationPolicy),
    /// The free labels, all of them.
    Labels(Labels),
    /// Linked systems and runbooks, all of them.
    Links(Vec<Link>),
    /// One more note; the oldest gives way.
    Note(NoteText),
    /// Everything a draft says, said anew: only while the key has no version and no run, as before
    /// its first value and after an adoption that was taken back.
    Redraft(Box<KeyDraft>),
}

impl Edit {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Ownership(_) => "edit-ownership",
            Self::Scope { .. } => "edit-scope",
            Self::Policy(_) => "edit-policy",
            Self::Labels(_) => "edit-labels",
            Self::Links(_) => "edit-links",
            Self::Note(_) => "annotate",
            Self::Redraft(_) => "redraft",
        }
    }
}

impl Body {
    pub(super) fn edit(&mut self, edit: &Edit, change: &Change) -> Answer {
        match edit {
            Edit::Ownership(ownership) => self.ownership = ownership.clone(),
            Edit::Scope { scope, approval } => return self.edit_scope(scope, approval.as_ref(), change),
            Edit::Policy(policy) => {
                policy.check().map_err(crate::RecordError::from)?;
                self.policy = policy.clone();
            }
            Edit::Labels(labels) => {
                bounded("labels", labels.len(), MAX_LABELS)?;
                self.labels = labels.clone();
            }
            Edit::Links(links) => {
                bounded("links", links.len(), MAX_LINKS)?;
                self.links = links.clone();
            }
            Edit::Note(text) => self.note(text.clone(), change),
            Edit::Redraft(draft) => return self.redraft(draft, change),
        }
        Ok(())
    }

    fn redraft(&mut self, draft: &KeyDraft, change: &Change) -> Answer {
        if let Some(run) = &self.run {
            return Err(TransitionError::RunActive { run: run.id });
        }
        let used = !self.versions.is_empty() || !self.publications.is_empty() || self.pages > 0;
        if used || self.retiring {
            return Err(TransitionError::HasVersions);
        }
        draft.check()?;
        if draft.id != self.id {
            return Err(crate::RecordError::OtherKey.into());
        }
        if draft.location != self.location {
            let text = fit(&format!("redrafted: lay at {} before", self.location), NoteText::MAX_LEN);
            if let Ok(text) = text.parse() {
                self.note(text, change);
            }
        }
        let KeyDraft { id: _, ownership, scope, issuer, policy, labels, links, location, shape } = draft.clone();
        (self.ownership, self.scope, self.issuer, self.policy) = (ownership, scope, issuer, policy);
        (self.labels, self.links, self.location, self.shape) = (labels, links, location, shape);
        Ok(())
    }

    fn edit_scope(&mut self, scope: &Scope, approval: Option<&Reason>, change: &Change) -> Answer {
        if let Some(run) = &self.run {
            return Err(TransitionError::RunActive { run: run.id });
        }
        scope.check_for(&self.id).map_err(crate::RecordError::from)?;
        if !self.scope.covers(scope) {
            let approval = approval.ok_or(TransitionError::ScopeWidening)?;
            let wider = scope.difference(&self.scope);
            // The approval first: what it widens to is in the record, should the end be cut.
            let text = fit(&format!("scope widened, approved: {approval}; adds {wider}"), NoteText::MAX_LEN);
            if let Ok(text) = text.parse() {
                self.note(text, change);
            }
        }
        self.scope = scope.clone();
        Ok(())
    }

    fn note(&mut self, text: NoteText, change: &Change) {
        if self.notes.len() == MAX_NOTES {
            self.notes.remove(0);
        }
        self.notes.push(Note::new(change.at, change.actor.clone(), text));
    }
}
