//! One HTTP request that tells whether a key works.

mod builder;
mod template;
mod wrong;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use keyward_core::{
    Context, Error, ErrorKind, Evidence, FieldName, Issue, Material, Operation, Probe, Result, Validator, VersionId,
    async_trait,
};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use url::Url;

use super::client::Client;
use template::Template;

pub use builder::HttpProbeBuilder;

/// Tries a key out with one HTTP request, as a [`Validator`].
///
/// What an answer means:
///
/// | answer | the probe says |
/// | --- | --- |
/// | an expected status (2xx) and, where one is given, the expected body | accepted |
/// | a status that refuses the key (401) | rejected |
/// | a status that refuses what the key may do (403) | unclear: the key is alive and lacks a permission |
/// | anything else: redirects, 429, 5xx, another body, no answer | unclear |
///
/// **It must fail with a wrong key before it counts.** Before a version is first called accepted,
/// the same request is sent with a random key of the same length and shape, and must be refused; of
/// several fields each in turn. An endpoint that answers a wrong key just as well does not check
/// the key, and the probe stays unclear and says so.
///
/// Values stand in no error, log, evidence or `Debug`. Redirects are never followed.
///
/// ```
/// use keyward::http::HttpProbe;
/// let probe = HttpProbe::get("https://api.example.com/v1/account")
///     .header("Authorization", "Bearer {value}")
///     .expect_status([200])
///     .expect_json("/livemode", "true")
///     .build()?;
/// # let _ = probe;
/// # Ok::<(), keyward::http::HttpError>(())
/// ```
pub struct HttpProbe {
    client: Client,
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, Template)>,
    basic: Option<(Template, Template)>,
    query: Vec<(String, Template)>,
    body: Option<(HeaderValue, String)>,
    expected: Vec<u16>,
    rejected: Vec<u16>,
    scope_rejected: Vec<u16>,
    accepts: Vec<Match>,
    rejects: Vec<Match>,
    /// The version for which a wrong key was seen refused.
    checked: Mutex<Option<VersionId>>,
}

/// What a body is compared with.
enum Match {
    Text(String),
    Json { pointer: String, text: String },
}

/// What one request was answered.
enum Heard {
    Accepted(String),
    Rejected(String),
    Unclear(String),
}

impl HttpProbe {
    /// The most bytes of a body that are read for a comparison.
    pub const MAX_BODY: usize = 64 * 1024;

    /// A probe that sends GET.
    pub fn get(url: &str) -> HttpProbeBuilder {
        Self::request("GET", url)
    }

    /// A probe that sends POST.
    pub fn post(url: &str) -> HttpProbeBuilder {
        Self::request("POST", url)
    }

    /// A probe with another method. Choose a request that changes nothing: it is sent several
    /// times, and with wrong keys.
    pub fn request(method: &str, url: &str) -> HttpProbeBuilder {
        HttpProbeBuilder::new(method, url)
    }

    /// Sends the request with this material.
    async fn ask(&self, cx: &Context, material: &Material) -> Heard {
        let request = match self.with_key(material) {
            Ok(request) => request,
            Err(why) => return Heard::Unclear(why.to_owned()),
        };
        let most = if self.accepts.is_empty() && self.rejects.is_empty() { 0 } else { Self::MAX_BODY };
        match self.client.send(cx, request, most).await {
            Ok(answer) => self.understand(answer.status, answer.body.as_ref().map(|body| body.as_slice())),
            Err(lost) => Heard::Unclear(format!("{}: {}", self.name(), lost.words())),
        }
    }

    fn with_key(&self, material: &Material) -> Result<RequestBuilder, &'static str> {
        let mut url = self.url.clone();
        for (name, template) in &self.query {
            let filled = template.fill(material)?;
            url.query_pairs_mut().append_pair(name, text(&filled)?);
        }
        let mut request = self.client.request(self.method.clone(), url);
        for (name, template) in &self.headers {
            let mut value = HeaderValue::from_bytes(&template.fill(material)?).map_err(|_| NO_HEADER)?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some((user, password)) = &self.basic {
            let (user, password) = (user.fill(material)?, password.fill(material)?);
            request = request.basic_auth(text(&user)?, Some(text(&password)?));
        }
        if let Some((kind, body)) = &self.body {
            request = request.header(reqwest::header::CONTENT_TYPE, kind).body(body.clone());
        }
        Ok(request)
    }

    fn understand(&self, status: u16, body: Option<&[u8]>) -> Heard {
        let answered = format!("{} answered {status}", self.name());
        if self.rejected.contains(&status) {
            return Heard::Rejected(answered);
        }
        if self.scope_rejected.contains(&status) {
            return Heard::Unclear(format!("{answered}: the key is not refused as such, it lacks a permission"));
        }
        if !self.expects(status) {
            let hint = match status {
                300..=399 => ": redirects are never followed, give the address it leads to",
                400..=428 | 430..=499 => ": if that refuses the key, say so with rejected_status()",
                _ => "",
            };
            return Heard::Unclear(format!("{answered}{hint}"));
        }
        let all = |matches: &[Match]| body.is_some_and(|body| matches.iter().all(|m| m.is_in(body)));
        match () {
            () if !self.rejects.is_empty() && all(&self.rejects) => {
                Heard::Rejected(format!("{answered} with the body of a refusal"))
            }
            () if self.accepts.is_empty() => Heard::Accepted(answered),
            () if all(&self.accepts) => Heard::Accepted(format!("{answered} with the expected body")),
            () if body.is_none() => Heard::Unclear(format!("{answered} with more than {} bytes", Self::MAX_BODY)),
            () => Heard::Unclear(format!("{answered} with another body than expected")),
        }
    }

    fn expects(&self, status: u16) -> bool {
        if self.expected.is_empty() { (200..300).contains(&status) } else { self.expected.contains(&status) }
    }

    /// Sends the request with wrong keys. Nothing when each was refused, else what is wrong.
    async fn mistakes_a_wrong_key(&self, cx: &Context, material: &Material) -> Option<String> {
        let fields = self.fields();
        let parts: Vec<Option<&FieldName>> =
            if fields.is_empty() { vec![None] } else { fields.into_iter().map(Some).collect() };
        for part in parts {
            let of = part.map_or_else(|| "the key".to_owned(), |field| format!("the field {}", field.as_str()));
            let Some(wrong) = wrong::wrong(material, part) else {
                return Some(format!("no wrong value for {of} could be made"));
            };
            match self.ask(cx, &wrong).await {
                Heard::Rejected(_) => {}
                Heard::Accepted(words) => {
                    return Some(format!("this endpoint does not check {of}: {words} to a wrong one as well"));
                }
                Heard::Unclear(words) => {
                    return Some(format!("a wrong value for {of} was not clearly refused: {words}"));
                }
            }
        }
        None
    }

    /// The fields the request carries, each once.
    fn fields(&self) -> Vec<&FieldName> {
        let basic = self.basic.iter().flat_map(|(user, password)| [user, password]);
        let templates = self.headers.iter().map(|(_, t)| t).chain(self.query.iter().map(|(_, t)| t)).chain(basic);
        let mut fields: Vec<_> = templates.flat_map(Template::fields).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    fn is_checked(&self, version: VersionId) -> bool {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) == Some(version)
    }

    fn set_checked(&self, version: VersionId) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
    }

    /// The request in words: never its path or query, which may hold more than is said aloud.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.url.host_str().unwrap_or_default())
    }
}

#[async_trait]
impl Validator for HttpProbe {
    /// # Errors
    /// `Unavailable` when the deadline has passed; everything else is an answer.
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        if cx.is_expired() {
            let error = Error::new(ErrorKind::Unavailable, Operation::Probe, "http-probe").with_key(issue.record.id());
            return Err(error.with_detail("the deadline has passed"));
        }
        let words = match self.ask(cx, material).await {
            Heard::Accepted(words) => words,
            Heard::Rejected(words) => return Ok(Probe::Rejected(Evidence::lossy(&words))),
            Heard::Unclear(words) => return Ok(Probe::Unclear(Evidence::lossy(&words))),
        };
        let version = issue.version.id;
        if !self.is_checked(version) {
            if let Some(why) = self.mistakes_a_wrong_key(cx, material).await {
                return Ok(Probe::Unclear(Evidence::lossy(&why)));
            }
            self.set_checked(version);
        }
        Ok(Probe::Accepted(Evidence::lossy(&format!("{words}, and refused a wrong key"))))
    }
}

impl Match {
    fn is_in(&self, body: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.is_empty() || body.windows(text.len()).any(|part| part == text.as_bytes()),
            Self::Json { pointer, text } => {
                let json: Option<Value> = serde_json::from_slice(body).ok();
                let found = json.as_ref().and_then(|json| json.pointer(pointer)).and_then(|value| match value {
                    Value::String(found) => Some(found.clone()),
                    Value::Bool(_) | Value::Number(_) | Value::Null => Some(value.to_string()),
                    Value::Array(_) | Value::Object(_) => None,
                });
                found.as_ref() == Some(text)
            }
        }
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbe").field("request", &self.name()).finish_non_exhaustive()
    }
}

/// Query and basic authentication take text.
fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "the key is not text; put it in a header")
}

const NO_HEADER: &str = "the key cannot stand in a header: it holds a control character";
