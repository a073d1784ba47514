//! The HTTP client of whatever carries a token or a key: hardened once, for all.

use std::time::Duration;

use reqwest::{Certificate, Client, redirect};
use url::{Host, Url};

/// A client for one address: certificates are always verified, nothing is redirected, repeated or
/// sent through a proxy, and everything is bounded in time. Over `http://`, which callers take for
/// [this very machine](is_loopback) only, it speaks no TLS at all.
///
/// Authorities of one's own stand alone: no public one can vouch for the server then. Without any,
/// those this machine trusts count.
///
/// ```
/// use std::time::Duration;
/// let address = "https://vault.example.com".parse()?;
/// let (connect, attempt) = (Duration::from_secs(3), Duration::from_secs(10));
/// let client = keyward_remote::http::hardened(&address, Vec::new(), connect, attempt)?;
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// That of the library, when it cannot make a client: no certificate authority could be loaded.
pub fn hardened(
    address: &Url,
    authorities: Vec<Certificate>,
    connect: Duration,
    attempt: Duration,
) -> Result<Client, reqwest::Error> {
    let encrypted = address.scheme() == "https";
    let builder = Client::builder()
        .tls_backend_rustls()
        .https_only(encrypted)
        // A redirect would carry the token to another host.
        .redirect(redirect::Policy::none())
        // Whoever asks knows what may be repeated.
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(connect)
        .timeout(attempt);
    match encrypted {
        true if authorities.is_empty() => builder.build(),
        true => builder.tls_certs_only(authorities).build(),
        false => builder.tls_certs_only([]).build(),
    }
}

/// True when nothing on the way to this host can listen.
pub fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
