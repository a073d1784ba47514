//! What a backend says it can do, and the "no" to the rest.

use std::time::Duration;

use keyward_core::{
    Adoption, ErrorKind, Expect, Location, Material, NativeCurrent, PointerToken, PublicationId, ReadItem, Select,
    Shape, SystemClock, Target, VersionId,
};

use super::stage::comes_back;
use crate::Subject;
use crate::subject::{assert_refused, one};

/// Constant for the life of the value.
pub async fn capabilities_are_constant(on: &Subject<'_>) {
    let before = on.backend.capabilities().clone();
    on.registered("some").await;
    on.shown(&on.target("some"), b"value").await;
    assert_eq!(&before, on.backend.capabilities(), "the same before and after");
}

/// Material of as many bytes as the capability says is stored.
pub async fn material_up_to_the_capability_is_stored(on: &Subject<'_>) {
    let most = on.backend.capabilities().max_material.min(Material::MAX_LEN);
    assert!(most >= 1, "a store that holds no byte is no store");
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(most).collect();
    comes_back(on, &on.target("largest"), &one(&bytes)).await;
    comes_back(on, &on.target("largest-text"), &one(&vec![b'"'; most])).await;
}

/// More is `Invalid`, and nothing is stored.
pub async fn material_beyond_the_capability_is_invalid(on: &Subject<'_>) {
    let most = on.backend.capabilities().max_material;
    if most >= Material::MAX_LEN {
        let beyond = Material::one(vec![b'x'; Material::MAX_LEN + 1].as_slice().into());
        assert!(beyond.is_err(), "larger material cannot even be made");
        return;
    }
    let target = on.target("too-large");
    let answer = on.backend.stage(&on.cx(), &target, VersionId::generate(), &one(&vec![b'x'; most + 1])).await;
    assert_refused(answer, ErrorKind::Invalid, "material beyond the capability");
    let survey = on.backend.survey(&on.cx(), &target).await.expect("a survey");
    assert!(survey.versions.is_empty(), "a refused stage stores nothing");
}

/// What a backend cannot do it answers with `Unsupported`, never by ignoring a request: a location
/// it cannot adopt is refused by every call about material.
pub async fn adopted_location_is_refused_where_nothing_is_adopted(on: &Subject<'_>) {
    let capabilities = on.backend.capabilities();
    let aws = Location::aws_secret("legacy/app").expect("a location");
    let vault = Location::vault_path("secret", "legacy/app", None).expect("a location");
    let foreign = match (capabilities.adopts, capabilities.native_current) {
        (false, _) => vec![aws, vault],
        (true, NativeCurrent::AwsCurrent) => vec![vault],
        (true, NativeCurrent::KvLatest) => vec![aws],
        (true, other) => panic!("a store that adopts has native readers, but says {other:?}"),
    };
    for location in foreign {
        let target = Target::new(on.key("adopted"), location, Shape::One);
        refuses(on, &target).await;
    }
    let derived = on.target("adopted");
    let survey = on.backend.survey(&on.cx(), &derived).await.expect("a survey");
    assert!(survey.versions.is_empty(), "nothing was stored at the derived location instead");
}

/// What brings existing secrets under management is there exactly where the capability says so, and
/// takes no derived location.
pub async fn adopter_is_there_exactly_where_secrets_are_adopted(on: &Subject<'_>) {
    let adopts = on.backend.capabilities().adopts;
    assert_eq!(on.backend.adopter().is_some(), adopts, "capability and facet say the same");
    let Some(adopter) = on.backend.adopter() else { return };
    let (cx, target) = (on.cx(), on.target("derived"));
    let kind = ErrorKind::Unsupported;
    assert_refused(adopter.inspect(&cx, &target.location).await, kind, "inspect");
    assert_refused(adopter.claim(&cx, &target, VersionId::generate()).await, kind, "claim");
    assert_refused(adopter.release(&cx, &target).await, kind, "release");
}

/// A store with an adoption ledger keeps what is noted; one without says so consistently.
pub async fn adoption_ledger_remembers_what_consumers_use(on: &Subject<'_>) {
    let stored = on.registered("adopting").await;
    let key = stored.value.id();
    let Some(ledger) = on.backend.adoption() else {
        on.written(on.noted(&stored.value, "next"), Expect::At(stored.stamp)).await;
        assert!(on.backend.adoption().is_none(), "a store has a ledger or has none");
        return;
    };
    let adoption = Adoption {
        service: "reporting".parse().expect("a valid service"),
        instance: "host-1".to_owned(),
        version: VersionId::generate(),
        seen_at: keyward_core::Clock::now(&SystemClock),
    };
    ledger.note(&on.cx(), key, &adoption).await.expect("an adoption is noted");
    let consumers = ledger.consumers(&on.cx(), key).await.expect("consumers are listed");
    assert_eq!(consumers, [adoption], "the one consumer noted");
}

async fn refuses(on: &Subject<'_>, target: &Target) {
    let (cx, version) = (on.cx(), VersionId::generate());
    let kind = ErrorKind::Unsupported;
    assert_refused(on.backend.stage(&cx, target, version, &one(b"value")).await, kind, "stage");
    assert_refused(on.backend.pointer(&cx, target).await, kind, "pointer");
    let (publication, token) = (PublicationId::first(version), PointerToken::new("0"));
    assert_refused(on.backend.publish(&cx, target, version, publication, &token).await, kind, "publish");
    let items = [Select::Current, Select::Version(version)].map(|select| ReadItem { target: target.clone(), select });
    for answer in on.backend.read(&cx, &items).await {
        assert_refused(answer, kind, "read");
    }
    assert_refused(on.backend.withdraw(&cx, target, version).await, kind, "withdraw");
    assert_refused(on.backend.survey(&cx, target).await, kind, "survey");
    assert_refused(on.backend.retire(&cx, target, Duration::ZERO).await, kind, "retire");
}
