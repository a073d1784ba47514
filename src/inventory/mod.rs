//! One place to see and edit every key: who owns it, what it may do, when it is due. Never a value.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! use keyward::core::{AccessLevel, KeyDraft, KeyId, MemoryBackend, Mode, Ownership, Scope};
//! use keyward::inventory::{Filter, Inventory, KeyState};
//!
//! let inventory = Inventory::new(MemoryBackend::default()).actor("ada");
//! let charges: KeyId = "production/payments/stripe-charges".parse()?;
//! inventory
//!     .register(KeyDraft::new(
//!         charges.clone(),
//!         Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?,
//!         Scope::new(AccessLevel::Write)
//!             .mode(Mode::Live)
//!             .permission("charges:write")?
//!             .endpoint("POST /v1/charges")?
//!             .service("billing-api")?,
//!         "acme".parse()?,
//!     ))
//!     .await?;
//! inventory.annotate(&charges, "the sandbox twin is staging/payments/stripe-charges").await?;
//!
//! let listing = inventory.list(&Filter::all().owner("grace@example.com").state(KeyState::Empty)).await?;
//! assert_eq!(listing.rows.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod adopt;
mod bulk;
mod edit;
mod error;
mod history;
mod import;
mod query;
mod rows;
mod view;

use std::sync::Arc;

pub use bulk::{Adoption, AdoptionOutcome, AdoptionReport};
pub use edit::Retired;
pub use error::InventoryError;
pub use history::History;
use keyward_core::{Actor, Clock, Context, SystemClock, TextError};
use keyward_seal::InventoryKey;
pub use query::{Filter, KeyState};
pub use rows::{Listing, Row};
pub use view::Unused;

type Result<T> = std::result::Result<T, InventoryError>;

/// The keys of a store, for people and tools.
///
/// Takes the store itself or a reference to it. Somebody must be named who acts: reads and changes
/// are on the audit log under that name.
#[derive(Clone, Debug)]
pub struct Inventory<B> {
    backend: B,
    actor: Option<std::result::Result<Actor, TextError>>,
    clock: Arc<dyn Clock>,
    inventory_key: Option<Arc<InventoryKey>>,
}

impl<B> Inventory<B> {
    /// The inventory of a store.
    pub fn new(backend: B) -> Self {
        Self { backend, actor: None, clock: Arc::new(SystemClock), inventory_key: None }
    }

    /// Who acts. A name that is not acceptable is reported by the first call.
    #[must_use]
    pub fn actor(mut self, actor: &str) -> Self {
        self.actor = Some(actor.parse());
        self
    }

    /// Another clock than the machine's, for tests and simulations.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Fingerprints imported material under this key, so that a leaked string can be matched.
    #[must_use]
    pub fn inventory_key(mut self, key: InventoryKey) -> Self {
        self.inventory_key = Some(Arc::new(key));
        self
    }

    fn context(&self, reason: &str) -> Result<Context> {
        let actor = self.actor.clone().ok_or(InventoryError::NoActor)??;
        Ok(Context::by(actor, reason.parse()?))
    }
}
