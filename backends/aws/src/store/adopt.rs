//! Existing secrets, brought under management where they lie. Values and what native readers see are
//! never touched: only labels and tags of ours come and go.

use aws_sdk_secretsmanager::types::FilterNameStringType;
use keyward_core::{
    Context, DiscoverQuery, ErrorKind, Existing, Location, Material, Operation, Page, PageToken, Result, Target,
    VersionId,
};

use super::material::names_its_key;
use super::{ANOTHER_INVENTORY, Place, Store, UNTAGGED, tags};
use crate::error::{Class, Fault};
use crate::names::{self, Owner, RETIRED};
use crate::wire::Description;

/// Page tokens of ours begin so.
const PAGE: &str = "aws:";
/// How many looks a claim takes that meets nobody, and how many at most.
const STEPS: usize = 3;
const LOOKS: usize = 8;
const OWN: &str = "it is one of the store's own secrets; choose one of others";
const REPLACED: &str = "the value of the secret was replaced since it was claimed; release the key and adopt it again";
const OLDER: &str = "a later version of the key has its place there; release the key and adopt it again";

impl Store {
    pub(crate) async fn discover(
        &self,
        cx: &Context,
        query: &DiscoverQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Location>> {
        let call = self.wire.call(cx, Operation::List);
        if cx.is_expired() {
            return Err(call.error(ErrorKind::Unavailable, "the deadline has passed"));
        }
        let token = page.as_ref().map(|token| {
            let token = token.as_str().strip_prefix(PAGE).filter(|token| !token.is_empty());
            token.ok_or_else(|| call.error(ErrorKind::Invalid, "not a page token of this store"))
        });
        let found = self.wire.entries(call, filters(query), token.transpose()?.map(str::to_owned)).await?;
        let wanted = |entry: &crate::wire::Entry| {
            let begins = query.prefix.as_ref().is_none_or(|prefix| entry.name.starts_with(prefix));
            let tagged = query.tag.as_ref().is_none_or(|(name, value)| {
                entry.tags.get(name).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            });
            begins && tagged && !self.prefix.owns(&entry.name)
        };
        let places = found.entries.iter().filter(|entry| wanted(entry));
        let items = places.filter_map(|entry| Location::aws_secret(&entry.name).ok()).collect();
        Ok(Page { items, next: found.next.map(|token| PageToken::new(format!("{PAGE}{token}"))) })
    }

    pub(crate) async fn inspect(&self, cx: &Context, location: &Location) -> Result<Existing> {
        let call = self.wire.call(cx, Operation::Adoption);
        if cx.is_expired() {
            return Err(call.error(ErrorKind::Unavailable, "the deadline has passed"));
        }
        let Location::AwsSecret { name } = location else {
            return Err(call.error(ErrorKind::Unsupported, "this location is no existing AWS secret"));
        };
        let found = self.wire.describe(call, name.as_str()).await?;
        let found = found.ok_or_else(|| call.error(ErrorKind::NotFound, "there is no such secret"))?;
        let mut existing = Existing::at(location.clone());
        let here = self.prefix.inventory();
        let tagged = found.tags.get(tags::KEY).and_then(|tag| Owner::parse(tag, &here));
        existing.obstacles = self.obstacles(&found);
        if tagged.iter().chain(&found.rivals).any(|owner| owner.inventory != here) {
            existing.obstacles.push(ANOTHER_INVENTORY);
        }
        // A claim that is not finished has no tag either, and no version but the one that was there.
        if !found.tags.contains_key(tags::KEY) && (found.rival_staged || found.has_unnamed()) {
            existing.obstacles.push(UNTAGGED);
        }
        existing.managed_by = tagged.or_else(|| found.rivals.first().cloned()).map(|owner| owner.key);
        existing.changed_at = found.changed_at;
        if found.goes_at.is_none() {
            existing.shape = match self.wire.current(call, name.as_str()).await {
                Ok(current) => current.map(|current| current.raw.shape()),
                Err(fault) if matches!(fault.class(), Class::Denied | Class::Undecryptable) => None,
                Err(fault) => return Err(fault.into()),
            };
        }
        existing.tags = found.tags;
        Ok(existing)
    }

    fn obstacles(&self, found: &Description) -> Vec<&'static str> {
        let mut obstacles = Vec::new();
        if self.prefix.owns(&found.name) {
            obstacles.push(OWN);
        }
        if found.goes_at.is_some() {
            obstacles.push("it is scheduled for deletion; restore it first");
        }
        if found.rotated_natively {
            obstacles.push("AWS or another service rotates it; switch that off first");
        }
        if found.is_replica_in(&self.region) {
            obstacles.push("it is a replica; adopt it in the region of the primary secret");
        }
        if found.current().is_none() {
            obstacles.push("it has no current value; store one first");
        }
        obstacles
    }

    /// Claims in steps, with a look after each: first our label, which every other key sees; then, where no other key
    /// has a label, the tag; and it is ours once a look shows both and still no other. Of two keys one at least sees the
    /// other, and whoever sees another in the lead takes its own label back.
    pub(crate) async fn claim(&self, cx: &Context, target: &Target, version: VersionId) -> Result<Material> {
        let place = self.adopted(cx, target)?;
        let label = names::claimed(version, &place.owner);
        // Whether this very call has put the label where it is.
        let mut put = false;
        for look in 1..=LOOKS {
            if look > STEPS {
                self.wire.pause(cx, look - STEPS).await;
            }
            let missing = || place.call.error(ErrorKind::NotFound, "there is no secret with a current value");
            let found = self.described(&place).await?.ok_or_else(missing)?;
            let (labelled, tagged) = (found.holder(&label), place.is_ours(&found));
            let alone = found.held().all(|(_, held, _)| held == label) && found.holder(RETIRED).is_none();
            let is_done = labelled.is_some() && labelled == found.current() && tagged == Some(true) && alone;
            // What was done before this call stays, whoever came since.
            let had_it = tagged == Some(true) && look == 1;
            if has_rival(&place, &found) && !(had_it && is_done) {
                let leads =
                    tagged == Some(true) || tagged.is_none() && found.rivals.iter().all(|rival| place.owner < *rival);
                if labelled.is_some() && leads && look < LOOKS {
                    continue;
                }
                // Without the tag, what was there before this call may be a claim that was made, and its tag lost.
                if put || !had_it && tagged.is_some() {
                    self.give_way(&place, &found, version).await?;
                }
                return Err(place.call.error(ErrorKind::Conflict, place.refusal(&found)));
            }
            self.check_claim(&place, &found, version)?;
            // Its label is elsewhere, or went with the value it was on.
            let lost = tagged == Some(true) && found.versions().is_empty();
            if !put && found.holds(version).map_or(lost, |held| Some(held) != found.current()) {
                return Err(place.call.error(ErrorKind::Conflict, REPLACED));
            }
            let value = self.wire.current(place.call, &place.secret).await?.ok_or_else(missing)?;
            let Some(material) = value.raw.material(&target.shape) else {
                let detail = "the current value does not have the shape of the key";
                return Err(place.call.error(ErrorKind::Invalid, detail));
            };
            let is_here = labelled == Some(value.id.as_str());
            if is_done && is_here {
                return Ok(material);
            }
            if !is_here {
                self.unlabel(&place, &found, |_, held| held == label).await?;
                settle(self.wire.move_label(place.call, &place.secret, &label, None, Some(&value.id)).await)?;
                put = true;
                continue;
            }
            let guard = [(tags::KEY, place.owner.to_string())];
            if let Err(fault) = self.wire.tag(place.call, &place.secret, &guard).await {
                if !fault.may_pass() {
                    // Others must not wait for a claim that can never be made.
                    self.unlabel(&place, &found, names_its_key).await?;
                }
                return Err(fault.into());
            }
            self.unlabel(&place, &found, |_, held| held != label).await?;
            if let Some(holder) = found.holder(RETIRED) {
                settle(self.wire.move_label(place.call, &place.secret, RETIRED, Some(holder), None).await)?;
            }
        }
        Err(place.call.error(
            ErrorKind::Conflict,
            "the secret keeps changing, or does not show yet what was written; claim it again",
        ))
    }

    fn check_claim(&self, place: &Place<'_>, found: &Description, version: VersionId) -> Result<()> {
        if found.current().is_none() {
            return Err(place.call.error(ErrorKind::NotFound, "the secret has no current value"));
        }
        // A claim that comes late must not take the labels of what a rotation has put there.
        if found.versions().iter().any(|&held| found.holds(held) == Some(held.to_string().as_str())) {
            return Err(place.call.error(ErrorKind::Conflict, "the key has been rotated since"));
        }
        if found.versions().iter().any(|held| *held > version) {
            return Err(place.call.error(ErrorKind::Conflict, OLDER));
        }
        match self.obstacles(found).first() {
            Some(obstacle) => Err(place.call.error(ErrorKind::Conflict, obstacle)),
            None => Ok(()),
        }
    }

    /// Takes back what we put there and leaves the rest to the other key.
    async fn give_way(&self, place: &Place<'_>, found: &Description, version: VersionId) -> Result<()> {
        // In this order: while our label is there, no other key sets the tag.
        if place.is_ours(found) == Some(true) {
            self.wire.untag(place.call, &place.secret, &[tags::KEY]).await?;
        }
        self.unlabel(place, found, |held, label| held == version && names_its_key(held, label)).await
    }

    pub(crate) async fn release(&self, cx: &Context, target: &Target) -> Result<()> {
        let place = self.adopted(cx, target)?;
        let Some(found) = self.wire.describe(place.call, &place.secret).await? else { return Ok(()) };
        if found.goes_at.is_some() {
            return Ok(());
        }
        if place.is_anothers(&found) {
            if found.has_named() && found.shows_a_publication(&place.owner) {
                return Err(place.call.error(ErrorKind::Conflict, place.refusal(&found)));
            }
            return self.unlabel(&place, &found, names_its_key).await;
        }
        if found.shows_a_publication(&place.owner) {
            let detail = "a version of this key was published there since; retire the key instead";
            return Err(place.call.error(ErrorKind::Conflict, detail));
        }
        self.unlabel(&place, &found, |_, _| true).await?;
        self.untag(&place, &found).await
    }

    /// Takes our tags off.
    pub(super) async fn untag(&self, place: &Place<'_>, found: &Description) -> Result<()> {
        if let Some(tags) = &self.tags {
            tags.forget(&place.target.id);
        }
        if found.tags.keys().any(|key| tags::ALL.contains(&key.as_str())) {
            self.wire.untag(place.call, &place.secret, &tags::ALL).await?;
        }
        Ok(())
    }

    /// Where an adopted key lies.
    fn adopted<'a>(&self, cx: &'a Context, target: &'a Target) -> Result<Place<'a>> {
        let place = self.place(cx, Operation::Adoption, target)?;
        match &target.location {
            Location::AwsSecret { name } if self.prefix.owns(named(name.as_str())) => {
                Err(place.call.error(ErrorKind::Conflict, OWN))
            }
            Location::AwsSecret { .. } => Ok(place),
            _ => Err(place.call.error(ErrorKind::Unsupported, "this location is no existing AWS secret")),
        }
    }
}

/// The name in a name or an ARN, where it follows the last colon of the fixed part and has a hyphen and six characters
/// behind it.
fn named(place: &str) -> &str {
    match place.rsplit_once(":secret:") {
        Some((_, name)) => name.rsplit_once('-').filter(|(_, end)| end.len() == 6).map_or(name, |(name, _)| name),
        None => place,
    }
}

fn filters(query: &DiscoverQuery) -> Vec<(FilterNameStringType, String)> {
    let mut filters = Vec::new();
    // A leading exclamation mark would turn a filter round.
    let mut add = |key, value: &str| {
        if !value.is_empty() && !value.starts_with('!') {
            filters.push((key, value.to_owned()));
        }
    };
    if let Some(prefix) = &query.prefix {
        add(FilterNameStringType::Name, prefix);
    }
    if let Some((name, value)) = &query.tag {
        add(FilterNameStringType::TagKey, name);
        if let Some(value) = value {
            add(FilterNameStringType::TagValue, value);
        }
    }
    filters
}

/// True when another key has the secret or claims it. What does not say whose it is may be another's, until the tag says
/// that all of it is ours.
fn has_rival(place: &Place<'_>, found: &Description) -> bool {
    !found.rivals.is_empty() || place.is_anothers(found)
}

/// Refused because the state changed meanwhile: the look afterwards decides.
fn settle(moved: Result<(), Fault>) -> Result<()> {
    match moved {
        Err(fault) if !matches!(fault.class(), Class::Exists | Class::Refused | Class::Absent) => Err(fault.into()),
        _ => Ok(()),
    }
}
