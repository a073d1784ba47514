//! What a suite is run on.

use keyward_core::SecretBackend;

/// Something that has a store: every store itself, and a store together with what keeps it alive.
pub trait Fixture {
    /// The store.
    fn backend(&self) -> &dyn SecretBackend;
}

impl<B: SecretBackend> Fixture for B {
    fn backend(&self) -> &dyn SecretBackend {
        self
    }
}

/// A store, and what must live as long as it does: a directory, a server. Made by [`with_guard`].
#[derive(Debug)]
pub struct Guarded<B, G> {
    // Dropped in this order: the store first.
    backend: B,
    _guard: G,
}

/// Keeps `guard` alive as long as the store is tested.
///
/// ```no_run
/// use keyward_core::MemoryBackend;
/// # async fn open(_: &std::path::Path) -> Result<MemoryBackend, std::io::Error> { Ok(MemoryBackend::default()) }
/// keyward_conformance::suite!({
///     let folder = tempfile::tempdir().expect("a temporary directory");
///     let store = open(folder.path()).await.expect("a new store");
///     keyward_conformance::with_guard(store, folder)
/// });
/// ```
#[must_use]
pub fn with_guard<B: SecretBackend, G>(backend: B, guard: G) -> Guarded<B, G> {
    Guarded { backend, _guard: guard }
}

impl<B: SecretBackend, G> Fixture for Guarded<B, G> {
    fn backend(&self) -> &dyn SecretBackend {
        &self.backend
    }
}
