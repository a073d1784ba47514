//! Bringing existing paths under management, and taking that back.

use std::collections::BTreeMap;

use chrono::DateTime;
use keyward_core::{
    Adopter, Context, DiscoverQuery, ErrorKind, Existing, Location, Material, Operation, Page, PageToken,
    PublicationId, Result, Shape, Stage, Target, VersionId, async_trait,
};
use keyward_remote::NativeMap;

use super::journal::{Claim, Holder};
use super::{Place, Seen};
use crate::backend::{VaultBackend, in_time};
use crate::error::fault;
use crate::kv::Found;
use crate::preflight::preflight;

/// How often a claim begins anew when someone writes meanwhile.
const ATTEMPTS: usize = 10;

#[async_trait]
impl Adopter for VaultBackend {
    async fn discover(&self, cx: &Context, query: &DiscoverQuery, page: Option<PageToken>) -> Result<Page<Location>> {
        in_time(cx, Operation::Adoption)?;
        self.discover_paths(cx, query, page).await
    }

    async fn inspect(&self, cx: &Context, location: &Location) -> Result<Existing> {
        in_time(cx, Operation::Adoption)?;
        let place = Place::of(self, location).ok_or_else(elsewhere)?;
        self.inspect_path(cx, location, &place).await
    }

    async fn claim(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Material> {
        in_time(cx, Operation::Adoption).map_err(|error| error.with_key(&key.id))?;
        let place = Place::of(self, &key.location).ok_or_else(|| elsewhere().with_key(&key.id))?;
        self.claim_path(cx, &place, key, version).await.map_err(|error| error.with_key(&key.id))
    }

    async fn release(&self, cx: &Context, key: &Target) -> Result<()> {
        in_time(cx, Operation::Adoption).map_err(|error| error.with_key(&key.id))?;
        let place = Place::of(self, &key.location).ok_or_else(|| elsewhere().with_key(&key.id))?;
        self.release_path(cx, &place, key).await.map_err(|error| error.with_key(&key.id))
    }
}

impl VaultBackend {
    async fn inspect_path(&self, cx: &Context, location: &Location, place: &Place<'_>) -> Result<Existing> {
        let operation = Operation::Adoption;
        self.check_adopted(operation, place, &Shape::One)?;
        let mut existing = Existing::at(location.clone());
        if let Err(error) = preflight(&place.kv, cx, operation).await {
            let Some(obstacle) = error.detail().filter(|_| is_obstacle(error.kind())) else { return Err(error) };
            existing.obstacles.push(obstacle);
            return Ok(existing);
        }
        let metadata = allowed(place.kv.metadata(cx, operation, place.path).await)?;
        if let Some(Some(metadata)) = &metadata {
            existing.tags = metadata.custom.iter().cloned().collect::<BTreeMap<_, _>>();
            if metadata.deletes {
                existing
                    .obstacles
                    .push("the path deletes its versions after a while (delete_version_after); unset that");
            }
        }
        match allowed(place.kv.get(cx, operation, place.path, None).await)? {
            None => {}
            Some(Found::Nothing) => {
                return Err(fault(ErrorKind::NotFound, operation, "there is no secret at this path"));
            }
            Some(Found::Gone(_)) => {
                existing.obstacles.push("the current version is deleted; undelete it or write a new one")
            }
            Some(Found::Here(data, written)) => {
                existing.changed_at = DateTime::parse_from_rfc3339(&written.created).ok().map(|at| at.to_utc());
                if written.deletion {
                    existing.obstacles.push(DATED);
                }
                match shape(place, &data.into_native()) {
                    Ok(shape) => existing.shape = Some(shape),
                    Err(obstacle) => existing.obstacles.push(obstacle),
                }
            }
        }
        if let Some((journal, _)) = allowed(self.journal(cx, operation, place).await)? {
            existing.managed_by = journal.other_holder(place, None).map(|holder| holder.key.clone());
        }
        Ok(existing)
    }

    async fn claim_path(&self, cx: &Context, place: &Place<'_>, key: &Target, version: VersionId) -> Result<Material> {
        let operation = Operation::Adoption;
        self.check_adopted(operation, place, &key.shape)?;
        preflight(&place.kv, cx, operation).await.map_err(|error| match error.detail() {
            Some(detail) if is_obstacle(error.kind()) => fault(ErrorKind::Conflict, operation, detail),
            _ => error,
        })?;
        let mut begun = false;
        for _ in 0..ATTEMPTS {
            let seen = self.seen(cx, operation, place, key).await?;
            if seen.journal.other_holder(place, Some(&key.id)).is_some() {
                return Err(fault(ErrorKind::Conflict, operation, "another key manages this path or a part of it"));
            }
            // A claim that comes late must not take from a rotation what it has put there.
            if self.has_published(cx, operation, place, key, &seen).await? {
                return Err(fault(ErrorKind::Conflict, operation, "the key has been rotated since"));
            }
            let map = seen
                .map
                .as_ref()
                .ok_or_else(|| fault(ErrorKind::NotFound, operation, "the path has no current version"))?;
            if seen.vanishes {
                return Err(fault(ErrorKind::Conflict, operation, DATED));
            }
            let unfit = || fault(ErrorKind::Invalid, operation, "what lies there does not have the shape of the key");
            let material = place.material(map, &key.shape).ok_or_else(unfit)?;
            let publication = PublicationId::first(version);
            let ours = |claim: &Claim| claim.version == version && claim.publication == publication;
            if seen.claim.as_ref().is_some_and(ours) {
                return Ok(material);
            }
            // Versions are ordered by their time. One that was claimed has its value, and a later one has the place.
            let mut claims = seen.holder(place, key).map(|holder| holder.claims.as_slice()).unwrap_or_default().iter();
            if claims.any(|claim| claim.version > version || (claim.version == version && !begun)) {
                let detail =
                    "the secret was changed, or claimed anew, since this claim; release the key and adopt again";
                return Err(fault(ErrorKind::Conflict, operation, detail));
            }
            begun = true;
            // The journal first, in the place of exactly what was seen: whoever was overtaken touches nothing else.
            let claim = Claim { number: seen.number, publication, version, adopted: true };
            let former = seen.holder(place, key);
            let holder = Holder::claiming(key.id.clone(), claim, former, seen.number);
            if former != Some(&holder) {
                let mut journal = seen.journal.clone();
                journal.set(place, Some(holder.clone()));
                if !self.replace_journal(cx, operation, place, &journal, seen.noted).await? {
                    continue;
                }
            }
            self.copy(cx, place, key, &holder, version, &material).await?;
            self.forget(cx, key, &seen, place, version).await?;
            // Someone may have written another value since: then that one is claimed instead.
            if self.seen(cx, operation, place, key).await?.claim.as_ref().is_some_and(ours) {
                return Ok(material);
            }
        }
        Err(fault(ErrorKind::Conflict, operation, "another writer keeps changing the path; repeat"))
    }

    /// Stages what lies there. A copy of before, of a claim that was not finished or gave way, makes room.
    async fn copy(
        &self,
        cx: &Context,
        place: &Place<'_>,
        key: &Target,
        holder: &Holder,
        version: VersionId,
        material: &Material,
    ) -> Result<()> {
        let operation = Operation::Adoption;
        let taken = || fault(ErrorKind::Conflict, operation, "the version has other material already");
        if self.stage_material(cx, key, version, material).await? != Stage::Conflict {
            return Ok(());
        }
        let published = holder.claims.iter().any(|claim| claim.version == version && !claim.adopted);
        let overtaken = self.journal(cx, operation, place).await?.0.holder(place) != Some(holder);
        if published || overtaken {
            return Err(taken());
        }
        self.remove_staged(cx, operation, &key.id, version).await?;
        match self.stage_material(cx, key, version, material).await? {
            Stage::Stored | Stage::AlreadySame => Ok(()),
            Stage::Conflict => Err(taken()),
        }
    }

    /// Removes the copies of claims that gave way.
    async fn forget(&self, cx: &Context, key: &Target, seen: &Seen, place: &Place<'_>, kept: VersionId) -> Result<()> {
        let claims = seen.holder(place, key).map(|holder| holder.claims.as_slice()).unwrap_or_default();
        for claim in claims.iter().filter(|claim| claim.adopted && claim.version != kept) {
            self.remove_staged(cx, Operation::Adoption, &key.id, claim.version).await?;
        }
        Ok(())
    }

    async fn release_path(&self, cx: &Context, place: &Place<'_>, key: &Target) -> Result<()> {
        let operation = Operation::Adoption;
        self.check_adopted(operation, place, &key.shape)?;
        let seen = self.seen(cx, operation, place, key).await?;
        let Some(holder) = seen.holder(place, key) else { return Ok(()) };
        let shown = seen.claim.as_ref().is_some_and(|claim| !claim.adopted);
        if shown || self.has_published(cx, operation, place, key, &seen).await? {
            let detail = "a version of this key was published there since; retire the key instead";
            return Err(fault(ErrorKind::Conflict, operation, detail));
        }
        // The journal goes last: while it is there, a repeated call begins anew.
        self.remove_all_staged(cx, operation, &key.id).await?;
        self.note(cx, operation, place, |journal| match journal.holder(place) {
            Some(now) if now == holder => {
                journal.set(place, None);
                Ok(())
            }
            Some(now) if now.key == key.id => {
                Err(fault(ErrorKind::Conflict, operation, "the key was claimed or published meanwhile; repeat"))
            }
            _ => Ok(()),
        })
        .await
    }
}

const DATED: &str = "the current version will be deleted at a set time; write it anew without one";

/// The shape of what lies at a place, or why it has none.
fn shape(place: &Place<'_>, map: &NativeMap) -> Result<Shape, &'static str> {
    match place.field {
        Some(field) if map.text(field).is_none() => Err("the field is missing, or is not text"),
        Some(field) if map.text(field) == Some("") => Err("the field is empty"),
        Some(_) => Ok(Shape::One),
        None if map.material(&Shape::One).is_ok() => Ok(Shape::One),
        None => map.shape().ok_or("not all fields are text under plain names; name the one field to manage"),
    }
}

fn elsewhere() -> keyward_core::Error {
    fault(ErrorKind::Unsupported, Operation::Adoption, "this location is no existing path in Vault")
}

/// What a preflight says of a mount that can be reached but not used.
fn is_obstacle(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::Unsupported)
}

/// What the caller may not see is no failure.
fn allowed<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
        Err(error) => Err(error),
    }
}
