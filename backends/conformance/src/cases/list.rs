//! Listing records.

use std::collections::BTreeMap;

use keyward_core::{ErrorKind, Expect, Function, KeyId, KeyRecord, ListQuery, Page, PageToken, Result, Stamped};

use super::records;
use crate::Subject;
use crate::subject::{assert_refused, assert_same};

/// Far more pages than any of these listings has.
const MOST_PAGES: usize = 1000;

/// Where nothing matches, the listing is empty and ends.
pub async fn list_of_nothing_is_empty(on: &Subject<'_>) {
    assert!(all(on, query(on)).await.is_empty(), "nothing was stored in this environment");
}

/// Every record that matches is listed exactly once over all pages.
pub async fn every_record_is_listed_once_whatever_the_limit(on: &Subject<'_>) {
    let expected = seven(on).await;
    for limit in (1..=expected.len() + 1).map(Some).chain([None]) {
        let asked = limit.map_or_else(|| query(on), |limit| query(on).limit(limit));
        let found = all(on, asked).await;
        let ids: Vec<_> = found.iter().map(|f| f.value.id().clone()).collect();
        let names: Vec<_> = expected.keys().cloned().collect();
        assert_eq!(ids, names, "each record exactly once, with limit {limit:?}");
        for found in &found {
            assert_eq!(expected.get(found.value.id()), Some(found), "listed as stored");
        }
    }
}

/// A limit bounds the items of a page.
pub async fn page_holds_at_most_its_limit(on: &Subject<'_>) {
    let count = seven(on).await.len();
    for limit in 1..=count {
        let mut token = None;
        for number in 0.. {
            let page = page(on, &query(on).limit(limit), token).await.expect("a page");
            assert!(page.items.len() <= limit, "{} items on a page of {limit}", page.items.len());
            assert!(number < MOST_PAGES, "the listing never ends");
            match page.next {
                None => break,
                next => token = next,
            }
        }
    }
}

/// Records come in the order of their ids.
pub async fn list_follows_the_order_of_ids(on: &Subject<'_>) {
    // Text order, where a hyphen comes before a digit and a slash between them.
    for name in ["a", "a-1", "a1", "aa", "b"] {
        on.registered(name).await;
    }
    other_function(on, "a").await;
    on.settle().await;
    let ids: Vec<KeyId> = all(on, query(on)).await.iter().map(|f| f.value.id().clone()).collect();
    assert!(ids.is_sorted(), "in the order of ids, but: {ids:?}");
    assert_eq!(ids.len(), 6, "all six are listed");
}

/// Only records of the environment asked for.
pub async fn list_filters_by_environment(on: &Subject<'_>) {
    let mine = on.registered("mine").await;
    let elsewhere = Subject::new(on.backend);
    let theirs = on.first_of(elsewhere.key("theirs"));
    on.written(theirs.clone(), Expect::Absent).await;
    on.settle().await;
    let ids = |found: Vec<Stamped<KeyRecord>>| found.iter().map(|f| f.value.id().clone()).collect::<Vec<_>>();
    assert_eq!(ids(all(on, query(on)).await), [mine.value.id().clone()]);
    assert_eq!(ids(all(on, query(&elsewhere)).await), [theirs.id().clone()]);
}

/// Only records of the function asked for, alone and together with an environment.
pub async fn list_filters_by_function(on: &Subject<'_>) {
    let messaging = on.registered("one").await;
    let analytics = other_function(on, "one").await;
    on.settle().await;
    let found = all(on, query(on).function(Function::ANALYTICS)).await;
    assert_eq!(found, [analytics], "the one analytics key");
    let found = all(on, query(on).function(Function::MESSAGING)).await;
    assert_eq!(found, [messaging], "the one messaging key");
}

/// A listed record carries the stamp that a load would give.
pub async fn listed_stamp_is_good_for_a_swap(on: &Subject<'_>) {
    on.registered("listed").await;
    on.settle().await;
    let listed = all(on, query(on)).await.pop().expect("one record is listed");
    let next = on.noted(&listed.value, "next");
    on.written(next.clone(), Expect::At(listed.stamp)).await;
    assert_same(on.loaded(next.id()).await.as_ref(), &next);
}

/// History pages are left out unless asked for.
pub async fn history_pages_are_hidden_unless_asked_for(on: &Subject<'_>) {
    let spill = records::spilled(on, "old");
    on.written(spill.page.clone(), Expect::Absent).await;
    on.written(spill.rest.clone(), Expect::Absent).await;
    on.settle().await;
    assert_same(on.loaded(spill.page.id()).await.as_ref(), &spill.page);
    let plain: Vec<KeyRecord> = all(on, query(on)).await.into_iter().map(|f| f.value).collect();
    assert_eq!(plain, std::slice::from_ref(&spill.rest), "the page is hidden");
    let mut whole: Vec<KeyRecord> = all(on, query(on).with_pages()).await.into_iter().map(|f| f.value).collect();
    whole.sort_by(|a, b| a.id().cmp(b.id()));
    assert_eq!(whole, [spill.rest, spill.page], "the page is shown");
}

/// A page token this backend did not make is `Invalid`.
pub async fn foreign_page_token_is_invalid(on: &Subject<'_>) {
    on.registered("one").await;
    for token in ["", "not a token", "\u{0}\u{ff}", "%%%"] {
        let answer = page(on, &query(on), Some(PageToken::new(token))).await;
        assert_refused(answer.map(|page| page.items.len()), ErrorKind::Invalid, "a made-up page token");
    }
}

/// Every record that existed throughout is listed exactly once, whatever is written meanwhile.
pub async fn writes_during_a_listing_hide_nothing(on: &Subject<'_>) {
    let stored = seven(on).await;
    let mut seen: BTreeMap<KeyId, usize> = BTreeMap::new();
    let mut token = None;
    for round in 0_usize.. {
        let page = page(on, &query(on).limit(2), token).await.expect("a page");
        for found in page.items {
            let id = found.expect("a readable record").value.id().clone();
            *seen.entry(id).or_default() += 1;
        }
        assert!(round < MOST_PAGES, "the listing never ends");
        if page.next.is_none() {
            break;
        }
        token = page.next;
        // Before, between and after what is listed; and a change of one that is.
        for place in ["a0", "k5a", "z"] {
            if round < 3 {
                on.registered(&format!("{place}-{round}")).await;
            }
        }
        if let Some(changed) = stored.values().nth(round) {
            let next = on.noted(&changed.value, "changed meanwhile");
            on.written(next, Expect::At(changed.stamp.clone())).await;
        }
    }
    for id in stored.keys() {
        assert_eq!(seen.get(id), Some(&1), "{id} existed throughout and is listed once");
    }
}

async fn seven(on: &Subject<'_>) -> BTreeMap<KeyId, Stamped<KeyRecord>> {
    let mut stored = BTreeMap::new();
    for n in [3, 1, 7, 5, 2, 6, 4] {
        let written = on.registered(&format!("k{n}")).await;
        stored.insert(written.value.id().clone(), written);
    }
    on.settle().await;
    stored
}

async fn other_function(on: &Subject<'_>, name: &str) -> Stamped<KeyRecord> {
    let name = name.parse().expect("a valid name");
    let key = KeyId::new(on.environment().clone(), Function::ANALYTICS, name);
    on.written(on.first_of(key), Expect::Absent).await
}

fn query(on: &Subject<'_>) -> ListQuery {
    ListQuery::all().environment(on.environment().clone())
}

async fn page(
    on: &Subject<'_>,
    query: &ListQuery,
    token: Option<PageToken>,
) -> Result<Page<Result<Stamped<KeyRecord>>>> {
    on.backend.list(&on.cx(), query, token).await
}

async fn all(on: &Subject<'_>, query: ListQuery) -> Vec<Stamped<KeyRecord>> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = page(on, &query, token).await.expect("a page");
        found.extend(page.items.into_iter().map(|item| item.expect("a readable record")));
        match page.next {
            None => return found,
            next => token = next,
        }
    }
    panic!("the listing never ends");
}
