//! The encrypted local file, the embedded default. See [`FileBackend`].

pub use keyward_file::*;
