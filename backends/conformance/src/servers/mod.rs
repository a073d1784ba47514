//! Tests against real servers: where they are, and a network that fails where a plan says so.
//!
//! Addresses come from the environment alone, from variables that `tests/servers/up.sh` writes down. There is no
//! default, and what does not run on this machine is refused: nobody's own settings lead a test astray.
//! All of it needs a Tokio runtime.

mod address;
mod fault;
mod listen;
mod proxy;
mod stub;

pub use address::{server_setting, server_url};
pub use fault::{Answer, Call, Fault, FaultRule};
pub use proxy::Proxy;
pub use stub::Stub;
