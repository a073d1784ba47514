//! When a key is due, and why. Pure: a record and a time in, an answer out; the same on every host.

mod cause;
mod spread;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{IncidentState, KeyId, KeyRecord, Owner, RunKind, RunOutcome, Version, VersionState};

pub use cause::{Cause, Due};

/// When keys are due, and why.
///
/// - *Age*: the interval of the policy is over, plus a spread: a tenth of the interval by the key's
///   uid and up to 5 minutes by the version's id. Never before the interval, the same on every host.
/// - *Expiry*: a lead before the version expires, earlier by up to as much again.
/// - *Owner left*, *recipient removed*, *manual*: since a time the caller gives; every version
///   planned before that is due, and none planned after.
/// - *Scope change*: the record remembers that its scope was edited since the version was made.
/// - *Leak*: an open incident. *Under way*: a run somebody began, but for imports and adoptions,
///   which belong to the person who began them.
///
/// A key whose last runs failed waits before the next: 15 minutes, doubling to a day, after a run
/// that was aborted; a day, doubling to a week, after one that was rolled back. A leak never waits.
///
/// ```
/// use keyward::rotation::Schedule;
/// # let record = {
/// #     use keyward::core::{AccessLevel, Change, KeyDraft, KeyRecord, Ownership, Scope};
/// #     let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data")?;
/// #     let id = "dev/analytics/reports".parse()?;
/// #     let draft = KeyDraft::new(id, owners, Scope::new(AccessLevel::ReadOnly), "acme".parse()?);
/// #     KeyRecord::register(&draft, &Change::new("ada".parse()?, chrono::Utc::now()))?
/// # };
/// let now = chrono::Utc::now();
/// assert!(Schedule::default().due(&record, now).is_none(), "a key without a version waits for a person");
/// assert!(Schedule::default().first_versions().due(&record, now).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    lead: Option<Duration>,
    left: BTreeMap<String, DateTime<Utc>>,
    named: BTreeMap<KeyId, DateTime<Utc>>,
    demands: Vec<Demand>,
    first_versions: bool,
}

#[derive(Clone)]
struct Demand {
    cause: Cause,
    since: Arc<Since>,
}

type Since = dyn Fn(&KeyRecord) -> Option<DateTime<Utc>> + Send + Sync;

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl Schedule {
    /// How long before its end a version is replaced unless said otherwise; a fifth of its life
    /// where that is shorter.
    pub const EXPIRY_LEAD: Duration = Duration::from_secs(7 * 86_400);
    /// The label whose value says, in RFC 3339, when somebody lost access to the key.
    pub const RECIPIENT_REMOVED: &'static str = "recipient-removed";

    /// How long before its end a version is replaced. A fifth of its life where that is shorter.
    #[must_use]
    pub fn expiry_lead(mut self, lead: Duration) -> Self {
        self.lead = Some(lead);
        self
    }

    /// A person left at this time: versions planned before that are due where the person is owner
    /// or backup owner. Compared without regard to case. The record does not say who was owner
    /// before: hand the ownership over after the rotation, or name the keys.
    #[must_use]
    pub fn person_left(mut self, person: &str, at: DateTime<Utc>) -> Self {
        self.left.insert(person.to_lowercase(), at);
        self
    }

    /// Names keys: their versions planned before `at` are due. A key without a version is given
    /// its first.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = KeyId>, at: DateTime<Utc>) -> Self {
        self.named.extend(keys.into_iter().map(|key| (key, at)));
        self
    }

    /// Another reason of the caller: since when, if at all, it holds for the key of a record.
    /// Versions planned before that are due for `cause`; a cause that starts no run counts as
    /// [`Cause::Manual`].
    ///
    /// ```
    /// use keyward::core::KeyRecord;
    /// use keyward::rotation::{Cause, Schedule};
    /// let unshared_at = |record: &KeyRecord| record.notes().iter().find(|n| n.text.as_str() == "unshared").map(|n| n.at);
    /// let schedule = Schedule::default().demand(Cause::RecipientRemoved, unshared_at);
    /// # let _ = schedule;
    /// ```
    #[must_use]
    pub fn demand(
        mut self,
        cause: Cause,
        since: impl Fn(&KeyRecord) -> Option<DateTime<Utc>> + Send + Sync + 'static,
    ) -> Self {
        let cause = if cause.starts_a_run() { cause } else { Cause::Manual };
        self.demands.push(Demand { cause, since: Arc::new(since) });
        self
    }

    /// Keys that are registered and have no version yet are due as well. Leave it out where people
    /// import values after they have registered a key.
    #[must_use]
    pub fn first_versions(mut self) -> Self {
        self.first_versions = true;
        self
    }

    /// Why the key is due now: the most urgent cause, and since when.
    pub fn due(&self, record: &KeyRecord, now: DateTime<Utc>) -> Option<Due> {
        self.when(record, now).filter(|due| due.at <= now)
    }

    /// Why the key is due now, or what will make it due first, as far as can be said today.
    pub fn when(&self, record: &KeyRecord, now: DateTime<Utc>) -> Option<Due> {
        let all = self.causes(record);
        let due = all.iter().filter(|due| due.at <= now).min_by_key(|due| (due.cause, due.at));
        due.or_else(|| all.iter().min_by_key(|due| due.at)).copied()
    }

    fn causes(&self, record: &KeyRecord) -> Vec<Due> {
        if record.is_page() {
            return Vec::new();
        }
        let open = |i: &&keyward_core::Incident| i.state != IncidentState::AwaitingReview;
        let mut all: Vec<Due> =
            record.incidents().iter().filter(open).map(|i| Due::new(Cause::Leak, i.opened_at)).collect();
        match record.run() {
            Some(run) if !matches!(run.kind, RunKind::Import | RunKind::Adopt) => {
                all.push(Due::new(Cause::UnderWay, run.entered_at));
            }
            Some(_) => {}
            None => {
                all.extend(housekeeping(record));
                if !record.is_retiring() && record.retired_at().is_none() {
                    all.extend(self.rotations(record));
                }
            }
        }
        all
    }

    /// What makes a key due that is at rest.
    fn rotations(&self, record: &KeyRecord) -> Vec<Due> {
        let pause = Pause::after(record);
        let named = self.named.get(record.id()).map(|at| Due::new(Cause::Manual, *at));
        let Some(primary) = record.primary() else {
            let first = self.first_versions.then(|| Due::new(Cause::FirstVersion, record.created_at()));
            return named.into_iter().chain(first).map(|due| pause.hold(due, Duration::MAX)).collect();
        };
        let removed = || record.labels().iter().find(|(name, _)| name.as_str() == Self::RECIPIENT_REMOVED);
        let removed = removed().and_then(|(_, at)| DateTime::parse_from_rfc3339(at.as_str()).ok());
        let since = [
            named,
            self.owner_left(record).map(|at| Due::new(Cause::OwnerLeft, at)),
            removed.map(|at| Due::new(Cause::RecipientRemoved, at.to_utc())),
        ];
        let demands = self.demands.iter().filter_map(|d| (d.since)(record).map(|at| Due::new(d.cause, at)));
        let asked = since.into_iter().flatten().chain(demands).filter(|due| primary.planned_at < due.at);
        let scope = scope_changed(record).map(|at| Due::new(Cause::ScopeChange, at));
        let age = record.due_at().map(|at| Due::new(Cause::Age, later(at, spread::after_interval(record, primary))));
        let mut all: Vec<_> = asked.chain(scope).chain(age).map(|due| pause.hold(due, Duration::MAX)).collect();
        if let Some((at, lead)) = self.expiry(record, primary) {
            all.push(pause.hold(Due::new(Cause::Expiry, at), lead / 8));
        }
        all
    }

    fn owner_left(&self, record: &KeyRecord) -> Option<DateTime<Utc>> {
        let left = |person: &Owner| self.left.get(&person.as_str().to_lowercase()).copied();
        let owners = record.ownership();
        left(owners.owner()).max(left(owners.backup()))
    }

    /// When a version must be replaced because it ends, and how long before its end that is at
    /// least.
    fn expiry(&self, record: &KeyRecord, version: &Version) -> Option<(DateTime<Utc>, Duration)> {
        let end = version.expires_at?;
        let life = (end - version.planned_at).to_std().unwrap_or_default();
        let lead = self.lead.unwrap_or(Self::EXPIRY_LEAD).min(life / 5);
        Some((earlier(end, lead + spread::of_key(record.uid(), lead)), lead))
    }
}

/// When the scope was edited after the version in use was confirmed, as far as the record
/// remembers: its last [`KeyRecord::OPERATIONS`] changes.
fn scope_changed(record: &KeyRecord) -> Option<DateTime<Utc>> {
    let last = |verb: &str| record.operations().iter().rposition(|operation| operation.verb == verb);
    let edited = last("edit-scope")?;
    (last("confirm") < Some(edited)).then(|| record.operations()[edited].at)
}

/// When what dead and dying versions leave behind can be seen to.
fn housekeeping(record: &KeyRecord) -> Option<Due> {
    let at = |version: &Version| match version.state {
        VersionState::RevokePending => Some(version.entered_at),
        VersionState::Revoked if version.compromised.is_some() => Some(version.entered_at),
        VersionState::Revoked => Some(later(version.entered_at, record.policy().retention)),
        _ => None,
    };
    record.versions().iter().filter_map(at).min().map(|at| Due::new(Cause::Housekeeping, at))
}

/// How long a key rests after runs that failed.
struct Pause {
    ended_at: DateTime<Utc>,
    length: Duration,
}

impl Pause {
    const AFTER_ABORT: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(86_400));
    const AFTER_ROLLBACK: (Duration, Duration) = (Duration::from_secs(86_400), Duration::from_secs(7 * 86_400));

    fn after(record: &KeyRecord) -> Self {
        let failed = |outcome| matches!(outcome, RunOutcome::Aborted | RunOutcome::RolledBack);
        let failures = record.history().iter().rev().take_while(|run| failed(run.outcome)).count();
        let (Some(last), Some(doubled)) = (record.history().last(), failures.checked_sub(1)) else {
            return Self { ended_at: DateTime::<Utc>::MIN_UTC, length: Duration::ZERO };
        };
        let (first, most) = match last.outcome {
            RunOutcome::RolledBack => Self::AFTER_ROLLBACK,
            _ => Self::AFTER_ABORT,
        };
        let length = first.saturating_mul(1 << doubled.min(10)).min(most);
        Self { ended_at: last.ended_at, length }
    }

    /// The same cause, not before the rest is over. What somebody asked for since is not held.
    fn hold(&self, due: Due, at_most: Duration) -> Due {
        if due.cause == Cause::Manual && due.at > self.ended_at {
            return due;
        }
        Due { at: due.at.max(later(self.ended_at, self.length.min(at_most))), ..due }
    }
}

fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn earlier(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_sub_signed(by)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
