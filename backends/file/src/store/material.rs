//! Material: stage, pointer, publish, withdraw, survey, retire.

use keyward_core::{
    AuditAction, AuditEvent, Context, KeyId, Pointer, PointerToken, Publish, Retire, SecretValue, Stage, Survey,
    VersionId, Withdraw,
};

use super::Store;
use super::rows::{Reading, Row, RowId, Table, Writing};
use crate::error::Fault;
use crate::wire::{Holding, Shown};

/// What became of a publish or a withdraw that is not allowed from here.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The version has no material.
    NotFound,
    /// The pointer shows it.
    Shown,
}

impl Store {
    /// `encoded` is the canonical encoding of the material.
    pub(crate) fn stage(
        &mut self,
        cx: &Context,
        key: &KeyId,
        version: VersionId,
        encoded: &SecretValue,
    ) -> Result<Stage, Fault> {
        let mut writing = self.writing(cx)?;
        let (old, mut holding) =
            writing.holding(key)?.map_or((None, Holding::of(key)), |(row, held)| (Some(row), held));
        let id = writing.material_id(key, version);
        if holding.versions.contains_key(&version) {
            let row = writing.material_row(&holding, version)?;
            let same =
                writing.opened(Table::Material, &id, &row, |found| Ok(SecretValue::from(found).ct_eq(encoded)))?;
            return Ok(if same { Stage::AlreadySame } else { Stage::Conflict });
        }
        if holding.versions.len() == Holding::MAX_VERSIONS {
            return Err(Fault::TooMany("the key has 1024 versions with material; withdraw those that are not used"));
        }
        let row = writing.put(Table::Material, &id, None, encoded.expose_secret())?;
        holding.versions.insert(version, row.version);
        writing.put_holding(old.as_ref(), &holding)?;
        writing.log(&AuditEvent::new(AuditAction::Stage, cx).key(key).version(version))?;
        writing.commit()?;
        Ok(Stage::Stored)
    }

    pub(crate) fn pointer(&mut self, cx: &Context, key: &KeyId) -> Result<Pointer, Fault> {
        let found = self.reading(cx)?.holding(key)?;
        Ok(found.map_or_else(|| Holding::of(key).pointer(), |(_, holding)| holding.pointer()))
    }

    pub(crate) fn publish(
        &mut self,
        cx: &Context,
        key: &KeyId,
        shown: Shown,
        expect: &PointerToken,
    ) -> Result<Result<Publish, Refused>, Fault> {
        let mut writing = self.writing(cx)?;
        let Some((old, mut holding)) = writing.holding(key)? else { return Ok(Err(Refused::NotFound)) };
        let pointer = holding.pointer();
        if holding.shows == Some(shown) {
            return Ok(Ok(Publish::AlreadyThere(pointer.token)));
        }
        if pointer.token != *expect {
            return Ok(Ok(Publish::Conflict(pointer)));
        }
        if !holding.versions.contains_key(&shown.version) {
            return Ok(Err(Refused::NotFound));
        }
        // Readers are never pointed at material that is not there as it was staged.
        writing.material_row(&holding, shown.version)?;
        writing.move_pointer(&mut holding, Some(shown))?;
        writing.put_holding(Some(&old), &holding)?;
        writing.log(&AuditEvent::new(AuditAction::Publish, cx).key(key).version(shown.version))?;
        writing.commit()?;
        Ok(Ok(Publish::Moved(holding.pointer().token)))
    }

    pub(crate) fn withdraw(
        &mut self,
        cx: &Context,
        key: &KeyId,
        version: VersionId,
    ) -> Result<Result<Withdraw, Refused>, Fault> {
        let mut writing = self.writing(cx)?;
        let Some((old, mut holding)) = writing.holding(key)? else { return Ok(Ok(Withdraw::Absent)) };
        if holding.shows.is_some_and(|shown| shown.version == version) {
            return Ok(Err(Refused::Shown));
        }
        if !holding.versions.contains_key(&version) {
            return Ok(Ok(Withdraw::Absent));
        }
        writing.remove(&mut holding, version)?;
        writing.put_holding(Some(&old), &holding)?;
        writing.log(&AuditEvent::new(AuditAction::Withdraw, cx).key(key).version(version))?;
        writing.commit()?;
        Ok(Ok(Withdraw::Destroyed))
    }

    pub(crate) fn survey(&mut self, cx: &Context, key: &KeyId) -> Result<Survey, Fault> {
        let found = self.reading(cx)?.holding(key)?;
        let holding = found.map_or_else(|| Holding::of(key), |(_, holding)| holding);
        Ok(Survey::new(holding.versions.keys().copied().collect(), holding.pointer()))
    }

    pub(crate) fn retire(&mut self, cx: &Context, key: &KeyId) -> Result<Retire, Fault> {
        let mut writing = self.writing(cx)?;
        let Some((old, mut holding)) = writing.holding(key)? else { return Ok(Retire::Absent) };
        if holding.versions.is_empty() && holding.shows.is_none() {
            return Ok(Retire::Absent);
        }
        for version in holding.versions.keys().copied().collect::<Vec<_>>() {
            writing.remove(&mut holding, version)?;
        }
        // The row stays, so that no token of before is good again.
        writing.move_pointer(&mut holding, None)?;
        writing.put_holding(Some(&old), &holding)?;
        writing.log(&AuditEvent::new(AuditAction::Retire, cx).key(key))?;
        writing.commit()?;
        Ok(Retire::Retired)
    }
}

impl Reading<'_> {
    pub(super) fn holding_id(&self, key: &KeyId) -> RowId {
        self.keys.row_id(Table::Pointers, &[key.as_str().as_bytes()])
    }

    pub(super) fn material_id(&self, key: &KeyId, version: VersionId) -> RowId {
        self.keys.row_id(Table::Material, &[key.as_str().as_bytes(), version.as_bytes()])
    }

    pub(super) fn holding(&self, key: &KeyId) -> Result<Option<(Row, Holding)>, Fault> {
        let id = self.holding_id(key);
        let Some(row) = self.row(Table::Pointers, &id)? else { return Ok(None) };
        let holding = self.decode_holding(&id, &row)?;
        Ok(Some((row, holding)))
    }

    pub(super) fn decode_holding(&self, id: &RowId, row: &Row) -> Result<Holding, Fault> {
        let holding: Option<Holding> =
            self.opened(Table::Pointers, id, row, |json| Ok(serde_json::from_slice(json).ok()))?;
        holding
            .filter(|holding| self.holding_id(&holding.key) == *id)
            .ok_or(Fault::Tampered("a sealed pointer is not one, or is that of another key"))
    }

    /// The material of a version that the holding lists: it must be there, and be the row that was staged.
    pub(super) fn material_row(&self, holding: &Holding, version: VersionId) -> Result<Row, Fault> {
        let row = self.row(Table::Material, &self.material_id(&holding.key, version))?;
        let row = row.ok_or(Fault::Tampered("material that was staged and not withdrawn is gone"))?;
        if holding.versions.get(&version) == Some(&row.version) {
            Ok(row)
        } else {
            Err(Fault::Tampered("older material was put back"))
        }
    }
}

impl Writing<'_> {
    fn put_holding(&mut self, old: Option<&Row>, holding: &Holding) -> Result<Row, Fault> {
        // Ids and numbers under string keys: JSON cannot refuse them.
        let json = serde_json::to_vec(holding).unwrap_or_default();
        let id = self.holding_id(&holding.key);
        self.put(Table::Pointers, &id, old, &json)
    }

    fn move_pointer(&self, holding: &mut Holding, shows: Option<Shown>) -> Result<(), Fault> {
        holding.mark = getrandom::u64().map_err(|_| Fault::Seal(keyward_seal::SealError::NoRandomness))?;
        holding.moved = self.state.counter;
        holding.shows = shows;
        Ok(())
    }

    fn remove(&mut self, holding: &mut Holding, version: VersionId) -> Result<(), Fault> {
        let row = self.material_row(holding, version)?;
        let id = self.material_id(&holding.key, version);
        self.remove_material(&id, &row)?;
        holding.versions.remove(&version);
        Ok(())
    }
}
