//! The rotation state machine: every arrow, every refusal, random walks, leaks in every phase.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod common;

mod laws;
mod leaks;
mod moves;
mod paths;
mod release;
mod spill;
mod table;
mod walk;
