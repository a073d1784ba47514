//! What can be chosen for an issuer of secret-ids, and which role a key belongs to.

use std::collections::BTreeMap;

use keyward_core::{ErrorKind, IssuerCapabilities, KeyId, Operation, Result, VaultPathText};

use super::app_role::AppRoleIssuer;
use super::secret_ids::SecretIds;
use crate::config::Connection;
use crate::error::fault;

/// Settings of an [`AppRoleIssuer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct AppRoleBuilder {
    connection: Connection,
    mount: String,
    roles: Roles,
}

impl AppRoleBuilder {
    /// What the names of roles begin with unless said otherwise.
    pub const DEFAULT_ROLE_PREFIX: &str = "keyward.";

    pub(super) fn new(connection: &Connection) -> Self {
        let roles = Roles { prefix: Self::DEFAULT_ROLE_PREFIX.to_owned(), named: BTreeMap::new() };
        Self { connection: connection.clone(), mount: "approle".to_owned(), roles }
    }

    /// Where the auth method is mounted; `approle` unless said otherwise.
    pub fn mount(mut self, mount: &str) -> Self {
        mount.trim_matches('/').clone_into(&mut self.mount);
        self
    }

    /// What the names of roles begin with; the id of the key follows, with `.` for `/`.
    pub fn role_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.roles.prefix);
        self
    }

    /// The role of one key, whatever the prefix. Several keys may share a role; each sees only its own secret-ids.
    pub fn role(mut self, key: &KeyId, name: &str) -> Self {
        self.roles.named.insert(key.clone(), name.to_owned());
        self
    }

    /// Makes the issuer. Sends nothing.
    ///
    /// # Errors
    /// `Invalid` when the mount or a role cannot stand in a path.
    ///
    /// ```no_run
    /// # fn example(connection: &keyward_vault::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_vault::issuer::AppRoleIssuer;
    /// let ledger = "production/billing/ledger".parse()?;
    /// let issuer = AppRoleIssuer::builder(connection).mount("team-approle").role(&ledger, "ledger").build()?;
    /// # let _ = issuer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(self) -> Result<AppRoleIssuer> {
        let unfit = |detail| fault(ErrorKind::Invalid, Operation::Open, detail);
        let mount: VaultPathText = self.mount.parse().map_err(|_| unfit("the mount cannot stand in a path"))?;
        let plain = self.roles.prefix.is_empty() || is_role(&format!("{}x", self.roles.prefix));
        if !plain || !self.roles.named.values().all(|name| is_role(name)) {
            return Err(unfit("the name of a role is not one"));
        }
        let ids = SecretIds::new(self.connection.client().clone(), mount.as_str().to_owned());
        Ok(AppRoleIssuer::new(ids, self.roles))
    }
}

/// Which role a key belongs to.
#[derive(Clone, Debug)]
pub(super) struct Roles {
    prefix: String,
    named: BTreeMap<KeyId, String>,
}

impl Roles {
    pub(super) fn of(&self, key: &KeyId) -> String {
        match self.named.get(key) {
            Some(name) => name.clone(),
            None => format!("{}{}", self.prefix, key.to_string().replace('/', ".")),
        }
    }
}

/// The names the server takes for roles.
fn is_role(name: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let inner = name.bytes().all(|byte| word(&byte) || matches!(byte, b'.' | b'-'));
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    inner && name.len() <= MAX_ROLE && ends.iter().all(|end| end.is_some_and(word))
}

pub(super) fn capabilities() -> IssuerCapabilities {
    IssuerCapabilities::default()
}

const MAX_ROLE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles() {
        for name in ["a", "ledger", "keyward.dev.billing.ledger", "_x_", "A-1"] {
            assert!(is_role(name), "{name}");
        }
        for name in ["", ".", "..", ".a", "a.", "a/b", "a b", "-a", "ä", &"x".repeat(257)] {
            assert!(!is_role(name), "{name}");
        }
    }

    #[test]
    fn a_key_has_one_role() {
        let key: KeyId = "dev/billing/ledger".parse().expect("a key id");
        let mut roles = Roles { prefix: "kw.".to_owned(), named: BTreeMap::new() };
        assert_eq!(roles.of(&key), "kw.dev.billing.ledger");
        roles.named.insert(key.clone(), "ledger".to_owned());
        assert_eq!(roles.of(&key), "ledger");
    }
}
