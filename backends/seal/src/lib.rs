#![doc = include_str!("docs.md")]
#![forbid(unsafe_code)]

mod context;
mod envelope;
mod error;
mod inventory_key;
mod kdf;
mod key;
mod key_file;
mod mac;
mod secret;
mod slot;
mod unlock;
mod wrapper;

pub use async_trait::async_trait;
pub use context::ContextBuilder;
pub use envelope::{OVERHEAD, open, opened_len, seal, sealed_len};
pub use error::{KeyFileProblem, SealError, SlotProblem};
pub use inventory_key::InventoryKey;
pub use kdf::{KdfParams, KdfPolicy};
pub use key::{RootKey, SealKey};
pub use key_file::{FileKey, KeyFile};
pub use mac::MacKey;
pub use slot::Slot;
pub use unlock::{Passphrase, ServiceUnlock, SlotKind, Unlock};
pub use wrapper::{KeyWrapper, WrapError, WrapKey, Wrapping};
