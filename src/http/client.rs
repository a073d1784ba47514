//! The hardened HTTP client: redirects off, verification on, bounded in time and size, silent.

use std::time::Duration;

use async_compat::Compat;
use keyward_core::Context;
use keyward_remote::http::{hardened, is_loopback};
use keyward_remote::quiet;
use reqwest::{Method, RequestBuilder};
use url::Url;
use zeroize::Zeroizing;

use super::HttpError;

/// One pool of connections.
#[derive(Debug)]
pub(super) struct Client {
    pool: reqwest::Client,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The body; nothing when it is longer than was asked for.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

/// Why no answer came, as far as it is told on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lost {
    /// There was no connection.
    Unreachable,
    /// The time was up.
    Late,
    /// The connection ended, or what came is not HTTP.
    Broken,
}

impl Lost {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "it cannot be reached; check address, network and TLS",
            Self::Late => "no answer came in time",
            Self::Broken => "the connection ended before the answer was complete",
        }
    }
}

impl Client {
    /// `authorities` is PEM; empty for the authorities this machine trusts.
    pub(super) fn new(address: &Url, authorities: &[u8]) -> Result<Self, HttpError> {
        let authorities = if authorities.is_empty() { Vec::new() } else { certificates(authorities)? };
        let pool = hardened(address, authorities, CONNECT, ATTEMPT).map_err(|_| HttpError::Client)?;
        Ok(Self { pool })
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.pool.request(method, url)
    }

    /// Sends a request once and reads at most `most` bytes of the answer.
    pub(super) async fn send(&self, cx: &Context, request: RequestBuilder, most: usize) -> Result<Answer, Lost> {
        let left = cx.remaining();
        if left.is_zero() {
            return Err(Lost::Late);
        }
        let call = receive(request.timeout(left.min(ATTEMPT)), most);
        quiet(Compat::new(call)).await.map_err(|error| match () {
            () if error.is_timeout() => Lost::Late,
            () if error.is_connect() => Lost::Unreachable,
            () => Lost::Broken,
        })
    }
}

async fn receive(request: RequestBuilder, most: usize) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    // What is announced is not allocated, beyond what would be read; a vector that does not grow
    // leaves no copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(most)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(Answer { status, body: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: Some(body) })
}

/// An https address, or an http one of this machine, with nothing in it that should not be.
pub(super) fn address(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|_| HttpError::Address)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(HttpError::Plain),
        _ => return Err(HttpError::Address),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(HttpError::Extra);
    }
    Ok(url)
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, HttpError> {
    match reqwest::Certificate::from_pem_bundle(pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(HttpError::Authority),
    }
}

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in
            ["https://prometheus.example.com", "http://127.0.0.1:9090/", "http://[::1]:9090", "http://localhost"]
        {
            assert!(address(good).is_ok(), "{good}");
        }
        let bad = [
            ("http://prometheus.example.com", HttpError::Plain),
            ("http://127.0.0.1.example.com", HttpError::Plain),
            ("http://localhost.example.com", HttpError::Plain),
            ("http://10.0.0.1:9090", HttpError::Plain),
            ("ftp://127.0.0.1", HttpError::Address),
            ("prometheus:9090", HttpError::Address),
            ("", HttpError::Address),
            ("https://user@example.com", HttpError::Extra),
            ("https://user:password@example.com", HttpError::Extra),
            ("https://example.com/#part", HttpError::Extra),
        ];
        for (text, why) in bad {
            assert_eq!(address(text), Err(why), "{text}");
        }
    }

    #[test]
    fn an_authority_is_pem() {
        let url = address("https://example.com").expect("an address");
        assert!(Client::new(&url, b"").is_ok());
        assert_eq!(Client::new(&url, b"not PEM").err(), Some(HttpError::Authority));
    }
}
