//! Reading records.

use keyward_core::{Expect, KeyRecord, Stamped};

use super::records;
use crate::Subject;
use crate::subject::assert_same;

/// A key without a record is `Ok(None)`.
pub async fn absent_key_loads_as_none(on: &Subject<'_>) {
    let answer = on.loaded(&on.key("absent")).await;
    assert!(answer.is_none(), "nothing was stored, but: {answer:?}");
}

/// What a swap has stored is what a load reads, field for field.
pub async fn stored_record_loads_field_for_field(on: &Subject<'_>) {
    let record = records::rich(on, "rich");
    let written = on.written(record.clone(), Expect::Absent).await;
    let found = on.loaded(record.id()).await;
    assert_same(found.as_ref(), &record);
    assert_eq!(found.map(|f| f.stamp), Some(written.stamp), "the stamp of the swap is the stamp of the load");
}

/// The same key may stand twice; both places answer.
pub async fn key_twice_in_a_load_answers_twice(on: &Subject<'_>) {
    let stored = on.registered("twice").await;
    let key = stored.value.id().clone();
    let answers = load(on, &[key.clone(), key.clone(), key]).await;
    assert_eq!(answers.len(), 3, "three were asked for");
    answers.iter().for_each(|found| assert_same(found.as_ref(), &stored.value));
}

/// Batches answer item by item, same length and order.
pub async fn load_answers_in_the_order_asked(on: &Subject<'_>) {
    let (a, b) = (on.registered("a").await, on.registered("b").await);
    let keys = [on.key("b"), on.key("absent"), on.key("a"), on.key("b")];
    let answers = load(on, &keys).await;
    assert_eq!(answers.len(), keys.len(), "as many answers as keys");
    assert_same(answers[0].as_ref(), &b.value);
    assert!(answers[1].is_none(), "the second key has no record");
    assert_same(answers[2].as_ref(), &a.value);
    assert_same(answers[3].as_ref(), &b.value);
}

/// Asked for nothing, a load answers nothing.
pub async fn load_of_no_key_answers_nothing(on: &Subject<'_>) {
    assert!(load(on, &[]).await.is_empty(), "nothing was asked for");
}

async fn load(on: &Subject<'_>, keys: &[keyward_core::KeyId]) -> Vec<Option<Stamped<KeyRecord>>> {
    let answers = on.backend.load(&on.cx(), keys).await;
    answers.into_iter().map(|answer| answer.expect("a record can be loaded")).collect()
}
