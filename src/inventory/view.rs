//! What people look at.

use chrono::{DateTime, Utc};
use keyward_core::{KeyId, KeyRecord, LastUse, SecretBackend, SecretBackendExt, UsageSignal};

use super::{Filter, History, Inventory, Listing, Result, Row};

/// Keys nobody uses, and those nobody can tell about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unused {
    /// Keys without use since the given time.
    pub keys: Listing,
    /// Keys whose use the signal does not know, or could not be asked for. Never count them as
    /// unused.
    pub unknown: Vec<Row>,
}

impl<B: SecretBackend> Inventory<B> {
    /// Lists the keys of a filter. Reads records only; needs no permission to read values.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::{Environment, MemoryBackend};
    /// use keyward::inventory::{Filter, Inventory};
    /// let inventory = Inventory::new(MemoryBackend::default()).actor("ada");
    /// let listing = inventory.list(&Filter::all().environment(Environment::Production)).await?;
    /// println!("{listing}");
    /// assert!(listing.rows.is_empty() && listing.problems.is_empty());
    /// # Ok::<(), keyward::inventory::InventoryError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::Store`](super::InventoryError::Store) when the store cannot list. A record
    /// that cannot be read is no error: it stands in [`Listing::problems`].
    pub async fn list(&self, filter: &Filter) -> Result<Listing> {
        let cx = self.context("list keys")?;
        let (mut rows, mut problems) = (Vec::new(), Vec::new());
        for item in self.backend.list_all(&cx, &filter.names()).await? {
            match item {
                Ok(found) if filter.matches(&found.value) => rows.push(Row::of(&found.value)),
                Ok(_) => {}
                Err(error) => problems.push(error),
            }
        }
        Ok(Listing { rows, problems, at: self.clock.now() })
    }

    /// Lists the keys whose next rotation is due at or before a time.
    ///
    /// ```
    /// use keyward::core::MemoryBackend;
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn print_due(inventory: &Inventory<MemoryBackend>) -> Result<(), InventoryError> {
    ///     println!("{}", inventory.due(chrono::Utc::now()).await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Inventory::list`].
    pub async fn due(&self, at: DateTime<Utc>) -> Result<Listing> {
        self.list(&Filter::all().due_by(at)).await
    }

    /// Lists the keys whose current version was not used since a time, and is older than that.
    ///
    /// ```
    /// use keyward::core::{MemoryBackend, UsageSignal};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn monthly(inventory: &Inventory<MemoryBackend>, usage: &dyn UsageSignal) -> Result<(), InventoryError> {
    ///     let month = chrono::Utc::now() - chrono::TimeDelta::days(30);
    ///     let unused = inventory.unused(usage, month).await?;
    ///     println!("to revoke:\n{}\nnot known: {}", unused.keys, unused.unknown.len());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Inventory::list`]. A signal that fails for a key leaves it among the unknown.
    pub async fn unused(&self, usage: &dyn UsageSignal, since: DateTime<Utc>) -> Result<Unused> {
        let cx = self.context("look for unused keys")?;
        let mut keys = self.list(&Filter::all()).await?;
        let (mut rows, mut unknown) = (Vec::new(), Vec::new());
        for row in std::mem::take(&mut keys.rows) {
            let Some(version) = row.version else { continue };
            if row.version_at.is_some_and(|at| at > since) {
                continue;
            }
            match usage.last_use(&cx, &row.key, version).await {
                Ok(LastUse::At(at)) if at >= since => {}
                Ok(LastUse::At(_) | LastUse::Never) => rows.push(row),
                Ok(LastUse::Unknown) | Err(_) => unknown.push(row),
            }
        }
        keys.rows = rows;
        Ok(Unused { keys, unknown })
    }

    /// The record of a key.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn owner(inventory: &Inventory<MemoryBackend>, key: &KeyId) -> Result<String, InventoryError> {
    ///     Ok(inventory.get(key).await?.ownership().owner().to_string())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InventoryError::NotRegistered`](super::InventoryError::NotRegistered),
    /// [`InventoryError::Store`](super::InventoryError::Store).
    pub async fn get(&self, key: &KeyId) -> Result<KeyRecord> {
        Ok(self.existing(&self.context("look at a key")?, key).await?.value)
    }

    /// Everything that is kept about the life of a key, history pages included.
    ///
    /// ```
    /// use keyward::core::{KeyId, MemoryBackend};
    /// use keyward::inventory::{Inventory, InventoryError};
    /// async fn rotations(inventory: &Inventory<MemoryBackend>, key: &KeyId) -> Result<usize, InventoryError> {
    ///     Ok(inventory.history(key).await?.runs.len())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Inventory::get`]. A page that cannot be read stands in [`History::problems`].
    pub async fn history(&self, key: &KeyId) -> Result<History> {
        let cx = self.context("look at the history of a key")?;
        let record = self.existing(&cx, key).await?.value;
        Ok(History::read(&self.backend, &cx, record).await)
    }
}
