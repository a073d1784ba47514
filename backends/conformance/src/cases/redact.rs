//! No error, log line or `Debug` output holds material.

use std::error::Error as _;
use std::fmt::Debug;

use keyward_core::{AuditQuery, Error, Location, Material, PublicationId, ReadItem, Select, Shape, Target, VersionId};

use super::audit::entries;
use crate::Subject;
use crate::canary::Canary;

/// Not the store itself, whatever it holds.
pub async fn debug_of_the_backend_holds_no_material(on: &Subject<'_>) {
    let canary = Canary::new();
    let target = on.target("planted");
    on.staged(&target, canary.bytes()).await;
    on.shown(&target, canary.bytes()).await;
    let read = on.read(&target, Select::Current).await;
    clean(&canary, &on.backend, "the backend");
    drop(read);
    clean(&canary, &on.backend, "the backend");
    clean(&canary, on.backend.capabilities(), "the capabilities");
}

/// Not what calls answer.
pub async fn debug_of_answers_holds_no_material(on: &Subject<'_>) {
    let canary = Canary::new();
    let (cx, target, version) = (on.cx(), on.target("planted"), VersionId::generate());
    let publication = PublicationId::first(version);
    clean(&canary, &on.backend.stage(&cx, &target, version, &canary.material()).await, "a stage");
    let pointer = on.backend.pointer(&cx, &target).await.expect("a pointer");
    clean(&canary, &pointer, "a pointer");
    let published = on.backend.publish(&cx, &target, version, publication, &pointer.token).await;
    clean(&canary, &published, "a publish");
    let items = [Select::Current, Select::Version(version)].map(|select| ReadItem { target: target.clone(), select });
    clean(&canary, &on.backend.read(&cx, &items).await, "a read");
    clean(&canary, &on.backend.survey(&cx, &target).await, "a survey");
    let conflict = on.backend.stage(&cx, &target, version, &crate::subject::one(b"other")).await;
    clean(&canary, &conflict, "a refused stage");
}

/// Not errors, nor what they name as their cause.
pub async fn errors_hold_no_material(on: &Subject<'_>) {
    let canary = Canary::new();
    let (cx, target, absent) = (on.cx(), on.target("planted"), VersionId::generate());
    let shown = on.shown(&target, canary.bytes()).await;
    let material = canary.material();
    let token = on.backend.pointer(&cx, &target).await.expect("a pointer").token;
    let fields = Shape::Fields(vec!["id".parse().expect("a valid field name")]);
    let misshapen = Target::new(target.id.clone(), Location::Derived, fields);
    let mut errors: Vec<(&str, Option<Error>)> = vec![
        ("a misshapen stage", on.backend.stage(&cx, &misshapen, absent, &material).await.err()),
        ("a late stage", on.backend.stage(&on.late(), &target, VersionId::generate(), &material).await.err()),
        ("a withdraw", on.backend.withdraw(&cx, &target, shown).await.err()),
        ("a late withdraw", on.backend.withdraw(&on.late(), &target, shown).await.err()),
        ("a read", on.read(&target, Select::Version(absent)).await.err()),
        ("a late read", on.backend.read(&on.late(), &[item(&target)]).await.pop().and_then(Result::err)),
        ("a misshapen read", on.backend.read(&cx, &[item(&misshapen)]).await.pop().and_then(Result::err)),
    ];
    let publication = PublicationId::first(absent);
    errors.push(("a publish", on.backend.publish(&cx, &target, absent, publication, &token).await.err()));
    errors.push(("too much", too_much(on, &canary).await));
    let refused = errors.iter().filter(|(_, error)| error.is_some()).count();
    assert!(refused >= 4, "the case must provoke errors, but only {refused} calls were refused");
    for (place, error) in errors.iter().filter_map(|(place, error)| error.as_ref().map(|e| (*place, e))) {
        clean(&canary, error, place);
        canary.assert_absent(error.to_string(), place);
        let mut cause = error.source();
        while let Some(inner) = cause {
            canary.assert_absent(format!("{inner} {inner:?}"), place);
            cause = inner.source();
        }
    }
}

/// Not the audit log of a store that keeps one.
pub async fn audit_log_holds_no_material(on: &Subject<'_>) {
    let canary = Canary::new();
    let target = on.target("planted");
    let old = on.shown(&target, canary.bytes()).await;
    on.shown(&target, b"another").await;
    drop(on.read(&target, Select::Version(old)).await);
    drop(on.backend.stage(&on.cx(), &target, old, &crate::subject::one(b"other bytes")).await);
    drop(on.backend.withdraw(&on.cx(), &target, old).await);
    let Some(log) = on.backend.audit() else {
        assert!(on.backend.audit().is_none(), "a store has a log or has none");
        return;
    };
    let found = entries(on, log, &AuditQuery::default().key(&target.id)).await;
    assert!(!found.is_empty(), "the changes are on the log");
    clean(&canary, &found, "the audit log");
}

/// Material beyond the capability, where there is such a thing.
async fn too_much(on: &Subject<'_>, canary: &Canary) -> Option<Error> {
    let most = on.backend.capabilities().max_material;
    let bytes: Vec<u8> = canary.bytes().iter().copied().cycle().take(most + 1).collect();
    let material = Material::one(bytes.as_slice().into()).ok()?;
    on.backend.stage(&on.cx(), &on.target("too-much"), VersionId::generate(), &material).await.err()
}

fn item(target: &Target) -> ReadItem {
    ReadItem { target: target.clone(), select: Select::Current }
}

fn clean(canary: &Canary, value: &dyn Debug, place: &str) {
    canary.assert_absent(format!("{value:?}"), place);
    canary.assert_absent(format!("{value:#?}"), place);
}
