//! Tags for consoles and cost reports: a projection of the record, never read as truth.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{Context, KeyId, KeyRecord, Location, Operation};

use super::Store;

/// The tag that names the key.
pub(crate) const KEY: &str = "keyward:key";
/// Every tag of ours.
pub(crate) const ALL: [&str; 7] =
    [KEY, "keyward:uid", "keyward:environment", "keyward:team", "keyward:owner", "keyward:state", "keyward:due"];

/// How long a swap waits for the tags at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many keys are remembered.
const REMEMBERED: usize = 10_000;

type Projection = BTreeMap<&'static str, String>;

/// Writes the tags of a key when they changed, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    written: Mutex<HashMap<KeyId, Projection>>,
}

impl Tags {
    /// Brings the tags of a key up to date. Failing is no failure: the next change tries again.
    pub(crate) async fn project(&self, store: &Store, cx: &Context, record: &KeyRecord) {
        if record.is_page() {
            return;
        }
        let mut projection = projection(record);
        let adopted = *record.location() != Location::Derived;
        if adopted {
            // Others own the secret: it is marked while it is ours, and whose it is says the claim alone.
            if record.primary().is_none() {
                return;
            }
            projection.remove(KEY);
        }
        if self.lock().get(record.id()) == Some(&projection) {
            return;
        }
        let cx = cx.within(PATIENCE.min(cx.remaining()));
        let secret = match record.location() {
            Location::Derived => store.prefix.material(record.id()),
            Location::AwsSecret { name } => name.as_str().to_owned(),
            _ => return,
        };
        let tags: Vec<(&str, String)> = projection.iter().map(|(key, value)| (*key, value.clone())).collect();
        let call = store.wire.call_about(&cx, Operation::Swap, record.id()).hurried();
        if store.wire.tag(call, &secret, &tags).await.is_ok() {
            self.remember(record.id(), projection);
        }
    }

    /// The tags of a key are gone.
    pub(crate) fn forget(&self, key: &KeyId) {
        self.lock().remove(key);
    }

    fn remember(&self, key: &KeyId, projection: Projection) {
        let mut written = self.lock();
        if written.len() >= REMEMBERED {
            written.clear();
        }
        written.insert(key.clone(), projection);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, Projection>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tags say of a record.
fn projection(record: &KeyRecord) -> Projection {
    let due = record.due_at().map_or_else(|| "none".to_owned(), |at| at.format("%Y-%m-%d").to_string());
    let values = [
        record.id().to_string(),
        record.uid().to_string(),
        record.id().environment().to_string(),
        record.ownership().team().to_string(),
        record.ownership().owner().to_string(),
        state(record).to_owned(),
        due,
    ];
    ALL.into_iter().zip(values.map(|value| fit(&value))).collect()
}

fn state(record: &KeyRecord) -> &'static str {
    if record.retired_at().is_some() {
        "retired"
    } else if record.is_retiring() {
        "retiring"
    } else if record.run().is_some() {
        "rotating"
    } else if record.primary().is_some() {
        "live"
    } else {
        "empty"
    }
}

/// The value as AWS takes it: up to 256 letters, digits, spaces and `_.:/=+-@`.
fn fit(value: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@');
    value.chars().take(256).map(|c| if allowed(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_value_fits_whatever_it_was() {
        assert_eq!(fit("ada@example.com"), "ada@example.com");
        assert_eq!(fit("#platform <ops>\n"), "_platform _ops__");
        assert_eq!(fit(&"ä".repeat(300)).chars().count(), 256);
    }
}
