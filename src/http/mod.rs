//! Over HTTP: counts from a metrics server, and a probe that tries keys out.
//!
//! - [`Prometheus`] asks an instant query for each count; a health, usage and adoption signal.
//! - [`HttpProbe`] sends one request with the key, and first the same request with a wrong one.
//!
//! Both speak https, or http to this very machine; follow no redirect; wait 3 s for a connection,
//! 10 s for an answer, and never beyond the deadline of the call; read a bounded part of an answer;
//! and keep nothing of it in errors. They need no runtime of the caller's.

mod client;
mod error;
mod probe;
mod prometheus;

pub use error::HttpError;
pub use probe::{HttpProbe, HttpProbeBuilder};
pub use prometheus::{Prometheus, PrometheusBuilder};
