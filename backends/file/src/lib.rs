//! keyward-file
