//! Finding existing paths: a walk over the folders of the mount, in the order of their names.

use keyward_core::{Context, DiscoverQuery, ErrorKind, Location, Operation, Page, PageToken, Result, VaultPathText};
use keyward_remote::fan_out;

use crate::backend::VaultBackend;
use crate::error::fault;

/// How many paths a page has at most.
const PAGE: usize = 200;
/// How many folders are looked into for one page. A page may end early, even empty, and the walk goes on.
const FOLDERS: usize = 400;
/// How deep the walk goes.
const DEPTH: usize = 32;
/// How many names are asked for at once, where the server pages.
const NAMES: usize = 1000;

impl VaultBackend {
    pub(crate) async fn discover_paths(
        &self,
        cx: &Context,
        query: &DiscoverQuery,
        page: Option<PageToken>,
    ) -> Result<Page<Location>> {
        let operation = Operation::Adoption;
        let root = query.prefix.as_deref().unwrap_or("").trim_matches('/');
        let unfit = |_| fault(ErrorKind::Invalid, operation, "the prefix cannot stand in a path");
        if !root.is_empty() {
            root.parse::<VaultPathText>().map_err(unfit)?;
        }
        let foreign = |_| fault(ErrorKind::Invalid, operation, "not a page token of this store");
        let after = page.map(|token| token.as_str().parse::<VaultPathText>()).transpose().map_err(foreign)?;
        let after = after.as_ref().map(VaultPathText::as_str);
        if after.is_some_and(|after| !root.is_empty() && after != root && !after.starts_with(&format!("{root}/"))) {
            return Err(fault(ErrorKind::Invalid, operation, "not a page token of this listing"));
        }
        let (paths, next) = self.walk(cx, root, after).await?;
        let tagged = fan_out(paths, self.at_once(), |path: String| async move {
            Ok(self.has_tag(cx, &path, query).await?.then_some(path))
        });
        let paths = tagged.await.into_iter().filter_map(Result::transpose).collect::<Result<Vec<String>>>()?;
        let mount = self.kv().mount();
        // A path with characters that could lead elsewhere cannot be named, and so not be adopted.
        let items = paths.iter().filter_map(|path| Location::vault_path(mount, path, None).ok()).collect();
        Ok(Page { items, next: next.map(PageToken::new) })
    }

    /// Paths under a folder and behind one of them, in order; and where the walk goes on, if it has not ended.
    async fn walk(&self, cx: &Context, root: &str, after: Option<&str>) -> Result<(Vec<String>, Option<String>)> {
        let own = self.names().own_folder();
        let behind = |path: &str| after.is_none_or(|after| path > after);
        let mut paths: Vec<String> = Vec::new();
        if !root.is_empty() && behind(root) && self.is_secret(cx, root).await? {
            paths.push(root.to_owned());
        }
        let start = if root.is_empty() { String::new() } else { format!("{root}/") };
        // What is still to be looked at, the next one last. Folders end with a slash.
        let mut open = vec![start];
        let mut looked = 0;
        while let Some(name) = open.pop() {
            let is_folder = name.is_empty() || name.ends_with('/');
            if !is_folder {
                paths.push(name);
                if paths.len() >= PAGE && !open.is_empty() {
                    let last = paths.last().cloned();
                    return Ok((paths, last));
                }
                continue;
            }
            if name.starts_with(own.as_str()) || name.split('/').count() > DEPTH {
                continue;
            }
            if looked >= FOLDERS
                && let Some(last) = paths.last().cloned()
            {
                return Ok((paths, Some(last)));
            }
            looked += 1;
            let mut below = self.names_in(cx, Operation::Adoption, name.trim_end_matches('/'), None, NAMES).await?;
            below.retain(|entry| {
                // What cannot be named cannot be adopted; and a name such as `..` leads elsewhere.
                if entry.trim_end_matches('/').parse::<VaultPathText>().is_err() {
                    return false;
                }
                let full = format!("{name}{entry}");
                // A folder may hold what lies behind the last path although it stands before it.
                behind(&full) || after.is_some_and(|after| entry.ends_with('/') && after.starts_with(&full))
            });
            open.extend(below.into_iter().rev().map(|entry| format!("{name}{entry}")));
        }
        Ok((paths, None))
    }

    async fn is_secret(&self, cx: &Context, path: &str) -> Result<bool> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.names_in(cx, Operation::Adoption, folder, None, NAMES).await?;
        Ok(names.iter().any(|found| found == name))
    }

    async fn has_tag(&self, cx: &Context, path: &str, query: &DiscoverQuery) -> Result<bool> {
        let Some((name, wanted)) = &query.tag else { return Ok(true) };
        let Some(metadata) = self.kv().metadata(cx, Operation::Adoption, path).await? else { return Ok(false) };
        let fits = |value: &String| wanted.as_ref().is_none_or(|wanted| wanted == value);
        Ok(metadata.custom.iter().any(|(found, value)| found == name && fits(value)))
    }
}
