//! Putting a probe together.

use std::fmt;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use super::super::HttpError;
use super::super::client::{Client, address};
use super::template::Template;
use super::{HttpProbe, Match};

/// Settings of an [`HttpProbe`]. Nothing is checked before [`HttpProbeBuilder::build`]. `Debug`
/// shows none of them.
///
/// The key takes the place of `{value}`, or of `{field:name}` for a key of named fields, in
/// header values, the query and basic authentication. Prefer a header: addresses end up in the logs of
/// whatever stands on the way.
#[must_use = "nothing happens before build()"]
pub struct HttpProbeBuilder {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    basic: Option<(String, String)>,
    query: Vec<(String, String)>,
    body: Option<(String, String)>,
    expected: Option<Vec<u16>>,
    rejected: Vec<u16>,
    scope_rejected: Option<Vec<u16>>,
    accepts: Vec<Match>,
    rejects: Vec<Match>,
    authorities: Vec<u8>,
}

impl HttpProbeBuilder {
    pub(super) fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            basic: None,
            query: Vec::new(),
            body: None,
            expected: None,
            rejected: vec![401],
            scope_rejected: None,
            accepts: Vec::new(),
            rejects: Vec::new(),
            authorities: Vec::new(),
        }
    }

    /// A header, such as `Authorization` with `Bearer {value}`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Basic authentication, such as `{field:id}` with `{field:secret}`, or `{value}` with nothing.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.basic = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// A pair of the query, for services that take the key nowhere else.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body, always the same: the key has no place in it.
    pub fn body(mut self, content_type: &str, body: &str) -> Self {
        self.body = Some((content_type.to_owned(), body.to_owned()));
        self
    }

    /// The statuses of success. Default: 200 to 299.
    pub fn expect_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.expected = Some(statuses.into_iter().collect());
        self
    }

    /// Text that the body must hold as well.
    pub fn expect_text(mut self, text: &str) -> Self {
        self.accepts.push(Match::Text(text.to_owned()));
        self
    }

    /// What must stand in the body, which is JSON, at a place such as `/account/id`: a text, or a
    /// number, `true`, `false` or `null` in their JSON form.
    pub fn expect_json(mut self, pointer: &str, text: &str) -> Self {
        self.accepts.push(Match::Json { pointer: pointer.to_owned(), text: text.to_owned() });
        self
    }

    /// The statuses that refuse the key as a key: unknown, revoked, expired. Default: 401.
    pub fn rejected_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.rejected = statuses.into_iter().collect();
        self
    }

    /// The statuses that know the key and refuse what it asks for. Default: 403, unless it is said
    /// to mean something else. They never count as proof that a key is dead.
    pub fn scope_rejected_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.scope_rejected = Some(statuses.into_iter().collect());
        self
    }

    /// What stands in the body, as with [`HttpProbeBuilder::expect_json`], when a service refuses
    /// the key under a status of success.
    pub fn rejected_json(mut self, pointer: &str, text: &str) -> Self {
        self.rejects.push(Match::Json { pointer: pointer.to_owned(), text: text.to_owned() });
        self
    }

    /// A certificate authority in PEM. With one of your own, no public one can vouch for the server.
    pub fn authority(mut self, pem: &[u8]) -> Self {
        self.authorities.extend_from_slice(pem);
        self.authorities.push(b'\n');
        self
    }

    /// Checks the settings together. Contacts nobody.
    ///
    /// ```
    /// use keyward::http::{HttpError, HttpProbe};
    /// let probe = |url: &str, value: &str| HttpProbe::get(url).header("Authorization", value).build();
    /// assert!(probe("https://api.example.com/me", "Bearer {value}").is_ok());
    /// assert_eq!(probe("https://api.example.com/me", "Bearer").err(), Some(HttpError::NoKey));
    /// assert_eq!(probe("http://api.example.com/me", "Bearer {value}").err(), Some(HttpError::Plain));
    /// ```
    ///
    /// # Errors
    /// [`HttpError`] naming the first setting that does not hold.
    pub fn build(self) -> Result<HttpProbe, HttpError> {
        let misplaced = |text: &str| text.contains("{value}") || text.contains("{field:");
        if misplaced(&self.url) {
            return Err(HttpError::KeyOutOfPlace { part: "address" });
        }
        if self.body.as_ref().is_some_and(|(kind, body)| misplaced(kind) || misplaced(body)) {
            return Err(HttpError::KeyOutOfPlace { part: "body" });
        }
        let url = address(&self.url)?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| HttpError::Malformed { part: "method" })?;
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
        let pair = |(a, b): &(String, String)| Ok((Template::parse(a)?, Template::parse(b)?));
        let basic: Option<(Template, Template)> = self.basic.as_ref().map(pair).transpose()?;
        let query = self.query.into_iter().map(|(name, value)| Ok((name, Template::parse(&value)?)));
        let query: Vec<_> = query.collect::<Result<_, HttpError>>()?;
        let carries = headers.iter().any(|(_, t)| t.has_key())
            || query.iter().any(|(_, t)| t.has_key())
            || basic.iter().any(|(user, password)| user.has_key() || password.has_key());
        if !carries {
            return Err(HttpError::NoKey);
        }
        let body = self.body.map(|(kind, body)| {
            let kind = HeaderValue::from_str(&kind).map_err(|_| HttpError::Malformed { part: "content type" })?;
            Ok((kind, body))
        });
        let pointers = self.accepts.iter().chain(&self.rejects).filter_map(|m| match m {
            Match::Json { pointer, .. } => Some(pointer),
            Match::Text(_) => None,
        });
        if !pointers.into_iter().all(|pointer| pointer.is_empty() || pointer.starts_with('/')) {
            return Err(HttpError::Pointer);
        }
        let (expected, rejected, scope_rejected) = statuses(self.expected, self.rejected, self.scope_rejected)?;
        Ok(HttpProbe {
            client: Client::new(&url, &self.authorities)?,
            method,
            url,
            headers,
            basic,
            query,
            body: body.transpose()?,
            expected,
            rejected,
            scope_rejected,
            accepts: self.accepts,
            rejects: self.rejects,
            checked: Mutex::new(None),
        })
    }
}

impl fmt::Debug for HttpProbeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbeBuilder").finish_non_exhaustive()
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, Template), HttpError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpError::Malformed { part: "header name" })?;
    HeaderValue::from_str(value).map_err(|_| HttpError::Malformed { part: "header value" })?;
    Ok((name, Template::parse(value)?))
}

type Statuses = (Vec<u16>, Vec<u16>, Vec<u16>);

/// Each status has one meaning. No list of expected ones stands for 200 to 299.
fn statuses(expected: Option<Vec<u16>>, rejected: Vec<u16>, scope: Option<Vec<u16>>) -> Result<Statuses, HttpError> {
    let listed = expected.clone().unwrap_or_default();
    let free = |status: &u16| !listed.contains(status) && !rejected.contains(status);
    let scope = scope.unwrap_or_else(|| [403].into_iter().filter(free).collect());
    let mut all: Vec<u16> = listed.iter().chain(&rejected).chain(&scope).copied().collect();
    let valid = all.iter().all(|status| (100..600).contains(status));
    let by_default = expected.is_none() && rejected.iter().chain(&scope).any(|status| (200..300).contains(status));
    let nothing = expected.is_some_and(|statuses| statuses.is_empty());
    all.sort_unstable();
    let twice = all.windows(2).any(|pair| pair[0] == pair[1]);
    if !valid || by_default || nothing || twice { Err(HttpError::Status) } else { Ok((listed, rejected, scope)) }
}
