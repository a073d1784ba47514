//! Where the servers are.

use std::net::IpAddr;

use hyper::Uri;

const ALLOW_REMOTE: &str = "ALLOW_REMOTE_TEST_SERVERS";

/// The address of a test server, from a variable such as `VAULT_ADDR`, without a closing `/`.
///
/// # Panics
/// When the variable is not set, and says what to run. When the server is not on this machine, unless
/// `ALLOW_REMOTE_TEST_SERVERS=1`: the tests write, and must not meet a store that is in use.
///
/// ```no_run
/// let address = keyward_conformance::servers::server_url("VAULT_ADDR");
/// ```
#[must_use]
pub fn server_url(variable: &str) -> String {
    let remote_allowed = std::env::var(ALLOW_REMOTE).is_ok_and(|value| value == "1");
    match local(&server_setting(variable), remote_allowed) {
        Ok(address) => address,
        Err(problem) => panic!("{variable} {problem}"),
    }
}

/// Another setting of the test servers, such as `VAULT_TOKEN`.
///
/// # Panics
/// When the variable is not set or empty, and says what to run.
///
/// ```no_run
/// let token = keyward_conformance::servers::server_setting("VAULT_TOKEN");
/// ```
#[must_use]
pub fn server_setting(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{variable} is not set; run: tests/servers/up.sh && . target/test-servers/env"),
    }
}

/// The address, or what is wrong with it. The address itself is not repeated: it may hold a password.
fn local(address: &str, remote_allowed: bool) -> Result<String, &'static str> {
    let uri: Uri = address.parse().map_err(|_| "is not an address")?;
    let (Some("http" | "https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err("is not an http or https address");
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_local && !remote_allowed {
        return Err("is not on this machine; set ALLOW_REMOTE_TEST_SERVERS=1 if the tests may write there");
    }
    Ok(address.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_this_machine_is_taken() {
        for address in ["http://127.0.0.1:8200", "https://[::1]:8200/", "http://localhost", "http://127.8.9.1:1/x/"] {
            assert_eq!(local(address, false).as_deref(), Ok(address.trim_end_matches('/')));
        }
    }

    #[test]
    fn any_other_is_refused_unless_allowed() {
        let remote = [
            "https://vault.example.com",
            "http://10.0.0.1:8200",
            "http://0.0.0.0:8200",
            "http://127.0.0.1@vault.example.com/",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[2001:db8::1]:8200",
        ];
        for address in remote {
            assert!(local(address, false).is_err(), "{address}");
            assert!(local(address, true).is_ok(), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_never_taken() {
        for address in ["", "127.0.0.1:8200", "/v1", "ftp://127.0.0.1", "unix:///run/vault", "http://"] {
            assert!(local(address, true).is_err(), "{address}");
        }
    }

    #[test]
    #[should_panic(expected = "KEYWARD_TEST_NO_SUCH_SERVER is not set; run: tests/servers/up.sh")]
    fn a_missing_variable_says_what_to_run() {
        let _ = server_url("KEYWARD_TEST_NO_SUCH_SERVER");
    }

    #[test]
    #[should_panic(expected = "CARGO_PKG_NAME is not")]
    fn a_variable_without_an_address_is_named() {
        let _ = server_url("CARGO_PKG_NAME");
    }
}
