//! How the strict fake pages.

use std::collections::BTreeMap;

use keyward_core::{ErrorKind, KeyId, KeyRecord, ListQuery, Operation, Page, PageToken, Result, Stamped};

use super::StrictFake;

const PAGE: usize = 100;

impl StrictFake {
    /// One page of a listing. With short pages every other page is empty, and the others hold
    /// about half of what was asked for.
    pub(super) fn list_page<V>(
        &self,
        query: &ListQuery,
        page: Option<PageToken>,
        records: &BTreeMap<KeyId, V>,
        read: impl Fn(&KeyId) -> Option<Result<Stamped<KeyRecord>>>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let (after, empty) = match page {
            None => (None, self.short_pages),
            Some(token) => self.place(&token)?,
        };
        if empty {
            let next = Some(self.token(after.as_ref(), false));
            return Ok(Page { items: Vec::new(), next });
        }
        let asked = query.limit.unwrap_or(PAGE);
        let limit = if self.short_pages { asked.div_ceil(2) } else { asked };
        let mut keys =
            records.keys().filter(|key| query.matches(key) && after.as_ref().is_none_or(|after| *key > after));
        let served: Vec<&KeyId> = keys.by_ref().take(limit).collect();
        let items = served.iter().filter_map(|key| read(key)).collect();
        let next = keys.next().map(|_| self.token(served.last().copied(), self.short_pages));
        Ok(Page { items, next })
    }

    fn token(&self, after: Option<&KeyId>, empty: bool) -> PageToken {
        let after = after.map_or("", KeyId::as_str);
        PageToken::new(format!("{} {} {after}", self.id, if empty { "empty" } else { "full" }))
    }

    fn place(&self, token: &PageToken) -> Result<(Option<KeyId>, bool)> {
        let foreign = || {
            let error = self.error(ErrorKind::Invalid, Operation::List);
            error.with_detail("not a page token of this store")
        };
        let rest = token.as_str().strip_prefix(&*self.id).and_then(|t| t.strip_prefix(' ')).ok_or_else(foreign)?;
        let (kind, after) = rest.split_once(' ').ok_or_else(foreign)?;
        let after = if after.is_empty() { None } else { Some(after.parse().map_err(|_| foreign())?) };
        Ok((after, kind == "empty"))
    }
}
