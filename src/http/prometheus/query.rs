//! Queries with a place for the key, its version and the time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use keyward_core::{KeyId, VersionId};

use super::super::HttpError;

/// Everything that is asked for, in the order of [`Queries`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    Clean,
    AuthRejected,
    ScopeRejected,
    Throttled,
    OtherFailures,
    Clients,
    RejectedClients,
    Minutes,
    RefusedMinutes,
    KnownClients,
    LastUse,
    Consumers,
}

impl What {
    const COUNT: usize = 12;

    /// The method of the builder that sets it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::AuthRejected => "auth_rejected",
            Self::ScopeRejected => "scope_rejected",
            Self::Throttled => "throttled",
            Self::OtherFailures => "other_failures",
            Self::Clients => "clients",
            Self::RejectedClients => "rejected_clients",
            Self::Minutes | Self::RefusedMinutes => "client_minutes",
            Self::KnownClients => "known_clients",
            Self::LastUse => "last_use",
            Self::Consumers => "consumers",
        }
    }

    /// The placeholder without which the answer is about something else.
    fn needs(self) -> &'static str {
        match self {
            Self::KnownClients | Self::Consumers => KEY,
            _ => VERSION,
        }
    }
}

/// The queries that were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Queries([Option<String>; What::COUNT]);

impl Queries {
    pub(super) fn set(&mut self, what: What, query: String) {
        self.0[what as usize] = Some(query);
    }

    pub(super) fn get(&self, what: What) -> Option<&str> {
        self.0[what as usize].as_deref()
    }

    /// What is needed is there, and each is about a key and a version.
    pub(super) fn check(&self) -> Result<(), HttpError> {
        for what in [What::Clean, What::AuthRejected, What::Clients] {
            self.get(what).ok_or(HttpError::NoQuery { what: what.name() })?;
        }
        for what in ALL {
            let placeholder = what.needs();
            if self.get(what).is_some_and(|query| !query.contains(placeholder)) {
                return Err(HttpError::NotAboutVersion { what: what.name(), placeholder });
            }
        }
        Ok(())
    }
}

/// What stands in for the placeholders.
pub(super) struct Subject<'a> {
    pub(super) key: &'a KeyId,
    pub(super) version: Option<VersionId>,
    pub(super) since: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

impl Subject<'_> {
    /// The query about this subject.
    pub(super) fn fill(&self, query: &str) -> String {
        let version = self.version.map(|version| version.to_string()).unwrap_or_default();
        let since = (self.now - self.since).to_std().unwrap_or_default().max(SHORTEST);
        let filled = [(KEY, escape(self.key.as_str())), (VERSION, escape(&version))];
        let filled =
            filled.iter().fold(query.to_owned(), |query, (placeholder, text)| query.replace(placeholder, text));
        filled.replace(SINCE, &format!("{}s", since.as_secs()))
    }
}

/// Text for a quoted string of PromQL. Names of keys and versions have letters, digits, `-` and `/`
/// only, which mean nothing in a regular expression either.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '"' | '\'' | '`' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The queries for one counter with the labels `key`, `version`, `outcome` and `instance`.
pub(super) fn of_counter(metric: &str) -> Queries {
    let select = |outcome: &str| format!(r#"{metric}{{key="{KEY}",version="{VERSION}",outcome=~"{outcome}"}}"#);
    // The greatest value and not the increase: a series that begins with the version begins above
    // zero, and an increase does not see its first requests.
    let total = |outcome: &str| format!("sum(max_over_time({}[{SINCE}]))", select(outcome));
    let clients = |outcome: &str| format!("count(sum by (instance) (max_over_time({}[{SINCE}])) > 0)", select(outcome));
    // By instance and minute; an instance that was silent has no value.
    let a_minute = |outcome: &str| format!("(sum by (instance) (increase({}[1m])) > 0)", select(outcome));
    let (telling, refused) = ("ok|auth_rejected|scope_rejected", "auth_rejected|scope_rejected");
    let share = format!("({} / {})", a_minute(refused), a_minute(telling));

    let mut queries = Queries::default();
    queries.set(What::Clean, total("ok"));
    queries.set(What::AuthRejected, total("auth_rejected"));
    queries.set(What::ScopeRejected, total("scope_rejected"));
    queries.set(What::Throttled, total("throttled"));
    queries.set(What::OtherFailures, total("failed"));
    queries.set(What::Clients, clients(".+"));
    queries.set(What::RejectedClients, clients(refused));
    queries.set(What::Minutes, format!("sum(count_over_time({}[{SINCE}:1m]))", a_minute(telling)));
    queries.set(What::RefusedMinutes, format!("sum(sum_over_time({share}[{SINCE}:1m]))"));
    queries
}

/// True for what Prometheus takes as the name of a metric.
pub(super) fn is_metric(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b':');
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

const ALL: [What; What::COUNT] = [
    What::Clean,
    What::AuthRejected,
    What::ScopeRejected,
    What::Throttled,
    What::OtherFailures,
    What::Clients,
    What::RejectedClients,
    What::Minutes,
    What::RefusedMinutes,
    What::KnownClients,
    What::LastUse,
    What::Consumers,
];
const KEY: &str = "{key}";
const VERSION: &str = "{version}";
const SINCE: &str = "{since}";
/// A shorter range may hold no sample at all.
const SHORTEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn placeholders_are_filled_and_braces_of_promql_stay() {
        let (key, version, now) =
            ("production/payments/stripe-charges".parse().expect("a key"), VersionId::generate(), Utc::now());
        let subject = Subject { key: &key, version: Some(version), since: now - TimeDelta::seconds(7_200), now };
        let query = r#"sum(rate(m{key="{key}",v="{version}"}[{since}])) by (x) # {key}"#;
        let wanted = format!(
            r#"sum(rate(m{{key="production/payments/stripe-charges",v="{version}"}}[7200s])) by (x) # production/payments/stripe-charges"#
        );
        assert_eq!(subject.fill(query), wanted);
        let early = Subject { since: now + TimeDelta::days(1), ..subject };
        assert_eq!(early.fill("[{since}]"), "[60s]");
    }

    #[test]
    fn nothing_ends_a_quoted_string() {
        assert_eq!(escape(r#"a"b'c`d\e"#), r#"a\"b\'c\`d\\e"#);
        assert_eq!(escape("a\nb"), "a\\nb");
    }

    #[test]
    fn each_query_has_its_place() {
        for (at, what) in ALL.into_iter().enumerate() {
            assert_eq!(what as usize, at);
        }
        let queries = of_counter("m");
        queries.check().expect("all that is needed");
        assert!(queries.get(What::Clients) != queries.get(What::RejectedClients));
    }

    #[test]
    fn a_query_that_is_not_about_a_version_is_refused() {
        let mut queries = of_counter("m");
        queries.set(What::Clean, r#"sum(m{key="{key}"})"#.to_owned());
        let lacks = HttpError::NotAboutVersion { what: "clean", placeholder: "{version}" };
        assert_eq!(queries.check(), Err(lacks));
        assert_eq!(Queries::default().check(), Err(HttpError::NoQuery { what: "clean" }));
    }

    #[test]
    fn a_metric_has_a_name_of_its_own() {
        assert!(["api_requests_total", "job:rate5m", "_x"].iter().all(|name| is_metric(name)));
        assert!(["", "9x", "a-b", "a{b=\"c\"}", "a b"].iter().all(|name| !is_metric(name)));
    }
}
