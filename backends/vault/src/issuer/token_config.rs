//! What can be chosen for an issuer of tokens, and which policies a scope stands for.

use std::time::Duration;

use keyward_core::{ErrorKind, IssuerCapabilities, Operation, Result, Scope, VaultPathText};

use super::token::TokenIssuer;
use super::token_calls::Tokens;
use crate::config::Connection;
use crate::error::fault;

/// Settings of a [`TokenIssuer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenBuilder {
    connection: Connection,
    role: Option<String>,
    ttl: Option<Duration>,
    scopes: Scopes,
    listing: bool,
    max_listed: usize,
}

impl TokenBuilder {
    /// How many tokens the server may have in all before a search by label is refused, unless said otherwise.
    pub const DEFAULT_MAX_LISTED: usize = 10_000;

    pub(super) fn new(connection: &Connection) -> Self {
        let (scopes, max_listed) = (Scopes(Vec::new()), Self::DEFAULT_MAX_LISTED);
        Self { connection: connection.clone(), role: None, ttl: None, scopes, listing: true, max_listed }
    }

    /// The policies that a scope stands for. The services of a scope do not matter: they are not for the server.
    pub fn policies(mut self, scope: Scope, policies: &[&str]) -> Self {
        self.scopes.0.push((scope, sorted(policies.iter().copied())));
        self
    }

    /// Makes tokens with a token role, which must be for tokens without a parent (`orphan`) and of type `service`.
    /// Without one they are made by `auth/token/create-orphan`.
    pub fn role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// How long a token lives; the server may allow less. The lifetime of the key's policy unless said otherwise, so that a
    /// token nobody looks after ends by itself.
    pub fn ttl(mut self, limit: Duration) -> Self {
        self.ttl = Some(limit);
        self
    }

    /// Never searches by label, which needs `sudo` on the listing of all accessors. A create whose answer is lost is
    /// then left to a person; the token ends with its time to live.
    pub fn without_listing(mut self) -> Self {
        self.listing = false;
        self
    }

    /// How many tokens the server may have in all before a search by label is refused: each costs a call.
    pub fn max_listed(mut self, tokens: usize) -> Self {
        self.max_listed = tokens;
        self
    }

    /// Makes the issuer. Sends nothing.
    ///
    /// # Errors
    /// `Invalid` when the role cannot stand in a path, when a policy is not a name or is `root`, and when a scope, or
    /// a set of policies, stands twice.
    ///
    /// ```no_run
    /// # fn example(connection: &keyward_vault::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use keyward_core::{AccessLevel, Scope};
    /// use keyward_vault::issuer::TokenIssuer;
    /// let reports = Scope::new(AccessLevel::ReadOnly).permission("reports:read-only")?;
    /// let issuer = TokenIssuer::builder(connection).policies(reports, &["reports-read"]).build()?;
    /// # let _ = issuer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(self) -> Result<TokenIssuer> {
        let unfit = |detail| fault(ErrorKind::Invalid, Operation::Open, detail);
        if let Some(role) = &self.role {
            let path = role.parse::<VaultPathText>().ok().filter(|path| !path.as_str().contains('/'));
            path.ok_or_else(|| unfit("the name of the token role cannot stand in a path"))?;
        }
        if !self.scopes.is_sound() {
            return Err(unfit("a policy is not a name or is root, or a scope or a set of policies stands twice"));
        }
        let tokens = Tokens::new(self.connection.client().clone(), self.role, self.max_listed);
        Ok(TokenIssuer::new(tokens, self.scopes, self.ttl, capabilities(self.listing)))
    }
}

/// Which policies each scope stands for.
#[derive(Clone, Debug)]
pub(super) struct Scopes(Vec<(Scope, Vec<String>)>);

impl Scopes {
    pub(super) fn policies(&self, scope: &Scope) -> Option<&[String]> {
        self.0.iter().find(|(known, _)| same(known, scope)).map(|(_, policies)| &**policies)
    }

    /// The scope that these policies stand for. Every token may have the policy `default`.
    pub(super) fn scope<'a>(&self, policies: impl Iterator<Item = &'a str>) -> Option<&Scope> {
        let policies = sorted(policies.filter(|policy| *policy != DEFAULT));
        self.0.iter().find(|(_, known)| *known == policies).map(|(scope, _)| scope)
    }

    fn is_sound(&self) -> bool {
        let twice = |at: usize, (scope, policies): &(Scope, Vec<String>)| {
            self.0[..at].iter().any(|(other, others)| same(other, scope) || others == policies)
        };
        let name = |policy: &String| {
            let plain = policy.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b',');
            plain && !policy.is_empty() && !matches!(&**policy, "root" | DEFAULT)
        };
        let named = |(_, policies): &(Scope, Vec<String>)| policies.iter().all(name);
        self.0.iter().all(named) && !self.0.iter().enumerate().any(|(at, entry)| twice(at, entry))
    }
}

/// Equal in everything that is for the server.
fn same(one: &Scope, other: &Scope) -> bool {
    let within = |a: &Scope, b: &Scope| {
        let mut beyond = a.difference(b);
        beyond.services.clear();
        beyond.is_empty()
    };
    within(one, other) && within(other, one)
}

fn sorted<'a>(policies: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut policies: Vec<_> = policies.map(str::to_owned).collect();
    policies.sort_unstable();
    policies.dedup();
    policies
}

fn capabilities(listing: bool) -> IssuerCapabilities {
    let mut capabilities = IssuerCapabilities::default();
    capabilities.finds_by_label = listing;
    capabilities
}

const DEFAULT: &str = "default";

#[cfg(test)]
mod tests {
    use keyward_core::AccessLevel;

    use super::*;

    #[test]
    fn scopes_and_policies_stand_for_each_other() {
        let (read, write) = (Scope::new(AccessLevel::ReadOnly), Scope::new(AccessLevel::Write));
        let served = read.clone().service("reporting").expect("a service");
        let scopes =
            Scopes(vec![(read.clone(), sorted(["b", "a"].into_iter())), (write.clone(), vec!["c".to_owned()])]);
        assert!(scopes.is_sound());
        assert_eq!(scopes.policies(&served), Some(&["a".to_owned(), "b".to_owned()][..]), "services are ours");
        assert_eq!(scopes.policies(&Scope::new(AccessLevel::Admin)), None);
        assert_eq!(scopes.scope(["b", "default", "a"].into_iter()), Some(&read));
        for policies in [&["a"][..], &["a", "b", "c"], &["default"], &[]] {
            assert_eq!(scopes.scope(policies.iter().copied()), None, "{policies:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_boundless_is_refused() {
        let (read, write) = (Scope::new(AccessLevel::ReadOnly), Scope::new(AccessLevel::Write));
        let sound = |entries: &[(&Scope, &[&str])]| {
            let entry = |(scope, policies): &(&Scope, &[&str])| ((*scope).clone(), sorted(policies.iter().copied()));
            Scopes(entries.iter().map(entry).collect()).is_sound()
        };
        assert!(sound(&[(&read, &["a"]), (&write, &["a", "b"])]));
        assert!(!sound(&[(&read, &["a"]), (&read, &["b"])]));
        assert!(!sound(&[(&read, &["a"]), (&write, &["a"])]));
        for policy in ["root", "default", "", "a b", "A", "a,b"] {
            assert!(!sound(&[(&read, &[policy])]), "{policy}");
        }
    }
}
