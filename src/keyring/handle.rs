//! The way to a value: handle, live key, watch.

use std::fmt;
use std::str;
use std::sync::Arc;

use keyward_core::{KeyId, SecretValue, VersionId};

use super::ring::Ring;
use super::slot::{Serving, Shown, Slot};
use super::{NotLive, NotText, Outcome};

/// A key of the keyring, resolved once. Cheap to clone, made to be kept.
///
/// It follows rotations by itself: ask [`KeyHandle::live`] for every request and keep no value.
#[derive(Clone)]
pub struct KeyHandle {
    slot: Arc<Slot>,
    ring: Arc<Ring>,
}

impl KeyHandle {
    pub(super) fn new(slot: Arc<Slot>, ring: Arc<Ring>) -> Self {
        Self { slot, ring }
    }

    /// The key.
    pub fn key(&self) -> &KeyId {
        &self.slot.key
    }

    /// The value to use now. Wait-free, without allocation, lock or system call.
    ///
    /// ```
    /// use keyward::keyring::{KeyHandle, Outcome};
    /// fn charge(stripe: &KeyHandle) -> Result<(), Box<dyn std::error::Error>> {
    ///     let key = stripe.live()?;
    ///     let header = format!("Bearer {}", key.expose_str()?);
    ///     # fn post(_: String) -> u16 { 200 }
    ///     key.report(Outcome::from_http_status(post(header)));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotLive`]: the key expired, was revoked or leaked, or the store has not confirmed it for
    /// longer than the hard limit. An old value is never served instead.
    #[inline]
    pub fn live(&self) -> Result<LiveKey<'_>, NotLive> {
        LiveKey::of(&self.slot, &self.ring)
    }

    /// Waits for rotations.
    pub fn watch(&self) -> Watch {
        Watch { seen: self.slot.version(), handle: self.clone() }
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyHandle").field(&self.key().as_str()).finish()
    }
}

/// One version of a key, good for the request at hand.
///
/// Borrowed from its handle. A rotation in the meantime changes nothing about it: the value stays
/// the one it was, and reports are about *that* version. `Debug` shows names only.
pub struct LiveKey<'a> {
    shown: Shown,
    slot: &'a Slot,
    ring: &'a Ring,
}

impl<'a> LiveKey<'a> {
    #[inline(always)]
    pub(super) fn of(slot: &'a Slot, ring: &'a Ring) -> Result<Self, NotLive> {
        Ok(Self { shown: slot.live()?, slot, ring })
    }

    /// The bytes of a key of one value. `grep expose_` is the audit.
    ///
    /// Empty for a key of named fields, which has no single value: see [`LiveKey::expose_field`].
    #[inline]
    pub fn expose_secret(&self) -> &[u8] {
        self.serving().material.value().map_or(&[], SecretValue::expose_secret)
    }

    /// The value as text.
    ///
    /// ```
    /// use keyward::keyring::{LiveKey, NotText};
    /// fn header(key: &LiveKey<'_>) -> Result<String, NotText> {
    ///     Ok(format!("Bearer {}", key.expose_str()?))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotText::Utf8`] when it is not UTF-8, [`NotText::Fields`] when the key has named fields.
    pub fn expose_str(&self) -> Result<&str, NotText> {
        let value = self.serving().material.value().ok_or(NotText::Fields)?;
        str::from_utf8(value.expose_secret()).map_err(|_| NotText::Utf8)
    }

    /// The bytes of one field; absent when the key has no such field.
    pub fn expose_field(&self, name: &str) -> Option<&[u8]> {
        self.serving().material.field(name).map(SecretValue::expose_secret)
    }

    /// The version this is.
    pub fn version(&self) -> VersionId {
        self.serving().version
    }

    /// The key.
    pub fn key(&self) -> &'a KeyId {
        &self.slot.key
    }

    /// Says how a request made with this value went. Counting is lock-free and allocates nothing;
    /// only the one rejection that asks for a refresh wakes somebody.
    ///
    /// Feeds the health of this version. [`Outcome::AuthRejected`] about the version still in
    /// service also asks for a refresh: one for all callers, not more often than
    /// [`Keyring::FORCED_INTERVAL`](super::Keyring::FORCED_INTERVAL), done by whoever runs the
    /// refreshes. After it, ask the handle again and repeat the request once.
    pub fn report(&self, outcome: Outcome) {
        self.serving().arm.count(outcome);
        if outcome == Outcome::AuthRejected && self.slot.version() == Some(self.version()) {
            self.ring.ask();
        }
    }

    #[inline]
    fn serving(&self) -> &Serving {
        self.shown.as_deref().expect("a live key is made only of a version in service")
    }
}

impl fmt::Debug for LiveKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("LiveKey");
        debug.field("key", &self.key().as_str()).field("version", &self.version()).finish_non_exhaustive()
    }
}

/// Waits for the versions a key comes to serve; made by [`KeyHandle::watch`].
pub struct Watch {
    handle: KeyHandle,
    seen: Option<VersionId>,
}

impl Watch {
    /// The next version that comes into service after the one last seen here.
    ///
    /// Several rotations in quick succession may be one change. Never completes while nobody
    /// refreshes the keyring. Safe to drop and call again.
    pub async fn changed(&mut self) -> VersionId {
        loop {
            let heard = self.handle.slot.turned.rings();
            match self.handle.slot.version() {
                Some(version) if self.seen != Some(version) => {
                    self.seen = Some(version);
                    return version;
                }
                _ => self.handle.slot.turned.after(heard).await,
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("handle", &self.handle).field("seen", &self.seen).finish()
    }
}
