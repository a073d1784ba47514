//! Listings that come in pages.

use std::collections::HashSet;

use crate::{Error, ErrorKind, Operation, PageToken, Result};

/// One page of a listing. An empty page with a token is not the end.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names; backends build it")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where it goes on; absent at the end.
    pub next: Option<PageToken>,
}

/// Walks the pages of a listing to its end, also when a store never says that it ends.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use keyward_core::{Context, ListQuery, MemoryBackend, Operation, Pages, SecretBackend};
/// let (store, cx) = (MemoryBackend::default(), Context::new("doc", "example")?);
/// let (mut pages, mut next, mut found) = (Pages::of(Operation::List), None, 0);
/// loop {
///     let page = store.list(&cx, &ListQuery::default(), next).await?;
///     found += page.items.len();
///     next = pages.after(page.next)?;
///     if next.is_none() {
///         break;
///     }
/// }
/// assert_eq!(found, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Pages {
    operation: Operation,
    seen: HashSet<PageToken>,
}

impl Pages {
    /// More pages than that no store has: 100 million keys at 100 a page.
    pub const MOST: usize = 1_000_000;

    /// The pages one operation answers.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        Self { operation, seen: HashSet::new() }
    }

    /// Where the listing goes on; absent at its end.
    ///
    /// # Errors
    /// `Unavailable` when the store goes round in a circle: it names a page it has named before, or
    /// more than [`Pages::MOST`].
    pub fn after(&mut self, next: Option<PageToken>) -> Result<Option<PageToken>> {
        match next {
            Some(token) if self.seen.len() == Self::MOST || !self.seen.insert(token.clone()) => {
                let error = Error::new(ErrorKind::Unavailable, self.operation, "keyward");
                Err(error.with_detail("the listing goes round in a circle and would never end"))
            }
            next => Ok(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_that_goes_round_in_a_circle_ends_in_an_error() {
        let mut pages = Pages::of(Operation::List);
        for token in ["a", "b"] {
            assert!(pages.after(Some(PageToken::new(token))).expect("new").is_some());
        }
        let circle = pages.after(Some(PageToken::new("a"))).expect_err("seen before");
        assert_eq!(circle.kind(), ErrorKind::Unavailable);
        assert_eq!(Pages::of(Operation::Audit).after(None).expect("the end"), None);
    }
}
