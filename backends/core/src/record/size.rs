//! How large a record can be, without writing it: most are far from any limit.

use super::{Body, KeyRecord, Run, RunPhase, RunSummary, Version};
use crate::Evidence;
use crate::annotation::Note;

/// The longest a time is when written, with its name and commas.
const TIME: usize = 64;
/// The longest an id is, with its name and commas.
const ID: usize = 64;
/// The longest a text is beside its characters, with its name and commas.
const TEXT: usize = 32;

impl KeyRecord {
    /// An upper bound of the encoded size, in bytes. Costs a tenth of [`KeyRecord::encode`].
    pub fn size_bound(&self) -> usize {
        let body = &*self.0;
        // What people say, written out: short, and of many kinds.
        let said = (&body.id, &body.ownership, &body.scope, &body.issuer, &body.policy);
        let more = (&body.labels, &body.links, &body.location, &body.shape, &body.created_by);
        let said = serde_json::to_vec(&(said, more)).map_or(Self::MAX_ENCODED, |bytes| bytes.len());
        1_024 + said + body.journal_bound()
    }
}

impl Body {
    /// What runs write.
    fn journal_bound(&self) -> usize {
        let notes = self.notes.iter().map(note).sum::<usize>();
        let versions = self.versions.iter().map(version).sum::<usize>();
        let history = self.history.iter().map(summary).sum::<usize>();
        let operations = self.operations.iter().map(|o| ID + TIME + text(&o.verb) + text(o.by.as_str()));
        let run = self.run.as_ref().map_or(0, run);
        let rest = self.publications.len() * 2 * ID + self.incidents.len() * (3 * ID + 2 * TIME + TEXT);
        notes + versions + history + operations.sum::<usize>() + run + rest
    }
}

fn version(version: &Version) -> usize {
    let proof = version.proof.as_ref().map_or(0, |proof| TIME + 2 * TEXT + text(proof.evidence.as_str()));
    let leak = version.compromised.as_ref().map_or(0, |leak| ID + 2 * TIME + TEXT + text(leak.source.as_str()));
    let words = [
        version.issuer_ref.as_ref().map(|reference| text(reference.as_str())),
        version.issuer_state.as_ref().map(|state| text(state.as_str())),
        version.death.as_ref().map(|death| text(death.as_str())),
    ];
    3 * ID + 3 * TIME + 6 * TEXT + proof + leak + words.into_iter().flatten().sum::<usize>()
}

fn run(run: &Run) -> usize {
    let phase = match &run.phase {
        RunPhase::Plan { asked: Some(instructions), .. } => text(instructions.as_str()),
        RunPhase::Promoting { expect: Some(token), .. } => text(token.as_str()),
        _ => 0,
    };
    let words = text(run.started_by.as_str()) + text(run.reason.as_str()) + evidence(&run.evidence);
    6 * ID + 3 * TIME + 8 * TEXT + phase + words
}

fn summary(summary: &RunSummary) -> usize {
    let words = text(summary.started_by.as_str()) + text(summary.reason.as_str()) + evidence(&summary.evidence);
    3 * ID + 2 * TIME + 3 * TEXT + words
}

fn note(note: &Note) -> usize {
    TIME + text(note.by.as_str()) + text(note.text.as_str())
}

fn evidence(seen: &[Evidence]) -> usize {
    seen.iter().map(|seen| text(seen.as_str())).sum()
}

/// A text in quotes; quotes and backslashes in it are written twice as long, and it holds nothing
/// else that would be.
fn text(text: &str) -> usize {
    TEXT + text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()
}
