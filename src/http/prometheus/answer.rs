//! What a metrics server answers, and what is made of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use keyward_core::{Adoption, Error, ErrorKind, Operation, Result, Retry};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::client::{Answer, Lost};

/// The samples of a successful answer.
pub(super) struct Samples(Vec<Sample>);

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    warnings: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    String(IgnoredAny),
    Matrix(IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Absent for a histogram.
    value: Option<(f64, String)>,
}

impl Samples {
    /// Reads an answer.
    pub(super) fn of(answer: &Answer) -> Result<Self> {
        if !(200..300).contains(&answer.status) {
            return Err(of_status(answer.status));
        }
        let body = answer.body.as_ref().ok_or_else(|| fault(ErrorKind::Invalid, "the answer is too long"))?;
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| not_prometheus(answer.status))?;
        if envelope.status != "success" {
            return Err(not_prometheus(answer.status));
        }
        if envelope.warnings.is_some_and(|warnings| !warnings.is_empty()) {
            let detail = "the answer comes with warnings: it may not be complete";
            return Err(fault(ErrorKind::Unavailable, detail));
        }
        match envelope.data.ok_or_else(|| not_prometheus(answer.status))? {
            Data::Vector(samples) => Ok(Self(samples)),
            Data::Scalar(value) => Ok(Self(vec![Sample { metric: BTreeMap::new(), value: Some(value) }])),
            Data::String(_) | Data::Matrix(_) => {
                Err(fault(ErrorKind::Invalid, "a query gives text or a range; it must give one number"))
            }
        }
    }

    /// One number that can be a count; nothing when nothing was found.
    pub(super) fn number(&self) -> Result<Option<f64>> {
        match self.0.as_slice() {
            [] => Ok(None),
            [sample] => sample.number().map(Some),
            _ => Err(fault(ErrorKind::Invalid, "a query gives several series; let it give one, such as with sum()")),
        }
    }

    /// One consumer for each series, from the labels `service`, `instance` and `version`; its value
    /// is when it was seen, in seconds since 1970.
    pub(super) fn consumers(self) -> Result<Vec<Adoption>> {
        let consumer = |mut sample: Sample| {
            let seen_at = instant(sample.number()?)?;
            let mut label = |name| sample.metric.remove(name);
            let named = label("service").zip(label("instance")).zip(label("version"));
            named
                .and_then(|((service, instance), version)| {
                    let (service, version) = (service.parse().ok()?, version.parse().ok()?);
                    Some(Adoption { service, instance, version, seen_at })
                })
                .ok_or_else(|| fault(ErrorKind::Invalid, "a series lacks service, instance or version, or it is none"))
        };
        self.0.into_iter().map(consumer).collect()
    }
}

impl Sample {
    fn number(&self) -> Result<f64> {
        let number = self.value.as_ref().and_then(|(_, text)| text.parse::<f64>().ok());
        match number.filter(|n| n.is_finite() && *n >= 0.0) {
            Some(number) => Ok(number),
            None => Err(fault(ErrorKind::Invalid, "a query gives no number that can be a count")),
        }
    }
}

/// A moment, from seconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "a number out of range is no moment")]
pub(super) fn instant(seconds: f64) -> Result<DateTime<Utc>> {
    let moment = DateTime::from_timestamp_millis((seconds * 1e3) as i64);
    moment.ok_or_else(|| fault(ErrorKind::Invalid, "a query gives no moment; let it give seconds since 1970"))
}

/// An error with a detail.
pub(super) fn fault(kind: ErrorKind, detail: &'static str) -> Error {
    Error::new(kind, Operation::Signal, "prometheus").with_detail(detail)
}

/// What is kept of an exchange without an answer.
pub(super) fn lost(why: Lost) -> Error {
    fault(ErrorKind::Unavailable, why.words())
}

fn not_prometheus(status: u16) -> Error {
    let detail = "the answer is not one of Prometheus; check the address and what stands in front of it";
    fault(ErrorKind::Unavailable, detail).with_code(status.into())
}

fn of_status(status: u16) -> Error {
    let (kind, detail) = match status {
        300..=399 => {
            let error = fault(ErrorKind::Unavailable, "redirects are never followed; give the address it leads to");
            return error.with_code(status.into()).with_retry(Retry::No);
        }
        400 | 422 => (ErrorKind::Invalid, "a query was refused; try it in the expression browser"),
        401 | 403 => (ErrorKind::Denied, "access was refused; check the bearer token"),
        404 => (ErrorKind::Invalid, "there is no query API at this address; give what comes before /api/v1"),
        429 => (ErrorKind::Throttled, "the server limits the rate of requests"),
        _ => (ErrorKind::Unavailable, "the server failed"),
    };
    fault(kind, detail).with_code(status.into())
}
