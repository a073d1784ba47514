//! The contract: one named test per rule, on OpenBao, each in a folder of its own.

#[path = "server/mod.rs"]
mod server;

use server::{on_runtime, open};

keyward_conformance::suite!(
    #[ignore = "needs tests/servers/up.sh"]
    open().await,
    block_on = on_runtime
);
