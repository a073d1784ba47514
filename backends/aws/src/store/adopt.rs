//! Existing secrets, brought under management where they lie. Values and what native readers see are
//! never touched: only labels and tags of ours come and go.

use aws_sdk_secretsmanager::types::FilterNameStringType;
use keyward_core::{
    Context, DiscoverQuery, ErrorKind, Existing, Location, Material, Operation, Page, PageToken, Result, Target,
    VersionId,
};

use super::{ANOTHER_KEY, Place, ROUNDS, Store, tags};
use crate::error::{Class, Fault};
use crate::names::{self, RETIRED};
use crate::wire::Description;

/// Page tokens of ours begin so.
const PAGE: &str = "aws:";

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
        existing.managed_by = found.tags.get(tags::KEY).and_then(|key| key.parse().ok());
        existing.obstacles = self.obstacles(&found);
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

    pub(crate) async fn claim(&self, cx: &Context, target: &Target, version: VersionId) -> Result<Material> {
        let place = self.adopted(cx, target)?;
        for _ in 0..ROUNDS {
            let missing = || place.call.error(ErrorKind::NotFound, "there is no secret with a current value");
            let found = self.described(&place).await?.ok_or_else(missing)?;
            self.check_claim(&place, &found)?;
            let value = self.wire.current(place.call, &place.secret).await?.ok_or_else(missing)?;
            let Some(material) = value.raw.material(&target.shape) else {
                return Err(place
                    .call
                    .error(ErrorKind::Invalid, "the current value does not have the shape of the key"));
            };
            // The guard against other keys comes first, the label that makes it ours last.
            let guard = [(tags::KEY, target.id.to_string())];
            self.wire.tag(place.call, &place.secret, &guard).await?;
            let label = names::claimed(version);
            let kept = found.holder(&label) == Some(value.id.as_str());
            self.unlabel(&place, &found, |held| !(kept && held == version)).await?;
            if let Some(holder) = found.holder(RETIRED) {
                settle(self.wire.move_label(place.call, &place.secret, RETIRED, Some(holder), None).await)?;
            }
            if !kept {
                settle(self.wire.move_label(place.call, &place.secret, &label, None, Some(&value.id)).await)?;
            }
            // Somebody may have written another value meanwhile: then that one is claimed instead.
            let now = self.described(&place).await?.ok_or_else(missing)?;
            let ours = !place.is_of_another_key(&now) && now.holder(&label) == Some(value.id.as_str());
            if ours && now.current() == Some(value.id.as_str()) {
                return Ok(material);
            }
        }
        Err(place.call.error(ErrorKind::Conflict, "another writer keeps changing the secret"))
    }

    fn check_claim(&self, place: &Place<'_>, found: &Description) -> Result<()> {
        if place.is_of_another_key(found) {
            return Err(place.call.error(ErrorKind::Conflict, ANOTHER_KEY));
        }
        if found.current().is_none() {
            return Err(place.call.error(ErrorKind::NotFound, "the secret has no current value"));
        }
        // A claim that comes late must not take the labels of what a rotation has put there.
        if found.versions().iter().any(|&held| found.holds(held) == Some(held.to_string().as_str())) {
            return Err(place.call.error(ErrorKind::Conflict, "the key has been rotated since"));
        }
        match self.obstacles(found).first() {
            Some(obstacle) => Err(place.call.error(ErrorKind::Conflict, obstacle)),
            None => Ok(()),
        }
    }

    pub(crate) async fn release(&self, cx: &Context, target: &Target) -> Result<()> {
        let place = self.adopted(cx, target)?;
        let Some(found) = self.wire.describe(place.call, &place.secret).await? else { return Ok(()) };
        if found.goes_at.is_some() || place.is_of_another_key(&found) {
            return Ok(());
        }
        if found.shows_a_publication() {
            let detail = "a version of this key was published there since; retire the key instead";
            return Err(place.call.error(ErrorKind::Conflict, detail));
        }
        self.unlabel(&place, &found, |_| true).await?;
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
            // By ARN, the name follows the last colon of the fixed part.
            Location::AwsSecret { name } if self.prefix.owns(name.as_str().rsplit(":secret:").next().unwrap_or("")) => {
                Err(place.call.error(ErrorKind::Conflict, "the secret is the store's own"))
            }
            Location::AwsSecret { .. } => Ok(place),
            _ => Err(place.call.error(ErrorKind::Unsupported, "this location is no existing AWS secret")),
        }
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

/// Refused because the state changed meanwhile: the look afterwards decides.
fn settle(moved: Result<(), Fault>) -> Result<()> {
    match moved {
        Err(fault) if !matches!(fault.class(), Class::Exists | Class::Refused | Class::Absent) => Err(fault.into()),
        _ => Ok(()),
    }
}
