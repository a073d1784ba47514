//! When a key is rotated, and how long each stage lasts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// When a key is rotated, and how long each stage lasts. Whole seconds.
///
/// ```
/// use std::time::Duration;
/// use keyward_core::RotationPolicy;
/// let monthly = RotationPolicy::default().with_interval(Duration::from_secs(30 * 86_400));
/// assert!(monthly.check().is_ok());
/// assert!(monthly.with_interval(Duration::from_secs(60)).check().is_err());
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// How old a version gets before it is replaced. Default 90 days, at least 1 hour.
    #[serde(with = "seconds")]
    pub interval: Duration,
    /// After this age a version is refused by readers. Default 180 days; longer than the interval.
    #[serde(with = "seconds")]
    pub lifetime: Duration,
    /// How long a new version is watched before the old one is revoked. Default 24 hours.
    #[serde(with = "seconds")]
    pub soak: Duration,
    /// How long old and new version both work, at least. Default 48 hours.
    #[serde(with = "seconds")]
    pub overlap: Duration,
    /// How long the old version is switched off, and can be switched on again, before it is
    /// revoked. Default 24 hours; zero skips it, and so do issuers that cannot switch a key on
    /// again. See [`RotationPolicy::suspend_window`].
    #[serde(default = "a_day", skip_serializing_if = "is_a_day", with = "seconds")]
    pub suspend: Duration,
    /// After this long without proof of health a person decides. Default 7 days.
    #[serde(with = "seconds")]
    pub max_soak: Duration,
    /// How long a fresh key may take to be known everywhere at the issuer. Default 120 seconds.
    #[serde(with = "seconds")]
    pub propagation: Duration,
    /// How many validations in a row must succeed. Default 3.
    pub validations: u32,
    /// How long material is kept after its version was revoked. Default 7 days.
    #[serde(with = "seconds")]
    pub retention: Duration,
    /// How long an abandoned create may still land at the issuer. Default 1 hour.
    #[serde(with = "seconds")]
    pub zombie_horizon: Duration,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(90 * DAY),
            lifetime: Duration::from_secs(180 * DAY),
            soak: Duration::from_secs(DAY),
            overlap: Duration::from_secs(2 * DAY),
            suspend: a_day(),
            max_soak: Duration::from_secs(7 * DAY),
            propagation: Duration::from_secs(2 * MINUTE),
            validations: 3,
            retention: Duration::from_secs(7 * DAY),
            zombie_horizon: Duration::from_secs(HOUR),
        }
    }
}

impl RotationPolicy {
    /// Sets the interval.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the lifetime.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets soak, overlap and the longest soak.
    #[must_use]
    pub fn with_windows(mut self, soak: Duration, overlap: Duration, max_soak: Duration) -> Self {
        self.soak = soak;
        self.overlap = overlap;
        self.max_soak = max_soak;
        self
    }

    /// Sets how long the old version is switched off before it is revoked; zero skips it.
    #[must_use]
    pub fn with_suspend(mut self, suspend: Duration) -> Self {
        self.suspend = suspend;
        self
    }

    /// How long the old version is watched while it is switched off: [`suspend`](Self::suspend), at
    /// most what the interval leaves beside soak and overlap.
    pub fn suspend_window(&self) -> Duration {
        self.suspend.min(self.interval.saturating_sub(self.soak.max(self.overlap)))
    }

    /// Sets how many validations in a row must succeed, within which time.
    #[must_use]
    pub fn with_validation(mut self, validations: u32, propagation: Duration) -> Self {
        self.validations = validations;
        self.propagation = propagation;
        self
    }

    /// Sets how long material is kept after its version was revoked.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how long an abandoned create may still land at the issuer.
    #[must_use]
    pub fn with_zombie_horizon(mut self, horizon: Duration) -> Self {
        self.zombie_horizon = horizon;
        self
    }

    /// Checks the settings against each other.
    ///
    /// ```
    /// use std::time::Duration;
    /// use keyward_core::RotationPolicy;
    /// assert!(RotationPolicy::default().check().is_ok());
    /// assert!(RotationPolicy::default().with_lifetime(Duration::from_secs(1)).check().is_err());
    /// ```
    ///
    /// # Errors
    /// [`PolicyError`] naming the first setting that does not hold.
    pub fn check(&self) -> Result<(), PolicyError> {
        let ten_years = Duration::from_secs(3_653 * DAY);
        let rules = [
            (self.interval >= Duration::from_secs(HOUR), "the interval is shorter than 1 hour"),
            (self.lifetime > self.interval, "the lifetime is not longer than the interval"),
            (self.lifetime <= ten_years, "the lifetime is longer than 10 years"),
            (
                self.max_soak >= self.soak && self.max_soak >= self.overlap,
                "the longest soak is shorter than soak or overlap",
            ),
            (
                self.interval >= self.soak && self.interval >= self.overlap,
                "soak or overlap is longer than the interval",
            ),
            ((1..=10).contains(&self.validations), "validations is not 1 to 10"),
            (self.propagation <= Duration::from_secs(DAY), "propagation is longer than a day"),
            (self.suspend <= ten_years, "suspend is longer than 10 years"),
            (
                self.retention <= ten_years && self.zombie_horizon <= ten_years,
                "retention or zombie horizon is longer than 10 years",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(PolicyError { broken }),
            None => Ok(()),
        }
    }
}

/// A rotation policy contradicts itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the rotation policy does not hold: {broken}; change that setting")]
#[non_exhaustive]
pub struct PolicyError {
    broken: &'static str,
}

fn a_day() -> Duration {
    Duration::from_secs(DAY)
}

/// Left out of the stored form, which therefore stays as it was before there was such a setting.
fn is_a_day(suspend: &Duration) -> bool {
    *suspend == a_day()
}

pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
        duration.as_secs().serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_secs)
    }
}
