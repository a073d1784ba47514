//! Material that is not published: staging it, giving it up, seeing what is there.
//!
//! A version is held exactly while it carries a label of its own, `keyward-staged-<version>`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{
    Clock, Context, ErrorKind, Location, Material, Operation, PublicationId, Result, Retire, Shows, Stage, Survey,
    SystemClock, Target, VersionId, Withdraw,
};

use super::{Place, ROUNDS, Store};
use crate::error::Class;
use crate::names::{self, RETIRED};
use crate::native::Raw;
use crate::wire::Description;

const DAY: u64 = 86_400;

/// AWS makes the first version of a secret current, whatever label was asked for.
const EMPTY: &str = "the secret has no value yet, and the first one put there would be shown to readers at once; \
                     put a placeholder there, or delete the secret";

impl Store {
    pub(crate) async fn stage(
        &self,
        cx: &Context,
        target: &Target,
        version: VersionId,
        material: &Material,
    ) -> Result<Stage> {
        let place = self.place(cx, Operation::Stage, target)?;
        if material.shape() != target.shape {
            return Err(place.call.error(ErrorKind::Invalid, "the material has another shape than the key"));
        }
        let mut raw = Raw::of(material).map_err(|detail| place.call.error(ErrorKind::Invalid, detail))?;
        let found = self.container(&place).await?;
        self.check_writable(&place, &found)?;
        if found.holds(version).is_some() {
            return self.compare(&place, version, material).await;
        }
        if found.current().is_none() {
            return Err(place.call.error(ErrorKind::Unavailable, EMPTY));
        }
        if target.location != Location::Derived {
            raw.is_text &= self.reads_as_text(&place).await?;
        }
        self.restore_tag(&place, &found).await;
        let owner = (target.location != Location::Derived).then_some(&place.owner);
        let (id, label) = (version.to_string(), names::staged(version, owner));
        match self.wire.put(place.call, &place.secret, &id, &raw, &label).await {
            Ok(labels) => self.stored(&place, version, &labels, &label).await,
            Err(fault) if fault.class() == Class::Exists => Ok(Stage::Conflict),
            // Perhaps it was stored and the reply lost.
            Err(fault) if matches!(fault.class(), Class::Lost | Class::Refused) => {
                let found = self.described(&place).await;
                match found {
                    Ok(Some(found)) if found.holder(&label).is_some() => Ok(Stage::Stored),
                    Ok(Some(found)) if found.holds(version).is_some() => self.compare(&place, version, material).await,
                    Err(error) if error.kind() == ErrorKind::PendingDeletion => Err(error),
                    _ => Err(fault.into()),
                }
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Whether the readers of an adopted secret find text there. Those of `SecretBinary` must go on finding that.
    async fn reads_as_text(&self, place: &Place<'_>) -> Result<bool> {
        match self.wire.current(place.call, &place.secret).await {
            Ok(current) => Ok(current.is_none_or(|current| current.raw.is_text)),
            // Whoever may only write has been told nothing of its readers.
            Err(fault) if matches!(fault.class(), Class::Denied | Class::Undecryptable) => Ok(true),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The secret, created with a placeholder where it is a derived one and not there yet.
    async fn container(&self, place: &Place<'_>) -> Result<Description> {
        if let Some(found) = self.described(place).await? {
            return Ok(found);
        }
        if place.target.location != Location::Derived {
            return Err(place.call.error(ErrorKind::NotFound, "there is no such secret to store it in"));
        }
        let (id, text) = (names::placeholder(), names::PLACEHOLDER_TEXT);
        let created = self.wire.create(place.call, &place.secret, &id, text).await;
        if let Err(fault) = &created
            && !matches!(fault.class(), Class::Exists | Class::Refused | Class::Lost)
        {
            return Err(fault.error().clone());
        }
        for round in 1..=ROUNDS {
            if let Some(found) = self.described(place).await? {
                return Ok(found);
            }
            self.wire.pause(place.cx, round).await;
        }
        match created {
            Err(fault) => Err(fault.into()),
            Ok(()) => Err(place.call.error(ErrorKind::Unavailable, "the new secret cannot be seen yet")),
        }
    }

    /// What an accepted put means, by the labels the version has afterwards: a put that was only a
    /// repeat of an earlier one leaves the labels of that one.
    async fn stored(&self, place: &Place<'_>, version: VersionId, labels: &[String], own: &str) -> Result<Stage> {
        if labels.iter().any(|label| label == own) {
            return Ok(Stage::Stored);
        }
        if labels.iter().any(|label| names::held_by(label) == Some(version)) {
            return Ok(Stage::AlreadySame);
        }
        // The same bytes were there without a label: they had been withdrawn.
        let found = self.described(place).await?;
        if found.is_some_and(|found| found.holds(version).is_some()) {
            return Ok(Stage::AlreadySame);
        }
        let id = version.to_string();
        self.wire.move_label(place.call, &place.secret, own, None, Some(&id)).await?;
        Ok(Stage::Stored)
    }

    /// As material, not as text: what was claimed may be written another way.
    async fn compare(&self, place: &Place<'_>, version: VersionId, material: &Material) -> Result<Stage> {
        let Some(found) = self.held(place, version).await? else {
            return Err(place.call.error(ErrorKind::Unavailable, "the version was withdrawn meanwhile"));
        };
        let there = found.raw.material(&place.target.shape);
        let same = there.is_some_and(|there| there.ct_eq(material));
        Ok(if same { Stage::AlreadySame } else { Stage::Conflict })
    }

    pub(crate) async fn withdraw(&self, cx: &Context, target: &Target, version: VersionId) -> Result<Withdraw> {
        let place = self.place(cx, Operation::Withdraw, target)?;
        let Some(found) = self.described(&place).await? else { return Ok(Withdraw::Absent) };
        if matches!(found.shows(&place.owner), Shows::Ours { version: shown, .. } if shown == version) {
            let detail = "the pointer shows this version; publish another one first";
            return Err(place.call.error(ErrorKind::Conflict, detail));
        }
        if found.holds(version).is_none() {
            return Ok(Withdraw::Absent);
        }
        self.unlabel(&place, &found, |held, _| held == version).await?;
        Ok(Withdraw::Deferred { readable_until: None })
    }

    /// Takes labels of held versions off; never those of other keys' claims.
    pub(super) async fn unlabel(
        &self,
        place: &Place<'_>,
        found: &Description,
        which: impl Fn(VersionId, &str) -> bool,
    ) -> Result<()> {
        for (version, label, id) in found.held() {
            if !which(version, label) {
                continue;
            }
            if let Err(fault) = self.wire.move_label(place.call, &place.secret, label, Some(id), None).await {
                // Done already, by an earlier call or another process, or really refused.
                match self.described(place).await {
                    Ok(now) if now.as_ref().is_none_or(|now| now.holder(label).is_none()) => {}
                    Err(error) if fault.class() != Class::Lost => return Err(error),
                    _ => return Err(fault.into()),
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn survey(&self, cx: &Context, target: &Target) -> Result<Survey> {
        let place = self.place(cx, Operation::Survey, target)?;
        let found = self.wire.describe(place.call, &place.secret).await?;
        let versions = found.as_ref().map(Description::versions).unwrap_or_default();
        Ok(Survey::new(versions, self.pointer_of(&place, found.as_ref())))
    }

    pub(crate) async fn retire(&self, cx: &Context, target: &Target, grace: Duration) -> Result<Retire> {
        let place = self.place(cx, Operation::Retire, target)?;
        let Some(found) = self.wire.describe(place.call, &place.secret).await? else { return Ok(Retire::Absent) };
        if target.location != Location::Derived {
            return self.let_go(&place, &found).await;
        }
        if let Some(at) = found.goes_at {
            return Ok(Retire::Scheduled { at });
        }
        self.absence.end();
        if let Some(tags) = &self.tags {
            tags.forget(&target.id);
        }
        // What another writer put there can be brought back for a while, whatever was asked.
        let days = (found.shows(&place.owner) == Shows::Foreign || !grace.is_zero()).then(|| window(grace));
        match (self.wire.delete(place.call, &place.secret, days).await, days) {
            (Ok(_), None) => Ok(Retire::Retired),
            (Ok(at), Some(days)) => Ok(Retire::Scheduled { at: at.unwrap_or_else(|| in_days(days)) }),
            (Err(fault), _) => match self.wire.describe(place.call, &place.secret).await {
                Ok(None) => Ok(Retire::Retired),
                Ok(Some(now)) => now.goes_at.map(|at| Retire::Scheduled { at }).ok_or_else(|| fault.into()),
                Err(_) => Err(fault.into()),
            },
        }
    }

    /// Gives up an adopted secret: it is others' too, so only what is ours there goes.
    async fn let_go(&self, place: &Place<'_>, found: &Description) -> Result<Retire> {
        let shows = found.shows(&place.owner);
        // Let go of before, and adopted by another key since; or never ours, for all we can see.
        if place.is_anothers(found) {
            self.unlabel(place, found, names_its_key).await?;
            return Ok(if found.has_named() { Retire::Retired } else { Retire::Absent });
        }
        if found.versions().is_empty() && !matches!(shows, Shows::Ours { .. }) {
            // Perhaps a retire that was stopped has left it.
            if place.is_ours(found) == Some(true) && found.goes_at.is_none() {
                self.untag(place, found).await?;
            }
            return Ok(Retire::Absent);
        }
        if found.goes_at.is_some() {
            return Ok(Retire::Retired);
        }
        if let (Shows::Ours { .. }, Some(current)) = (shows, found.current()) {
            let from = found.holder(RETIRED);
            self.wire.move_label(place.call, &place.secret, RETIRED, from, Some(current)).await?;
        }
        self.unlabel(place, found, |_, _| true).await?;
        self.untag(place, found).await?;
        Ok(Retire::Retired)
    }
}

/// True for a label that says whose it is. All that is left to us where another key has the secret.
pub(super) fn names_its_key(_: VersionId, label: &str) -> bool {
    !names::is_unnamed(label)
}

/// True for a publication that is the first one of a version.
pub(super) fn is_first(publication: PublicationId, version: VersionId) -> bool {
    publication == PublicationId::first(version)
}

/// The window of AWS that covers a grace: whole days, 7 to 30.
fn window(grace: Duration) -> i64 {
    i64::try_from(grace.as_secs().div_ceil(DAY)).unwrap_or(i64::MAX).clamp(7, 30)
}

fn in_days(days: i64) -> DateTime<Utc> {
    let days = chrono::TimeDelta::try_days(days).unwrap_or_default();
    SystemClock.now().checked_add_signed(days).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_becomes_whole_days_within_what_aws_takes() {
        let days = |n: u64| Duration::from_secs(n * DAY);
        for (grace, expected) in [(days(1), 7), (days(7), 7), (days(7) + Duration::from_secs(1), 8), (days(90), 30)] {
            assert_eq!(window(grace), expected);
        }
        assert_eq!(window(Duration::MAX), 30);
    }
}
