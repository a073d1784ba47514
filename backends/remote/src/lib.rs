//! What stores behind a network share, so that it exists once.
//!
//! - [`NativeMap`]: material as native readers see it, a JSON object of texts.
//! - [`Retry`]: repeats a call that may help, within the deadline of its [`Context`](keyward_core::Context).
//! - [`fan_out`]: many calls, a few at a time, answers in order.
//! - [`quiet`]: a call whose client library must not log.
//!
//! - `http`, with the feature of that name: the one hardened HTTP client.
//!
//! For authors of backends. Without that feature it holds no client and no runtime.
#![forbid(unsafe_code)]

mod fan_out;
#[cfg(feature = "http")]
pub mod http;
mod native;
mod quiet;
mod retry;

pub use fan_out::fan_out;
pub use native::{NativeMap, NotMaterial};
pub use quiet::quiet;
pub use retry::Retry;
