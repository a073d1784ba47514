//! A service that wraps keys, in memory: with real authenticated encryption, so that it can refuse.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use keyward_seal::{
    ContextBuilder, KeyWrapper, OVERHEAD, SealKey, WrapError, WrapKey, Wrapping, async_trait, open, seal,
};

/// One remote key. What it wraps is padded to a length, if one is set.
#[derive(Debug)]
pub(crate) struct Service {
    service: &'static str,
    key_name: String,
    key: SealKey,
    blob: usize,
    refuses: Mutex<Option<WrapError>>,
    calls: AtomicU32,
    seen: Mutex<Vec<[u8; 32]>>,
}

impl Service {
    pub(crate) fn new(service: &'static str, key_name: &str) -> Self {
        let key = SealKey::generate().expect("random bytes");
        let (refuses, calls, seen) = (Mutex::default(), AtomicU32::new(0), Mutex::default());
        Self { service, key_name: key_name.to_owned(), key, blob: 32 + OVERHEAD, refuses, calls, seen }
    }

    pub(crate) fn padded(mut self, length: usize) -> Self {
        self.blob = length;
        self
    }

    pub(crate) fn refuse(&self, problem: Option<WrapError>) {
        *self.refuses.lock().expect("no panic") = problem;
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The keys that were wrapped.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub(crate) fn seen(&self) -> Vec<[u8; 32]> {
        self.seen.lock().expect("no panic").clone()
    }

    fn answer(&self) -> Result<(), WrapError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.refuses.lock().expect("no panic").map_or(Ok(()), Err)
    }
}

#[async_trait]
impl KeyWrapper for Service {
    fn service(&self) -> &'static str {
        self.service
    }

    async fn wrap(&self, store: &[u8; 16], key: &WrapKey) -> Result<Wrapping, WrapError> {
        self.answer()?;
        self.seen.lock().expect("no panic").push(*key.expose_secret());
        let plain = [key.expose_secret(), &vec![0; self.blob - OVERHEAD - 32][..]].concat();
        let blob = seal(&self.key, &plain, &bound_to(store)).map_err(|_| WrapError::Unexpected)?;
        Wrapping::new(&self.key_name, &blob)
    }

    async fn unwrap(&self, store: &[u8; 16], wrapping: &Wrapping) -> Result<WrapKey, WrapError> {
        self.answer()?;
        let plain = open(&self.key, wrapping.blob(), &bound_to(store)).map_err(|_| WrapError::Rejected)?;
        WrapKey::from_bytes(&plain[..32])
    }
}

fn bound_to(store: &[u8; 16]) -> Vec<u8> {
    ContextBuilder::new("a service of the tests").bytes(store).finish()
}
