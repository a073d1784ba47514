//! Where in its window a key falls: the same on every host, and different for every key.

use std::time::Duration;

use keyward_core::{KeyRecord, KeyUid, Version};
use sha2::{Digest, Sha256};

/// The most that is added to the spread of a key, different for each of its versions.
const JITTER: Duration = Duration::from_secs(5 * 60);

/// How long after its interval a version is replaced: up to a tenth of the interval, by the key's
/// uid, plus up to 5 minutes, by the version's id.
pub(super) fn after_interval(record: &KeyRecord, version: &Version) -> Duration {
    let interval = record.policy().interval;
    part(interval / 10, &[record.uid().as_bytes()])
        + part(JITTER.min(interval / 20), &[record.uid().as_bytes(), version.id.as_bytes()])
}

/// A part of `window` that only the key decides.
pub(super) fn of_key(uid: KeyUid, window: Duration) -> Duration {
    part(window, &[uid.as_bytes()])
}

/// A part of `window`, by a hash that is the same on every host and for ever.
fn part(window: Duration, of: &[&[u8; 16]]) -> Duration {
    let mut hash = Sha256::new_with_prefix(b"keyward spread 1");
    of.iter().for_each(|bytes| hash.update(bytes));
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    let fraction = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    // Below 2^64 seconds times 2^64: it fits, and so does what is left after the shift.
    let seconds = (u128::from(window.as_secs()) * fraction) >> 64;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
}
