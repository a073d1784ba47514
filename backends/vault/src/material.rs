//! Material: staged at a path of its own, given up by destroying every copy.

use futures_util::future::try_join;
use keyward_core::{
    Context, ErrorKind, KeyId, Material, Operation, PublicationId, Read, Result, Retire, SecretValue, Select, Shows,
    Stage, Survey, Target, VersionId, Withdraw,
};
use keyward_remote::{NativeMap, fan_out};

use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Put, SELF_DELETING};
use crate::pointer::{self, RETIRED};

/// Staged material is written once. Only its first version is ever read, whatever anyone adds.
const FIRST: u64 = 1;
/// How many names are asked for at once.
const NAMES: usize = 1000;
/// How often a retire begins anew when someone writes meanwhile.
const ATTEMPTS: usize = 4;

impl VaultBackend {
    pub(crate) async fn stage_material(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        material: &Material,
    ) -> Result<Stage> {
        let operation = Operation::Stage;
        let body = NativeMap::of(material).to_json();
        let path = self.names().version(&key.id, version);
        let unclear = match self.kv().put(cx, operation, &path, &body, 0).await? {
            Put::Written(_) => return Ok(Stage::Stored),
            Put::Vanishing => {
                // It was ours to make, so it is ours to take back: nobody is to find it and rely on it.
                self.kv().remove(cx, operation, &path).await?;
                return Err(fault(ErrorKind::Invalid, operation, SELF_DELETING));
            }
            Put::Refused => None,
            Put::Unclear(error) => Some(error),
        };
        match (self.staged(cx, operation, key, version).await, unclear) {
            (Ok(Some(there)), _) if there.ct_eq(material) => Ok(Stage::AlreadySame),
            (Ok(Some(_)), _) => Ok(Stage::Conflict),
            // What is there is no material of this shape: not ours, and not overwritten.
            (Err(error), None) if error.kind() == ErrorKind::Tampered => Ok(Stage::Conflict),
            (Ok(None) | Err(_), Some(unclear)) => Err(unclear),
            (Err(error), None) => Err(error),
            (Ok(None), None) => Err(fault(
                ErrorKind::Conflict,
                operation,
                "the server refused the material; when a version of this id was deleted there, use another id",
            )),
        }
    }

    /// The staged material of a version.
    pub(crate) async fn staged(
        &self,
        cx: &Context,
        operation: Operation,
        key: &Target,
        version: VersionId,
    ) -> Result<Option<Material>> {
        match self.kv().get(cx, operation, &self.names().version(&key.id, version), Some(FIRST)).await? {
            Found::Nothing | Found::Gone(_) => Ok(None),
            Found::Here(data, _) => match data.into_native().material(&key.shape) {
                Ok(material) => Ok(Some(material)),
                Err(_) => {
                    Err(fault(ErrorKind::Tampered, operation, "the stored material does not have the shape of the key"))
                }
            },
        }
    }

    pub(crate) async fn read_derived(&self, cx: &Context, key: &Target, select: Select) -> Result<Read> {
        let operation = Operation::Read;
        if let Select::Version(version) = select {
            return self.read_version(cx, key, version).await;
        }
        let shown = self.shown(cx, operation, &key.id).await?;
        match shown.pointer.shows {
            Shows::Nothing => Err(fault(ErrorKind::NotFound, operation, "nothing is published")),
            Shows::Foreign => Err(fault(ErrorKind::Conflict, operation, FOREIGN)),
            Shows::Ours { publication, version } => {
                found(select, publication, version, || shown.material(&key.shape, operation))
            }
        }
    }

    pub(crate) async fn read_version(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Read> {
        let material = self.staged(cx, Operation::Read, key, version).await?;
        let material =
            material.ok_or_else(|| fault(ErrorKind::NotFound, Operation::Read, "the version has no material"))?;
        Ok(Read::Found { material, version, publication: None })
    }

    pub(crate) async fn withdraw_derived(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
        let operation = Operation::Withdraw;
        let (shown, copies) =
            try_join(self.shown(cx, operation, &key.id), self.copies(cx, operation, &key.id, version)).await?;
        if matches!(shown.pointer.shows, Shows::Ours { version: current, .. } if current == version) {
            return Err(fault(ErrorKind::Conflict, operation, SHOWN));
        }
        self.kv().destroy(cx, operation, &self.names().shown(&key.id), &copies).await?;
        let removed = self.remove_staged(cx, operation, &key.id, version).await?;
        Ok(if removed || !copies.is_empty() { Withdraw::Destroyed } else { Withdraw::Absent })
    }

    /// Removes the staged material of a version. It goes last: while it is there, a repeated call begins anew.
    pub(crate) async fn remove_staged(
        &self,
        cx: &Context,
        operation: Operation,
        key: &KeyId,
        version: VersionId,
    ) -> Result<bool> {
        let path = self.names().version(key, version);
        if self.kv().metadata(cx, operation, &path).await?.is_none() {
            return Ok(false);
        }
        self.kv().remove(cx, operation, &path).await.map(|()| true)
    }

    /// The numbers under which former versions of the key's path hold this version. Deleted ones, which nobody can
    /// look into, are among them: they can be brought back.
    async fn copies(&self, cx: &Context, operation: Operation, key: &KeyId, version: VersionId) -> Result<Vec<u64>> {
        let path = self.names().shown(key);
        let Some(metadata) = self.kv().metadata(cx, operation, &path).await? else { return Ok(Vec::new()) };
        let Some((_current, former)) = metadata.versions.split_last() else { return Ok(Vec::new()) };
        let former: Vec<u64> =
            former.iter().filter(|written| !written.destroyed).map(|written| written.number).collect();
        let holds = fan_out(former, self.at_once(), |number| {
            let path = &path;
            async move {
                let found = self.kv().get(cx, operation, path, Some(number)).await?;
                let holds = match found {
                    Found::Nothing => false,
                    Found::Gone(written) => !written.destroyed,
                    here @ Found::Here(..) => pointer::of_found(here).version() == Some(version),
                };
                Ok(holds.then_some(number))
            }
        });
        holds.await.into_iter().filter_map(Result::transpose).collect()
    }

    pub(crate) async fn survey_derived(&self, cx: &Context, key: &Target) -> Result<Survey> {
        let operation = Operation::Survey;
        let shown = self.shown(cx, operation, &key.id);
        let (shown, versions) = try_join(shown, self.staged_versions(cx, operation, &key.id)).await?;
        Ok(Survey::new(versions, shown.pointer))
    }

    /// Every version with staged material.
    pub(crate) async fn staged_versions(
        &self,
        cx: &Context,
        operation: Operation,
        key: &KeyId,
    ) -> Result<Vec<VersionId>> {
        let names = self.names_in(cx, operation, &self.names().pending(key), None, NAMES).await?;
        // What is no version id is not ours.
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(crate) async fn retire_derived(&self, cx: &Context, key: &Target) -> Result<Retire> {
        let operation = Operation::Retire;
        // Staged material first: what readers are shown goes last, so that a repeated call finds what is left.
        let staged = self.remove_all_staged(cx, operation, &key.id).await?;
        let path = self.names().shown(&key.id);
        for _ in 0..ATTEMPTS {
            let metadata = self.kv().metadata(cx, operation, &path).await?;
            let versions = metadata.map(|m| m.versions).unwrap_or_default();
            let mut left: Vec<u64> = versions.iter().filter(|w| !w.destroyed).map(|w| w.number).collect();
            let (Some(latest), false) = (versions.last().map(|w| w.number), left.is_empty()) else {
                return Ok(if staged { Retire::Retired } else { Retire::Absent });
            };
            // A number nobody has seen yet comes on top, so that a publish that is under way finds another one.
            let body = SecretValue::from(format!(r#"{{"{RETIRED}":"true"}}"#).as_str());
            match self.kv().put(cx, operation, &path, &body, latest).await? {
                Put::Written(written) => left.push(written.number),
                // To be destroyed at once anyway; its number is the next one.
                Put::Vanishing => left.push(latest + 1),
                Put::Refused => continue,
                Put::Unclear(error) => return Err(error),
            }
            self.kv().destroy(cx, operation, &path, &left).await?;
            return Ok(Retire::Retired);
        }
        Err(fault(ErrorKind::Conflict, operation, "someone keeps writing to the key while it is retired; repeat"))
    }

    /// Removes all staged material of a key. True when there was some.
    pub(crate) async fn remove_all_staged(&self, cx: &Context, operation: Operation, key: &KeyId) -> Result<bool> {
        let versions = self.staged_versions(cx, operation, key).await?;
        let found = !versions.is_empty();
        let removed = fan_out(versions, self.at_once(), |version| async move {
            self.kv().remove(cx, operation, &self.names().version(key, version)).await
        });
        removed.await.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(found)
    }
}

/// The answer of a read through the pointer.
pub(crate) fn found(
    select: Select,
    publication: PublicationId,
    version: VersionId,
    material: impl FnOnce() -> Result<Material>,
) -> Result<Read> {
    if select == Select::CurrentUnless(publication) {
        return Ok(Read::Unchanged);
    }
    Ok(Read::Found { material: material()?, version, publication: Some(publication) })
}

pub(crate) const SHOWN: &str = "the pointer shows this version; publish another one first";
pub(crate) const FOREIGN: &str = "another writer put something else in place of what was published, or deleted it; \
                                  look at the history of the path in the server";
