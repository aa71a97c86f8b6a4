//! How long attempts took, for whoever collects metrics.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use ::http::Method;
use metrics::{Histogram, Label};

use super::Response;
use crate::{Class, Error, Result};

/// The handles of `http.client.request.duration`, in seconds, one for each set of labels that has been
/// seen: making one costs allocations, using one none.
///
/// Names and labels are those of OpenTelemetry's semantic conventions for HTTP clients:
/// `http.request.method`, `server.address`, `http.response.status_code`, `error.type`. A recorder has to be
/// installed before the first request: handles that were made without one stay silent.
#[derive(Default)]
pub(super) struct Durations(RwLock<Vec<Series>>);

struct Series {
    method: Method,
    outcome: Outcome,
    host: String,
    histogram: Histogram,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Status(u16),
    Failure(Class),
}

/// A vendor has a handful of hosts and statuses. Beyond so many, what is new is left out: one that names a
/// new host for each answer must not fill the memory, here or with who collects.
const MOST: usize = 256;

impl Durations {
    pub(super) fn record(&self, method: &Method, result: &Result<Response>, taken: Duration) {
        let (outcome, host) = match result {
            Ok(response) => (Outcome::Status(response.status.as_u16()), response.url.host_str()),
            Err(error) => (Outcome::Failure(error.class()), host(error)),
        };
        let host = host.unwrap_or_default();
        let is_it =
            |series: &Series| series.outcome == outcome && series.method == *method && series.host == host;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.iter().find(|series| is_it(series)) {
            return series.histogram.record(taken);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.iter().find(|series| is_it(series)) {
            return series.histogram.record(taken);
        }
        if known.len() >= MOST {
            return;
        }
        let histogram = histogram(method, outcome, host);
        histogram.record(taken);
        known.push(Series { method: method.clone(), outcome, host: host.to_owned(), histogram });
    }
}

fn host(error: &Error) -> Option<&str> {
    error.context().find(|(name, _)| *name == "host").map(|(_, host)| host)
}

fn histogram(method: &Method, outcome: Outcome, host: &str) -> Histogram {
    let mut labels = vec![Label::new("http.request.method", method.as_str().to_owned())];
    if !host.is_empty() {
        labels.push(Label::new("server.address", host.to_owned()));
    }
    match outcome {
        Outcome::Status(status) => {
            labels.push(Label::new("http.response.status_code", status.to_string()));
            if status >= 400 {
                labels.push(Label::new("error.type", status.to_string()));
            }
        }
        Outcome::Failure(class) => labels.push(Label::new("error.type", class.to_string())),
    }
    metrics::histogram!("http.client.request.duration", labels)
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durations")
    }
}
