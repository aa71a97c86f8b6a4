//! The document of a preflight: the probes and their verdicts.

use std::time::Duration;

use connector_sdk::{Class, Error, Result, StreamId, contract::CostEstimate};
use serde::Serialize;

/// The document of `connector check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Whether every probe passed or had a reason to be skipped.
    pub status: CheckStatus,
    /// Each probe, in order.
    pub probes: Vec<Probe>,
    /// What a run would cost, for each stream, where that was asked for and the connection can run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimates: Option<Vec<StreamEstimate>>,
}

/// What reading a stream will cost, as far as its connector can tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamEstimate {
    /// Which stream.
    pub stream: StreamId,
    /// Requests to the vendor.
    pub requests: Option<u64>,
    /// Records.
    pub records: Option<u64>,
    /// Bytes of records.
    pub bytes: Option<u64>,
    /// What is left of the vendor's quota, in requests.
    pub quota_remaining: Option<u64>,
    /// How long it takes at least at the pace that the vendor allows, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why it cannot be told.
    pub error: Option<String>,
}

impl StreamEstimate {
    pub(super) fn of(stream: StreamId, cost: &Result<CostEstimate>) -> Self {
        let (cost, error) = match cost {
            Ok(cost) => (cost.clone(), None),
            Err(error) => (CostEstimate::default(), Some(error.to_string())),
        };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            stream,
            requests: cost.requests,
            records: cost.records,
            bytes: cost.bytes,
            quota_remaining: cost.quota_remaining,
            duration_ms: cost.duration.map(millis),
            error,
        }
    }
}

/// Whether a connection can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// It can.
    Passed,
    /// Something is wrong.
    Failed,
}

/// A probe and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Which probe.
    pub name: ProbeName,
    /// Its verdict.
    pub status: ProbeStatus,
    /// What was found, for people.
    pub message: String,
    /// The class of the failure.
    pub class: Option<Class>,
}

/// The probes, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeName {
    /// Template, variables, secrets, the connector's configuration.
    Config,
    /// The vendor's host is found and answers.
    Network,
    /// Its certificate is trusted.
    Tls,
    /// It lets us in.
    Authenticate,
    /// We have the rights that the connector asks for.
    Scopes,
    /// It says what can be read.
    Discover,
    /// The chosen streams are there, and make sense.
    Schema,
    /// The Bronze folder can be written.
    Bronze,
    /// The registry can be opened and read.
    Registry,
}

impl ProbeName {
    /// As the document writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Authenticate => "authenticate",
            Self::Scopes => "scopes",
            Self::Discover => "discover",
            Self::Schema => "schema",
            Self::Bronze => "bronze",
            Self::Registry => "registry",
        }
    }
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeStatus {
    /// It is right.
    Pass,
    /// It is wrong.
    Fail,
    /// It was not looked at, or cannot be known; the message says why.
    Skip,
}

impl Probe {
    pub(super) fn pass(name: ProbeName, message: impl Into<String>) -> Self {
        Self { name, status: ProbeStatus::Pass, message: message.into(), class: None }
    }

    pub(super) fn skip(name: ProbeName, message: impl Into<String>) -> Self {
        Self { name, status: ProbeStatus::Skip, message: message.into(), class: None }
    }

    pub(super) fn fail(name: ProbeName, error: &Error) -> Self {
        Self { name, status: ProbeStatus::Fail, message: error.to_string(), class: Some(error.class()) }
    }
}

impl CheckReport {
    /// A check that ended before it began: the template itself is wrong.
    #[must_use]
    pub fn not_begun(error: &Error) -> Self {
        let mut probes = vec![Probe::fail(ProbeName::Config, error)];
        let rest = [
            ProbeName::Network,
            ProbeName::Tls,
            ProbeName::Authenticate,
            ProbeName::Scopes,
            ProbeName::Discover,
            ProbeName::Schema,
            ProbeName::Bronze,
            ProbeName::Registry,
        ];
        probes.extend(rest.map(|name| Probe::skip(name, "the configuration has to be right first")));
        Self::of(probes)
    }

    pub(super) fn of(probes: Vec<Probe>) -> Self {
        let failed = probes.iter().any(|probe| probe.status == ProbeStatus::Fail);
        Self {
            status: if failed { CheckStatus::Failed } else { CheckStatus::Passed },
            probes,
            estimates: None,
        }
    }

    /// The class of the first failure.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        self.probes.iter().find(|probe| probe.status == ProbeStatus::Fail).and_then(|probe| probe.class)
    }
}
