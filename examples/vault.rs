//! A key in HashiCorp Vault or OpenBao, from registration to its second version.
//!
//! ```text
//! tests/servers/up.sh && . target/test-servers/env     # or VAULT_ADDR and VAULT_TOKEN of your own server
//! cargo run --example vault --features vault
//! ```
//!
//! On a server of your own it leaves a few paths behind, under a name that it prints. A service
//! logs in with AppRole, Kubernetes or JWT instead of a token: see `keyward::vault::Auth`.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "remote/story.rs"]
mod story;

use std::sync::Arc;

use keyward::Context;
use keyward::core::RequestId;
use keyward::vault::{ConnectionBuilder, VaultBackend};
use story::{Answer, KEY, tell};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Answer {
    let cx = Context::new("ada@example.com", "try keyward out")?;
    let connection = ConnectionBuilder::from_env()?.connect(&cx).await?;
    let prefix = format!("keyward-example-{}", RequestId::generate());
    let store = Arc::new(VaultBackend::builder(connection).prefix(&prefix).open(&cx).await?);
    tell(store).await?;
    println!("\na native reader finds it as the latest version of\n  bao kv get -mount=secret {prefix}/keys/{KEY}");
    Ok(())
}
