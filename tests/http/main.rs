//! Probes and metrics over HTTP, against a small real server.

mod log;
mod probe;
mod prometheus;
#[path = "../support/mod.rs"]
mod support;
mod world;
