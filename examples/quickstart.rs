//! The whole life of API keys in one run, on the encrypted local file.
//!
//! ```text
//! cargo run --example quickstart                  # writes ./keyward-quickstart
//! cargo run --example quickstart -- DIR           # writes DIR
//! cargo run --example quickstart -- DIR show      # looks at what is there
//! ```
//!
//! A clock that is moved by hand stands for the days of soak; everything else is real.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "quickstart/cast.rs"]
mod cast;
#[path = "quickstart/story.rs"]
mod story;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward::audit::{AuditLog, line};
use keyward::core::{AuditQuery, Context};
use keyward::file::{FileBackend, KeyFile};
use keyward::inventory::{Filter, Inventory};

type Answer<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Answer {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(|| PathBuf::from("keyward-quickstart"), PathBuf::from);
    let show_only = match arguments.next().as_deref() {
        None => false,
        Some("show") => true,
        Some(_) => return Err("usage: quickstart [DIR [show]]".into()),
    };
    futures_lite::future::block_on(async {
        if show_only {
            let store = FileBackend::open(store_path(&directory), KeyFile::at(key_path(&directory))).await?;
            return show(&store).await;
        }
        prepare(&directory)?;
        story::tell(&directory).await
    })
}

fn store_path(directory: &Path) -> PathBuf {
    directory.join("keys.keyward")
}

fn key_path(directory: &Path) -> PathBuf {
    directory.join("unlock.key")
}

/// Makes the directory; asks before it replaces a store that is already there.
fn prepare(directory: &Path) -> Answer {
    use std::os::unix::fs::DirBuilderExt;
    let (store, key) = (store_path(directory), key_path(directory));
    if !FileBackend::exists(&store) && !FileBackend::exists(&key) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        return Ok(());
    }
    if !confirmed(&format!("{} already holds a store. Remove it and begin anew? [y/N] ", directory.display()))? {
        return Err("left alone; name another directory: cargo run --example quickstart -- DIR".into());
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut path = store.clone().into_os_string();
        path.push(suffix);
        remove(Path::new(&path))?;
    }
    remove(&key)
}

fn remove(path: &Path) -> Answer {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn confirmed(question: &str) -> Answer<bool> {
    print!("{question}");
    std::io::stdout().flush()?;
    if !std::io::stdin().is_terminal() {
        println!("(no terminal to answer: no)");
        return Ok(false);
    }
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Prints the inventory and the verified audit log of a store.
async fn show(store: &FileBackend) -> Answer {
    let cx = Context::new("quickstart", "look at the store")?;
    println!("{}", Inventory::new(store).actor("quickstart").list(&Filter::all()).await?);
    let log = AuditLog::of(store).ok_or("this store keeps no log")?;
    let entries = log.entries(&cx, &AuditQuery::default()).await?;
    let hidden = entries.len().saturating_sub(12);
    println!("the audit log, newest last ({hidden} earlier entries not shown):");
    entries.iter().skip(hidden).for_each(|entry| println!("  {}", line(entry)));
    let report = log.verify(&cx).await?;
    println!("the audit log holds: {} entries, {}", report.entries, report.protection);
    store.verify(&cx).await?;
    println!("the store holds: every row is where it was written, none is missing, added or changed");
    Ok(())
}
