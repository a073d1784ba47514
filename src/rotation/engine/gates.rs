//! What the gates say before the old version is given up.

use chrono::{DateTime, Utc};
use keyward_core::{
    AdoptionSignal, Context, Evidence, HealthQuery, KeyRecord, LastUse, SecretBackend, Version, VersionId,
};

use super::super::builder::Rotator;
use super::super::gate::adoption::{self, Published};
use super::super::gate::{Verdict, usage};

/// What three gates say together.
#[derive(Debug)]
pub(super) struct Gates {
    health: Verdict,
    /// Absent where no signal is registered.
    usage: Option<Verdict>,
    adoption: Option<Verdict>,
}

impl Gates {
    /// What each saw, once all that were asked pass; else what is missing.
    pub(super) fn passed(&self) -> Result<Vec<Evidence>, String> {
        let named =
            [("health", Some(&self.health)), ("usage", self.usage.as_ref()), ("adoption", self.adoption.as_ref())];
        let (mut seen, mut missing, mut unasked) = (Vec::new(), Vec::new(), Vec::new());
        for (gate, verdict) in named {
            match verdict {
                Some(Verdict::Pass(evidence)) => seen.push(Evidence::lossy(&format!("{gate} gate passed: {evidence}"))),
                Some(Verdict::Fail(why) | Verdict::Insufficient(why)) => missing.push(format!("{gate}: {why}")),
                None => unasked.push(gate),
            }
        }
        if !missing.is_empty() {
            return Err(missing.join("; "));
        }
        if !unasked.is_empty() {
            let unasked = unasked.join(" and ");
            seen.push(Evidence::lossy(&format!("not looked at, for want of a signal: {unasked}")));
        }
        Ok(seen)
    }
}

impl<B: SecretBackend> Rotator<B> {
    pub(super) async fn ask_health(
        &self,
        cx: &Context,
        record: &KeyRecord,
        new: VersionId,
        old: Option<VersionId>,
        since: DateTime<Utc>,
        soaked: bool,
    ) -> Verdict {
        let Some(signal) = &self.health else {
            return Verdict::Insufficient("no health signal is registered".to_owned());
        };
        let query = HealthQuery { key: record.id().clone(), new, old, since };
        match signal.health(cx, &query).await {
            Ok(report) => self.gate.judge(&report, soaked),
            Err(error) => Verdict::Insufficient(format!("the health signal failed: {}", error.kind())),
        }
    }

    /// Asks the gates that are asked only once the windows are over.
    pub(super) async fn ask_the_others(
        &self,
        cx: &Context,
        record: &KeyRecord,
        health: Verdict,
        old: &Version,
        new: VersionId,
        now: DateTime<Utc>,
    ) -> Gates {
        let usage = match self.last_use(cx, record, old.id).await {
            None => None,
            Some(Ok(last)) => Some(usage::judge(last, now, usage::quiet(record.policy()))),
            Some(Err(error)) => Some(Verdict::Insufficient(format!("the signal failed: {}", error.kind()))),
        };
        let adoption = self.ask_adoption(&self.renewed(cx), record, new, now).await;
        Gates { health, usage, adoption }
    }

    /// When the version was last used; absent where no signal is registered.
    pub(super) async fn last_use(
        &self,
        cx: &Context,
        record: &KeyRecord,
        version: VersionId,
    ) -> Option<keyward_core::Result<LastUse>> {
        Some(self.usage.as_ref()?.last_use(cx, record.id(), version).await)
    }

    async fn ask_adoption(
        &self,
        cx: &Context,
        record: &KeyRecord,
        new: VersionId,
        now: DateTime<Utc>,
    ) -> Option<Verdict> {
        let consumers = self.consumers(cx, record).await?;
        let at = record.version(new).map_or(now, |v| v.entered_at);
        let published = Published { version: new, at, ttl: self.settings.reader_ttl };
        Some(match consumers {
            Ok(consumers) => adoption::judge(&consumers, published, now),
            Err(error) => Verdict::Insufficient(format!("the signal failed: {}", error.kind())),
        })
    }

    /// Which consumers use which version, by the registered signal or by the ledger of the store.
    pub(in super::super) async fn consumers(
        &self,
        cx: &Context,
        record: &KeyRecord,
    ) -> Option<keyward_core::Result<Vec<keyward_core::Adoption>>> {
        match (&self.adoption, self.backend.adoption()) {
            (Some(signal), _) => Some(signal.consumers(cx, record.id()).await),
            (None, Some(ledger)) => Some(AdoptionSignal::consumers(ledger, cx, record.id()).await),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass() -> Verdict {
        Verdict::Pass("fine".to_owned())
    }

    #[test]
    fn all_that_were_asked_must_pass() {
        let asked = |usage, adoption| Gates { health: pass(), usage, adoption }.passed();
        assert_eq!(asked(Some(pass()), Some(pass())).expect("passed").len(), 3);
        let missing = || Some(Verdict::Insufficient("seen a minute ago".to_owned()));
        assert_eq!(asked(missing(), Some(pass())).expect_err("insufficient"), "usage: seen a minute ago");
        assert_eq!(asked(Some(pass()), missing()).expect_err("insufficient"), "adoption: seen a minute ago");
        let health = Verdict::Insufficient("silence".to_owned());
        assert!(Gates { health, usage: None, adoption: None }.passed().is_err());
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let seen = Gates { health: pass(), usage: None, adoption: None }.passed().expect("passed");
        assert_eq!(seen[1].as_str(), "not looked at, for want of a signal: usage and adoption");
    }
}
