//! Every move worth trying on a record: right and wrong versions, right and wrong words.

use keyward_core::{Edit, KeyRecord, Passed, PublicationId, RunKind, Transition, VersionId};

use crate::common::*;

/// All moves with their arguments. `fresh` supplies numbers that were not used before.
pub(crate) fn moves(record: &KeyRecord, fresh: u64) -> Vec<Transition> {
    let versions: Vec<VersionId> = record.versions().iter().map(|v| v.id).chain([version(fresh)]).collect();
    let mut all = vec![
        abandon(),
        validate(start()),
        Transition::Confirm,
        Transition::Observe { evidence: evidence("a request was seen") },
        roll_back(fresh),
        Transition::RolledBack,
        turn_round(fresh),
        suspend(gate()),
        suspend(Passed::NotNeeded),
        suspend(by_hand()),
        switched_off(),
        reactivate(),
        retire(gate()),
        retire(by_hand()),
        retire(Passed::NotNeeded),
        republish(id(2, fresh), id(5, fresh)),
        overwrite(fresh),
        decommission(),
        Transition::Bury,
        Transition::Release { reason: "a mistake".parse().expect("a reason") },
        Transition::Edit(Edit::Note("a remark".parse().expect("a note"))),
        Transition::Edit(Edit::Scope { scope: record.scope().clone(), approval: None }),
        Transition::Edit(Edit::Redraft(Box::new(draft(record.id().as_str())))),
        promote(id(5, fresh)),
    ];
    for kind in [RunKind::Provision, RunKind::Scheduled, RunKind::Leak] {
        all.push(begin(id(2, fresh), kind, version(fresh)));
    }
    all.extend(record.history().last().map(|h| begin(h.id, RunKind::Manual, version(fresh))));
    all.extend(record.history().last().map(|h| republish(h.id, id(5, fresh))));
    all.extend(record.publications().last().map(|p| promote(p.id)));
    all.extend(record.publications().last().map(|p| republish(id(2, fresh), p.id)));
    for &v in &versions {
        all.extend([
            begin(id(2, fresh), RunKind::Manual, v),
            recall(id(2, fresh), v),
            Transition::Ask { version: v, instructions: "make a key by hand".parse().expect("instructions") },
            store(v),
            unnamed(v),
            replan(v, version(fresh + 1)),
            promote(PublicationId::first(v)),
            Transition::Gone { version: v },
            compromise(v, fresh),
            adopt(v),
        ]);
        all.extend([seen(), never_created(), never_appeared(), attested()].map(|death| revoked(v, death)));
    }
    all
}

/// Stored by an issuer that gives its keys no names.
fn unnamed(version: VersionId) -> Transition {
    Transition::Store { version, issuer_ref: None, issuer_state: None, fingerprint: None, expires_at: None }
}
