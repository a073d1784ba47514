//! A token and how long it lasts.

use std::fmt;
use std::time::{Duration, Instant};

use keyward_core::{ErrorKind, Operation, Result, SecretValue};
use reqwest::header::HeaderValue;
use uuid::Uuid;
use vaultrs::api::AuthInfo;
use zeroize::Zeroizing;

use crate::error::fault;

/// What is said of a token that no header can carry.
const NOT_A_TOKEN: &str = "the token is empty or holds characters no token has";

/// What a login or a renewal granted.
pub(crate) struct Grant {
    pub(crate) token: SecretValue,
    /// How long it lasts; zero: for ever.
    pub(crate) lease: Duration,
    pub(crate) renewable: bool,
}

impl Grant {
    pub(crate) fn of(auth: AuthInfo) -> Self {
        Self {
            token: SecretValue::new(auth.client_token.into_bytes()),
            lease: Duration::from_secs(auth.lease_duration),
            renewable: auth.renewable,
        }
    }
}

/// A token in use. Its header is marked sensitive, so no client prints it.
pub(crate) struct Token {
    header: HeaderValue,
    /// How long the lease was when the token was made. A renewal that grants much less nears the greatest lifetime.
    first_lease: Duration,
    renewable: bool,
    renew_at: Option<Instant>,
    expires: Option<Instant>,
}

impl Token {
    /// A token just granted by a login.
    pub(crate) fn granted(grant: &Grant, operation: Operation) -> Result<Self> {
        Ok(Self::leased(Self::header_of(&grant.token, operation)?, grant.lease, grant.lease, grant.renewable))
    }

    /// The same token with a new lease.
    pub(crate) fn renewed(&self, lease: Duration, renewable: bool) -> Self {
        Self::leased(self.header.clone(), self.first_lease, lease, renewable)
    }

    /// The same token, to be tried again after a pause.
    pub(crate) fn postponed(&self, pause: Duration) -> Self {
        Self { header: self.header.clone(), renew_at: self.renew_at.map(|_| Instant::now() + pause), ..*self }
    }

    fn leased(header: HeaderValue, first_lease: Duration, lease: Duration, renewable: bool) -> Self {
        let now = Instant::now();
        let at = |after: Duration| (!lease.is_zero()).then(|| now.checked_add(after)).flatten();
        // Two thirds of the lease, up to a tenth of it earlier: hosts that start together do not renew together.
        let renew_after = lease.mul_f64(2.0 / 3.0 - 0.1 * jitter());
        Self { header, first_lease, renewable, renew_at: at(renew_after), expires: at(lease) }
    }

    /// A token as a header no client prints.
    pub(crate) fn header_of(token: &SecretValue, operation: Operation) -> Result<HeaderValue> {
        header(token).ok_or_else(|| fault(ErrorKind::Denied, operation, NOT_A_TOKEN))
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// True when it should be renewed or replaced soon.
    pub(crate) fn is_due(&self) -> bool {
        self.renew_at.is_some_and(|at| Instant::now() >= at)
    }

    /// True when it has run out.
    pub(crate) fn is_over(&self) -> bool {
        self.expires.is_some_and(|at| Instant::now() >= at)
    }

    /// When it is due; `None` for a token that lasts for ever.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.renew_at
    }

    /// True when renewing is worth while.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// True when a renewal granted so much less than the first lease that the greatest lifetime must be near.
    pub(crate) fn is_nearly_spent(&self, lease: Duration) -> bool {
        !lease.is_zero() && lease < self.first_lease / 2
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("renewable", &self.renewable).field("renew_at", &self.renew_at).finish()
    }
}

/// A token as a header; `None` when no header can carry it.
fn header(token: &SecretValue) -> Option<HeaderValue> {
    let bytes = Zeroizing::new(token.expose_secret().to_vec());
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut value = HeaderValue::from_bytes(&bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Between 0 and 1, by chance.
fn jitter() -> f64 {
    f64::from(Uuid::now_v7().as_bytes()[15]) / 255.0
}
