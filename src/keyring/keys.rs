//! The keys of one service in one environment.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{Environment, KeyId, SecretBackend, ServiceName};

use super::refresh::{RefreshGuard, Refreshed, run};
use super::ring::Ring;
use super::{HandleError, KeyHandle, KeyProblem, KeyringBuilder, LiveError, LiveKey, ReportedHealth};

/// The keys of one service in one environment, loaded and kept fresh.
///
/// Its handles keep working when it is dropped. Values are wiped once it and all handles are gone.
#[derive(Debug)]
pub struct Keyring {
    ring: Arc<Ring>,
    warnings: Vec<KeyProblem>,
}

impl Keyring {
    /// How often the store is asked, give or take a fifth.
    pub const SOFT_TTL: Duration = Duration::from_secs(60);
    /// How long a value is served after the store last confirmed it.
    pub const HARD_TTL: Duration = Duration::from_secs(15 * 60);
    /// The shortest time between two refreshes that handles asked for, or the soft limit when that
    /// is shorter.
    pub const FORCED_INTERVAL: Duration = Duration::from_secs(10);

    /// A keyring over a store, to be declared and loaded.
    pub fn builder(backend: impl SecretBackend + 'static) -> KeyringBuilder {
        KeyringBuilder::new(Arc::new(backend))
    }

    pub(super) fn new(ring: Ring, warnings: Vec<KeyProblem>) -> Self {
        Self { ring: Arc::new(ring), warnings }
    }

    /// A key by its name, `function/name` or in full. Resolve once, keep the handle.
    ///
    /// The refusal of another environment's key goes on the audit log with the next refresh.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::{Environment, MemoryBackend};
    /// use keyward::keyring::{HandleError, Keyring};
    /// let keys = Keyring::builder(MemoryBackend::default())
    ///     .environment(Environment::Production)
    ///     .service("billing-api")
    ///     .optional("messaging/twilio-send")
    ///     .load()
    ///     .await?;
    /// let absent = keys.handle("messaging/twilio-send");
    /// assert!(matches!(absent, Err(HandleError::Absent { .. })));
    /// # Ok::<(), keyward::keyring::LoadError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`HandleError`] when the key was not declared, is optional and absent, belongs to another
    /// environment, or the name is none.
    pub fn handle(&self, name: &str) -> Result<KeyHandle, HandleError> {
        let slot = self.ring.slot(name).map_err(|error| *error)?;
        if slot.is_absent() {
            return Err(HandleError::Absent { key: (*slot.key).clone() });
        }
        Ok(KeyHandle::new(slot.clone(), self.ring.clone()))
    }

    /// The value of a key by its name, for names that are not known before. Wait-free, without
    /// allocation; a [handle](Keyring::handle) is twice as fast.
    ///
    /// ```
    /// use keyward::keyring::{Keyring, LiveError};
    /// fn header(keys: &Keyring, tenant: &str) -> Result<Vec<u8>, LiveError> {
    ///     Ok(keys.live(&format!("payments/{tenant}"))?.expose_secret().to_vec())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LiveError`]: as [`Keyring::handle`] and [`KeyHandle::live`].
    #[inline]
    pub fn live(&self, name: &str) -> Result<LiveKey<'_>, LiveError> {
        let slot = self.ring.slot(name)?;
        Ok(LiveKey::of(slot, &self.ring)?)
    }

    /// The environment it was loaded for.
    pub fn environment(&self) -> &Environment {
        &self.ring.settings.environment
    }

    /// The service it was loaded for.
    pub fn service(&self) -> &ServiceName {
        &self.ring.settings.service
    }

    /// The declared keys, in the order they were named, whether they can be served or not.
    pub fn keys(&self) -> impl Iterator<Item = &KeyId> {
        self.ring.slots.iter().map(|slot| &*slot.key)
    }

    /// What was wrong with optional keys at the time of loading, absence left out.
    pub fn warnings(&self) -> &[KeyProblem] {
        &self.warnings
    }

    /// Asks the store now. Calls at the same time share one pass.
    ///
    /// Never takes a value away because the store is out of reach, only because a record says so.
    ///
    /// ```
    /// async fn reload(keys: &keyward::keyring::Keyring) {
    ///     for problem in keys.refresh().await.problems {
    ///         eprintln!("{problem}");
    ///     }
    /// }
    /// ```
    pub async fn refresh(&self) -> Refreshed {
        self.ring.refresh("refresh keys").await
    }

    /// Refreshes on a thread of its own until the guard, or the last of keyring and handles, is
    /// dropped.
    ///
    /// For stores that need no runtime, such as the encrypted file. A store that needs one is
    /// refreshed with [`Keyring::refresh_loop`] on that runtime.
    ///
    /// # Panics
    /// When the system starts no thread, as [`std::thread::spawn`].
    pub fn spawn_refresh(&self) -> RefreshGuard {
        RefreshGuard::spawn(self.ring.bell.clone(), self.refresh_loop())
    }

    /// Refreshes for as long as it is polled, for programs with a runtime. Ends when the keyring
    /// and all handles are gone.
    pub fn refresh_loop(&self) -> impl Future<Output = ()> + Send + use<> {
        let settings = &self.ring.settings;
        run(Arc::downgrade(&self.ring), self.ring.bell.clone(), settings.clock.clone(), settings.soft)
    }

    /// What handles report, as a health, usage and adoption signal for the rotation gates.
    pub fn health(&self) -> Arc<ReportedHealth> {
        self.ring.settings.health.clone()
    }
}
