//! Readers that know nothing of this library: boto3, the `bao` command, plain HTTP.

use std::process::Stdio;

use keyward_conformance::servers::server_setting;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::raw::Raw;
use crate::stores::{Kind, Store};

/// One reader at work. Ends with the test at the latest.
pub(crate) struct Poller {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    first: Seen,
}

/// What a reader saw; told once for each change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// A value, as the hex of its SHA-256.
    Value(String),
    /// No value.
    Nothing,
    /// An error of this class.
    Failure(String),
}

impl Poller {
    /// Every kind of reader the store has, each after its first read.
    pub(crate) async fn start_all(store: &Store, key: &str) -> Vec<Self> {
        let path = Raw(store).derived(key);
        match &store.kind {
            Kind::Aws { .. } => vec![Self::start("boto3", "poll_aws.py", &[&path]).await],
            Kind::Vault { mount, .. } => vec![
                Self::start("HTTP", "poll_vault.py", &["http", mount, &path, "value"]).await,
                Self::start("bao", "poll_vault.py", &["cli", mount, &path, "value"]).await,
            ],
            Kind::Memory | Kind::File(_) => panic!("no native readers"),
        }
    }

    async fn start(name: &'static str, script: &str, arguments: &[&str]) -> Self {
        let script = format!("{}/tests/servers/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(server_setting("KEYWARD_TEST_PYTHON"));
        command.arg(script).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a reader starts");
        let mut lines = BufReader::new(child.stdout.take().expect("an output")).lines();
        let first = match next(&mut lines).await {
            Some(Line::Saw(seen)) => seen,
            _ => panic!("{name} ended before its first read"),
        };
        Self { name, child, lines, first }
    }

    /// Ends the reader: its name, all it saw in order, and how often it read.
    pub(crate) async fn stop(mut self) -> (&'static str, Vec<Seen>, u64) {
        let id = self.child.id().unwrap_or_else(|| panic!("{} is gone", self.name));
        let killed = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        assert!(killed.is_ok_and(|status| status.success()), "{} could not be ended", self.name);
        let mut seen = vec![self.first];
        while let Some(line) = next(&mut self.lines).await {
            match line {
                Line::Saw(more) => seen.push(more),
                Line::Reads(reads) => return (self.name, seen, reads),
            }
        }
        panic!("{} ended without a last line", self.name);
    }
}

enum Line {
    Saw(Seen),
    Reads(u64),
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Line> {
    let line: Value = serde_json::from_str(&lines.next_line().await.ok()??).ok()?;
    Some(if let Some(hash) = line["value"].as_str() {
        Line::Saw(Seen::Value(hash.to_owned()))
    } else if let Some(class) = line["error"].as_str() {
        Line::Saw(Seen::Failure(class.to_owned()))
    } else if let Some(reads) = line["reads"].as_u64() {
        Line::Reads(reads)
    } else {
        Line::Saw(Seen::Nothing)
    })
}
