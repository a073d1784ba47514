//! Records that are hard to come by.

use keyward_core::{
    Death, Evidence, HolderId, IssuerRef, IssuerState, KeyRecord, Link, PointerToken, Proof, PublicationId, RunId,
    RunKind, Transition, VersionId,
};

use crate::Subject;

/// A record that uses every part: labels, links, notes, versions, a run, publications.
pub(super) fn rich(on: &Subject<'_>, name: &str) -> KeyRecord {
    let link =
        Link::runbook("Messages stop \u{2014} what now?", "https://runbooks.example.com/m?q=%22%5C").expect("a link");
    let draft = on.draft(on.key(name)).link(link).label("cost-centre", "R&D \"quoted\" \\ \u{e4}").expect("a label");
    let record = KeyRecord::register(&draft, &on.change()).expect("a valid draft");
    let version = VersionId::generate();
    let begun = step(on, &on.noted(&record, "line with \"quotes\" and \u{1f511}"), &begin(version));
    let stored = Transition::Store {
        version,
        issuer_ref: Some(reference()),
        issuer_state: Some(IssuerState::try_from("{\"hash\":\"00ff\"}").expect("an issuer state")),
        fingerprint: None,
        expires_at: None,
    };
    let proof = Proof::new(on.change().at, 3, Evidence::lossy("three answers in a row"));
    let promote =
        Transition::Promote { publication: PublicationId::first(version), expect: PointerToken::new("some token") };
    [stored, Transition::Validate { proof }, promote].iter().fold(begun, |record, t| step(on, &record, t))
}

/// As large as a record may be, give or take a note.
pub(super) fn largest(on: &Subject<'_>, name: &str) -> KeyRecord {
    let mut record = on.first(name);
    let fits = |next: &KeyRecord| next.encode().is_ok();
    while let Some(next) = Some(long_run(on, &record)).filter(fits) {
        record = next;
    }
    for length in [512, 256, 128, 64, 32, 16, 8, 4, 2, 1] {
        while let Some(next) = Some(on.noted(&record, &"n".repeat(length))).filter(fits) {
            record = next;
            // Notes are kept up to a number; from there on they add nothing.
            if record.notes().len() == keyward_core::MAX_NOTES {
                break;
            }
        }
    }
    let found = record.encode().expect("a record that fits").len();
    assert!(found > KeyRecord::MAX_ENCODED - 512, "the case must come near the limit, but has {found} bytes");
    record
}

/// Larger than a record may be.
pub(super) fn too_large(on: &Subject<'_>, name: &str) -> KeyRecord {
    let record = long_run(on, &largest(on, name));
    assert!(record.encode().is_err(), "the case must be beyond the limit");
    record
}

/// A history page of a key, with the rest of its record.
pub(super) fn spilled(on: &Subject<'_>, name: &str) -> keyward_core::Spill {
    let crowded = (0..17).fold(on.first(name), |record, _| run(on, &record, &Evidence::lossy("short")));
    crowded.spill(1).expect("seventeen runs are more than a record keeps")
}

fn long_run(on: &Subject<'_>, record: &KeyRecord) -> KeyRecord {
    run(on, record, &Evidence::lossy(&"e".repeat(Evidence::MAX_LEN)))
}

/// One aborted run, with evidence.
fn run(on: &Subject<'_>, record: &KeyRecord, evidence: &Evidence) -> KeyRecord {
    let version = VersionId::generate();
    let abandon = Transition::Abandon { evidence: evidence.clone() };
    let dead = Transition::Revoked { version, death: Death::NeverCreated(evidence.clone()) };
    [begin(version), abandon, dead].iter().fold(record.clone(), |record, t| step(on, &record, t))
}

fn begin(version: VersionId) -> Transition {
    Transition::Begin {
        run: RunId::generate(),
        kind: RunKind::Manual,
        version,
        holder: HolderId::generate(),
        reason: "a rule is checked".parse().expect("a reason"),
    }
}

fn step(on: &Subject<'_>, record: &KeyRecord, transition: &Transition) -> KeyRecord {
    record.apply(transition, &on.change()).expect("a legal move")
}

fn reference() -> IssuerRef {
    "AKIA-EXAMPLE/1".parse().expect("an issuer reference")
}
