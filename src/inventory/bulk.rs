//! Adopting many secrets at once, with a report and without surprises.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use keyward_core::{DiscoverQuery, Existing, IssuerRef, KeyDraft, KeyId, Location, Operation, Pages, SecretBackend};

use super::{Inventory, InventoryError, Result};

/// What became of one existing secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdoptionOutcome {
    /// Adopted now.
    Adopted,
    /// It could be adopted; nothing was written.
    Ready,
    /// A key manages it already.
    Managed(KeyId),
    /// The caller made no draft for it.
    Skipped,
    /// It was not adopted; the others were seen to all the same.
    Failed(InventoryError),
}

impl From<Option<KeyId>> for AdoptionOutcome {
    fn from(managed_by: Option<KeyId>) -> Self {
        managed_by.map_or(Self::Skipped, Self::Managed)
    }
}

/// One existing secret in a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Adoption {
    /// Where it lies.
    pub location: Location,
    /// The key it became, or would become.
    pub key: Option<KeyId>,
    /// What became of it.
    pub outcome: AdoptionOutcome,
}

/// What a bulk adoption did, or would do. Prints as a table; holds no value.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AdoptionReport {
    /// One row for each secret found, in the order found.
    pub rows: Vec<Adoption>,
}

impl AdoptionReport {
    /// The secrets that were not adopted because of an error.
    pub fn failed(&self) -> impl Iterator<Item = &Adoption> {
        self.rows.iter().filter(|row| matches!(row.outcome, AdoptionOutcome::Failed(_)))
    }

    /// How many were adopted.
    pub fn adopted(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.outcome, AdoptionOutcome::Adopted)).count()
    }
}

impl fmt::Display for AdoptionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Adoption { location, key, outcome } in &self.rows {
            let key = key.as_ref().map_or("-", KeyId::as_str);
            write!(f, "{location}  ->  {key}: ")?;
            match outcome {
                AdoptionOutcome::Adopted => writeln!(f, "adopted")?,
                AdoptionOutcome::Ready => writeln!(f, "can be adopted")?,
                AdoptionOutcome::Managed(by) => writeln!(f, "managed already, by {by}")?,
                AdoptionOutcome::Skipped => writeln!(f, "skipped")?,
                AdoptionOutcome::Failed(error) => writeln!(f, "failed: {error}")?,
            }
        }
        write!(f, "{} found, {} adopted, {} failed", self.rows.len(), self.adopted(), self.failed().count())
    }
}

impl<B: SecretBackend> Inventory<B> {
    /// Shows what [`Inventory::adopt_all`] would do. Writes nothing.
    ///
    /// ```
    /// use keyward::core::{DiscoverQuery, Existing, KeyDraft, SecretBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn preview<B: SecretBackend>(
    ///     inventory: &Inventory<B>,
    ///     draft: impl FnMut(&Existing) -> Option<KeyDraft>,
    /// ) -> Result<(), InventoryError> {
    ///     println!("{}", inventory.plan_adoption(&DiscoverQuery::all().prefix("legacy/"), draft).await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::Store`] when the store cannot list what exists. What is wrong with one
    /// secret stands in its row.
    pub async fn plan_adoption(
        &self,
        query: &DiscoverQuery,
        draft: impl FnMut(&Existing) -> Option<KeyDraft>,
    ) -> Result<AdoptionReport> {
        let planned = Mutex::new(BTreeSet::new());
        self.each(query, "plan an adoption", draft, async |draft| {
            let cx = self.context("plan an adoption")?;
            self.can_adopt(&cx, &draft).await?;
            self.can_take(&draft).await?;
            let first = planned.lock().unwrap_or_else(PoisonError::into_inner).insert(draft.id.clone());
            if first { Ok(AdoptionOutcome::Ready) } else { Err(InventoryError::AlreadyRegistered { key: draft.id }) }
        })
        .await
    }

    /// Adopts every secret of a query for which `draft` answers a key, one after the other, and
    /// reports each. A draft that names no location gets the secret's; one of a Vault path may name
    /// the field it wants.
    ///
    /// Stopped half-way, it is safe to repeat: what is adopted already is reported as managed.
    ///
    /// ```
    /// use keyward::core::{DiscoverQuery, Existing, KeyDraft, SecretBackend};
    /// use keyward::inventory::{AdoptionReport, Inventory, InventoryError};
    /// async fn wave<B: SecretBackend>(
    ///     inventory: &Inventory<B>,
    ///     draft: impl FnMut(&Existing) -> Option<KeyDraft>,
    /// ) -> Result<AdoptionReport, InventoryError> {
    ///     inventory.adopt_all(&DiscoverQuery::all().tag_value("team", "billing"), "wave 1", draft).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Inventory::plan_adoption`].
    pub async fn adopt_all(
        &self,
        query: &DiscoverQuery,
        reason: &str,
        draft: impl FnMut(&Existing) -> Option<KeyDraft>,
    ) -> Result<AdoptionReport> {
        self.each(query, reason, draft, async |draft| {
            self.adopt(draft, None::<IssuerRef>, reason).await?;
            Ok(AdoptionOutcome::Adopted)
        })
        .await
    }

    async fn each(
        &self,
        query: &DiscoverQuery,
        reason: &str,
        mut draft: impl FnMut(&Existing) -> Option<KeyDraft>,
        work: impl AsyncFn(KeyDraft) -> Result<AdoptionOutcome>,
    ) -> Result<AdoptionReport> {
        let adopter = self.adopter()?;
        let mut report = AdoptionReport::default();
        for location in self.discover(query, reason).await? {
            let (key, outcome) = match adopter.inspect(&self.context(reason)?, &location).await {
                Err(error) => (None, Err(error.into())),
                Ok(found) => match draft(&found) {
                    None => (found.managed_by.clone(), Ok(found.managed_by.into())),
                    Some(draft) => (Some(draft.id.clone()), self.one(draft, found, reason, &work).await),
                },
            };
            let outcome = outcome.unwrap_or_else(AdoptionOutcome::Failed);
            report.rows.push(Adoption { location, key, outcome });
        }
        Ok(report)
    }

    /// What is managed already is left alone, but for an adoption of the same key that was stopped
    /// half-way.
    async fn one(
        &self,
        mut draft: KeyDraft,
        found: Existing,
        reason: &str,
        work: &impl AsyncFn(KeyDraft) -> Result<AdoptionOutcome>,
    ) -> Result<AdoptionOutcome> {
        if draft.location == Location::Derived {
            draft.location = found.location.clone();
        }
        let elsewhere = draft.location != found.location;
        let found =
            if elsewhere { self.adopter()?.inspect(&self.context(reason)?, &draft.location).await? } else { found };
        match found.managed_by {
            Some(by) if by != draft.id || self.get(&by).await.is_ok_and(|record| record.primary().is_some()) => {
                Ok(AdoptionOutcome::Managed(by))
            }
            _ => work(draft).await,
        }
    }

    /// All of it before anything is adopted: a page token need not survive our own changes.
    async fn discover(&self, query: &DiscoverQuery, reason: &str) -> Result<Vec<Location>> {
        let adopter = self.adopter()?;
        let (mut all, mut next, mut pages) = (Vec::new(), None, Pages::of(Operation::Adoption));
        loop {
            let page = adopter.discover(&self.context(reason)?, query, next).await?;
            all.extend(page.items);
            next = pages.after(page.next)?;
            if next.is_none() {
                return Ok(all);
            }
        }
    }
}
