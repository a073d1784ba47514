//! Reading material.

use std::collections::BTreeMap;

use keyward_core::{
    Context, ErrorKind, Location, Operation, PublicationId, Read, ReadItem, Result, Select, Shows, VersionId,
};
use keyward_remote::fan_out;

use super::records::whole;
use super::{Place, Store};
use crate::error::{Class, Fault};
use crate::names;
use crate::wire::{BATCH, Batch, Found};

impl Store {
    pub(crate) async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let (mut wanted, mut answers) = (BTreeMap::<String, Vec<usize>>::new(), BTreeMap::new());
        for (n, item) in items.iter().enumerate() {
            match self.place(cx, Operation::Read, &item.target) {
                Ok(place) => wanted.entry(place.secret).or_default().push(n),
                Err(error) => drop(answers.insert(n, Err(error))),
            }
        }
        let many = wanted.len() > 1;
        let wanted: Vec<_> = wanted.into_iter().collect();
        let groups: Vec<Vec<_>> = wanted.chunks(BATCH).map(<[_]>::to_vec).collect();
        let group = |group| self.read_group(cx, items, group, many);
        answers.extend(fan_out(groups, self.concurrency, group).await.into_iter().flatten());
        answers.into_values().collect()
    }

    /// The items of one batch of secrets, worked up while other batches are on their way.
    async fn read_group(
        &self,
        cx: &Context,
        items: &[ReadItem],
        group: Vec<(String, Vec<usize>)>,
        many: bool,
    ) -> Vec<(usize, Result<Read>)> {
        let batch = if many { self.current_of(cx, &group).await } else { Batch::new() };
        // One at a time: several batches are under way already.
        let mut answers = Vec::with_capacity(group.len());
        for n in group.into_iter().flat_map(|(_, numbers)| numbers) {
            answers.push((n, self.read_one(cx, &batch, &items[n]).await));
        }
        answers
    }

    async fn read_one(&self, cx: &Context, batch: &Batch, item: &ReadItem) -> Result<Read> {
        let (place, select) = (self.place(cx, Operation::Read, &item.target)?, item.select);
        match batch.get(&place.secret) {
            Some(Ok(found)) => match from_current(&place, found, select) {
                Some(answer) => answer,
                None => self.read_alone(&place, select).await,
            },
            Some(Err(fault)) if !matches!(fault.class(), Class::Absent | Class::Refused) => {
                Err(fault.error().clone().with_key(&place.target.id))
            }
            _ => self.read_alone(&place, select).await,
        }
    }

    /// The current versions of the secrets of a batch.
    async fn current_of(&self, cx: &Context, group: &[(String, Vec<usize>)]) -> Batch {
        let secrets: Vec<String> = group.iter().map(|(secret, _)| secret.clone()).collect();
        match self.wire.batch(self.wire.call(cx, Operation::Read), &secrets).await {
            Ok(batch) => batch,
            Err(fault) if whole(&fault) => secrets.into_iter().map(|secret| (secret, Err(fault.again_for()))).collect(),
            Err(_) => Batch::new(),
        }
    }

    async fn read_alone(&self, place: &Place<'_>, select: Select) -> Result<Read> {
        let found = match select {
            Select::Version(version) => match self.held(place, version).await? {
                Some(found) => return material(place, &found, version, None),
                None => None,
            },
            Select::Current | Select::CurrentUnless(_) => {
                self.wire.current(place.call, &place.secret).await.map_err(|fault| reason(place, fault))?
            }
        };
        let missing = || place.call.error(ErrorKind::NotFound, "nothing is stored there");
        let found = found.ok_or_else(missing)?;
        from_current(place, &found, select).unwrap_or_else(|| Err(missing()))
    }

    /// A version with its value, while it is held.
    pub(super) async fn held(&self, place: &Place<'_>, version: VersionId) -> Result<Option<Found>> {
        let because = |fault| reason(place, fault);
        let found = self.wire.version(place.call, &place.secret, &version.to_string()).await.map_err(because)?;
        let held = found
            .filter(|found| found.labels.iter().any(|label| names::held_for(&place.owner, label) == Some(version)));
        if held.is_some() || place.target.location == Location::Derived {
            return Ok(held);
        }
        // A claimed version has the id AWS gave it, and a label of ours.
        for label in [names::claimed(version, &place.owner), names::claimed_here(version, &place.target.id)] {
            let claimed = self.wire.labelled(place.call, &place.secret, &label).await.map_err(because)?;
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
        Ok(None)
    }
}

/// The answer to an item out of the current version; `None` when it is about another version.
fn from_current(place: &Place<'_>, found: &Found, select: Select) -> Option<Result<Read>> {
    let shows = names::shown(&place.owner, &found.id, found.labels.iter().map(String::as_str));
    let missing = || place.call.error(ErrorKind::NotFound, "nothing is published");
    Some(match (select, shows) {
        (Select::Version(version), Shows::Ours { version: shown, .. }) if version == shown => {
            material(place, found, version, None)
        }
        (Select::Version(_), _) => return None,
        (_, Shows::Nothing) => Err(missing()),
        (_, Shows::Foreign) => Err(place
            .call
            .error(ErrorKind::Conflict, "another writer put a value in place of the published one; it is not served")),
        (Select::CurrentUnless(known), Shows::Ours { publication, .. }) if known == publication => Ok(Read::Unchanged),
        (_, Shows::Ours { publication, version }) => material(place, found, version, Some(publication)),
    })
}

fn material(place: &Place<'_>, found: &Found, version: VersionId, publication: Option<PublicationId>) -> Result<Read> {
    let unfit = || place.call.error(ErrorKind::Tampered, "the stored value does not have the shape of the key");
    let material = found.raw.material(&place.target.shape).ok_or_else(unfit)?;
    Ok(Read::Found { material, version, publication })
}

/// Values of a secret that is about to go are refused as a bad request.
fn reason(place: &Place<'_>, fault: Fault) -> keyward_core::Error {
    if fault.class() == Class::Refused {
        return place.call.error(ErrorKind::PendingDeletion, "the secret is scheduled for deletion");
    }
    fault.into()
}
