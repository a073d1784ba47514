//! Endpoint patterns: `POST /v1/charges`, `/v1/reports/*`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One endpoint or a subtree of endpoints, for one HTTP method or for all.
///
/// `/*` is everything; `/v1/charges/*` is everything *below* `/v1/charges`; a pattern without a
/// star is exactly one path. Two patterns are nested or disjoint, which keeps scopes a lattice.
///
/// ```
/// use keyward_core::EndpointPattern;
/// let all: EndpointPattern = "/v1/*".parse()?;
/// let one: EndpointPattern = "POST /v1/charges".parse()?;
/// assert!(all.covers(&one) && !one.covers(&all));
/// # Ok::<(), keyward_core::EndpointError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointPattern {
    method: Option<Method>,
    path: Box<str>,
    subtree: bool,
}

impl EndpointPattern {
    /// True when every request `other` allows is allowed by `self`.
    pub fn covers(&self, other: &Self) -> bool {
        let method = self.method.is_none() || self.method == other.method;
        method && self.covers_path(other)
    }

    /// The requests both allow, if there are any.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let method = match (self.method, other.method) {
            (None, any) | (any, None) => any,
            (Some(a), Some(b)) if a == b => Some(a),
            _ => return None,
        };
        let narrower = if self.covers_path(other) {
            other
        } else if other.covers_path(self) {
            self
        } else {
            return None;
        };
        Some(Self { method, path: narrower.path.clone(), subtree: narrower.subtree })
    }

    /// True for `/*`, with or without a method: no path is named.
    pub fn is_unrestricted(&self) -> bool {
        self.subtree && self.path.is_empty()
    }

    fn covers_path(&self, other: &Self) -> bool {
        if !self.subtree {
            return !other.subtree && self.path == other.path;
        }
        match other.path.strip_prefix(&*self.path) {
            Some(rest) => rest.starts_with('/') || (rest.is_empty() && other.subtree),
            None => false,
        }
    }
}

impl FromStr for EndpointPattern {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.len() > 256 {
            return Err(EndpointError::Length { found: text.len() });
        }
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method.parse()?), path),
            None => (None, text),
        };
        let start = text.len() - path.len();
        if !path.starts_with('/') {
            return Err(EndpointError::Path { at: start });
        }
        if let Some(at) = path.find("//") {
            return Err(EndpointError::Path { at: start + at });
        }
        let (path, subtree) = match path.strip_suffix("/*") {
            Some(parent) => (parent, true),
            None => (path, false),
        };
        let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'#' | b'%' | b'\\');
        if let Some(at) = path.bytes().position(|b| !allowed(b)) {
            return Err(EndpointError::Path { at: start + at });
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(EndpointError::Path { at: start });
        }
        Ok(Self { method, path: path.into(), subtree })
    }
}

impl TryFrom<String> for EndpointPattern {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<EndpointPattern> for String {
    fn from(pattern: EndpointPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = self.method {
            write!(f, "{method:?} ")?;
        }
        f.write_str(&self.path)?;
        if self.subtree { f.write_str("/*") } else { Ok(()) }
    }
}

/// Why a text is not an endpoint pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Longer than 256 bytes.
    #[error("the endpoint pattern has {found} bytes; use at most 256")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// Not an HTTP method in capitals.
    #[error("the endpoint pattern starts with an unknown method; use GET, HEAD, POST, PUT, PATCH, DELETE or none")]
    Method,
    /// Not an absolute path, or a character that has no place in one; a star only as a last `/*`.
    #[error("the endpoint pattern has a bad path at byte {at}; write /a/b, or /a/* for all below /a")]
    Path {
        /// Byte offset.
        at: usize,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::upper_case_acronyms, reason = "HTTP methods are written in capitals")]
enum Method {
    GET,
    HEAD,
    POST,
    PUT,
    PATCH,
    DELETE,
}

impl FromStr for Method {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Ok(match text {
            "GET" => Self::GET,
            "HEAD" => Self::HEAD,
            "POST" => Self::POST,
            "PUT" => Self::PUT,
            "PATCH" => Self::PATCH,
            "DELETE" => Self::DELETE,
            _ => return Err(EndpointError::Method),
        })
    }
}
