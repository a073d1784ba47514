#![doc = include_str!("docs.md")]
#![forbid(unsafe_code)]

mod backend;
mod config;
mod error;
mod info;
mod log;
mod store;
mod wire;

pub use backend::FileBackend;
pub use config::{Audit, FileBuilder};
pub use error::FileError;
pub use info::{SlotInfo, StoreInfo, Verified};
pub use keyward_seal::{
    InventoryKey, KdfParams, KdfPolicy, KeyFile, KeyWrapper, Passphrase, SealError, SlotKind, Unlock, WrapError,
};
