//! How many writes a store bears.

use std::num::NonZeroU32;

use keyward_core::{Capabilities, NativeCurrent};

/// How many writes a store bears. What is beyond it waits, or is refused as throttled with the time
/// to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// Writes a second, over all keys; absent without a limit.
    pub writes_per_second: Option<NonZeroU32>,
    /// How many writes of the store one change of a record takes.
    pub writes_per_change: NonZeroU32,
    /// Changes of one record in any 24 hours; absent without a limit.
    pub changes_per_day: Option<u32>,
}

impl Budget {
    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { writes_per_second: None, writes_per_change: NonZeroU32::MIN, changes_per_day: None }
    }

    /// What is documented for AWS Secrets Manager: 50 writes a second in an account and region,
    /// two of which make one change of a record, and 100 versions of a secret a day.
    ///
    /// The account shares it with everybody else who writes there: set less where others do.
    #[must_use]
    pub fn aws() -> Self {
        const FIFTY: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
        const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
        Self { writes_per_second: Some(FIFTY), writes_per_change: TWO, changes_per_day: Some(100) }
    }

    /// What a store with these capabilities bears.
    ///
    /// ```
    /// use keyward::core::Capabilities;
    /// use keyward::rotation::Budget;
    /// assert_eq!(Budget::of(&Capabilities::local()), Budget::unlimited());
    /// ```
    #[must_use]
    pub fn of(capabilities: &Capabilities) -> Self {
        let usual = match capabilities.native_current {
            NativeCurrent::AwsCurrent => Self::aws(),
            _ => Self::unlimited(),
        };
        Self { changes_per_day: capabilities.record_writes_per_day, ..usual }
    }

    /// At most so many writes a second.
    #[must_use]
    pub fn with_writes_per_second(mut self, writes: NonZeroU32) -> Self {
        self.writes_per_second = Some(writes);
        self
    }

    /// At most so many changes of one record in any 24 hours.
    #[must_use]
    pub fn with_changes_per_day(mut self, changes: u32) -> Self {
        self.changes_per_day = Some(changes);
        self
    }
}
