//! Secrets adopted where they lie: a path of someone else, or one field of it.
//!
//! The path gets values and nothing else. Fields beside ours are kept: a write replaces the whole map, under
//! check-and-set on the one it was made from.

mod adopter;
mod discover;
mod journal;

use futures_util::future::try_join;
use keyward_core::{
    Context, ErrorKind, Location, Material, Operation, Pointer, PointerToken, PublicationId, Publish, Read, Result,
    Retire, Select, Shape, Shows, Survey, Target, VersionId, Withdraw,
};
use keyward_remote::NativeMap;

use self::adopter::LOSSY;
use self::journal::{Claim, Journal};
use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Kv, Put, SELF_DELETING};
use crate::material::{FOREIGN, SHOWN, found};
use crate::names::Names;
use crate::pointer::mark;

/// A place outside our prefix.
pub(crate) struct Place<'a> {
    kv: Kv,
    path: &'a str,
    field: Option<&'a str>,
}

/// What lies there, as far as it concerns one key.
struct Seen {
    pointer: Pointer,
    number: u64,
    map: Option<NativeMap>,
    /// The claim the pointer rests on.
    claim: Option<Claim>,
    journal: Journal,
}

impl<'a> Place<'a> {
    /// The adopted place of a location; `None` where there is none.
    pub(crate) fn of(store: &VaultBackend, location: &'a Location) -> Option<Self> {
        match location {
            Location::VaultPath { mount, path, field } => Some(Self {
                kv: store.kv().at(mount.as_str()),
                path: path.as_str(),
                field: field.as_ref().map(|field| field.as_str()),
            }),
            _ => None,
        }
    }

    /// The name under which the journal knows the place: the field, or nothing for the whole path.
    fn slot(&self) -> &str {
        self.field.unwrap_or("")
    }

    /// The material of a key in what lies here; `None` when it does not have the shape.
    fn material(&self, map: &NativeMap, shape: &Shape) -> Option<Material> {
        match (self.field, shape) {
            (Some(field), Shape::One) => Material::one(map.field(field).ok()?).ok(),
            (Some(_), Shape::Fields(_)) => None,
            (None, shape) => map.material(shape).ok(),
        }
    }

    /// What is to lie here: the new value beside what others have put there.
    fn merged(&self, there: Option<NativeMap>, material: &Material) -> Option<NativeMap> {
        let Some(field) = self.field else { return Some(NativeMap::of(material)) };
        let mut map = there.unwrap_or_default();
        map.set(field, std::str::from_utf8(material.value()?.expose_secret()).ok()?);
        Some(map)
    }
}

impl Names {
    /// The journal of an adopted path.
    fn journal(&self, place: &Place<'_>) -> String {
        format!("{}adopted/{}/{}", self.own_folder(), place.kv.mount(), place.path)
    }
}

impl VaultBackend {
    /// What every call about adopted material asks for.
    pub(crate) fn check_adopted(&self, operation: Operation, place: &Place<'_>, shape: &Shape) -> Result<()> {
        let invalid = |detail| Err(fault(ErrorKind::Invalid, operation, detail));
        if place.field.is_some() && *shape != Shape::One {
            return invalid("one field of a path holds one value; leave the field out to manage the whole path");
        }
        if place.kv.mount() == self.kv().mount() && place.path.starts_with(self.names().own_folder().as_str()) {
            return invalid("the path belongs to the store itself");
        }
        Ok(())
    }

    /// Material that can lie in a path of someone else, whose readers know nothing of base64.
    pub(crate) fn check_text(&self, operation: Operation, material: &Material) -> Result<()> {
        if material.iter().all(|(_, value)| std::str::from_utf8(value.expose_secret()).is_ok()) {
            return Ok(());
        }
        Err(fault(ErrorKind::Invalid, operation, "an adopted path holds text only, and this is not"))
    }

    async fn seen(&self, cx: &Context, operation: Operation, place: &Place<'_>, key: &Target) -> Result<Seen> {
        let there = place.kv.get(cx, operation, place.path, None);
        let (there, (journal, _)) = try_join(there, self.journal(cx, operation, place)).await?;
        let (map, written) = match there {
            Found::Nothing => {
                let pointer = Pointer { token: PointerToken::new("0"), shows: Shows::Nothing };
                return Ok(Seen { pointer, number: 0, map: None, claim: None, journal });
            }
            Found::Gone(written) => {
                let pointer = Pointer { token: PointerToken::new(mark(&written)), shows: Shows::Foreign };
                return Ok(Seen { pointer, number: written.number, map: None, claim: None, journal });
            }
            Found::Here(data, written) => (data.into_native(), written),
        };
        let claim = match (place.material(&map, &key.shape), journal.holder(place)) {
            (Some(material), Some(holder)) if holder.key == key.id => {
                self.claim_of(cx, operation, key, &holder.claims, written.number, &material).await?
            }
            _ => None,
        };
        let shows = claim
            .as_ref()
            .map_or(Shows::Foreign, |claim| Shows::Ours { publication: claim.publication, version: claim.version });
        let pointer = Pointer { token: PointerToken::new(mark(&written)), shows };
        Ok(Seen { pointer, number: written.number, map: Some(map), claim, journal })
    }

    /// The newest claim whose version has the value that lies there. A claim of a later number was never written;
    /// one of an earlier number stands while others only changed what lies beside it.
    async fn claim_of(
        &self,
        cx: &Context,
        operation: Operation,
        key: &Target,
        claims: &[Claim],
        number: u64,
        there: &Material,
    ) -> Result<Option<Claim>> {
        let mut looked: Vec<VersionId> = Vec::new();
        for claim in claims.iter().rev().filter(|claim| claim.number <= number) {
            if looked.contains(&claim.version) {
                continue;
            }
            looked.push(claim.version);
            match self.staged(cx, operation, key, claim.version).await {
                Ok(Some(staged)) if staged.ct_eq(there) => return Ok(Some(claim.clone())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Tampered => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    pub(crate) async fn adopted_pointer(&self, cx: &Context, place: &Place<'_>, key: &Target) -> Result<Pointer> {
        Ok(self.seen(cx, Operation::Pointer, place, key).await?.pointer)
    }

    pub(crate) async fn publish_adopted(
        &self,
        cx: &Context,
        place: &Place<'_>,
        key: &Target,
        (version, publication): (VersionId, PublicationId),
        expect: &PointerToken,
    ) -> Result<Publish> {
        let operation = Operation::Publish;
        let staged = self.staged(cx, operation, key, version);
        let (seen, staged) = try_join(self.seen(cx, operation, place, key), staged).await?;
        if seen.pointer.shows == (Shows::Ours { publication, version }) {
            return Ok(Publish::AlreadyThere(seen.pointer.token));
        }
        if seen.pointer.token != *expect {
            return Ok(Publish::Conflict(seen.pointer));
        }
        let staged = staged.ok_or_else(|| fault(ErrorKind::NotFound, operation, "the version has no material"))?;
        // Others may have put it there since the secret was adopted.
        if place.field.is_some() && seen.map.as_ref().is_some_and(|map| !map.keeps_numbers()) {
            return Err(fault(ErrorKind::Invalid, operation, LOSSY));
        }
        let unfit = || fault(ErrorKind::Invalid, operation, "the material does not fit into the field");
        let body = place.merged(seen.map, &staged).ok_or_else(unfit)?.to_json();
        let claim = Claim { number: seen.number + 1, publication, version, adopted: false };
        self.note(cx, operation, place, |journal| match journal.holder(place) {
            Some(holder) if holder.key == key.id => {
                let holder = holder.clone().with(claim.clone());
                journal.set(place, Some(holder));
                Ok(())
            }
            _ => Err(fault(ErrorKind::Conflict, operation, UNCLAIMED)),
        })
        .await?;
        let unclear = match place.kv.put(cx, operation, place.path, &body, seen.number).await? {
            Put::Written(written) => return Ok(Publish::Moved(PointerToken::new(mark(&written)))),
            Put::Vanishing => return Err(fault(ErrorKind::Invalid, operation, SELF_DELETING)),
            Put::Refused => None,
            Put::Unclear(error) => Some(error),
        };
        let there = match (self.seen(cx, operation, place, key).await, unclear.clone()) {
            (Ok(there), _) => there.pointer,
            (Err(_), Some(unclear)) => return Err(unclear),
            (Err(error), None) => return Err(error),
        };
        if there.shows == (Shows::Ours { publication, version }) {
            let moved = unclear.is_some();
            return Ok(if moved { Publish::Moved(there.token) } else { Publish::AlreadyThere(there.token) });
        }
        match unclear {
            _ if there.token != *expect => Ok(Publish::Conflict(there)),
            Some(unclear) => Err(unclear),
            None => {
                Err(fault(ErrorKind::Invalid, operation, "the server refused the material, although nothing moved"))
            }
        }
    }

    pub(crate) async fn read_adopted(
        &self,
        cx: &Context,
        place: &Place<'_>,
        key: &Target,
        select: Select,
    ) -> Result<Read> {
        let operation = Operation::Read;
        if let Select::Version(version) = select {
            return self.read_version(cx, key, version).await;
        }
        let seen = self.seen(cx, operation, place, key).await?;
        match seen.pointer.shows {
            Shows::Nothing => Err(fault(ErrorKind::NotFound, operation, "nothing is published")),
            Shows::Foreign => Err(fault(ErrorKind::Conflict, operation, FOREIGN)),
            Shows::Ours { publication, version } => found(select, publication, version, || {
                let material = seen.map.as_ref().and_then(|map| place.material(map, &key.shape));
                material.ok_or_else(|| fault(ErrorKind::Conflict, operation, FOREIGN))
            }),
        }
    }

    /// The history of the path is someone else's: old versions of it stay readable there.
    pub(crate) async fn withdraw_adopted(
        &self,
        cx: &Context,
        place: &Place<'_>,
        key: &Target,
        version: VersionId,
    ) -> Result<Withdraw> {
        let operation = Operation::Withdraw;
        let seen = self.seen(cx, operation, place, key).await?;
        if matches!(seen.pointer.shows, Shows::Ours { version: current, .. } if current == version) {
            return Err(fault(ErrorKind::Conflict, operation, SHOWN));
        }
        if !self.remove_staged(cx, operation, &key.id, version).await? {
            return Ok(Withdraw::Absent);
        }
        let was_there = seen
            .journal
            .holder(place)
            .is_some_and(|h| h.claims.iter().any(|claim| claim.version == version && claim.number <= seen.number));
        Ok(if was_there { Withdraw::Deferred { readable_until: None } } else { Withdraw::Destroyed })
    }

    pub(crate) async fn survey_adopted(&self, cx: &Context, place: &Place<'_>, key: &Target) -> Result<Survey> {
        let operation = Operation::Survey;
        let seen = self.seen(cx, operation, place, key);
        let (seen, versions) = try_join(seen, self.staged_versions(cx, operation, &key.id)).await?;
        Ok(Survey::new(versions, seen.pointer))
    }

    /// The path and its value stay: they are not ours. What is ours goes.
    pub(crate) async fn retire_adopted(&self, cx: &Context, place: &Place<'_>, key: &Target) -> Result<Retire> {
        let operation = Operation::Retire;
        let staged = self.remove_all_staged(cx, operation, &key.id).await?;
        let (journal, _) = self.journal(cx, operation, place).await?;
        let held = journal.holder(place).is_some_and(|holder| holder.key == key.id);
        if held {
            self.let_go(cx, operation, place, key).await?;
        }
        Ok(if staged || held { Retire::Retired } else { Retire::Absent })
    }

    /// Takes the key off the journal.
    async fn let_go(&self, cx: &Context, operation: Operation, place: &Place<'_>, key: &Target) -> Result<()> {
        self.note(cx, operation, place, |journal| {
            if journal.holder(place).is_some_and(|holder| holder.key == key.id) {
                journal.set(place, None);
            }
            Ok(())
        })
        .await
    }
}

const UNCLAIMED: &str = "the key does not manage this path; adopt it first";
