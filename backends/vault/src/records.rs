//! Records: one path each, replaced by check-and-set.

use keyward_core::{
    Context, ErrorKind, Expect, KeyId, KeyRecord, Operation, RecordError, Result, SecretValue, Stamp, Stamped, Swap,
};
use serde_json::Value;

use crate::backend::VaultBackend;
use crate::error::fault;
use crate::kv::{Found, Put, SELF_DELETING, Written};

/// How many states of a record the server keeps.
const KEEP: u32 = 32;
/// The field that holds the record.
const RECORD: &str = "record";

impl VaultBackend {
    pub(crate) async fn record(
        &self,
        cx: &Context,
        operation: Operation,
        key: &KeyId,
    ) -> Result<Option<Stamped<KeyRecord>>> {
        Ok(self.stored(cx, operation, key).await?.map(|stored| stored.record))
    }

    async fn stored(&self, cx: &Context, operation: Operation, key: &KeyId) -> Result<Option<Stored>> {
        let (data, written) = match self.kv().get(cx, operation, &self.names().record(key), None).await? {
            Found::Nothing => return Ok(None),
            Found::Gone(_) => return Err(fault(ErrorKind::Conflict, operation, DELETED)),
            Found::Here(data, written) => (data, written),
        };
        let text = data.get(RECORD).as_str().ok_or_else(|| fault(ErrorKind::Tampered, operation, FOREIGN))?;
        let value = KeyRecord::decode(text.as_bytes()).map_err(|error| match error {
            RecordError::NewerFormat { .. } => fault(ErrorKind::Unsupported, operation, NEWER),
            _ => fault(ErrorKind::Tampered, operation, FOREIGN),
        })?;
        if value.id() != key {
            return Err(fault(ErrorKind::Tampered, operation, "the record belongs to another key"));
        }
        Ok(Some(Stored { record: Stamped { value, stamp: stamp(&written) }, vanishes: written.deletion }))
    }

    pub(crate) async fn replace_record(
        &self,
        cx: &Context,
        key: &KeyId,
        expect: &Expect,
        next: &KeyRecord,
    ) -> Result<Swap> {
        let operation = Operation::Swap;
        let invalid = |detail| fault(ErrorKind::Invalid, operation, detail);
        if next.id() != key {
            return Err(invalid("the record belongs to another key"));
        }
        let body = body(&next.encode().map_err(|_| invalid("the record is larger than 48 KiB"))?);
        let path = self.names().record(key);
        let cas = match expect {
            Expect::Absent => {
                self.kv().configure(cx, operation, &path, KEEP).await?;
                0
            }
            // Numbers begin anew when someone deletes the metadata of a path. So the number alone is no proof: what
            // is there must carry the very stamp.
            Expect::At(stamp) => match self.stored(cx, operation, key).await? {
                Some(there) if there.record.stamp == *stamp => number(stamp).ok_or_else(|| invalid("not a stamp"))?,
                there => return answer(there, next),
            },
        };
        let unclear = match self.kv().put(cx, operation, &path, &body, cas).await? {
            Put::Written(written) => return Ok(Swap::Applied(stamp(&written))),
            Put::Vanishing => return Err(fault(ErrorKind::Invalid, operation, SELF_DELETING)),
            Put::Refused => None,
            Put::Unclear(error) => Some(error),
        };
        let there = match (self.stored(cx, operation, key).await, &unclear) {
            (Ok(there), _) => there,
            (Err(_), Some(unclear)) => return Err(unclear.clone()),
            (Err(error), None) => return Err(error),
        };
        let unmoved = is_expected(there.as_ref(), expect);
        match (answer(there, next)?, unclear) {
            // What is there does not tell: the write may yet arrive.
            (Swap::Conflict(_), Some(unclear)) if unmoved => Err(unclear),
            (Swap::Conflict(_), None) if unmoved => {
                Err(invalid("the server refused the record, although it is the next of what is there"))
            }
            (answer, _) => Ok(answer),
        }
    }
}

/// A record, and whether the server will delete it by itself.
struct Stored {
    record: Stamped<KeyRecord>,
    vanishes: bool,
}

/// What a record that is there means for one that should replace another.
fn answer(there: Option<Stored>, next: &KeyRecord) -> Result<Swap> {
    let same = |there: &Stored| {
        let there = &there.record.value;
        next.operation().is_some() && there.operation() == next.operation() && there.uid() == next.uid()
    };
    match there {
        Some(there) if same(&there) && there.vanishes => Err(fault(ErrorKind::Invalid, Operation::Swap, SELF_DELETING)),
        Some(there) if same(&there) => Ok(Swap::Applied(there.record.stamp)),
        there => Ok(Swap::Conflict(there.map(|there| there.record))),
    }
}

/// True when what is there is what was expected.
fn is_expected(there: Option<&Stored>, expect: &Expect) -> bool {
    match (there, expect) {
        (None, Expect::Absent) => true,
        (Some(there), Expect::At(stamp)) => there.record.stamp == *stamp,
        _ => false,
    }
}

fn stamp(written: &Written) -> Stamp {
    Stamp::new(written.mark())
}

fn number(stamp: &Stamp) -> Option<u64> {
    stamp.as_str().split_once(':')?.0.parse().ok()
}

/// The record as text inside the secret: byte for byte what was encoded.
fn body(encoded: &[u8]) -> SecretValue {
    let text = String::from_utf8_lossy(encoded).into_owned();
    let map = serde_json::Map::from_iter([(RECORD.to_owned(), Value::String(text))]);
    SecretValue::new(serde_json::to_vec(&map).unwrap_or_default())
}

const DELETED: &str = "another writer deleted the record in the server; undelete it, or delete its metadata to give \
                       the key up";
const FOREIGN: &str =
    "what lies at the path of the record is no record; look at its history in the server and roll back";
const NEWER: &str = "the record was written by a newer release; update this program";
