//! The contract: one named test per rule, each in an inventory of its own on a real server.

mod common;

use common::{on_runtime, open};

keyward_conformance::suite!(
    #[ignore = "needs tests/servers/up.sh"]
    open().await,
    block_on = on_runtime
);
