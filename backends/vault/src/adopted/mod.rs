//! Secrets adopted where they lie: a path of someone else, or one field of it.
//!
//! The path gets values and nothing else. Fields beside ours are kept: a write replaces the whole map, under
//! check-and-set on the one it was made from.

mod adopter;
mod discover;
mod history;
mod journal;
mod merge;

use futures_util::future::try_join;
use keyward_core::{
    Context, ErrorKind, Location, Material, Operation, Pointer, PointerToken, PublicationId, Publish, Read, Result,
    Retire, SecretValue, Select, Shape, Shows, Survey, Target, VersionId,
};
use keyward_remote::NativeMap;
use zeroize::Zeroizing;

use self::journal::{Claim, Holder, Journal};
use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Kv};
use crate::material::{FOREIGN, found};
use crate::names::Names;
use crate::pointer::{already, mark, moved};

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
    /// The server will delete it by itself.
    vanishes: bool,
    map: Option<NativeMap>,
    /// The answer the map came out of.
    text: Zeroizing<Vec<u8>>,
    /// The claim the pointer rests on.
    claim: Option<Claim>,
    journal: Journal,
    /// The number of the state of the journal.
    noted: u64,
}

impl Seen {
    /// What lies there, before it is known whose it is.
    fn of(there: Found, (journal, noted): (Journal, u64)) -> Self {
        let (written, (map, text)) = match there {
            Found::Nothing => (None, (None, Zeroizing::default())),
            Found::Gone(written) => (Some(written), (None, Zeroizing::default())),
            Found::Here(data, written) => {
                let (map, text) = data.into_parts();
                (Some(written), (Some(map), text))
            }
        };
        let (number, token, shows) = match &written {
            None => (0, "0".to_owned(), Shows::Nothing),
            Some(written) => (written.number, mark(written), Shows::Foreign),
        };
        let vanishes = map.is_some() && written.is_some_and(|written| written.deletion);
        let pointer = Pointer { token: PointerToken::new(token), shows };
        Self { pointer, number, vanishes, map, text, claim: None, journal, noted }
    }

    /// True for a value of which nobody knows whose it is.
    fn is_stray(&self) -> bool {
        self.map.is_some() && self.claim.is_none()
    }

    /// The key, as the journal knows it at this very place.
    fn holder(&self, place: &Place<'_>, key: &Target) -> Option<&Holder> {
        self.journal.holder(place).filter(|holder| holder.key == key.id)
    }
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
    fn merged(&self, there: &Seen, material: &Material) -> Option<SecretValue> {
        let Some(field) = self.field else { return Some(NativeMap::of(material).to_json()) };
        let value = std::str::from_utf8(material.value()?.expose_secret()).ok()?;
        if there.map.is_some() {
            return merge::replaced(&there.text, field, value);
        }
        let mut map = NativeMap::default();
        map.set(field, value);
        Some(map.to_json())
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
        let (there, journal) = try_join(there, self.journal(cx, operation, place)).await?;
        let mut seen = Seen::of(there, journal);
        self.attribute(cx, operation, place, key, &mut seen).await?;
        for _ in 0..LOOKS {
            if !seen.is_stray() {
                break;
            }
            // A publication is on the journal before it is written, so what is read after the value names it.
            (seen.journal, seen.noted) = self.journal(cx, operation, place).await?;
            self.attribute(cx, operation, place, key, &mut seen).await?;
            if !seen.is_stray() {
                break;
            }
            // Unless the value has gone meanwhile, and its material with it.
            let there = place.kv.get(cx, operation, place.path, None).await?;
            let again = Seen::of(there, (seen.journal.clone(), seen.noted));
            if again.pointer.token == seen.pointer.token {
                break;
            }
            seen = again;
            self.attribute(cx, operation, place, key, &mut seen).await?;
        }
        Ok(seen)
    }

    /// Finds out whether what lies there is a publication of the key.
    async fn attribute(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        key: &Target,
        seen: &mut Seen,
    ) -> Result<()> {
        let material = seen.map.as_ref().and_then(|map| place.material(map, &key.shape));
        let (Some(material), Some(holder)) = (material, seen.holder(place, key)) else { return Ok(()) };
        let claim = self.claim_of(cx, operation, key, &holder.claims, seen.number, &material).await?;
        if let Some(claim) = &claim {
            seen.pointer.shows = Shows::Ours { publication: claim.publication, version: claim.version };
        }
        seen.claim = claim;
        Ok(())
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
            return already(seen.pointer, seen.vanishes);
        }
        if seen.pointer.token != *expect {
            return Ok(Publish::Conflict(seen.pointer));
        }
        let staged = staged.ok_or_else(|| fault(ErrorKind::NotFound, operation, "the version has no material"))?;
        let unfit = || fault(ErrorKind::Invalid, operation, "the material does not fit into the field");
        let body = place.merged(&seen, &staged).ok_or_else(unfit)?;
        let claim = Claim { number: seen.number + 1, publication, version, adopted: false };
        self.note(cx, operation, place, |journal| match journal.holder(place) {
            Some(holder) if holder.key == key.id => {
                let holder = holder.clone().with(claim.clone(), seen.claim.as_ref());
                journal.set(place, Some(holder));
                Ok(())
            }
            _ => Err(fault(ErrorKind::Conflict, operation, UNCLAIMED)),
        })
        .await?;
        let put = place.kv.put(cx, operation, place.path, &body, seen.number).await?;
        let there = async { self.seen(cx, operation, place, key).await.map(|seen| (seen.pointer, seen.vanishes)) };
        moved(put, there, &Shows::Ours { publication, version }, expect).await
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

/// How often a value that no claim fits is looked at again, while others keep writing.
const LOOKS: usize = 4;

const UNCLAIMED: &str = "the key does not manage this path; adopt it first";
