//! How a request made with a key went.

/// How a request made with a key went, as far as it speaks about the key.
///
/// ```
/// use keyward::keyring::Outcome;
/// assert_eq!(Outcome::from_http_status(204_u16), Outcome::Ok);
/// assert_eq!(Outcome::from_http_status(401_u16), Outcome::AuthRejected);
/// assert_eq!(Outcome::from_http_status(422_u16), Outcome::RequestError);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The request succeeded.
    Ok,
    /// The key was refused: invalid, revoked, expired. Asks for a refresh.
    AuthRejected,
    /// The key lacks a permission.
    ScopeRejected,
    /// Too many requests.
    Throttled,
    /// The request itself was wrong, which says nothing about the key.
    RequestError,
    /// The other side failed.
    ServerError,
    /// No answer came.
    NetworkError,
}

impl Outcome {
    /// What an HTTP status says about the key.
    ///
    /// | status | outcome |
    /// | --- | --- |
    /// | 100 to 399 | [`Outcome::Ok`] |
    /// | 401 | [`Outcome::AuthRejected`] |
    /// | 403 | [`Outcome::ScopeRejected`] |
    /// | 408 | [`Outcome::NetworkError`] |
    /// | 429 | [`Outcome::Throttled`] |
    /// | any other 4xx | [`Outcome::RequestError`] |
    /// | everything else | [`Outcome::ServerError`] |
    ///
    /// Some services answer 403 for an unknown key, or 400 or 404 instead of 403. Map those by
    /// hand: what counts is whether the *key* was refused.
    #[must_use]
    pub fn from_http_status(status: impl Into<u16>) -> Self {
        match status.into() {
            100..=399 => Self::Ok,
            401 => Self::AuthRejected,
            403 => Self::ScopeRejected,
            408 => Self::NetworkError,
            429 => Self::Throttled,
            400..=499 => Self::RequestError,
            _ => Self::ServerError,
        }
    }
}
