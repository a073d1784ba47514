//! Why something that speaks HTTP cannot be set up.

/// Why a probe or a metrics server cannot be set up. Repeats nothing of what was given: an address
/// or a header may hold a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be parsed, or is neither https nor http.
    #[error("the address is none; write https://host/path")]
    Address,
    /// Plain http to another machine.
    #[error("plain http is taken only for this very machine; use https")]
    Plain,
    /// A user, a password or a fragment in the address, or a query before the path of an API.
    #[error("the address holds a user, a password, a fragment or a query that has no place there; leave it out")]
    Extra,
    /// A placeholder for the key in the address or the body.
    #[error("the key has no place in the {part}; put it in a header, or with query() or basic_auth()")]
    KeyOutOfPlace {
        /// Where it was.
        part: &'static str,
    },
    /// A brace that opens no known placeholder.
    #[error("a template has a brace that opens neither {{value}} nor {{field:name}}; correct it")]
    Placeholder,
    /// No template holds a placeholder.
    #[error("the request carries no key; put {{value}} or {{field:name}} in a header")]
    NoKey,
    /// A method, header name or constant header value that HTTP does not allow.
    #[error("the {part} is not one that HTTP allows; correct it")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// A status below 100 or above 599, in two lists, or no expected status at all.
    #[error("a status is none, or is said to mean two things; give each status one meaning")]
    Status,
    /// A JSON pointer that does not begin with a slash.
    #[error("a JSON pointer is none; begin it with '/'")]
    Pointer,
    /// A certificate authority that is not PEM.
    #[error("the certificate authority is not PEM")]
    Authority,
    /// A query that is required and was not given.
    #[error("no query for {what} was given; call {what}(), or counter()")]
    NoQuery {
        /// What it counts.
        what: &'static str,
    },
    /// A query that does not name what it is about.
    #[error("the query for {what} lacks {placeholder}: without it the count is not about one version")]
    NotAboutVersion {
        /// What it counts.
        what: &'static str,
        /// The placeholder that is missing.
        placeholder: &'static str,
    },
    /// A metric name that is none.
    #[error("the name of the metric is none; use letters, digits, '_' and ':'")]
    Metric,
    /// The settings do not make a client.
    #[error("no HTTP client can be made of these settings")]
    Client,
}
