//! What the backend does, on top of the calls.

mod adopt;
mod material;
mod publish;
mod read;
mod records;
mod tags;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward_core::{Context, ErrorKind, Location, Operation, Pointer, PointerToken, Result, Shows, Target};
use uuid::Uuid;

use crate::call::Call;
use crate::names::{self, Owner, Prefix};
use crate::wire::{Description, Wire};

pub(crate) use tags::Tags;

/// How often a write is begun again when another writer came in between.
const ROUNDS: usize = 4;
const ANOTHER_KEY: &str =
    "another key has this secret, or claims it (tag keyward:key, labels keyward-staged-..); release that key first";
const ANOTHER_INVENTORY: &str = "another inventory has this secret (tag keyward:key, labels keyward-staged-..): a key of \
                                 a backend with another prefix; release it there first";
const UNTAGGED: &str = "labels keyward-staged-.. are there, but not the tag keyward:key that says whose secret it is: \
                        restore the tag keyward:key=<key> with the key that has it, and keep other tools from removing it";

/// A store of records and material in one inventory.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) wire: Wire,
    pub(crate) prefix: Prefix,
    pub(crate) region: Box<str>,
    pub(crate) concurrency: usize,
    pub(crate) tags: Option<Tags>,
    pub(crate) absence: Absence,
}

/// A secret and the call about it.
#[derive(Clone, Debug)]
struct Place<'a> {
    cx: &'a Context,
    call: Call<'a>,
    target: &'a Target,
    owner: Owner,
    secret: String,
}

impl Place<'_> {
    /// Whether an adopted secret is ours, by the one tag that is looked at; nothing without the tag.
    fn is_ours(&self, found: &Description) -> Option<bool> {
        found.tags.get(tags::KEY).map(|tag| Owner::parse(tag, &self.owner.inventory).as_ref() == Some(&self.owner))
    }

    /// True when an adopted secret is another key's. Without the tag, what is there and does not name us may be.
    fn is_anothers(&self, found: &Description) -> bool {
        let perhaps = || !found.rivals.is_empty() || found.has_unnamed();
        self.is_ours(found).map_or_else(perhaps, |ours| !ours)
    }

    /// Why a secret that is another's, or may be, is refused.
    fn refusal(&self, found: &Description) -> &'static str {
        let here = &self.owner.inventory;
        let tagged = found.tags.get(tags::KEY).map(|tag| Owner::parse(tag, here));
        if tagged.iter().flatten().chain(&found.rivals).any(|owner| owner.inventory != *here) {
            ANOTHER_INVENTORY
        } else if tagged.is_none() && (found.rival_staged || found.has_unnamed()) {
            UNTAGGED
        } else {
            ANOTHER_KEY
        }
    }
}

impl Store {
    /// Where a key lies.
    fn place<'a>(&self, cx: &'a Context, operation: Operation, target: &'a Target) -> Result<Place<'a>> {
        let call = self.wire.call_about(cx, operation, &target.id);
        if cx.is_expired() {
            return Err(call.error(ErrorKind::Unavailable, "the deadline has passed"));
        }
        let secret = match &target.location {
            Location::Derived => self.prefix.material(&target.id),
            Location::AwsSecret { name } => name.as_str().to_owned(),
            _ => return Err(call.error(ErrorKind::Unsupported, "this location is not in AWS Secrets Manager")),
        };
        let owner = Owner { key: target.id.clone(), inventory: self.prefix.inventory() };
        Ok(Place { cx, call, target, owner, secret })
    }

    /// The secret as it is; refused when it is about to go.
    async fn described(&self, place: &Place<'_>) -> Result<Option<Description>> {
        let found = self.wire.describe(place.call, &place.secret).await?;
        match found {
            Some(found) if found.goes_at.is_some() => {
                Err(place.call.error(ErrorKind::PendingDeletion, "the secret is scheduled for deletion"))
            }
            found => Ok(found),
        }
    }

    /// Refuses what must not be written here.
    fn check_writable(&self, place: &Place<'_>, found: &Description) -> Result<()> {
        if found.rotated_natively {
            let detail = "AWS rotates this secret itself; switch its rotation off first";
            return Err(place.call.error(ErrorKind::Unsupported, detail));
        }
        if found.is_replica_in(&self.region) {
            let detail = "this is a replica; rotate in the region of the primary secret";
            return Err(place.call.error(ErrorKind::Unsupported, detail));
        }
        if place.target.location != Location::Derived && place.is_anothers(found) {
            return Err(place.call.error(ErrorKind::Conflict, place.refusal(found)));
        }
        Ok(())
    }

    /// Puts the tag back that says whose an adopted secret is, where our labels still do. Whoever cannot is none the
    /// worse for it: the labels go on keeping others away.
    async fn restore_tag(&self, place: &Place<'_>, found: &Description) {
        let is_lost = place.is_ours(found).is_none() && !place.is_anothers(found) && found.has_named();
        if place.target.location != Location::Derived && is_lost {
            let guard = [(tags::KEY, place.owner.to_string())];
            self.wire.tag(place.call.hurried(), &place.secret, &guard).await.ok();
        }
    }

    pub(crate) async fn pointer(&self, cx: &Context, target: &Target) -> Result<Pointer> {
        let place = self.place(cx, Operation::Pointer, target)?;
        Ok(self.pointer_of(&place, self.described(&place).await?.as_ref()))
    }

    fn pointer_of(&self, place: &Place<'_>, found: Option<&Description>) -> Pointer {
        let nothing = || Pointer { token: self.absence.token(), shows: Shows::Nothing };
        found.map_or_else(nothing, |found| found.pointer(&place.owner))
    }

    /// True when the pointer is where the caller saw it.
    fn stands_at(&self, pointer: &Pointer, expect: &PointerToken) -> bool {
        // Seen before there was a secret: good for its placeholder.
        pointer.token == *expect || (names::is_placeholder(pointer.token.as_str()) && self.absence.is(expect))
    }
}

/// Tokens of secrets that are not there yet.
///
/// Such a token is good for the first publication only, in the process that saw it, and only until
/// that process retires a key: afterwards a secret may have come and gone in between.
#[derive(Clone, Debug)]
pub(crate) struct Absence(Arc<(Uuid, AtomicU64)>);

impl Absence {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Uuid::now_v7(), AtomicU64::new(0))))
    }

    fn token(&self) -> PointerToken {
        PointerToken::new(format!("absent-{}-{}", self.0.0.simple(), self.0.1.load(Ordering::SeqCst)))
    }

    fn is(&self, token: &PointerToken) -> bool {
        self.token() == *token
    }

    /// A key is being retired.
    fn end(&self) {
        self.0.1.fetch_add(1, Ordering::SeqCst);
    }
}
