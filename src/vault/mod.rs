//! HashiCorp Vault and OpenBao. See [`VaultBackend`].

pub use keyward_vault::*;
