//! keyward-conformance
#![forbid(unsafe_code)]

pub mod strict;
