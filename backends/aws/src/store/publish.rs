//! Making a version current.

use keyward_core::{
    Context, ErrorKind, Operation, PointerToken, PublicationId, Publish, Result, Shows, Target, VersionId,
};

use super::material::is_first;
use super::{Place, ROUNDS, Store};
use crate::error::{Class, Fault};
use crate::names::{self, CURRENT, REPUBLISH};
use crate::wire::Description;

impl Store {
    pub(crate) async fn publish(
        &self,
        cx: &Context,
        target: &Target,
        version: VersionId,
        publication: PublicationId,
        expect: &PointerToken,
    ) -> Result<Publish> {
        let place = self.place(cx, Operation::Publish, target)?;
        let wanted = Shows::Ours { publication, version };
        let missing = || place.call.error(ErrorKind::NotFound, "this version has no material here");
        let mut lost: Option<Fault> = None;
        for round in 1..=ROUNDS {
            let found = match (self.described(&place).await, lost) {
                (Ok(Some(found)), fault) => {
                    lost = fault;
                    found
                }
                (Ok(None), _) => return Err(missing()),
                // The move may have happened, and looking did not tell.
                (Err(_), Some(fault)) if fault.class() == Class::Lost => return Err(fault.into()),
                (Err(error), _) => return Err(error),
            };
            let pointer = found.pointer(&place.owner);
            if pointer.shows == wanted {
                return Ok(if lost.is_some() {
                    Publish::Moved(pointer.token)
                } else {
                    Publish::AlreadyThere(pointer.token)
                });
            }
            if !self.stands_at(&pointer, expect) {
                return Ok(Publish::Conflict(pointer));
            }
            if let Some(fault) = lost.take_if(|fault| !is_worth_another(fault, round)) {
                return Err(fault.into());
            }
            self.check_writable(&place, &found)?;
            let Some(held) = found.holds(version) else {
                if round == ROUNDS {
                    break;
                }
                // Staged just now, perhaps, and not seen yet.
                self.wire.pause(cx, round).await;
                continue;
            };
            self.restore_tag(&place, &found).await;
            match self.make_current(&place, &found, held, version, publication).await? {
                Ok(token) => return Ok(Publish::Moved(token)),
                Err(fault) => lost = Some(fault),
            }
        }
        Err(missing())
    }

    /// Moves the current label. The inner error is one to be settled by looking.
    async fn make_current(
        &self,
        place: &Place<'_>,
        found: &Description,
        held: &str,
        version: VersionId,
        publication: PublicationId,
    ) -> Result<Result<PointerToken, Fault>> {
        let id = if is_first(publication, version) {
            held.to_owned()
        } else {
            // A label never moves back: what is published again is a copy with an id of its own.
            let id = names::copy(publication, version);
            let Some(old) = self.wire.version(place.call, &place.secret, held).await? else {
                return Err(place.call.error(ErrorKind::NotFound, "the material of this version is gone"));
            };
            if let Err(fault) = self.wire.put(place.call, &place.secret, &id, &old.raw, REPUBLISH).await {
                return settle(fault);
            }
            id
        };
        match self.wire.move_label(place.call, &place.secret, CURRENT, found.current(), Some(&id)).await {
            Ok(()) => Ok(Ok(PointerToken::new(id))),
            Err(fault) => settle(fault),
        }
    }
}

/// Faults after which only a look tells what became of it.
fn settle<T>(fault: Fault) -> Result<Result<T, Fault>> {
    match fault.class() {
        Class::Absent | Class::Exists | Class::Lost | Class::Refused => Ok(Err(fault)),
        _ => Err(fault.into()),
    }
}

/// Nobody moved the pointer and it was refused all the same: another publisher may have taken the
/// label of our copy.
fn is_worth_another(fault: &Fault, round: usize) -> bool {
    round < ROUNDS && fault.class() != Class::Lost
}
