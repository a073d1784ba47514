//! The other processes of the story; they end with this one.

use std::path::Path;
use std::process::Stdio;

use keyward::SecretValue;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::Answer;
use crate::acme::secret;

#[derive(Default)]
pub(crate) struct Processes(Vec<Child>);

impl Processes {
    /// Acme, and who may mint there. That secret goes through a pipe: arguments are for all to see.
    pub(crate) async fn start_acme(&mut self) -> Answer<(String, SecretValue)> {
        let admin = secret()?;
        let mut acme = self.start(&["acme"])?;
        let mut stdin = acme.stdin.take().ok_or("Acme has no standard input")?;
        stdin.write_all(format!("{}\n", admin.as_str()).as_bytes()).await?;
        Ok((self.address(acme).await?, SecretValue::from(admin.as_str())))
    }

    /// A process of the service; answers where its counters are.
    pub(crate) async fn start_billing(&mut self, directory: &Path, acme: &str) -> Answer<String> {
        let directory = directory.to_str().ok_or("the temporary directory has no plain name")?;
        let billing = self.start(&["billing", directory, acme])?;
        self.address(billing).await
    }

    fn start(&self, arguments: &[&str]) -> Answer<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// The first line a process says is where it listens.
    async fn address(&mut self, mut child: Child) -> Answer<String> {
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.ok_or("a process ended at once")?;
        self.0.push(child);
        Ok(line)
    }
}
