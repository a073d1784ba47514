//! Who loads the key, and how soon they notice a new version.

use std::fmt;
use std::time::Duration;

use keyward_core::{
    Adoption, Clock, Context, ManualClock, MemoryBackend, Read, Reason, SecretBackendExt, Select, Target, VersionId,
};

use super::rehearsal::fresh;
use crate::keyring::Keyring;

/// A consumer of the key: how often it asks the store, and how long it may go on with what it has.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Consumer {
    /// Its name. Printed in the report.
    pub name: String,
    /// How often it asks the store.
    pub refresh: Duration,
    /// How long it may use a value after it last asked, also when the store is away.
    pub holds: Duration,
}

impl Consumer {
    /// A service that loads the key through a [`Keyring`] with its default limits.
    pub fn library(name: &str) -> Self {
        Self::new(name, Keyring::SOFT_TTL, Keyring::HARD_TTL)
    }

    /// A consumer that keeps a value for `ttl` and then asks again, as the caches of vendors do
    /// (often an hour), or a job that loads the key each time it runs.
    pub fn caching(name: &str, ttl: Duration) -> Self {
        Self::new(name, ttl, ttl)
    }

    /// A consumer by its two limits; the second is at least the first.
    pub fn new(name: &str, refresh: Duration, holds: Duration) -> Self {
        let refresh = refresh.max(Duration::from_secs(1));
        Self { name: Reason::lossy(name).to_string(), refresh, holds: holds.max(refresh) }
    }

    /// A consumer the adoption ledger of a store knows.
    pub fn known(adoption: &Adoption) -> Self {
        Self::library(&format!("{} on {}", adoption.service, adoption.instance))
    }
}

/// How one consumer fared.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConsumerReport {
    /// Who.
    pub consumer: Consumer,
    /// How long after the publication it used the new version, in the rehearsal.
    pub adopted_after: Option<Duration>,
    /// How long after the rollback it used the old version again, in the rehearsal.
    pub returned_after: Option<Duration>,
    /// True when it may still use the old key after that was given up.
    pub may_be_cut_off: bool,
}

impl fmt::Display for ConsumerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { consumer, adopted_after, returned_after, may_be_cut_off } = self;
        write!(f, "{}: ", consumer.name)?;
        match adopted_after {
            Some(after) => write!(f, "new key after {}", span(*after))?,
            None => f.write_str("never saw the new key")?,
        }
        write!(f, " (at most {})", span(consumer.holds))?;
        if let Some(after) = returned_after {
            write!(f, "; back on the old one after {}", span(*after))?;
        }
        if *may_be_cut_off { f.write_str("; MAY STILL USE THE OLD KEY WHEN IT IS REVOKED") } else { Ok(()) }
    }
}

/// To the nearest second, minute, hour or day, whichever says it best.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, name) = match seconds {
        0..120 => (1, "s"),
        120..7_200 => (60, "min"),
        7_200..259_200 => (3_600, "h"),
        _ => (86_400, "d"),
    };
    format!("{} {name}", (seconds + unit / 2) / unit)
}

/// The consumers of a rehearsal: each asks in its own rhythm.
#[derive(Debug)]
pub(super) struct Crowd(Vec<Member>);

#[derive(Debug)]
struct Member {
    consumer: Consumer,
    asks_at: Duration,
    uses: Option<VersionId>,
    since: Duration,
}

impl Crowd {
    /// Each begins at another point of its rhythm.
    pub(super) fn new(consumers: &[Consumer], now: Duration) -> Self {
        let many = u32::try_from(consumers.len()).unwrap_or(u32::MAX);
        let member = |(consumer, n): (&Consumer, u32)| Member {
            consumer: consumer.clone(),
            asks_at: now.saturating_add(consumer.refresh * n / many),
            uses: None,
            since: now,
        };
        Self(consumers.iter().zip(1..).map(member).collect())
    }

    pub(super) fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.0.iter().map(|member| &member.consumer)
    }

    /// Since when each uses `version`, if it does.
    pub(super) fn since(&self, version: VersionId) -> Vec<Option<Duration>> {
        self.0.iter().map(|member| (member.uses == Some(version)).then_some(member.since)).collect()
    }

    /// Lets time go by; whoever's time it is asks the store for what is current.
    pub(super) async fn live(
        &mut self,
        clock: &ManualClock,
        store: &MemoryBackend,
        target: &Target,
        cx: &Context,
        time: Duration,
    ) {
        let end = clock.monotonic().saturating_add(time);
        loop {
            let now = clock.monotonic();
            for member in self.0.iter_mut().filter(|member| member.asks_at <= now) {
                member.asks_at = now.saturating_add(member.consumer.refresh);
                let read = store.read_one(&fresh(cx), target, Select::Current).await;
                if let Ok(Read::Found { version, .. }) = read
                    && member.uses != Some(version)
                {
                    (member.uses, member.since) = (Some(version), now);
                }
            }
            if now >= end {
                return;
            }
            let next = self.0.iter().map(|member| member.asks_at).min().unwrap_or(end).min(end);
            clock.advance(next.saturating_sub(now));
        }
    }
}
