//! The journal of an adopted path: who manages which field, and which of its versions we wrote.
//!
//! It lies under our own prefix, because the adopted path gets nothing of ours but values. A publication is on it
//! before it is attempted; the number under which it would be written says later whether it was.

use std::collections::BTreeMap;

use keyward_core::{Context, ErrorKind, KeyId, Operation, PublicationId, Result, SecretValue, VersionId};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Put, SELF_DELETING};

/// How many claims of a key are remembered.
const CLAIMS: usize = 8;
/// How many states of a journal the server keeps.
const KEEP: u32 = 8;
/// How often a change of the journal is tried while others change it too.
const ATTEMPTS: usize = 6;

/// Everything noted about one path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    mount: String,
    path: String,
    /// By field; the whole path under an empty name.
    holders: BTreeMap<String, Holder>,
}

/// A key that manages a field, or the whole path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Holder {
    pub(super) key: KeyId,
    /// Oldest first.
    pub(super) claims: Vec<Claim>,
}

/// A version of the path that shows, or may show, a publication of ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// The number of the path's version. Later versions show the publication too, while its value stays.
    pub(super) number: u64,
    pub(super) publication: PublicationId,
    pub(super) version: VersionId,
    /// The value was there before us.
    pub(super) adopted: bool,
}

impl Journal {
    fn new(place: &Place<'_>) -> Self {
        Self { mount: place.kv.mount().to_owned(), path: place.path.to_owned(), holders: BTreeMap::new() }
    }

    /// Who holds this very place.
    pub(super) fn holder(&self, place: &Place<'_>) -> Option<&Holder> {
        self.holders.get(place.slot())
    }

    /// A holder, other than this key, of the place or of something that overlaps with it.
    pub(super) fn other_holder(&self, place: &Place<'_>, key: Option<&KeyId>) -> Option<&Holder> {
        let overlaps = |slot: &str| slot == place.slot() || slot.is_empty() || place.slot().is_empty();
        self.holders.iter().find(|(slot, holder)| overlaps(slot) && Some(&holder.key) != key).map(|(_, holder)| holder)
    }

    /// Sets who holds the place.
    pub(super) fn set(&mut self, place: &Place<'_>, holder: Option<Holder>) {
        match holder {
            Some(holder) => drop(self.holders.insert(place.slot().to_owned(), holder)),
            None => drop(self.holders.remove(place.slot())),
        }
    }
}

impl Holder {
    /// A key whose value was there before us. Publications of it that may yet be written, behind version `shown` of the
    /// path, stay known.
    pub(super) fn claiming(key: KeyId, claim: Claim, former: Option<&Self>, shown: u64) -> Self {
        let open = |old: &&Claim| !old.adopted && old.number > shown;
        let open = former.map(|former| former.claims.iter().filter(open).cloned()).into_iter().flatten();
        Self { key, claims: std::iter::once(claim).chain(open).collect() }
    }

    /// The holder with one claim more. The oldest make room, but never the one in use, nor what was there before us.
    pub(super) fn with(mut self, claim: Claim, in_use: Option<&Claim>) -> Self {
        self.claims.retain(|old| old.publication != claim.publication || Some(old) == in_use);
        while self.claims.len() >= CLAIMS {
            let oldest = self.claims.iter().position(|old| !old.adopted && Some(old) != in_use);
            let Some(oldest) = oldest else { break };
            self.claims.remove(oldest);
        }
        self.claims.push(claim);
        self
    }

    /// True when earlier claims may have made room for these.
    pub(super) fn is_full(&self) -> bool {
        self.claims.len() >= CLAIMS
    }
}

impl VaultBackend {
    /// The journal of a path, and the number of its state.
    pub(super) async fn journal(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
    ) -> Result<(Journal, u64)> {
        let (data, written) = match self.kv().get(cx, operation, &self.names().journal(place), None).await? {
            Found::Nothing => return Ok((Journal::new(place), 0)),
            // Someone deleted it; the count goes on.
            Found::Gone(written) => return Ok((Journal::new(place), written.number)),
            Found::Here(data, written) => (data, written),
        };
        let odd = || fault(ErrorKind::Tampered, operation, "the journal of the adopted path is not readable");
        let journal: Journal = serde_json::from_value(data.into_value()).map_err(|_| odd())?;
        if journal.mount != place.kv.mount() || journal.path != place.path {
            return Err(odd());
        }
        Ok((journal, written.number))
    }

    /// Changes the journal of a path, as often as others change it meanwhile. The change may refuse.
    pub(super) async fn note(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        change: impl Fn(&mut Journal) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let (mut journal, number) = self.journal(cx, operation, place).await?;
            let before = journal.clone();
            change(&mut journal)?;
            if journal == before || self.replace_journal(cx, operation, place, &journal, number).await? {
                return Ok(());
            }
        }
        Err(fault(ErrorKind::Conflict, operation, "others keep changing the journal of the adopted path; repeat"))
    }

    /// Writes the next state of a journal, if the present one has this number. False when it does not, which may be by an
    /// earlier attempt of ours. One that nobody is on any more is written too: were it removed, a change that comes at
    /// the same time would be lost, and numbers would begin anew.
    pub(super) async fn replace_journal(
        &self,
        cx: &Context,
        operation: Operation,
        place: &Place<'_>,
        journal: &Journal,
        number: u64,
    ) -> Result<bool> {
        let path = self.names().journal(place);
        if number == 0 {
            self.kv().configure(cx, operation, &path, KEEP).await?;
        }
        let body = SecretValue::new(serde_json::to_vec(journal).unwrap_or_default());
        match self.kv().put(cx, operation, &path, &body, number).await? {
            Put::Written(_) => Ok(true),
            Put::Refused => Ok(false),
            Put::Vanishing => Err(fault(ErrorKind::Invalid, operation, SELF_DELETING)),
            Put::Unclear(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u64, adopted: bool) -> Claim {
        let version = VersionId::generate();
        Claim { number, publication: PublicationId::first(version), version, adopted }
    }

    fn held(claim: Claim) -> Holder {
        Holder::claiming("dev/messaging/held".parse().expect("a key id"), claim, None, 0)
    }

    #[test]
    fn the_claim_in_use_never_makes_room() {
        let (found, used) = (claim(1, true), claim(2, false));
        let mut holder = held(found.clone()).with(used.clone(), Some(&found));
        // Publications that fail: other writers keep taking the numbers, but leave our value.
        for number in 3..40 {
            let attempt = claim(number, false);
            holder = holder.with(attempt.clone(), Some(&used));
            assert!(holder.claims.len() <= CLAIMS);
            for kept in [&found, &used, &attempt] {
                assert!(holder.claims.contains(kept), "{number}");
            }
        }
    }

    #[test]
    fn a_claim_gives_way_to_another_one_but_what_may_yet_be_written_does_not() {
        let (found, decided, open) = (claim(1, true), claim(2, false), claim(4, false));
        let former = held(found).with(decided, None).with(open.clone(), None);
        let next = claim(3, true);
        let holder = Holder::claiming(former.key.clone(), next.clone(), Some(&former), 3);
        assert_eq!(holder.claims, [next, open]);
    }
}
