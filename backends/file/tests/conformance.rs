//! The contract: one named test per rule, each on a store of its own.

use keyward_conformance::with_guard;
use keyward_file::{FileBackend, KeyFile};

keyward_conformance::suite!({
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = KeyFile::create(directory.path().join("unlock.key")).expect("a key file");
    let store = FileBackend::create(directory.path().join("keys.keyward"), key).await.expect("a new store");
    with_guard(store, directory)
});
