//! Where things lie below the mount.

use keyward_core::{KeyId, VaultPathText, VersionId};

/// The folders of a store: everything under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: VaultPathText,
}

impl Names {
    pub(crate) fn below(prefix: VaultPathText) -> Self {
        Self { prefix }
    }

    /// The prefix as a folder, with a slash at its end.
    pub(crate) fn own_folder(&self) -> String {
        format!("{}/", self.prefix)
    }

    /// Everything about a key but material.
    pub(crate) fn record(&self, key: &KeyId) -> String {
        self.records(key.as_str())
    }

    /// A folder of records, or all of them for an empty one.
    pub(crate) fn records(&self, folder: &str) -> String {
        format!("{}/records/{folder}", self.prefix)
    }

    /// What native readers read: only ever validated material.
    pub(crate) fn shown(&self, key: &KeyId) -> String {
        format!("{}/keys/{key}", self.prefix)
    }

    /// The folder of a key's staged versions.
    pub(crate) fn pending(&self, key: &KeyId) -> String {
        format!("{}/pending/{key}", self.prefix)
    }

    /// The staged material of a version.
    pub(crate) fn version(&self, key: &KeyId, version: VersionId) -> String {
        format!("{}/pending/{key}/{version}", self.prefix)
    }
}
