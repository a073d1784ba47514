//! Reading material: on the audit log first, released afterwards.

use std::time::Duration;

use keyward_core::{
    AuditAction, AuditEvent, Context, Error, ErrorKind, Location, Material, Operation, Read, ReadItem, Result, Select,
};

use super::Store;
use super::rows::{Reading, Table, Writing};
use crate::config::Audit;
use crate::error::{Fault, NAME, adopts_nothing};
use crate::wire::Shown;

/// How long a read under relaxed audit waits for the log.
const PATIENCE: Duration = Duration::from_millis(100);

impl Store {
    /// All items in one transaction, which logs what was found before anything of it is released.
    pub(crate) fn read(&mut self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
        let answers = match self.settings.audit {
            Audit::Strict => self.read_strictly(cx, items),
            Audit::Relaxed => self.read_relaxed(cx, items),
        };
        answers.unwrap_or_else(|fault| {
            let error = fault.into_error(Operation::Read);
            items.iter().map(|item| Err(error.clone().with_key(&item.target.id))).collect()
        })
    }

    fn read_strictly(&self, cx: &Context, items: &[ReadItem]) -> Result<Vec<Result<Read>>, Fault> {
        if items.iter().all(|item| matches!(item.select, Select::CurrentUnless(_))) {
            // What a service asks all day: has anything changed? The answer "no" needs no log and no lock.
            let reading = self.reading(cx)?;
            if items.iter().all(|item| reading.is_unchanged(item)) {
                return Ok(items.iter().map(|_| Ok(Read::Unchanged)).collect());
            }
        }
        let mut writing = self.writing(cx).map_err(Fault::of_audit)?;
        let answers: Vec<_> = items.iter().map(|item| writing.material(item)).collect();
        if writing.log_found(cx, items, &answers).map_err(Fault::of_audit)? {
            writing.commit().map_err(Fault::of_audit)?;
        }
        Ok(answers)
    }

    fn read_relaxed(&self, cx: &Context, items: &[ReadItem]) -> Result<Vec<Result<Read>>, Fault> {
        let answers: Vec<_> = {
            let reading = self.reading(cx)?;
            items.iter().map(|item| reading.material(item)).collect()
        };
        if answers.iter().any(|answer| matches!(answer, Ok(Read::Found { .. }))) {
            let logged = self.writing_within(cx.remaining().min(PATIENCE)).and_then(|mut writing| {
                writing.log_found(cx, items, &answers)?;
                writing.commit()
            });
            // A log that is full or busy does not hold the read up; one that was tampered with does.
            logged.or_else(|fault| if fault.is_tampering() { Err(fault) } else { Ok(()) })?;
        }
        Ok(answers)
    }
}

impl Reading<'_> {
    fn is_unchanged(&self, item: &ReadItem) -> bool {
        if item.target.location != Location::Derived {
            return false;
        }
        let Ok(Some((_, holding))) = self.holding(&item.target.id) else { return false };
        holding.shows.is_some_and(|shown| item.select == Select::CurrentUnless(shown.publication))
    }

    fn material(&self, item: &ReadItem) -> Result<Read> {
        let id = &item.target.id;
        if item.target.location != Location::Derived {
            return Err(adopts_nothing(Operation::Read).with_key(id));
        }
        let answer = self.find(item).map_err(|fault| fault.into_error(Operation::Read).with_key(id))?;
        answer.ok_or_else(|| Error::new(ErrorKind::NotFound, Operation::Read, NAME).with_key(id))
    }

    fn find(&self, item: &ReadItem) -> Result<Option<Read>, Fault> {
        let key = &item.target.id;
        let Some((_, holding)) = self.holding(key)? else { return Ok(None) };
        let (version, publication) = match (item.select, holding.shows) {
            (Select::Version(version), _) => (version, None),
            (Select::Current | Select::CurrentUnless(_), None) => return Ok(None),
            (select, Some(Shown { publication, version })) => {
                if select == Select::CurrentUnless(publication) {
                    return Ok(Some(Read::Unchanged));
                }
                (version, Some(publication))
            }
        };
        if !holding.versions.contains_key(&version) {
            return Ok(None);
        }
        let row = self.material_row(&holding, version)?;
        let material = self.opened(Table::Material, &self.material_id(key, version), &row, |bytes| {
            Material::decode(bytes).map_err(|_| Fault::Tampered("sealed material is none"))
        })?;
        Ok(Some(Read::Found { material, version, publication }))
    }
}

impl Writing<'_> {
    /// Puts an entry on the log for each item that was found; true if there was one.
    fn log_found(&mut self, cx: &Context, items: &[ReadItem], answers: &[Result<Read>]) -> Result<bool, Fault> {
        let mut any = false;
        for (item, answer) in items.iter().zip(answers) {
            if let Ok(Read::Found { version, .. }) = answer {
                self.log(&AuditEvent::new(AuditAction::Read, cx).key(&item.target.id).version(*version))?;
                any = true;
            }
        }
        Ok(any)
    }
}
