//! What a health signal counts.

/// What was counted for one version since it began to serve.
///
/// ```
/// use keyward_core::ArmCounts;
/// let mut seen = ArmCounts::default();
/// (seen.clean, seen.auth_rejects, seen.clients) = (412, 3, 2);
/// assert_eq!(seen.rejects(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ArmCounts {
    /// Requests that succeeded.
    pub clean: u64,
    /// Requests refused because of the key: invalid, revoked, expired.
    pub auth_rejects: u64,
    /// Requests refused because the key lacks a permission.
    pub scope_rejects: u64,
    /// Throttled requests.
    pub throttled: u64,
    /// Failures that say nothing about the key: server, network, a request that was wrong itself.
    pub other_failures: u64,
    /// How many consumers reported.
    pub clients: u64,
    /// How many of them had a request refused because of the key or its scope; 0 where the signal
    /// does not tell consumers apart.
    pub rejected_clients: u64,
    /// The clean and the refused requests by client-minute. Without it one retry loop of one
    /// consumer weighs as much as so many consumers.
    pub minutes: Option<ClientMinutes>,
}

impl ArmCounts {
    /// Requests refused because of the key or its scope.
    pub fn rejects(&self) -> u64 {
        self.auth_rejects.saturating_add(self.scope_rejects)
    }

    /// Requests that speak about the key: clean or refused because of it.
    pub fn telling(&self) -> u64 {
        self.clean.saturating_add(self.rejects())
    }

    /// The counts of two signals together, about different consumers.
    ///
    /// Client-minutes are known of the sum only when they are of both parts, or when the part
    /// without them has no request that speaks about the key.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let minutes = |arm: &Self| arm.minutes.or((arm.telling() == 0).then(ClientMinutes::default));
        Self {
            clean: self.clean.saturating_add(other.clean),
            auth_rejects: self.auth_rejects.saturating_add(other.auth_rejects),
            scope_rejects: self.scope_rejects.saturating_add(other.scope_rejects),
            throttled: self.throttled.saturating_add(other.throttled),
            other_failures: self.other_failures.saturating_add(other.other_failures),
            clients: self.clients.saturating_add(other.clients),
            rejected_clients: self.rejected_clients.saturating_add(other.rejected_clients),
            minutes: match (self.minutes, other.minutes) {
                (None, None) => None,
                _ => minutes(self).zip(minutes(other)).map(|(a, b)| a.plus(b)),
            },
        }
    }
}

/// Minutes in which one consumer made requests that speak about the key.
///
/// Each counts as refused by the *share* of its requests that was refused, so a minute of a retry
/// loop weighs at most as one, and a rare refusal among thousands of requests next to nothing.
///
/// ```
/// use keyward_core::ClientMinutes;
/// let retry_loop = ClientMinutes::of_minute(0, 50);
/// let busy = ClientMinutes::of_minute(199, 1);
/// let both = retry_loop.plus(busy);
/// assert_eq!((both.seen(), both.refused()), (2, 1.005));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientMinutes {
    seen: u64,
    refused_millionths: u64,
}

impl ClientMinutes {
    const ONE: u64 = 1_000_000;

    /// So many client-minutes, with the sum of their refused shares, to a millionth. A sum that
    /// cannot be is brought to the nearest that can; no number at all counts as all refused.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "brought into range first")]
    pub fn new(seen: u64, refused: f64) -> Self {
        let millionths = if refused.is_nan() { u64::MAX } else { (refused.max(0.0) * 1e6).round() as u64 };
        Self::of_millionths(seen, millionths)
    }

    /// So many client-minutes, with the sum of their refused shares in millionths; not more than all.
    #[must_use]
    pub fn of_millionths(seen: u64, refused: u64) -> Self {
        Self { seen, refused_millionths: refused.min(seen.saturating_mul(Self::ONE)) }
    }

    /// One minute of one consumer; none when no request spoke about the key.
    #[must_use]
    pub fn of_minute(clean: u64, rejects: u64) -> Self {
        let telling = u128::from(clean) + u128::from(rejects);
        match (u128::from(rejects) * u128::from(Self::ONE)).checked_div(telling) {
            // A share is at most one.
            Some(share) => Self { seen: 1, refused_millionths: u64::try_from(share).unwrap_or(Self::ONE) },
            None => Self::default(),
        }
    }

    /// How many client-minutes were seen.
    pub fn seen(self) -> u64 {
        self.seen
    }

    /// The sum of their refused shares: 0 to [`ClientMinutes::seen`].
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^52 do not occur")]
    pub fn refused(self) -> f64 {
        self.refused_millionths as f64 / 1e6
    }

    /// [`ClientMinutes::refused`] in millionths, for whoever adds shares up one by one.
    pub fn refused_millionths(self) -> u64 {
        self.refused_millionths
    }

    /// The client-minutes of two signals, or of two consumers, together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            seen: self.seen.saturating_add(other.seen),
            refused_millionths: self.refused_millionths.saturating_add(other.refused_millionths),
        }
    }
}

/// What was counted for the new version and, while both live, for the old one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HealthReport {
    /// The new version.
    pub new: ArmCounts,
    /// The old version, as a comparison.
    pub old: Option<ArmCounts>,
    /// How many consumers the key has, where the signal knows all of them: a key of one consumer
    /// cannot be proven by two.
    pub known_clients: Option<u64>,
}

impl HealthReport {
    /// A report about the new version only.
    #[must_use]
    pub fn of(new: ArmCounts) -> Self {
        Self { new, old: None, known_clients: None }
    }

    /// Adds the old version.
    #[must_use]
    pub fn against(mut self, old: ArmCounts) -> Self {
        self.old = Some(old);
        self
    }

    /// Adds how many consumers the key has.
    #[must_use]
    pub fn known_clients(mut self, clients: u64) -> Self {
        self.known_clients = Some(clients);
        self
    }

    /// The reports of two signals together, about different consumers. The number of all consumers
    /// is known only when both know theirs.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            new: self.new.plus(&other.new),
            old: match (self.old, other.old) {
                (Some(a), Some(b)) => Some(a.plus(&b)),
                (one, other) => one.or(other),
            },
            known_clients: self.known_clients.zip(other.known_clients).map(|(a, b)| a.saturating_add(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_loop_is_one_client_minute() {
        let minutes = ClientMinutes::of_minute(0, 50);
        assert_eq!((minutes.seen(), minutes.refused()), (1, 1.0));
    }

    #[test]
    fn a_minute_without_a_telling_request_is_none() {
        assert_eq!(ClientMinutes::of_minute(0, 0), ClientMinutes::default());
    }

    #[test]
    fn what_cannot_be_is_brought_to_the_nearest_that_can() {
        assert_eq!(ClientMinutes::new(3, 7.0).refused(), 3.0);
        assert_eq!(ClientMinutes::new(3, -1.0).refused(), 0.0);
        assert_eq!(ClientMinutes::new(3, f64::NAN).refused(), 3.0);
        assert_eq!(ClientMinutes::new(3, f64::INFINITY).refused(), 3.0);
        assert_eq!(ClientMinutes::of_minute(u64::MAX, u64::MAX).refused(), 0.5);
        assert_eq!(ClientMinutes::new(u64::MAX, 1.0).plus(ClientMinutes::new(u64::MAX, 1.0)).seen(), u64::MAX);
    }

    #[test]
    fn a_sum_has_client_minutes_only_when_every_part_that_counts_has_them() {
        let mut with = ArmCounts { clean: 2, ..ArmCounts::default() };
        with.minutes = Some(ClientMinutes::of_minute(2, 0));
        let without = ArmCounts { clean: 1, ..ArmCounts::default() };
        let throttled = ArmCounts { throttled: 9, ..ArmCounts::default() };
        assert_eq!(with.plus(&with).minutes.map(ClientMinutes::seen), Some(2));
        assert_eq!(with.plus(&without).minutes, None);
        assert_eq!(throttled.plus(&with).minutes.map(ClientMinutes::seen), Some(1));
        assert_eq!(throttled.plus(&throttled).minutes, None);
    }

    #[test]
    fn a_sum_knows_all_consumers_only_when_both_know_theirs() {
        let one = HealthReport::default().known_clients(1);
        assert_eq!(one.plus(&one).known_clients, Some(2));
        assert_eq!(one.plus(&HealthReport::default()).known_clients, None);
        let against = HealthReport::default().against(ArmCounts::default());
        assert!(one.plus(&against).old.is_some());
    }
}
