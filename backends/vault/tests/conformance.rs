//! The contract: one named test per rule, on OpenBao, each in a folder of its own.

mod common;

use common::{on_runtime, open};

keyward_conformance::suite!(
    #[ignore = "needs tests/servers/up.sh"]
    open().await,
    block_on = on_runtime
);
