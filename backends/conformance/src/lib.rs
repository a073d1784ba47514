//! keyward-conformance
