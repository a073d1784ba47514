//! What native readers are shown: the latest version of the key's path.

use futures_util::future::try_join;
use keyward_core::{
    Context, ErrorKind, KeyId, Material, Operation, Pointer, PointerToken, PublicationId, Publish, Result, Shape,
    Shows, Target, VersionId,
};
use keyward_remote::NativeMap;

use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Put, SELF_DELETING, Written};

/// How many versions of what was shown the server keeps.
const KEEP: u32 = 8;
/// Our fields beside the material.
const VERSION: &str = "keyward_version";
const PUBLICATION: &str = "keyward_publication";
/// The number under which we wrote: another number means that someone copied or changed our write.
const NUMBER: &str = "keyward_number";
/// What a retired key shows until it is destroyed.
pub(crate) const RETIRED: &str = "keyward_retired";

/// What lies at the path of a key.
pub(crate) struct Shown {
    pub(crate) pointer: Pointer,
    /// The number of the latest version, 0 for none.
    pub(crate) number: u64,
    /// The server will delete it by itself.
    vanishes: bool,
    map: Option<NativeMap>,
}

impl VaultBackend {
    pub(crate) async fn shown(&self, cx: &Context, operation: Operation, key: &KeyId) -> Result<Shown> {
        Ok(Shown::of(self.kv().get(cx, operation, &self.names().shown(key), None).await?))
    }

    pub(crate) async fn publish_derived(
        &self,
        cx: &Context,
        key: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let operation = Operation::Publish;
        let pending = async { self.staged(cx, operation, key, version).await };
        let (shown, staged) = try_join(self.shown(cx, operation, &key.id), pending).await?;
        if shown.pointer.shows == (Shows::Ours { publication, version }) {
            return already(shown.pointer, shown.vanishes);
        }
        if shown.pointer.token != *expect {
            return Ok(Publish::Conflict(shown.pointer));
        }
        let staged = staged.ok_or_else(|| fault(ErrorKind::NotFound, operation, "the version has no material"))?;
        let path = self.names().shown(&key.id);
        if shown.number == 0 {
            self.kv().configure(cx, operation, &path, KEEP).await?;
        }
        let body = native(&staged, version, publication, shown.number + 1).to_json();
        drop(staged);
        let put = self.kv().put(cx, operation, &path, &body, shown.number).await?;
        let there = async { self.shown(cx, operation, &key.id).await.map(|shown| (shown.pointer, shown.vanishes)) };
        moved(put, there, &Shows::Ours { publication, version }, expect).await
    }
}

/// The answer when the pointer shows what it should already.
pub(crate) fn already(there: Pointer, vanishes: bool) -> Result<Publish> {
    if vanishes {
        return Err(fault(ErrorKind::Invalid, Operation::Publish, SELF_DELETING));
    }
    Ok(Publish::AlreadyThere(there.token))
}

/// What became of a write that was to make the pointer show something in place of what is expected. Where the write does
/// not say, what is there does, and whether the server will delete that by itself.
pub(crate) async fn moved(
    put: Put,
    there: impl Future<Output = Result<(Pointer, bool)>>,
    wanted: &Shows,
    expect: &PointerToken,
) -> Result<Publish> {
    let invalid = |detail| Err(fault(ErrorKind::Invalid, Operation::Publish, detail));
    let unclear = match put {
        Put::Written(written) => return Ok(Publish::Moved(token(&written))),
        Put::Vanishing => return invalid(SELF_DELETING),
        Put::Refused => None,
        Put::Unclear(error) => Some(error),
    };
    match (there.await, unclear) {
        (Err(_), Some(unclear)) => Err(unclear),
        (Err(error), None) => Err(error),
        (Ok((there, false)), Some(_)) if there.shows == *wanted => Ok(Publish::Moved(there.token)),
        // Another call with this publication was faster, or an earlier attempt of this one.
        (Ok((there, vanishes)), _) if there.shows == *wanted => already(there, vanishes),
        (Ok((there, _)), _) if there.token != *expect => Ok(Publish::Conflict(there)),
        // What is there does not tell: the write may yet arrive.
        (Ok(_), Some(unclear)) => Err(unclear),
        (Ok(_), None) => invalid("the server refused the material, although nothing moved"),
    }
}

impl Shown {
    fn of(found: Found) -> Self {
        match found {
            Found::Nothing => {
                Self { pointer: pointer("0".to_owned(), Shows::Nothing), number: 0, vanishes: false, map: None }
            }
            // Destroyed: by a retire, which left nothing to show. Deleted: someone took the key from its readers.
            Found::Gone(written) => {
                let shows = if written.destroyed { Shows::Nothing } else { Shows::Foreign };
                Self { pointer: pointer(mark(&written), shows), number: written.number, vanishes: false, map: None }
            }
            Found::Here(data, written) => {
                let map = data.into_native();
                let shows = shows(&map, &written);
                Self {
                    pointer: pointer(mark(&written), shows),
                    number: written.number,
                    vanishes: written.deletion,
                    map: Some(map),
                }
            }
        }
    }

    /// The material, when it is one of our publications.
    pub(crate) fn material(&self, shape: &Shape, operation: Operation) -> Result<Material> {
        let odd = || fault(ErrorKind::Tampered, operation, "what is published does not have the shape of the key");
        self.map.as_ref().ok_or_else(odd)?.material(shape).map_err(|_| odd())
    }

    /// The version a write of ours was about, whoever wrote what later.
    pub(crate) fn version(&self) -> Option<VersionId> {
        self.map.as_ref()?.text(VERSION)?.parse().ok()
    }
}

pub(crate) fn of_found(found: Found) -> Shown {
    Shown::of(found)
}

/// The token for a version: another one once it is deleted or destroyed.
pub(crate) fn mark(written: &Written) -> String {
    let end = match (written.destroyed, written.deletion) {
        (true, _) => ":destroyed",
        (false, true) => ":deleted",
        (false, false) => "",
    };
    format!("{}{end}", written.mark())
}

fn shows(map: &NativeMap, written: &Written) -> Shows {
    if map.text(RETIRED).is_some() {
        return Shows::Nothing;
    }
    let ours = || {
        let publication = map.text(PUBLICATION)?.parse().ok()?;
        let version = map.text(VERSION)?.parse().ok()?;
        (map.text(NUMBER)? == written.number.to_string()).then_some(Shows::Ours { publication, version })
    };
    ours().unwrap_or(Shows::Foreign)
}

fn native(material: &Material, version: VersionId, publication: PublicationId, number: u64) -> NativeMap {
    let mut map = NativeMap::of(material);
    map.set(VERSION, &version.to_string());
    map.set(PUBLICATION, &publication.to_string());
    map.set(NUMBER, &number.to_string());
    map
}

fn pointer(token: String, shows: Shows) -> Pointer {
    Pointer { token: PointerToken::new(token), shows }
}

fn token(written: &Written) -> PointerToken {
    PointerToken::new(mark(written))
}
