//! Listing records: names folder by folder, records a page at a time.

use keyward_core::{Context, ErrorKind, KeyId, KeyRecord, ListQuery, Operation, Page, PageToken, Result, Stamped};
use keyward_remote::fan_out;

use crate::backend::VaultBackend;
use crate::error::fault;

/// How many records a page has unless the caller says otherwise.
const PAGE: usize = 256;
/// How many names are asked for at once, where the server pages.
const NAMES: usize = 1000;
const FEWEST: usize = 64;

impl VaultBackend {
    pub(crate) async fn list_records(
        &self,
        cx: &Context,
        query: &ListQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Result<Stamped<KeyRecord>>>> {
        let operation = Operation::List;
        let foreign = |_| fault(ErrorKind::Invalid, operation, "not a page token of this store");
        let after = page.map(|token| token.as_str().parse::<KeyId>()).transpose().map_err(foreign)?;
        let limit = query.limit.unwrap_or(PAGE).max(1);
        let mut ids = self.ids(cx, query, after.as_ref(), limit.saturating_add(1)).await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = if more { ids.last().map(|id| PageToken::new(id.as_str())) } else { None };
        let records = fan_out(ids, self.at_once(), |id: KeyId| async move {
            let record = self.record(cx, operation, &id).await;
            // A record that went since its name was read is none.
            record.map_err(|error| error.with_key(&id)).transpose()
        });
        Ok(Page { items: records.await.into_iter().flatten().collect(), next })
    }

    /// The ids of records that match, in order, from behind one of them; at most so many.
    async fn ids(&self, cx: &Context, query: &ListQuery, after: Option<&KeyId>, most: usize) -> Result<Vec<KeyId>> {
        let mut ids = Vec::new();
        let environments = self.folders(cx, "", query.environment.as_ref().map(ToString::to_string), after).await?;
        for environment in environments {
            let functions =
                self.folders(cx, &environment, query.function.as_ref().map(ToString::to_string), after).await?;
            for folder in functions {
                // Inside the folder of the last id, names go on behind it; every later folder begins anew.
                let last = after.and_then(|id| id.as_str().strip_prefix(folder.as_str()));
                let path = self.names().records(folder.trim_end_matches('/'));
                let want = most - ids.len();
                let fits = |name: &String| {
                    let id = format!("{folder}{name}").parse::<KeyId>().ok()?;
                    query.matches(&id).then_some(id)
                };
                let mut last = last.map(str::to_owned);
                loop {
                    let at_once = want.clamp(FEWEST, NAMES);
                    let (names, ended) = self.some_names(cx, Operation::List, &path, last.as_deref(), at_once).await?;
                    ids.extend(names.iter().filter_map(fits));
                    if ids.len() >= most {
                        ids.truncate(most);
                        return Ok(ids);
                    }
                    last = names.last().cloned();
                    if ended || last.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(ids)
    }

    /// The folders below one, in the order of the ids in them, from the one of the last id on. Each with the folders
    /// above it and a slash at its end, as ids begin.
    async fn folders(
        &self,
        cx: &Context,
        above: &str,
        only: Option<String>,
        after: Option<&KeyId>,
    ) -> Result<Vec<String>> {
        let mut folders = match only {
            Some(name) => vec![format!("{above}{name}/")],
            None => {
                let path = self.names().records(above.trim_end_matches('/'));
                let names = self.names_in(cx, Operation::List, path.trim_end_matches('/'), None, NAMES).await?;
                names.into_iter().filter(|name| name.ends_with('/')).map(|name| format!("{above}{name}")).collect()
            }
        };
        if let Some(after) = after {
            let id = after.as_str();
            folders.retain(|folder| id.starts_with(folder.as_str()) || folder.as_str() > id);
        }
        folders.sort_unstable();
        Ok(folders)
    }

    /// All names in a folder behind one of them, sorted.
    pub(crate) async fn names_in(
        &self,
        cx: &Context,
        operation: Operation,
        folder: &str,
        after: Option<&str>,
        at_once: usize,
    ) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let last = all.last().map(String::as_str).or(after);
            let (names, ended) = self.some_names(cx, operation, folder, last, at_once).await?;
            let ended = ended || names.is_empty();
            all.extend(names);
            if ended {
                return Ok(all);
            }
        }
    }

    /// Names in a folder behind one of them, sorted, and whether these are the last. A server that pages gives just
    /// as many as asked for until the end; one that does not gives all of them, every time.
    async fn some_names(
        &self,
        cx: &Context,
        operation: Operation,
        folder: &str,
        after: Option<&str>,
        at_once: usize,
    ) -> Result<(Vec<String>, bool)> {
        let mut names = self.kv().list(cx, operation, folder, after, at_once).await?;
        let ended = names.len() != at_once;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.sort_unstable();
        Ok((names, ended))
    }
}
